//! Which folder is the root: one rule for every command and every language.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Everything that can name the root, gathered by the caller: this layer looks at no environment.
#[derive(Clone, Debug, Default)]
pub struct RootSources {
    /// Named by the caller itself (`--root`).
    pub explicit: Option<PathBuf>,
    /// `CONDUCTOR_ROOT`.
    pub environment: Option<PathBuf>,
    /// `JRUN_TASK_FOLDER`, inside an agent: `<root>/<project>/<task>`.
    pub task_folder: Option<PathBuf>,
    /// `storage.runs_dir` of the configuration.
    pub configured: Option<PathBuf>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
}

/// What named the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootOrigin {
    /// The caller.
    Explicit,
    /// `CONDUCTOR_ROOT`.
    Environment,
    /// The task that the calling agent works on.
    Agent,
    /// The configuration.
    Configured,
    /// `~/run-agent`.
    Home,
    /// `~/.run-agent/runs`, which an older program made, where `~/run-agent` does not exist.
    HomeOfOlderProgram,
}

/// The root that `sources` name, and which of them did.
///
/// The first that is set wins: explicit, `CONDUCTOR_ROOT`, the root that `JRUN_TASK_FOLDER` lies in,
/// the configuration, then `~/run-agent`, or `~/.run-agent/runs` where only that one `exists`.
///
/// # Errors
/// `root.unknown` when nothing names one; `root.not_absolute` when a source other than the caller
/// gives a relative path, which would mean another folder in each working directory.
pub fn resolve_root(
    sources: &RootSources,
    exists: impl Fn(&Path) -> bool,
) -> Result<(PathBuf, RootOrigin)> {
    let set = |path: &Option<PathBuf>| {
        path.clone().filter(|path| !path.as_os_str().is_empty() && !is_blank(path))
    };
    if let Some(root) = set(&sources.explicit) {
        return Ok((root, RootOrigin::Explicit));
    }
    if let Some(root) = set(&sources.environment) {
        return absolute(root, "CONDUCTOR_ROOT").map(|root| (root, RootOrigin::Environment));
    }
    if let Some(folder) = set(&sources.task_folder) {
        let folder = absolute(folder, "JRUN_TASK_FOLDER")?;
        return match folder.parent().and_then(Path::parent) {
            Some(root) => Ok((root.to_owned(), RootOrigin::Agent)),
            None => Err(Error::invalid(
                "root.unknown",
                "JRUN_TASK_FOLDER",
                format!("JRUN_TASK_FOLDER {} is not a task's folder", folder.display()),
            )
            .with_hint("it should be <root>/<project>/<task>; pass --root to name the root")),
        };
    }
    if let Some(root) = set(&sources.configured) {
        return absolute(root, "storage.runs_dir").map(|root| (root, RootOrigin::Configured));
    }
    let Some(home) = set(&sources.home) else {
        return Err(Error::invalid(
            "root.unknown",
            "root",
            "no root is named and there is no home folder",
        )
        .with_hint("pass --root, or set CONDUCTOR_ROOT"));
    };
    let home = absolute(home, "HOME")?;
    let (new, old) = (home.join("run-agent"), home.join(".run-agent/runs"));
    if !exists(&new) && exists(&old) {
        return Ok((old, RootOrigin::HomeOfOlderProgram));
    }
    Ok((new, RootOrigin::Home))
}

fn is_blank(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.trim().is_empty())
}

fn absolute(path: PathBuf, field: &str) -> Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::invalid(
        "root.not_absolute",
        field,
        format!("{field} is {}, which is not an absolute path", path.display()),
    )
    .with_path(path)
    .with_hint("a relative root would be another folder in each working directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> RootSources {
        RootSources {
            explicit: Some("here".into()),
            environment: Some("/env".into()),
            task_folder: Some("/agent/shop/fix".into()),
            configured: Some("/configured".into()),
            home: Some("/home/u".into()),
        }
    }

    #[test]
    fn the_first_source_that_is_set_wins() {
        let mut sources = all();
        let resolve = |sources: &RootSources| resolve_root(sources, |_| false).unwrap();
        assert_eq!(resolve(&sources), ("here".into(), RootOrigin::Explicit));
        sources.explicit = Some("  ".into());
        assert_eq!(resolve(&sources), ("/env".into(), RootOrigin::Environment));
        sources.environment = None;
        assert_eq!(resolve(&sources), ("/agent".into(), RootOrigin::Agent));
        sources.task_folder = None;
        assert_eq!(resolve(&sources), ("/configured".into(), RootOrigin::Configured));
        sources.configured = None;
        assert_eq!(resolve(&sources), ("/home/u/run-agent".into(), RootOrigin::Home));
    }

    #[test]
    fn the_older_programs_root_counts_only_where_it_is_the_only_one() {
        let sources = RootSources { home: Some("/h".into()), ..RootSources::default() };
        let old = Path::new("/h/.run-agent/runs");
        let (root, origin) = resolve_root(&sources, |path| path == old).unwrap();
        assert_eq!((&*root, origin), (old, RootOrigin::HomeOfOlderProgram));
        let (root, _) = resolve_root(&sources, |_| true).unwrap();
        assert_eq!(root, Path::new("/h/run-agent"));
    }

    #[test]
    fn what_names_no_root_says_so() {
        let relative = RootSources { environment: Some("x".into()), ..RootSources::default() };
        let error = resolve_root(&relative, |_| false).unwrap_err();
        assert_eq!((error.code(), error.field()), ("root.not_absolute", Some("CONDUCTOR_ROOT")));
        let error = resolve_root(&RootSources::default(), |_| false).unwrap_err();
        assert_eq!(error.code(), "root.unknown");
        let shallow = RootSources { task_folder: Some("/x".into()), ..RootSources::default() };
        assert_eq!(resolve_root(&shallow, |_| false).unwrap_err().code(), "root.unknown");
    }
}
