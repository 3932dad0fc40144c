//! One record of a bus as bytes: encoding, checking and decoding. Pure; knows nothing of files.
//!
//! ```text
//! ---
//! msg_id: MSG-20261123-142055-123456789-PID04242-0001
//! seq: 4711
//! ts: 2026-11-23T14:20:55.123456789Z
//! type: FACT
//! project_id: "p"
//! task_id: "t"
//! run_id: "run-1"
//! len: 5
//! crc32c: "xxxxxxxx"
//! ---
//! hello
//! ```
//!
//! The lines `msg_id`, `seq`, `len` and `crc32c` stand where they are shown; `issue_id`, `parents`,
//! `links` and `meta` may stand between `run_id` and `len`. Two line feeds stand before each record
//! but the first, and bodies are escaped, so that [`MARK`] occurs where a record starts and
//! nowhere else.

mod decode;
mod draft;
mod escape;
mod fields;
mod flow;
mod head;
mod legacy;
mod lines;
mod plain;
mod quote;
mod stamp;

pub(crate) use decode::decode;
pub(crate) use draft::{Draft, Stamp, is_type};
pub(crate) use escape::body;
pub(crate) use head::{Head, Look, claimed_seq, is_torn, look};
pub(crate) use legacy::{decode_legacy, decode_line, legacy_body_end};
pub(crate) use plain::{Plain, plain};
pub(crate) use stamp::Moment;

/// How every record begins.
pub(crate) const BEGIN: &[u8] = b"---\nmsg_id: ";
/// What stands where a record begins, unless it is the first of its file.
pub(crate) const MARK: &[u8] = b"\n\n---\nmsg_id: ";
/// Line feeds in front of the `---` in [`MARK`].
pub(crate) const MARK_LEAD: usize = 2;
/// The type of the record that begins a segment.
pub(crate) const SEGMENT_START: &str = "BUS_SEGMENT_START";
/// The type of the record that ends a segment.
pub(crate) const SEGMENT_END: &str = "BUS_SEGMENT_END";
/// The first number that a `seq` cannot have: beyond it other languages lose digits.
pub(crate) const SEQ_LIMIT: u64 = 1 << 53;
/// A step in `seq` that no loss explains: somebody made the number up.
pub(crate) const SEQ_JUMP: u64 = 1 << 32;

/// Whether a record is one that ends a segment.
pub(crate) fn ends_segment(record: &[u8], head: &Head) -> bool {
    // No reader looks behind it, so it must be that in all else too.
    record[head.kind.clone()] == *SEGMENT_END.as_bytes()
        && decode(record, head).is_some_and(|message| message.msg_type == SEGMENT_END)
}

/// Whether a record is told to callers only when they ask for it.
pub(crate) fn is_control(kind: &str) -> bool {
    kind == SEGMENT_START || kind == SEGMENT_END
}
