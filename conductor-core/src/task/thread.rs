//! `TASK-THREAD-LINK.yaml`: the message that a task was started to answer.

use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::THREAD_LINK;
use crate::limits;
use crate::time::Timestamp;
use crate::yaml::{Mapping, Value, parse_mapping};

/// The message that a task was started to answer, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadLink {
    /// The project of the message's task.
    pub project: ProjectId,
    /// The task on whose bus it stands.
    pub task: TaskId,
    /// The run that posted it.
    pub run: RunId,
    /// Its id.
    pub message: String,
    /// Its type: `QUESTION` or `FACT`.
    pub message_type: String,
    /// When the task was linked to it.
    pub linked_at: Timestamp,
}

impl ThreadLink {
    /// Reads the link of a task that has one.
    ///
    /// # Errors
    /// `thread.corrupt`, naming the file and the key.
    pub(crate) fn read(task: &Folder) -> Result<Option<ThreadLink>> {
        let Some(bytes) = task.read_if_exists(THREAD_LINK, limits::YAML_FILE)? else {
            return Ok(None);
        };
        let map = parse_mapping(&bytes, &task.join(THREAD_LINK))?;
        let wrong = |key: &str| {
            let message = format!("{} has no good {key}", task.join(THREAD_LINK).display());
            Error::new(ErrorKind::Corrupt, "thread.corrupt", message)
                .with_path(task.join(THREAD_LINK))
                .with_field(key.to_owned())
        };
        let text = |key: &str| map.get_text(key).filter(|text| !text.is_empty());
        let required = |key: &str| text(key).ok_or_else(|| wrong(key));
        let [project, of, run, message, at] = KEYS;
        Ok(Some(ThreadLink {
            project: ProjectId::new(required(project)?).map_err(|_| wrong(project))?,
            task: TaskId::new(required(of)?).map_err(|_| wrong(of))?,
            run: RunId::new(required(run)?).map_err(|_| wrong(run))?,
            message: required(message)?,
            message_type: text(TYPE).unwrap_or_default(),
            linked_at: required(at)?.parse().map_err(|_| wrong(at))?,
        }))
    }

    /// Writes the link down in a task's folder.
    pub(crate) fn write(&self, task: &Folder) -> Result<()> {
        let mut map = Mapping::new();
        let [project, of, run, message, at] = KEYS;
        map.insert(project, Value::Text(self.project.to_string()));
        map.insert(of, Value::Text(self.task.to_string()));
        map.insert(run, Value::Text(self.run.to_string()));
        map.insert(message, Value::Text(self.message.clone()));
        if !self.message_type.is_empty() {
            map.insert(TYPE, Value::Text(self.message_type.clone()));
        }
        map.insert(at, Value::timestamp(self.linked_at));
        task.replace(THREAD_LINK, map.to_yaml().as_bytes())
    }
}

const KEYS: [&str; 5] =
    ["parent_project_id", "parent_task_id", "parent_run_id", "parent_message_id", "linked_at"];
const TYPE: &str = "parent_message_type";
