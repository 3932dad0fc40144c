//! Agents that are services: a prompt goes out over HTTP, an answer streams back.
//!
//! Everything but `call` is pure: what is asked (`service`), what comes back (`sse`, `answer`), when to
//! ask again (`retry`), and what is told about it for the record (`told`). The call itself needs the
//! feature `http`. It is made by a hidden command of `run-agent` under a keeper of its own, so that
//! stopping, time limits and a lost starter work as for any other agent.

#[cfg(feature = "http")]
mod answer;
#[cfg(feature = "http")]
mod call;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
mod retry;
mod service;
#[cfg(feature = "http")]
mod sse;
mod told;

#[cfg(feature = "http")]
pub use call::{RestCall, RestLimits};
pub use service::RestService;
pub(crate) use told::{Told, told};
