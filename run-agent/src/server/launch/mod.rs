//! The launcher, which stays, and its workers, which come and go with the versions of the program.
//!
//! The launcher is the process that was started. It knows nothing of roots, configurations or HTTP: it
//! keeps the socket that clients connect to, passes signals on, reaps, and starts workers of the program.
//! One worker serves. For an update it asks for the next one, which has to answer a question before it
//! gets the socket; the one before it ends when its clients have their answers.
//!
//! ```text
//! first worker          launcher                       next worker
//!      │ ◀───── First ──── │                                │
//!      │ ── Listening ───▶ │ keeps the socket               │
//!      ⋮                   ⋮                                ⋮
//!      │ ──── Start ─────▶ │ starts it ────── StandBy ────▶ │ opens the root
//!      │                   │ ◀──────────────── Ready ────── │
//!      │                   │ ──────────────── Question ───▶ │ answers GET /readyz
//!      │ ◀── NextServes ── │                                │
//!      │ installs it       │                                │
//!      │ ───── Over ─────▶ │ ────────────────── Serve ────▶ │ takes connections
//!      │ ends              │ ────────────────── Alone ────▶ │ drives its tasks
//! ```
//!
//! A worker goes with its launcher, by the kernel's hand; a launcher ends as its worker did.

mod launcher;
mod line;
mod program;
mod worker;

pub(crate) use launcher::launch;
pub(crate) use program::own_program;
pub(crate) use worker::{Launcher, Order, join};

/// The argument that makes a server a worker; its standard input is the line to its launcher.
pub(crate) const WORKER: &str = "worker";
