//! Events in the form of `text/event-stream`, encoded once for all clients.

use super::topic::RunKey;
use bytes::Bytes;
use conductor_core::Outcome;
use std::sync::Arc;

/// What one look found, in both forms that clients get.
///
/// A client of one thing gets each event with its id. A client of several things at once gets the events
/// without ids, each with its topic, and one id for all things behind each batch.
#[derive(Debug)]
pub(crate) struct Frames {
    own: Option<Vec<u8>>,
    shared: Option<Vec<u8>>,
    topic: String,
    runs: Vec<RunNote>,
}

/// Which forms are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Each event has its id.
    Own,
    /// Each event has its topic.
    Shared,
}

/// Encoded events.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    own: Bytes,
    shared: Bytes,
    /// The runs that are told of, for clients that want only some of them.
    pub(crate) runs: Arc<[RunNote]>,
}

/// What is told of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunNote {
    pub(crate) run: RunKey,
    /// How it ended, where it did.
    pub(crate) outcome: Option<Outcome>,
    /// The event, with its topic and without an id.
    pub(crate) event: Bytes,
}

impl Frames {
    /// Nothing yet, in the forms that are wanted.
    pub(crate) fn new(topic: &str, own: bool, shared: bool) -> Frames {
        Frames {
            own: own.then(Vec::new),
            shared: shared.then(Vec::new),
            topic: serde_json::to_string(topic).unwrap_or_default(),
            runs: Vec::new(),
        }
    }

    /// As [`new`](Frames::new), in one form.
    pub(crate) fn of(topic: &str, form: Form) -> Frames {
        Frames::new(topic, form == Form::Own, form == Form::Shared)
    }

    /// Adds an event whose data is a JSON object, on one line.
    pub(crate) fn json(&mut self, id: Option<&str>, event: &str, object: &[u8]) {
        if let Some(own) = &mut self.own {
            head(own, id, Some(event));
            line(own, b"data: ", object);
            own.push(b'\n');
        }
        if let (Some(shared), Some(fields)) = (&mut self.shared, object.strip_prefix(b"{")) {
            head(shared, None, Some(event));
            shared.extend_from_slice(b"data: {\"topic\":");
            shared.extend_from_slice(self.topic.as_bytes());
            if !fields.starts_with(b"}") {
                shared.push(b',');
            }
            line(shared, b"", fields);
            shared.push(b'\n');
        }
    }

    /// Adds an unnamed event whose data is text; a client of several things does not get it.
    pub(crate) fn text(&mut self, id: &str, text: &str) {
        let Some(own) = &mut self.own else { return };
        head(own, Some(id), None);
        // What ends a line ends a field: no carriage return can be sent.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for piece in text.split('\n') {
            line(own, b"data: ", piece.as_bytes());
        }
        own.push(b'\n');
    }

    /// Adds a named event whose data is text on one line; a client of several things does not get it.
    pub(crate) fn plain(&mut self, event: &str, text: &str) {
        if let Some(own) = &mut self.own {
            head(own, None, Some(event));
            line(own, b"data: ", text.as_bytes());
            own.push(b'\n');
        }
    }

    /// Adds an event about where a run stands.
    pub(crate) fn run(&mut self, id: &str, run: &RunKey, outcome: Option<Outcome>, object: &[u8]) {
        self.json(Some(id), "status", object);
        let event = single(None, "status", &String::from_utf8_lossy(object));
        self.runs.push(RunNote { run: run.clone(), outcome, event });
    }

    /// Says that a run lives, which the client was told before.
    pub(crate) fn lives(&mut self, run: &RunKey) {
        self.runs.push(RunNote { run: run.clone(), outcome: None, event: Bytes::new() });
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        length(&self.own).max(length(&self.shared))
    }

    pub(crate) fn finish(self) -> Encoded {
        let bytes = |bytes: Option<Vec<u8>>| Bytes::from(bytes.unwrap_or_default());
        let runs = self.runs.into();
        Encoded { own: bytes(self.own), shared: bytes(self.shared), runs }
    }
}

impl Encoded {
    /// The events in one form.
    pub(crate) fn bytes(&self, form: Form) -> Bytes {
        match form {
            Form::Own => self.own.clone(),
            Form::Shared => self.shared.clone(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }
}

/// One event of a single client.
pub(crate) fn single(id: Option<&str>, event: &str, data: &str) -> Bytes {
    let mut bytes = Vec::with_capacity(data.len() + 64);
    head(&mut bytes, id, Some(event));
    line(&mut bytes, b"data: ", data.as_bytes());
    bytes.push(b'\n');
    bytes.into()
}

/// An id alone: the client comes back with it, and is told nothing.
pub(crate) fn mark(id: &str) -> Bytes {
    let mut bytes = Vec::with_capacity(id.len() + 8);
    head(&mut bytes, Some(id), None);
    bytes.push(b'\n');
    bytes.into()
}

fn head(bytes: &mut Vec<u8>, id: Option<&str>, event: Option<&str>) {
    if let Some(id) = id {
        line(bytes, b"id: ", id.as_bytes());
    }
    if let Some(event) = event {
        line(bytes, b"event: ", event.as_bytes());
    }
}

fn line(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_encoded_once_in_both_forms() {
        let mut frames = Frames::new("messages:p", true, true);
        frames.json(Some("c1:7:MSG-1"), "message", b"{\"body\":\"x\"}");
        frames.json(None, "heartbeat", b"{}");
        let encoded = frames.finish();
        assert_eq!(
            encoded.bytes(Form::Own),
            "id: c1:7:MSG-1\nevent: message\ndata: {\"body\":\"x\"}\n\nevent: heartbeat\ndata: {}\n\n"
        );
        assert_eq!(
            encoded.bytes(Form::Shared),
            "event: message\ndata: {\"topic\":\"messages:p\",\"body\":\"x\"}\n\n\
             event: heartbeat\ndata: {\"topic\":\"messages:p\"}\n\n"
        );
    }

    #[test]
    fn text_keeps_its_lines_and_cannot_end_an_event() {
        let mut frames = Frames::of("x", Form::Own);
        frames.text("4", "a\r\nb\n");
        frames.text("9", "event: forged\rid: 1\n\n");
        assert_eq!(
            frames.finish().bytes(Form::Own),
            "id: 4\ndata: a\ndata: b\ndata: \n\n\
             id: 9\ndata: event: forged\ndata: id: 1\ndata: \ndata: \n\n"
        );
    }
}
