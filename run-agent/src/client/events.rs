//! The events of a stream, as they come.

use conductor_core::{Error, ErrorKind, Result};
use std::fmt;
use std::io::{BufRead, BufReader, Read};

/// The longest line that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// An event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; empty for one that has none.
    pub(crate) name: String,
    /// Its data, lines joined.
    pub(crate) data: String,
}

/// The events of a stream, until it ends.
pub(crate) struct Events {
    lines: BufReader<Box<dyn Read>>,
    last_id: Option<String>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("last_id", &self.last_id).finish_non_exhaustive()
    }
}

impl Events {
    pub(super) fn new(bytes: Box<dyn Read>) -> Events {
        Events { lines: BufReader::new(bytes), last_id: None }
    }

    /// The id to come back with.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Waits for the next event; `None` where the stream has ended.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        let (mut event, mut data) = (Event::default(), Vec::new());
        loop {
            let mut line = String::new();
            let read = (&mut self.lines).take(LONGEST).read_line(&mut line);
            match read {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // A server that is killed takes its connections with it; one can come back.
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                    return Err(Error::new(
                        ErrorKind::Io,
                        "server.broken_answer",
                        "the answer of the server broke off",
                    )
                    .with_source(error));
                }
                Err(_) => return Ok(None),
            }
            let line = line.trim_end_matches(['\n', '\r']);
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                _ if line.is_empty() && data.is_empty() => event = Event::default(),
                _ if line.is_empty() => {
                    event.data = data.join("\n");
                    return Ok(Some(event));
                }
                "event" => event.name = value.to_owned(),
                "data" => data.push(value.to_owned()),
                "id" => self.last_id = Some(value.to_owned()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_a_browser_reads_them() {
        let text =
            ": hello\n\nid: 1\nevent: log\ndata: a\ndata: b\n\ndata:c\n\nid: 2\n\nevent: x\n\n";
        let mut events = Events::new(Box::new(text.as_bytes()));
        let mut next = || events.next().unwrap().map(|event| (event.name, event.data));
        assert_eq!(next(), Some(("log".into(), "a\nb".into())));
        assert_eq!(next(), Some((String::new(), "c".into())));
        assert_eq!(next(), None);
        assert_eq!(events.last_id(), Some("2"));
    }
}
