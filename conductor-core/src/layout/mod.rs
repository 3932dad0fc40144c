//! Where things lie below the root: every path a function of ids, and what is found there.
//!
//! This layer knows names, not contents.

mod enumerate;
mod names;
mod root;
mod tree;

pub use enumerate::Listing;
pub use names::*;
pub use root::{RootOrigin, RootSources, resolve_root};
pub use tree::Layout;
