//! Starting work and staying with it: what the commands that work have in common.

pub(crate) mod background;
pub(crate) mod courier;
pub(crate) mod drive;
pub(crate) mod ending;
pub(crate) mod job_signals;
pub(crate) mod options;
pub(crate) mod place;
pub(crate) mod signals;
pub(crate) mod silence;
pub(crate) mod stay;
pub(crate) mod stopper;
pub(crate) mod story;
pub(crate) mod view;
