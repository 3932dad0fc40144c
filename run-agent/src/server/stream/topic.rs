//! What can be followed, and what it is called.

use super::super::failure::Failure;
use super::super::place::checked;
use conductor_core::{OutputFile, ProjectId, RunId, Scope, TaskId};
use std::fmt;

/// Something that can be followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// The messages of a bus: `messages:PROJECT`, `messages:PROJECT/TASK`.
    Messages(BusKey),
    /// All runs that begin and end: `runs`.
    Runs,
    /// What no run tells of: `changes`.
    Changes,
    /// What a run prints: `log:PROJECT/TASK/RUN`.
    Log(RunKey),
    /// How much a run has printed: `size:PROJECT/TASK/RUN`.
    Size(RunKey),
    /// A file of a run while it grows.
    File(FileKey),
}

/// A bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BusKey(pub(crate) Scope);

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RunKey {
    pub(crate) project: ProjectId,
    pub(crate) task: TaskId,
    pub(crate) run: RunId,
}

/// A file of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    pub(crate) run: RunKey,
    pub(crate) file: OutputFile,
}

/// How much a run has printed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SizeKey(pub(crate) RunKey);

/// All runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RunsKey;

/// What no run tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChangesKey;

impl fmt::Display for BusKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.task {
            Some(task) => write!(f, "messages:{}/{task}", self.0.project),
            None => write!(f, "messages:{}", self.0.project),
        }
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log:{}/{}/{}", self.project, self.task, self.run)
    }
}

impl fmt::Display for SizeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunKey { project, task, run } = &self.0;
        write!(f, "size:{project}/{task}/{run}")
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunKey { project, task, run } = &self.run;
        write!(f, "file:{project}/{task}/{run}/{}", self.file.as_str())
    }
}

impl fmt::Display for RunsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("runs")
    }
}

impl fmt::Display for ChangesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("changes")
    }
}

impl Topic {
    /// What a word of a client stands for.
    pub(crate) fn parse(word: &str) -> Result<Topic, Failure> {
        let (kind, ids) = word.split_once(':').unwrap_or((word, ""));
        let ids: Vec<&str> = ids.split('/').collect();
        match (kind, &ids[..]) {
            ("runs", [""]) => Ok(Topic::Runs),
            ("changes", [""]) => Ok(Topic::Changes),
            ("messages", [project]) => {
                let project = checked(ProjectId::new(project))?;
                Ok(Topic::Messages(BusKey(project.into())))
            }
            ("messages", [project, task]) => {
                let ids = (checked(ProjectId::new(project))?, checked(TaskId::new(task))?);
                Ok(Topic::Messages(BusKey(ids.into())))
            }
            ("log" | "size", [project, task, run]) => {
                let key = RunKey {
                    project: checked(ProjectId::new(project))?,
                    task: checked(TaskId::new(task))?,
                    run: checked(RunId::new(run))?,
                };
                Ok(if kind == "log" { Topic::Log(key) } else { Topic::Size(key) })
            }
            _ => {
                let message = format!("there is no topic {word:?}");
                Err(Failure::bad_request("topic.unknown", message).detail(
                    "hint",
                    "topics are runs, changes, messages:PROJECT, messages:PROJECT/TASK, \
                     log:PROJECT/TASK/RUN, size:PROJECT/TASK/RUN",
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_as_they_are_written() {
        for word in ["messages:p", "messages:p/t", "log:p/t/r", "size:p/t/r"] {
            let topic = Topic::parse(word).unwrap();
            let shown = match &topic {
                Topic::Messages(key) => key.to_string(),
                Topic::Log(key) => key.to_string(),
                Topic::Size(key) => SizeKey(key.clone()).to_string(),
                _ => panic!("{topic:?}"),
            };
            assert_eq!(shown, word);
        }
        assert_eq!(Topic::parse("runs").unwrap(), Topic::Runs);
        assert_eq!(Topic::parse("changes").unwrap(), Topic::Changes);
        for word in ["", "run", "runs:x", "messages:", "messages:../x", "log:p/t", "messages:a/b/c"]
        {
            assert!(Topic::parse(word).is_err(), "{word}");
        }
    }
}
