//! How things look: for people at a terminal, for pipes, and as JSON.

pub(crate) mod color;
pub(crate) mod error;
pub(crate) mod json;
pub(crate) mod problem;
pub(crate) mod status_line;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;
