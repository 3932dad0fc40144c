//! Readers
//!
//! What comes one after the other is read by one function, whatever it is: a list, a bus, the messages
//! of a task, what a run wrote. Damage is a record in its place, never an empty list. One thread at a
//! time reads; another that tries meanwhile gets CONDUCTOR_BUSY. A reader may outlive what it came from.
//!
//!     conductor_record *m;
//!     while (!(status = conductor_reader_next(reader, -1, interrupt, &m, &err)) && m) {
//!         print(conductor_record_text(m, CONDUCTOR_STR("body")));
//!         conductor_record_free(m);
//!     }
//!
//! For an event loop: call conductor_reader_next() with a timeout of 0 until it says CONDUCTOR_TIMEOUT;
//! then wait until conductor_reader_fd() is readable, and begin again. Runs and tasks are waited for in
//! the same way.

use crate::boundary::{guard, guard_value};
use crate::cancel::{Cancel, wait_of};
use crate::error::{Error, Status};
use crate::handle::{self, handle};
use crate::out::Out;
use crate::record::Record;
use conductor_core::{Error as CoreError, ErrorKind, Records, Result};
use parking_lot::{Mutex, MutexGuard};
use std::os::fd::AsRawFd as _;
use std::ptr;

/// Records, one after the other.
pub struct Reader {
    _opaque: [u8; 0],
}

/// What is read, and its descriptor, which can be asked for while somebody reads.
pub(crate) struct Reading {
    records: Mutex<Records>,
    fd: i32,
}

handle!(Reader, Reading);

impl From<Records> for Reading {
    fn from(records: Records) -> Reading {
        let fd = records.fd().map_or(-1, |fd| fd.as_raw_fd());
        Reading { records: Mutex::new(records), fd }
    }
}

impl Reading {
    /// What is read, for the one thread that reads.
    ///
    /// # Errors
    /// `reader.busy`.
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Records>> {
        self.records.try_lock().ok_or_else(|| {
            let message = "another thread reads from this reader";
            CoreError::new(ErrorKind::Busy, "reader.busy", message).with_field("reader")
        })
    }
}

/// Waits for the next record, which is yours to free. CONDUCTOR_OK with NULL: the end of what was asked
/// for; a follower of a bus has none. CONDUCTOR_TIMEOUT and CONDUCTOR_CANCELLED: nothing yet; call
/// again to go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_reader_next(
    reader: *mut Reader,
    timeout_ms: i64,
    cancel: *const Cancel,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL.
        let out = unsafe { Out::new(out, "out")? };
        let wait = wait_of(timeout_ms, cancel)?;
        let record = handle::hold(reader, "reader")?.lock()?.next(wait)?;
        match record {
            Some(record) => out.record(record)?,
            None => out.write(ptr::null_mut()),
        }
        Ok(())
    })
}

/// Keeps the place behind the last message that was read, durably, for a reader of a bus that was made
/// with the option "cursor": who takes that name up next reads what comes after it. What was read since
/// the last commit is read again then: commit once you are done with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_reader_commit(
    reader: *mut Reader,
    err: *mut *mut Error,
) -> Status {
    guard(err, || handle::hold(reader, "reader")?.lock()?.commit())
}

/// What a reader that works did so far, as that of conductor_plan_apply(): "runs", "tasks", "buses",
/// "archives", "strays", "freed" (bytes), "kept", "failed", and the list "errors".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_reader_report(
    reader: *const Reader,
    out: *mut *mut Record,
    err: *mut *mut Error,
) -> Status {
    guard(err, || {
        // SAFETY: by the header's rules a writable place, or NULL.
        let out = unsafe { Out::new(out, "out")? };
        out.record(handle::hold(reader, "reader")?.lock()?.report()?)
    })
}

/// A descriptor that becomes readable when conductor_reader_next() may have more, after it said
/// CONDUCTOR_TIMEOUT; -1 for NULL and for a reader that does not wait, which may be asked again at once.
/// Yours to poll, not to read from and not to close; it lives as long as the reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_reader_fd(reader: *const Reader) -> i32 {
    guard_value(-1, || handle::look(reader).map_or(-1, |reading| reading.fd))
}

/// Frees a reader that no thread reads from any more. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_reader_free(reader: *mut Reader) {
    guard_value((), || handle::free(reader));
}
