//! Messages at once
//!
//! Who reads a whole bus is given many messages by one call, as plain structs: several times as fast as
//! one record each. A batch never changes and may be read by several threads at a time.
//!
//!     conductor_batch *batch; size_t count, i;
//!     while (!(status = conductor_reader_batch(reader, 0, -1, interrupt, &batch, &err)) && batch) {
//!         const conductor_message *messages = conductor_batch_messages(batch, &count);
//!         for (i = 0; i < count; i++) print(messages[i].body);
//!         conductor_batch_free(batch);
//!     }

use crate::boundary::{guard, guard_value};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::out::Out;
use crate::reader::Reader;
use crate::record::Record;
use crate::text::Str;
use conductor_core::bus::{Row, Rows, Text};
use conductor_core::{Error as CoreError, Record as CoreRecord};
use std::ptr;

/// Messages that were read at once.
pub struct Batch {
    _opaque: [u8; 0],
}

/// A message of a batch. What is not known is {NULL, 0}, and of numbers 0.
#[repr(C)]
pub struct Message {
    /// "message", or of what stands in the place of one: "gap", "corrupt", "foreign", "replaced".
    pub kind: Str,
    /// Its id.
    pub msg_id: Str,
    /// When it was posted.
    pub ts: Str,
    /// Its type.
    pub r#type: Str,
    /// The project that it belongs to.
    pub project_id: Str,
    /// The task that it belongs to.
    pub task_id: Str,
    /// The run that it belongs to.
    pub run_id: Str,
    /// Its text; {NULL, 0} of what is no message.
    pub body: Str,
    /// The place right behind it.
    pub cursor: Str,
    /// One text in which all the others lie, but for kind.
    pub all: Str,
    /// Its number on the bus, dense from 1.
    pub seq: i64,
    /// When it was posted, in nanoseconds since 1970.
    pub ts_ns: i64,
    /// Whether it may have more fields ("meta", "parents", "links", "path", ...), which
    /// conductor_batch_record() tells.
    pub has_more: bool,
}

/// What was read, and the structs over it.
pub(crate) struct Messages {
    rows: Rows,
    messages: Vec<Message>,
}

// SAFETY: the pointers in `messages` lead into `rows`, which is beside them and never changes; whoever has the
// one has the other.
unsafe impl Send for Messages {}
// SAFETY: as above; nothing here can be written to.
unsafe impl Sync for Messages {}

handle!(Batch, Messages);

impl Messages {
    fn new(rows: Rows) -> Messages {
        let message = |row: &Row| {
            let text = |text: &str| match text {
                "" => Str::NONE,
                text => Str::borrowed(text.as_bytes()),
            };
            let is_message = row
                .event
                .as_ref()
                .is_none_or(|event| CoreRecord::kind_of(Some(event)) == "message");
            let body = rows.get(row, Text::Body);
            Message {
                kind: Str::from_static(CoreRecord::kind_of(row.event.as_deref())),
                msg_id: text(rows.msg_id(row)),
                ts: text(rows.get(row, Text::Time)),
                r#type: text(rows.get(row, Text::Type)),
                project_id: text(rows.get(row, Text::Project)),
                task_id: text(rows.get(row, Text::Task)),
                run_id: text(rows.get(row, Text::Run)),
                // That it is empty is known.
                body: if is_message { Str::borrowed(body.as_bytes()) } else { Str::NONE },
                cursor: text(rows.get(row, Text::Cursor)),
                all: text(rows.text().get(row.all()).unwrap_or_default()),
                seq: i64::try_from(row.seq).unwrap_or(0),
                ts_ns: row.nanos,
                has_more: row.event.is_some(),
            }
        };
        let messages = rows.rows().iter().map(message).collect();
        Messages { rows, messages }
    }
}

/// Waits for messages of a bus, or of a task that is followed, and gives those that are there: at least one,
/// at most so many; with a most of 0 some hundred. Else as conductor_reader_next(), which may be called in
/// between.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_reader_batch(
    reader: *mut Reader,
    most: usize,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Batch,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL.
        let out = unsafe { Out::new(out, "out")? };
        let wait = wait_of(timeout_ms, cancel)?;
        let most = if most == 0 { usize::MAX } else { most };
        match handle::hold(reader, "reader")?.lock()?.next_batch(most, wait)? {
            Some(rows) => out.give(Messages::new(rows))?,
            None => out.write(ptr::null_mut()),
        }
        Ok(())
    })
}

/// The messages of a batch, in their order, and how many there are. Borrowed from the batch. NULL and 0 for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_batch_messages(
    batch: *const Batch,
    out_count: *mut usize,
) -> *const Message {
    guard_value(ptr::null(), || {
        let held = handle::look(batch);
        let messages = held.as_ref().map_or(&[][..], |held| &held.messages[..]);
        // SAFETY: by the header's rules a writable place, or NULL.
        if let Some(out) = unsafe { Out::optional(out_count) } {
            out.write(messages.len());
        }
        if messages.is_empty() { ptr::null() } else { messages.as_ptr() }
    })
}

/// One message of a batch with all its fields, by its place from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_batch_record(
    batch: *const Batch,
    index: usize,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL.
        let out = unsafe { Out::new(out, "out")? };
        let held = handle::hold(batch, "batch")?;
        let row = held.rows.rows().get(index).ok_or_else(|| {
            let message = format!("the batch has no message {index}");
            CoreError::invalid("argument.index", "index", message)
                .with_hint("the places are those from 0 below the count of the messages")
        })?;
        out.record(CoreRecord::of_row(&held.rows, row))
    })
}

/// Frees a batch and everything borrowed from it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_batch_free(batch: *mut Batch) {
    guard_value((), || handle::free(batch));
}
