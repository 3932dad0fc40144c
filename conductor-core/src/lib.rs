//! Run AI coding agents as restartable tasks whose whole state is plain files.

pub mod agent;
pub mod cancel;
pub mod error;
pub mod fsx;
pub mod id;
pub mod layout;
pub mod limits;
pub mod sys;
pub mod time;

pub use cancel::{Cancel, NoWait, Wait};
pub use error::{Error, ErrorKind, Result};
pub use id::{MessageId, ProjectId, RunId, TaskId};
pub use time::Timestamp;
