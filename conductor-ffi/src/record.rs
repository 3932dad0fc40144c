//! Records
//!
//! Named fields, by their names on disk: "status", "exit_code", "msg_id", "body". A part of a group is
//! named with a dot ("waiting.until", "meta.by"), an item of a list by its number ("blocked_by.0",
//! "parents.0.msg_id"). What is not known has no field: {NULL, 0}, or the caller's if_unknown, never
//! zero and never an empty text. Times are RFC 3339 in UTC; sizes are bytes. docs/PARITY.md lists all
//! fields. A record never changes and may be read by several threads at a time.

use crate::boundary::guard_value;
use crate::handle::{self, handle};
use crate::out::Out;
use crate::text::Str;
use conductor_core::Result;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Named fields: a message, a run, a result.
pub struct Record {
    _opaque: [u8; 0],
}

/// A record, and the texts that were made of its numbers.
pub(crate) struct Fields {
    record: conductor_core::Record,
    texts: Mutex<BTreeMap<String, Box<str>>>,
    json: OnceLock<String>,
}

handle!(Record, Fields);

impl From<conductor_core::Record> for Fields {
    fn from(record: conductor_core::Record) -> Fields {
        Fields { record, texts: Mutex::default(), json: OnceLock::new() }
    }
}

impl Out<'_, *mut Record> {
    /// Gives a record, which belongs to the caller from now on.
    pub(crate) fn record(self, record: impl Into<conductor_core::Record>) -> Result<()> {
        self.give(record.into().into())
    }
}

impl Fields {
    fn text(&self, key: &str) -> Option<Str> {
        match self.record.text(key)? {
            Cow::Borrowed(text) => Some(Str::borrowed(text.as_bytes())),
            Cow::Owned(text) => {
                // A box stays where it is when the map grows.
                let mut texts = self.texts.lock();
                let text = texts.entry(key.to_owned()).or_insert_with(|| text.into());
                Some(Str::borrowed(text.as_bytes()))
            }
        }
    }
}

/// The text of a field, of a number as it is printed; {NULL, 0} where it is not known, and for a list
/// or a group. Borrowed from the record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_record_text(record: *const Record, key: Str) -> Str {
    guard_value(Str::NONE, || {
        // SAFETY: by the header's rules the text lives during this call.
        let (fields, key) = (handle::look(record), unsafe { key.as_str("key") });
        fields.zip(key.ok()).and_then(|(fields, key)| fields.text(key)).unwrap_or(Str::NONE)
    })
}

/// The whole number of a field, 1 for true and 0 for false; if_unknown where it is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_record_int(
    record: *const Record,
    key: Str,
    if_unknown: i64,
) -> i64 {
    guard_value(if_unknown, || {
        // SAFETY: by the header's rules the text lives during this call.
        let (fields, key) = (handle::look(record), unsafe { key.as_str("key") });
        let found = fields.zip(key.ok()).and_then(|(fields, key)| fields.record.int(key));
        found.unwrap_or(if_unknown)
    })
}

/// How many items a list or a group of fields has; for the empty key, how many fields the record has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_record_count(record: *const Record, key: Str) -> usize {
    guard_value(0, || {
        // SAFETY: by the header's rules the text lives during this call.
        let (fields, key) = (handle::look(record), unsafe { key.as_str("key") });
        fields.zip(key.ok()).map_or(0, |(fields, key)| fields.record.count(key))
    })
}

/// The name of a field of a group, by its place from 0; for the empty key, of a field of the record.
/// {NULL, 0} behind the last. Borrowed from the record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_record_name(
    record: *const Record,
    key: Str,
    index: usize,
) -> Str {
    guard_value(Str::NONE, || {
        // SAFETY: by the header's rules the text lives during this call.
        let (fields, key) = (handle::look(record), unsafe { key.as_str("key") });
        let name = fields.as_ref().zip(key.ok());
        let name = name.and_then(|(fields, key)| fields.record.name(key, index));
        name.map_or(Str::NONE, |name| Str::borrowed(name.as_bytes()))
    })
}

/// All of it as one line of JSON, as run-agent --json prints it. Borrowed from the record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_record_json(record: *const Record) -> Str {
    guard_value(Str::NONE, || {
        let Some(fields) = handle::look(record) else { return Str::NONE };
        Str::borrowed(fields.json.get_or_init(|| fields.record.to_json()).as_bytes())
    })
}

/// Frees a record and every text borrowed from it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conductor_record_free(record: *mut Record) {
    guard_value((), || handle::free(record));
}
