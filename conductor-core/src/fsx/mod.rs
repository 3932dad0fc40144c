//! Files as conductor uses them: confined to a root, replaced as a whole, locked with a deadline.
//!
//! This layer knows bytes and names. It does not know what a message or a run is.

mod folder;
mod lock;
mod measure;
mod remove;
mod replace;
mod user_file;

pub(crate) use folder::found;
pub use folder::{DIR_MODE, FILE_MODE, Folder};
pub use lock::{FileLock, Held, Holder, LockError, PassedOn};
pub use measure::Measure;
pub(crate) use user_file::{change_user_file, read_user_text};
