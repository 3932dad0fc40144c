//! Tasks that answer a message of another task.

use super::tasks::Tasks;
use crate::bus::{Bus, Event, Message, Post, ReadOptions};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{MessageId, ProjectId, RunId, TaskId};
use crate::task::ThreadLink;

/// The types of messages that may be answered by a task.
const ANSWERED: [&str; 2] = ["QUESTION", "FACT"];

impl Tasks<'_> {
    /// The link to a message that a new task is to answer, checked; nothing is written. `run` is the run
    /// that posted it.
    ///
    /// # Errors
    /// `thread.no_task` and `thread.no_message`; `thread.wrong_parent` where the message is not that
    /// run's; `thread.unsupported` where it is neither a question nor a fact.
    pub fn thread(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        message: &str,
    ) -> Result<ThreadLink> {
        let refuse = |kind, code, text: String| {
            Err(Error::new(kind, code, text).with_field("thread_parent"))
        };
        let bus = match self.0.bus((project.clone(), task.clone())) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return refuse(
                    ErrorKind::NotFound,
                    "thread.no_task",
                    "parent task not found".into(),
                );
            }
            bus => bus?,
        };
        let Some(found) = find(&bus, message)? else {
            let text = "parent message not found".to_owned();
            return refuse(ErrorKind::NotFound, "thread.no_message", text);
        };
        let wrong = |why: String| {
            refuse(
                ErrorKind::InvalidInput,
                "thread.wrong_parent",
                format!("invalid parent reference: {why}"),
            )
        };
        if found.project_id != project.as_str() || found.task_id != task.as_str() {
            return wrong("parent message does not belong to parent project/task".to_owned());
        }
        if found.run_id.trim().is_empty() {
            return wrong("source message has empty run_id".to_owned());
        }
        if found.run_id != run.as_str() {
            return wrong(format!("parent run_id mismatch (expected {})", found.run_id));
        }
        if !ANSWERED.contains(&found.msg_type.as_str()) {
            let text = format!("parent message type {:?} is not supported", found.msg_type);
            return refuse(ErrorKind::Conflict, "thread.unsupported", text);
        }
        Ok(ThreadLink {
            project: project.clone(),
            task: task.clone(),
            run: run.clone(),
            message: message.to_owned(),
            message_type: found.msg_type,
            linked_at: self.0.engine.now(),
        })
    }

    /// Links a task to the message that it answers: in its folder, on its own bus, where `request` is the
    /// text, and on the bus of the message. Done twice it is done once.
    ///
    /// # Errors
    /// What keeps the file from being written or the messages from being posted; calling it again goes on.
    pub fn open_thread(
        &self,
        child: (&ProjectId, &TaskId, Option<&RunId>),
        link: &ThreadLink,
        request: &str,
        wait: impl Into<Wait>,
    ) -> Result<()> {
        let wait = wait.into();
        let (project, task, run) = child;
        let folder = self.0.engine.layout().task(project, task)?;
        if ThreadLink::read(&folder)?.is_none_or(|known| known.message != link.message) {
            link.write(&folder)?;
        }
        let answered = MessageId::new(&link.message)?;
        let told = |text: &str, direction: &str| {
            let run = run.map_or("", RunId::as_str);
            Post::new("USER_REQUEST", text)
                .parent_of_kind(&answered, "thread_answer")
                .meta("thread_parent_project_id", link.project.as_str())
                .meta("thread_parent_task_id", link.task.as_str())
                .meta("thread_parent_run_id", link.run.as_str())
                .meta("thread_parent_message_id", link.message.as_str())
                .meta("thread_parent_message_type", link.message_type.as_str())
                .meta("thread_child_project_id", project.as_str())
                .meta("thread_child_task_id", task.as_str())
                .meta("thread_child_run_id", run)
                .meta("thread_direction", direction)
        };
        let key = format!("thread:{project}/{task}:{}", link.message);
        let mut own = told(request, "child_task");
        if let Some(run) = run {
            own = own.run(run);
        }
        let bus = self.0.bus((project.clone(), task.clone()))?;
        let posted = bus.append_once(&key, None, own, wait.clone())?;
        let text = format!("threaded user request opened child task {project}/{task}");
        let parent = told(&text, "source_task")
            .run(&link.run)
            .meta("thread_child_message_id", posted.msg_id.as_str())
            .meta("thread_source_message_id", link.message.as_str());
        let bus = self.0.bus((link.project.clone(), link.task.clone()))?;
        bus.append_once(&key, None, parent, wait).map(drop)
    }

    /// The message that a task answers, where it was started for one. Reads only.
    ///
    /// # Errors
    /// `task.not_found`; `thread.corrupt`.
    pub fn thread_of(&self, project: &ProjectId, task: &TaskId) -> Result<Option<ThreadLink>> {
        ThreadLink::read(&self.0.engine.layout().task(project, task)?)
    }
}

/// The message with this id. Costs a walk over the bus.
fn find(bus: &Bus, id: &str) -> Result<Option<Message>> {
    for event in bus.read(ReadOptions::default())? {
        if let Event::Message(message) = event?
            && message.msg_id.as_str() == id
        {
            return Ok(Some(message));
        }
    }
    Ok(None)
}
