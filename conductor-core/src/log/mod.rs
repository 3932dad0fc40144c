//! What the library says of its own work.
//!
//! It only emits events of [`tracing`]; they cost one look at an atomic where nobody listens. A program in
//! Rust listens with a subscriber of its own, and may make a [`LogLine`] of each event. Other languages
//! open a [`LogReader`], which has a descriptor to wait on, and takes lines one by one.
//!
//! A line is safe to be shown: secrets are masked, by the name of their field and by what they look like,
//! and everything is bounded. Control characters are escaped by whoever prints it ([`escaped`]).

mod levels;
mod line;
mod reader;
mod redact;

pub use levels::{LogLevel, LogLevels};
pub use line::{LogLine, LogValue, escaped};
pub use reader::LogReader;
pub use redact::redacted;
