//! The server: what the library can do, over HTTP.
//!
//! `routes::app` answers requests and knows nothing of sockets; `serve` sends the answers. Calls of the
//! library block, and are made on a bounded pool of threads. Every run lives without the server.
//! `launch` is the process that stays when the program is exchanged; all else is its worker's.

mod answer;
mod app;
mod around;
mod audit;
mod body;
mod calls;
mod driver;
mod failure;
mod family;
mod guard;
mod known;
mod launch;
mod limits;
mod listen;
mod metrics;
mod page;
mod place;
mod places;
mod pollable;
mod query;
mod routes;
mod seal;
mod serve;
mod settings;
mod stream;
mod ui;
mod updates;
mod wire;

pub(crate) use launch::{WORKER, launch};
pub(crate) use serve::serve;
pub(crate) use settings::{AUTH_WORDS, Wishes};
