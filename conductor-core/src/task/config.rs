//! `TASK-CONFIG.yaml`: what a task depends on, and how its end is checked. Keys of somebody else are
//! kept.

use crate::config::{Limits, read_limits};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::TaskId;
use crate::layout::TASK_CONFIG;
use crate::limits;
use crate::yaml::{Mapping, Value, parse_mapping};

const DEPENDS_ON: &str = "depends_on";
const AGENT: &str = "agent";
const VERIFY: &str = "verify";

/// The configuration that stands in a task's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskConfig {
    /// Tasks of the same project that must be ready first.
    pub(super) depends_on: Vec<TaskId>,
    /// The completion check: a program and its arguments; empty for none.
    pub(crate) verify: Vec<String>,
}

impl TaskConfig {
    /// Reads it; a task without one depends on nothing.
    ///
    /// # Errors
    /// `task_config.corrupt`, naming the file and the key.
    pub(crate) fn read(task: &Folder) -> Result<TaskConfig> {
        let map = read_mapping(task)?.unwrap_or_default();
        let mut depends_on: Vec<TaskId> = Vec::new();
        for item in texts(task, &map)? {
            // The older program takes several in one item, separated by commas.
            for name in item.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let id = TaskId::new(name)
                    .map_err(|error| wrong(task, DEPENDS_ON, &format!("names no task: {error}")))?;
                if !depends_on.contains(&id) {
                    depends_on.push(id);
                }
            }
        }
        Ok(TaskConfig { depends_on, verify: verify(task, &map)? })
    }

    /// The agent and the bounds that a task's own configuration asks for.
    ///
    /// # Errors
    /// `task_config.corrupt` for the agent; what the configuration says of wrong `limits`.
    pub(crate) fn wishes(task: &Folder) -> Result<(Option<String>, Limits)> {
        let path = task.join(TASK_CONFIG);
        let Some(bytes) = task.read_if_exists(TASK_CONFIG, limits::YAML_FILE)? else {
            return Ok((None, Limits::default()));
        };
        let map = parse_mapping(&bytes, &path)?;
        let agent = match map.get(AGENT) {
            None | Some(Value::Null) => None,
            Some(Value::Text(agent)) => Some(agent.clone()),
            Some(_) => return Err(wrong(task, AGENT, "names no agent")),
        };
        Ok((agent, read_limits(&bytes, &path)?))
    }

    /// Replaces the dependencies. A file that would hold nothing is removed.
    pub(super) fn set_depends_on(task: &Folder, depends_on: &[TaskId]) -> Result<()> {
        let before = read_mapping(task)?;
        let mut map = before.clone().unwrap_or_default();
        if depends_on.is_empty() {
            map.remove(DEPENDS_ON);
        } else {
            map.insert(DEPENDS_ON, Value::list(depends_on.iter().map(TaskId::as_str)));
        }
        match (before, map.is_empty()) {
            (None, true) => Ok(()),
            (Some(before), _) if before == map => Ok(()),
            (Some(_), true) => {
                task.remove_file(TASK_CONFIG)?;
                task.sync()
            }
            _ => task.replace(TASK_CONFIG, map.to_yaml().as_bytes()),
        }
    }
}

fn read_mapping(task: &Folder) -> Result<Option<Mapping>> {
    let Some(bytes) = task.read_if_exists(TASK_CONFIG, limits::YAML_FILE)? else { return Ok(None) };
    parse_mapping(&bytes, &task.join(TASK_CONFIG)).map(Some)
}

fn texts(task: &Folder, map: &Mapping) -> Result<Vec<String>> {
    match map.get(DEPENDS_ON) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => {
            value.as_text_list().ok_or_else(|| wrong(task, DEPENDS_ON, "is no list of task ids"))
        }
    }
}

/// A line for the shell, or a program and its arguments.
fn verify(task: &Folder, map: &Mapping) -> Result<Vec<String>> {
    match map.get(VERIFY) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Text(line)) => Ok(shell_line(line.clone())),
        Some(list) => list
            .as_text_list()
            .filter(|argv| !argv.is_empty())
            .ok_or_else(|| wrong(task, VERIFY, "is no line for the shell and no list of words")),
    }
}

