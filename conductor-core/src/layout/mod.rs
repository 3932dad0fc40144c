//! Where things lie below the root: every path a function of ids, and what is found there.
//!
//! This layer knows names, not contents, but for the version that a root tells.

mod enumerate;
mod names;
mod read_only;
mod root;
mod tree;
mod version;

pub use enumerate::Listing;
pub use names::*;
pub use root::{RootOrigin, RootSources, resolve_root};
pub use tree::Layout;
