//! The environment that an agent is started with.

use crate::id::{ProjectId, RunId, TaskId};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where a run stands: what its environment and its prompt tell the agent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunContext {
    /// The project.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// The run whose agent started this one.
    pub parent_run: Option<RunId>,
    /// Whether the run is an attempt of its task, which may find that the task is done.
    pub is_attempt: bool,
    /// The agent's name.
    pub agent: String,
    /// The root.
    pub root: PathBuf,
    /// The task's folder.
    pub task_folder: PathBuf,
    /// The run's folder.
    pub run_folder: PathBuf,
    /// The task's bus.
    pub bus: PathBuf,
    /// A working `run-agent`, whose folder is put in front of `PATH`.
    pub run_agent: Option<PathBuf>,
}

/// Variables and their values, sorted by name.
pub type Environment = BTreeMap<OsString, OsString>;

/// Keys of other vendors that an agent has no business with: each agent keeps its own only.
const VENDOR_KEYS: &[&str] = &[
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "PERPLEXITY_API_KEY",
    "XAI_API_KEY",
    "OPENAI_ORG_ID",
];

/// The environment of a run.
///
/// From `inherited`, less what other vendors' agents would use, with `extra` over it, and over all the
/// run's own variables. `CLAUDECODE` is removed: Claude Code refuses to start inside itself.
pub fn run_environment(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    extra: &[(String, String)],
    kept_keys: &[&str],
    context: &RunContext,
) -> Environment {
    let mut env: Environment = inherited.into_iter().collect();
    let foreign = |name: &OsStr| {
        VENDOR_KEYS.iter().any(|key| name.eq_ignore_ascii_case(key) && !kept_keys.contains(key))
    };
    let kept =
        |name: &OsStr| !is_own(name) && !is_token(name) && name != "CLAUDECODE" && !foreign(name);
    env.retain(|name, _| kept(name));
    // What somebody gives to this very run is meant for it, also another vendor's key.
    env.extend(extra.iter().map(|(name, value)| (name.into(), value.into())));
    let parent = context.parent_run.as_ref().map_or("", RunId::as_str);
    let own: [(&str, &OsStr); 9] = [
        ("CONDUCTOR_ROOT", context.root.as_os_str()),
        ("JRUN_PROJECT_ID", context.project.as_str().as_ref()),
        ("JRUN_TASK_ID", context.task.as_str().as_ref()),
        ("JRUN_ID", context.run.as_str().as_ref()),
        ("JRUN_PARENT_ID", parent.as_ref()),
        ("JRUN_TASK_FOLDER", context.task_folder.as_os_str()),
        ("JRUN_RUN_FOLDER", context.run_folder.as_os_str()),
        ("JRUN_MESSAGE_BUS", context.bus.as_os_str()),
        ("JRUN_RUNS_DIR", OsStr::new("")),
    ];
    env.extend(own.map(|(name, value)| (name.into(), value.to_owned())));
    env.insert("JRUN_RUNS_DIR".into(), context.task_folder.join("runs").into());
    if let Some(folder) = context.run_agent.as_deref().and_then(Path::parent) {
        let path = env.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        env.insert("PATH".into(), prepended(folder, &path));
    }
    env
}

/// The environment of a program that a person runs in a terminal: as a run's, with everything kept that
/// the person has set, also the keys of all vendors.
pub fn attached_environment(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    extra: &[(String, String)],
    context: &RunContext,
) -> Environment {
    let inherited: Environment = inherited.into_iter().collect();
    let nested = inherited.get(OsStr::new("CLAUDECODE")).cloned();
    let mut env = run_environment(inherited, extra, VENDOR_KEYS, context);
    env.extend(nested.map(|nested| ("CLAUDECODE".into(), nested)));
    env
}

/// Whether it holds a key of one of the vendors whose agents are known.
pub(crate) fn is_vendor_key(name: &OsStr) -> bool {
    VENDOR_KEYS.iter().any(|key| name.eq_ignore_ascii_case(key))
}

