//! Agents as data: what is run, how the prompt goes in, what the environment is.
//!
//! This layer describes; it starts nothing.

mod command;
mod environment;
mod kind;
mod preamble;
mod probe;
pub mod rest;
pub mod stream;

pub(crate) use command::on_path;
pub use command::{AgentCommand, PromptForm};
pub use environment::{
    Environment, RunContext, attached_environment, is_own as is_own_variable, run_environment,
};
pub(crate) use environment::{is_vendor_key, without_secrets};
pub use kind::AgentKind;
pub(crate) use kind::{IMPORT_COMMAND, MASK_COMMAND};
pub use preamble::preamble;
pub(crate) use probe::Probed;
