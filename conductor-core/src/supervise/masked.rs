//! A run whose agent's output is masked: `run-agent` stands between the agent and the run's files.
//!
//! The keeper gives an agent the files themselves and reads nothing. Here it gives them to
//! `run-agent`, which starts the agent with pipes, hides what it must not show, and ends as the agent
//! ends. The secrets come on its standard input, from memory: they stand in no file, no argument and no
//! variable, and nobody else can open what they came in.

use super::engine::Engine;
use crate::agent::{AgentCommand, MASK_COMMAND};
use crate::config::is_secret_name;
use crate::error::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is started in place of the agent.
pub(super) struct Masked {
    pub(super) program: PathBuf,
    pub(super) argv: Vec<OsString>,
    /// What it reads.
    pub(super) secrets: Vec<u8>,
}

/// The command that runs `agent` and masks what it prints; `env` is what work and configuration put into
/// its environment.
pub(super) fn masked_command(
    engine: &Engine,
    agent: &AgentCommand,
    env: &[(String, String)],
) -> Result<Masked> {
    let program = engine.run_agent().ok_or_else(no_run_agent)?;
    let mut argv: Vec<OsString> = vec!["run-agent".into(), MASK_COMMAND.into(), "--".into()];
    argv.push(agent.program.clone().into());
    argv.extend(agent.argv.iter().cloned());
    let named = env
        .iter()
        .filter(|(name, _)| is_secret_name(name) || agent.kind.own_keys().contains(&name.as_str()));
    let secrets = engine.secrets().document(named.map(|(_, value)| value.as_str()));
    Ok(Masked { program, argv, secrets })
}

/// The error of work that needs `run-agent` to mask its output, and cannot have it.
pub(crate) fn no_run_agent() -> Error {
    let what = "to mask what the agent prints the program run-agent is needed, and there is none";
    Error::new(ErrorKind::SpawnFailed, "agent.no_run_agent", what)
        .with_field("redact")
        .with_hint("put run-agent on PATH or beside this program, or name it when opening the root")
}
