//! What is shown of a task while it is driven: for people, as JSON, or its end alone.

use super::drive::Watcher;
use super::silence::{Silence, of_task};
use super::story::Story;
use crate::out::Out;
use crate::render::{error, json};
use conductor_core::{Conductor, Error, Event, Record, Result, Task, TaskResult, Timestamp};
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Lines for people.
    Story,
    /// One record of JSON a line.
    Json,
    /// Nothing before the end.
    End,
}

/// An output whose reader may go away while the work goes on.
pub(crate) fn tell(out: &mut Out, say: impl FnOnce(&mut Out) -> io::Result<()>) {
    let Err(source) = say(out).and_then(|()| out.flush()) else { return };
    out.mute();
    // A closed pipe or terminal: nobody is looking any more, and that is all.
    let eio = rustix::io::Errno::IO.raw_os_error();
    if source.kind() != io::ErrorKind::BrokenPipe && source.raw_os_error() != Some(eio) {
        error::note(&Error::io("write to", "standard output", source));
    }
}

/// Shows one task, or several with a line for each event.
pub(crate) struct View<'a> {
    out: &'a mut Out,
    show: Show,
    story: Story,
    silence: Option<Silence>,
    several: bool,
    /// When the first and the last message were posted.
    span: Option<(Timestamp, Timestamp)>,
    /// The one task whose silence is shown.
    task: Option<&'a Task>,
    /// The ends, in the order in which they came.
    pub(crate) ends: Vec<(String, Result<TaskResult>)>,
}

impl<'a> View<'a> {
    /// A view of `tasks`.
    pub(crate) fn new(
        conductor: &Conductor,
        out: &'a mut Out,
        show: Show,
        tasks: &'a [Task],
    ) -> View<'a> {
        let alone = if let [task] = tasks { Some(task) } else { None };
        View {
            silence: if show == Show::Json { None } else { Silence::new() },
            story: Story::new(conductor),
            out,
            show,
            several: alone.is_none(),
            span: None,
            task: alone,
            ends: Vec::new(),
        }
    }

    /// Each line names its task, even where there is only one.
    #[must_use]
    pub(crate) fn of_several(mut self) -> Self {
        self.several = true;
        self
    }

    fn say(&mut self, say: impl FnOnce(&mut Story, &mut Out) -> io::Result<()>) {
        if let Some(silence) = &mut self.silence {
            silence.clear();
        }
        let story = &mut self.story;
        tell(self.out, |out| say(story, out));
        if !self.out.is_heard() {
            self.silence = None;
        }
    }

    /// How long it took, by the messages.
    pub(crate) fn length(&self) -> Option<Duration> {
        self.span.map(|(first, last)| last.since(first))
    }

    /// Nothing more comes: the line at the bottom goes away.
    pub(crate) fn close(self) -> Vec<(String, Result<TaskResult>)> {
        self.ends
    }
}

/// How a task is named among others.
pub(crate) fn name(task: &Task) -> String {
    format!("{}/{}", task.project(), task.id())
}

impl Watcher for View<'_> {
    fn event(&mut self, task: &Task, event: &Event) {
        if let Event::Message(message) = event {
            let first = self.span.map_or(message.time, |(first, _)| first);
            self.span = Some((first, message.time));
        }
        let whose = self.several.then(|| name(task));
        match self.show {
            Show::Story => self.say(|story, out| story.tell(out, event, whose.as_deref())),
            Show::Json => self.say(|_, out| json::item(out, &Record::from(event))),
            Show::End => {}
        }
    }

    fn over(&mut self, task: &Task, end: Result<TaskResult>) {
        let name = name(task);
        if self.several {
            let info = task.info();
            match (&end, self.show, &info) {
                (Err(error), ..) | (Ok(_), Show::Json, Err(error)) => error::note(error),
                (Ok(_), Show::Json, Ok(info)) => {
                    self.say(|_, out| json::item(out, &Record::from(info)));
                }
                (Ok(result), ..) => {
                    let line = format!("{name}: {}", super::ending::sentence(result, None));
                    self.say(|_, out| out.line(&line));
                }
            }
        }
        self.ends.push((name, end));
    }

    fn rest(&mut self) -> Option<Instant> {
        let (silence, task) = (self.silence.as_mut()?, self.task?);
        Some(silence.rest(|| of_task(task)))
    }
}
