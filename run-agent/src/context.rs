//! What every command starts from: the root that was named, and the output.

use crate::out::Out;
use std::path::PathBuf;

/// What a command works with.
pub(crate) struct Context {
    root: Option<PathBuf>,
    /// Standard output.
    pub(crate) out: Out,
}

impl Context {
    /// Nothing is opened or looked at yet, but for who reads the output.
    pub(crate) fn new(root: Option<PathBuf>) -> Context {
        Context { root, out: Out::stdout() }
    }
}
