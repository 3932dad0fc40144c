//! Many messages at once, for who hands them on over a boundary.

use super::{Records, Source};
use crate::bus::{Event, Row, Rows, Text};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::facade::record::Record;
use crate::wait::Step;

/// The most messages of a batch.
const MOST: usize = 512;
/// A batch that has more bytes of text takes no further message.
const ENOUGH: usize = 64 << 10;

impl Records {
    /// Messages that are there, at most so many, and no more than are given at once: `Ready(None)` at the
    /// end. Only of a bus.
    ///
    /// # Errors
    /// `reader.no_messages`; and those of the bus, behind the messages that came before.
    #[doc(hidden)]
    pub fn step_batch(&mut self, most: usize) -> Result<Step<Option<Rows>>> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let most = most.min(MOST);
        let mut rows = Rows::default();
        let end = loop {
            match self.source.step_row(&mut rows) {
                Ok(Step::Ready(true)) if rows.rows().len() < most && rows.text().len() < ENOUGH => {
                }
                Ok(step) => break step,
                Err(error) if rows.rows().is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break Step::Pending;
                }
            }
        };
        if rows.rows().is_empty() {
            return Ok(match end {
                Step::Pending => Step::Pending,
                Step::Ready(_) => Step::Ready(None),
            });
        }
        let last = rows.rows().iter().rev().map(|row| rows.get(row, Text::Cursor));
        if let Some(kept) = &mut self.kept
            && let Some(cursor) = last.into_iter().find(|cursor| !cursor.is_empty())
        {
            kept.last = Some(cursor.parse()?);
        }
        Ok(Step::Ready(Some(rows)))
    }

    /// Waits for messages; `None` at the end.
    ///
    /// # Errors
    /// As [`Records::next`] and [`Records::step_batch`].
    #[doc(hidden)]
    pub fn next_batch(&mut self, most: usize, wait: impl Into<Wait>) -> Result<Option<Rows>> {
        self.wait_for(&wait.into(), |records| records.step_batch(most))
    }
}

impl Source {
    /// Adds the next message that is there to `rows`; `Ready(false)` at the end.
    fn step_row(&mut self, rows: &mut Rows) -> Result<Step<bool>> {
        let event = match self {
            Source::Read(reader) => return reader.read_row(rows).map(Step::Ready),
            Source::Follow { known, follower } if known.is_over() => {
                return Ok(match follower.step_row(rows)? {
                    Step::Ready(()) => Step::Ready(true),
                    Step::Pending => Step::Pending,
                });
            }
            Source::Follow { known, follower } => match known.step(follower)? {
                Step::Ready(event) => Some(event),
                Step::Pending => return Ok(Step::Pending),
            },
            Source::Task(events) => match events.step()? {
                Step::Ready(event) => event,
                Step::Pending => return Ok(Step::Pending),
            },
            _ => {
                let message = "this reader gives no messages";
                return Err(Error::invalid("reader.no_messages", "reader", message)
                    .with_hint("batches are of a bus, or of a task that is followed"));
            }
        };
        Ok(Step::Ready(event.map(|event| rows.push(event)).is_some()))
    }
}

impl Record {
    /// A message of several that were read at once.
    #[doc(hidden)]
    pub fn of_row(rows: &Rows, row: &Row) -> Record {
        if let Some(event) = &row.event {
            return Record::from(event.as_ref());
        }
        let mut record = Record::default();
        record.put("kind", "message");
        record.put("msg_id", rows.msg_id(row));
        record.put("seq", row.seq);
        for (name, text) in [
            ("ts", Text::Time),
            ("type", Text::Type),
            ("project_id", Text::Project),
            ("task_id", Text::Task),
            ("run_id", Text::Run),
        ] {
            record.put_known(name, Some(rows.get(row, text)).filter(|text| !text.is_empty()));
        }
        record.put("body", rows.get(row, Text::Body));
        record.put("cursor", rows.get(row, Text::Cursor));
        record
    }

    /// What an event is called.
    #[doc(hidden)]
    pub fn kind_of(event: Option<&Event>) -> &'static str {
        match event {
            None | Some(Event::Message(_)) => "message",
            Some(Event::Gap { .. }) => "gap",
            Some(Event::Corrupt(_)) => "corrupt",
            Some(Event::Foreign(_)) => "foreign",
            Some(Event::Replaced { .. }) => "replaced",
        }
    }
}
