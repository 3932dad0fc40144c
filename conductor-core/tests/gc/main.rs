//! Garbage collection never loses work, whatever lies in a root and whatever happens meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod attacks;
mod calls;
mod during;
mod full_disk;
mod goals;
mod hooked;
mod kit;
mod meanwhile;
mod model;
mod rules;
