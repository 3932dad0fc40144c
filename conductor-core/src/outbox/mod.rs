//! The outbox: events that wait to be told to the webhook's receiver.
//!
//! One file for each event below `.conductor/outbox`, whole and durable before whoever told it goes on,
//! and removed when the receiver took it. So a command that ends at once loses none: what it could not
//! deliver is delivered by the next process. Each event is delivered at least once, with the same id
//! each time; a process that dies between the receiver's answer and the removal has it told twice.
//!
//! Nobody waits for a receiver but who [`deliver`]s. Events are given up in the end, and told of
//! when they are, so that a receiver that is gone does not fill the disk.

mod deliver;
mod event;
mod pace;
mod receiver;
mod sign;
mod store;

pub use deliver::Delivery;
pub(crate) use deliver::{Manner, deliver};
pub use event::EventKind;
pub(crate) use event::{Notice, event_id};
pub use receiver::Receiver;
pub(crate) use receiver::ReceiverState;
pub use sign::{SignedHeaders, sign};
pub(crate) use store::Outbox;
pub use store::OutboxEvent;