/// A line as the shell is given it; a blank one is none.
pub(crate) fn shell_line(line: String) -> Vec<String> {
    if line.trim().is_empty() {
        return Vec::new();
    }
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line]
}

fn wrong(task: &Folder, key: &str, why: &str) -> Error {
    let path = task.join(TASK_CONFIG);
    Error::new(
        ErrorKind::Corrupt,
        "task_config.corrupt",
        format!("{}: {key} {why}", path.display()),
    )
    .with_path(path)
    .with_field(key)
    .with_hint("repair the file by hand; nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        (dir, folder)
    }

    fn id(name: &str) -> TaskId {
        TaskId::new(name).unwrap()
    }

    #[test]
    fn dependencies_are_replaced_and_other_keys_kept() {
        let (dir, folder) = folder();
        let path = dir.path().join(TASK_CONFIG);
        assert!(TaskConfig::read(&folder).unwrap().depends_on.is_empty());
        TaskConfig::set_depends_on(&folder, &[]).unwrap();
        assert!(!path.exists());
        TaskConfig::set_depends_on(&folder, &[id("a"), id("b")]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "depends_on:\n    - a\n    - b\n");
        TaskConfig::set_depends_on(&folder, &[]).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "verify: make test\ndepends_on: [a]\n").unwrap();
        TaskConfig::set_depends_on(&folder, &[]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "verify: make test\n");
    }

    #[test]
    fn agent_and_bounds_are_those_of_the_configuration() {
        let (dir, folder) = folder();
        assert_eq!(TaskConfig::wishes(&folder).unwrap(), (None, Limits::default()));
        let path = dir.path().join(TASK_CONFIG);
        let text = "agent: codex\nverify: x\nlimits: {max_attempts: 3, idle_timeout: 5m}\n";
        std::fs::write(&path, text).unwrap();
        let (agent, limits) = TaskConfig::wishes(&folder).unwrap();
        assert_eq!((agent.as_deref(), limits.max_attempts), (Some("codex"), Some(3)));
        std::fs::write(&path, "limits:\n  max_atempts: 3\n").unwrap();
        let error = TaskConfig::wishes(&folder).unwrap_err();
        assert_eq!(error.code(), "config.unknown_key");
        assert!(error.to_string().contains(":2:3: limits.max_atempts"), "{error}");
        assert!(TaskConfig::read(&folder).is_ok(), "a list of tasks does not need them");
    }

    #[test]
    fn items_are_read_as_the_older_program_reads_them() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join(TASK_CONFIG), "depends_on: [' a , b', a, '']\n").unwrap();
        assert_eq!(TaskConfig::read(&folder).unwrap().depends_on, [id("a"), id("b")]);
    }

    #[test]
    fn the_check_is_a_line_or_a_list_of_words() {
        let (dir, folder) = folder();
        let read = |text: &str| {
            std::fs::write(dir.path().join(TASK_CONFIG), text).unwrap();
            TaskConfig::read(&folder).map(|config| config.verify)
        };
        assert_eq!(read("verify: make test\n").unwrap(), ["/bin/sh", "-c", "make test"]);
        assert_eq!(read("verify: [make, test]\n").unwrap(), ["make", "test"]);
        assert!(read("verify: ''\n").unwrap().is_empty());
        for text in ["verify: []\n", "verify: {a: b}\n", "verify: [{a: b}]\n"] {
            assert_eq!(read(text).unwrap_err().field(), Some("verify"));
        }
    }

    #[test]
    fn what_makes_no_sense_names_the_file_and_the_key() {
        let (dir, folder) = folder();
        for text in ["depends_on: a\n", "depends_on: [../x]\n", "depends_on: [{a: b}]\n"] {
            std::fs::write(dir.path().join(TASK_CONFIG), text).unwrap();
            let error = TaskConfig::read(&folder).unwrap_err();
            assert_eq!((error.code(), error.field()), ("task_config.corrupt", Some("depends_on")));
        }
    }
}
