//! A message to be posted, and the receipt for it.

use super::cursor::Cursor;
use super::message::{Link, Message, Parent};
use super::record::{is_control, is_type};
use crate::id::{MessageId, RunId, TaskId};
use crate::mask::Secrets;
use std::borrow::Cow;

/// Under this name a message's meta carries the key of [`Bus::append_once`](super::Bus::append_once).
pub(super) const ONCE_KEY: &str = "once_key";

/// A message to be posted. The bus adds its id, number and time.
///
/// ```
/// # use conductor_core::bus::Post;
/// let post = Post::new("DECISION", "Ship on Friday.").meta("by", "release-bot");
/// ```
#[derive(Clone, Debug)]
pub struct Post {
    pub(super) kind: String,
    pub(super) body: String,
    pub(super) task: Option<TaskId>,
    pub(super) run: Option<RunId>,
    pub(super) parents: Vec<Parent>,
    pub(super) links: Vec<Link>,
    pub(super) meta: Vec<(String, String)>,
}

impl Post {
    /// A message of type `kind` (1 to 64 of `A-Z 0-9 _ / -`; lower case is raised) with a text.
    pub fn new(kind: impl Into<String>, body: impl Into<String>) -> Post {
        Post {
            kind: kind.into(),
            body: body.into(),
            task: None,
            run: None,
            parents: Vec::new(),
            links: Vec::new(),
            meta: Vec::new(),
        }
    }

    /// The message with these secrets hidden.
    pub(super) fn without(&self, secrets: &Secrets) -> Cow<'_, Post> {
        let mut texts = self.meta.iter().map(|(_, value)| value).chain([&self.body]);
        if !texts.any(|text| secrets.holds(text.as_bytes())) {
            return Cow::Borrowed(self);
        }
        let mut post = self.clone();
        post.body = secrets.hide(&self.body).into_owned();
        for (_, value) in &mut post.meta {
            *value = secrets.hide(value).into_owned();
        }
        Cow::Owned(post)
    }

    /// The task that it belongs to; without it the one whose bus it is.
    #[must_use]
    pub fn task(mut self, task: &TaskId) -> Post {
        self.task = Some(task.clone());
        self
    }

    /// The run that it belongs to.
    #[must_use]
    pub fn run(mut self, run: &RunId) -> Post {
        self.run = Some(run.clone());
        self
    }

    /// A message that it answers or rests on; may be called again for more.
    #[must_use]
    pub fn parent(mut self, parent: &MessageId) -> Post {
        self.parents.push(Parent { msg_id: parent.to_string(), ..Parent::default() });
        self
    }

    /// As [`Post::parent`], saying what it is to this message.
    #[must_use]
    pub fn parent_of_kind(mut self, parent: &MessageId, kind: impl Into<String>) -> Post {
        let (msg_id, kind) = (parent.to_string(), Some(kind.into()));
        self.parents.push(Parent { msg_id, kind, meta: Vec::new() });
        self
    }

    /// Something that it points to; an empty label or kind is left out.
    #[must_use]
    pub fn link(
        mut self,
        url: impl Into<String>,
        label: impl Into<String>,
        kind: impl Into<String>,
    ) -> Post {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let (label, kind) = (given(label.into()), given(kind.into()));
        self.links.push(Link { url: url.into(), label, kind });
        self
    }

    /// The key under which [`Bus::append_once`](super::Bus::append_once) finds this message later.
    #[must_use]
    pub fn once(self, key: impl Into<String>) -> Post {
        self.meta(ONCE_KEY, key)
    }

    /// A named text; the same name again replaces it.
    #[must_use]
    pub fn meta(mut self, name: impl Into<String>, value: impl Into<String>) -> Post {
        let (name, value) = (name.into(), value.into());
        match self.meta.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.meta.push((name, value)),
        }
        self
    }
}

impl Post {
    /// The message once more, as one that was found in an archive.
    pub(crate) fn again(message: Message, archive: String) -> Post {
        // An older program took any text for a type.
        let kind = message.msg_type.to_ascii_uppercase();
        let kind = if is_type(&kind) && !is_control(&kind) { kind } else { "INFO".to_owned() };
        let post = Post {
            kind,
            body: message.body,
            task: TaskId::new(message.task_id).ok(),
            run: RunId::new(message.run_id).ok(),
            parents: message.parents,
            links: message.links,
            meta: message.meta,
        };
        post.meta("adopted_from", archive)
            .meta("adopted_id", message.msg_id.as_str())
            .meta("adopted_type", message.msg_type)
    }
}

/// The receipt for a message that is on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Posted {
    /// Its id.
    pub msg_id: MessageId,
    /// Its number on the bus; 0 where an older program posted it.
    pub seq: u64,
    /// The place right behind it.
    pub cursor: Cursor,
}

impl Posted {
    /// The receipt of a message that is on the bus already.
    pub(crate) fn of(message: Message) -> Posted {
        let seq = message.seq.unwrap_or(0);
        Posted { msg_id: message.msg_id, seq, cursor: message.cursor }
    }
}
