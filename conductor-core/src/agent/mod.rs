//! Agents as data: what is run, how the prompt goes in, what the environment is.
//!
//! This layer describes; it starts nothing.

mod command;
mod environment;
mod preamble;
pub mod stream;

pub use command::{AgentCommand, AgentKind, PromptForm};
pub use environment::{
    Environment, RunContext, attached_environment, is_own as is_own_variable, run_environment,
};
pub use preamble::preamble;