/// An environment for a program that is only asked about itself: no keys, nothing of a run.
pub(crate) fn without_secrets(
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let kept = |name: &OsStr| {
        !is_own(name) && !is_token(name) && name != "CLAUDECODE" && !is_vendor_key(name)
    };
    inherited.into_iter().filter(|(name, _)| kept(name)).collect()
}

/// Whether it holds a token for conductor itself, which puts into each agent's environment its own.
fn is_token(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name == b"CONDUCTOR_API_KEY"
        || (name.starts_with(b"CONDUCTOR_AGENT_") && name.ends_with(b"_TOKEN"))
}

/// Whether only conductor sets this variable.
pub fn is_own(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"JRUN_") || name == "CONDUCTOR_ROOT"
}

/// `folder` in front of the search path, and not twice.
fn prepended(folder: &Path, path: &OsStr) -> OsString {
    let rest = std::env::split_paths(path).filter(|entry| entry != folder);
    let all = std::iter::once(folder.to_owned()).chain(rest);
    std::env::join_paths(all).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn context() -> RunContext {
        RunContext {
            project: ProjectId::new("shop").unwrap(),
            task: TaskId::new("fix").unwrap(),
            run: RunId::new("r1").unwrap(),
            parent_run: None,
            is_attempt: true,
            agent: "claude".into(),
            root: "/root".into(),
            task_folder: "/root/shop/fix".into(),
            run_folder: "/root/shop/fix/runs/r1".into(),
            bus: "/root/shop/fix/TASK-MESSAGE-BUS.md".into(),
            run_agent: Some("/opt/bin/run-agent".into()),
        }
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn own_variables_win_over_all_others() {
        let inherited = env(&[("JRUN_ID", "old"), ("JRUN_CONDUCTOR_URL", "u"), ("HOME", "/h")]);
        let extra = [("JRUN_TASK_ID".into(), "forged".into()), ("A".into(), "b".into())];
        let env = run_environment(inherited, &extra, &[], &context());
        let get = |name: &str| env.get(OsStr::new(name)).map(|value| value.to_str().unwrap());
        assert_eq!(get("JRUN_ID"), Some("r1"));
        assert_eq!(get("JRUN_TASK_ID"), Some("fix"));
        assert_eq!(get("JRUN_PARENT_ID"), Some(""));
        assert_eq!(get("JRUN_RUNS_DIR"), Some("/root/shop/fix/runs"));
        assert_eq!(get("JRUN_CONDUCTOR_URL"), None);
        assert_eq!((get("A"), get("HOME")), (Some("b"), Some("/h")));
    }

    #[test]
    fn other_vendors_keys_are_removed() {
        let inherited = env(&[
            ("OPENAI_API_KEY", "o"),
            ("anthropic_api_key", "a"),
            ("ANTHROPIC_API_KEY", "a"),
            ("CLAUDECODE", "1"),
            ("CONDUCTOR_AGENT_CODEX_TOKEN", "o"),
            ("CONDUCTOR_API_KEY", "k"),
        ]);
        let env = run_environment(inherited, &[], &["ANTHROPIC_API_KEY"], &context());
        assert!(env.contains_key(OsStr::new("ANTHROPIC_API_KEY")));
        assert!(!env.contains_key(OsStr::new("OPENAI_API_KEY")));
        assert!(!env.contains_key(OsStr::new("CLAUDECODE")));
    }

    #[test]
    fn what_a_person_has_set_is_kept_in_a_terminal() {
        let set = [("OPENAI_API_KEY", "o"), ("ANTHROPIC_API_KEY", "a"), ("CLAUDECODE", "1")];
        let env = attached_environment(env(&set), &[], &context());
        assert!(set.iter().all(|(name, value)| env[OsStr::new(name)] == *value));
        assert_eq!(env[OsStr::new("JRUN_ID")], "r1");
    }

    #[test]
    fn run_agent_comes_first_on_the_path_and_once() {
        let inherited = env(&[("PATH", "/usr/bin:/opt/bin:/bin")]);
        let env = run_environment(inherited, &[], &[], &context());
        assert_eq!(env[OsStr::new("PATH")], "/opt/bin:/usr/bin:/bin");
    }
}
