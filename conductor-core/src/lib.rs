//! Run AI coding agents as restartable tasks whose whole state is plain files.

pub mod agent;
pub mod bus;
pub mod cancel;
pub mod error;
pub mod fsx;
pub mod id;
pub mod layout;
pub mod limits;
pub mod sys;
pub mod time;
pub mod wait;
pub mod yaml;

pub use bus::{Bus, Cursor, Event, Message, Post};
pub use cancel::{Cancel, NoWait, Wait};
pub use error::{Error, ErrorKind, Result};
pub use id::{MessageId, ProjectId, RunId, TaskId};
pub use time::Timestamp;
