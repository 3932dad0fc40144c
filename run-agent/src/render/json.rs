//! JSON: indented by two blanks for one answer, one compact object a line for a stream.

use crate::out::Out;
use serde::Serialize;
use std::io::{self, Write as _};

/// Prints one answer.
pub(crate) fn answer(out: &mut Out, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.line("")
}

/// Prints one of many on a line.
pub(crate) fn line(out: &mut Out, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.line("")
}

/// Prints one of many on a line, and hands it to the reader at once.
pub(crate) fn item(out: &mut Out, value: &impl Serialize) -> io::Result<()> {
    line(out, value)?;
    out.flush()
}
