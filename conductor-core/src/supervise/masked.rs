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
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What is started in place of a program.
pub(crate) struct Masked {
    pub(crate) program: PathBuf,
    pub(crate) argv: Vec<OsString>,
    /// What it reads.
    pub(crate) secrets: Vec<u8>,
}

/// The command that runs `agent` and masks what it prints; `env` is what work and configuration put into
/// its environment.
pub(super) fn masked_agent(
    engine: &Engine,
    agent: &AgentCommand,
    env: &[(String, String)],
) -> Result<Masked> {
    let is_own = |name: &str| agent.kind.own_keys().contains(&name);
    masked(engine, &[], (agent.program.as_os_str(), &agent.argv), env, is_own)
}

/// The command that runs a completion check, which reads nothing, and masks what it prints; `env` is what
/// work puts into its environment.
pub(crate) fn masked_check(
    engine: &Engine,
    program: &OsStr,
    argv: &[OsString],
    env: &[(String, String)],
) -> Result<Masked> {
    masked(engine, &["--no-input"], (program, argv), env, |_| false)
}

fn masked(
    engine: &Engine,
    options: &[&str],
    (program, argv): (&OsStr, &[OsString]),
    env: &[(String, String)],
    is_own: impl Fn(&str) -> bool,
) -> Result<Masked> {
    let mut all: Vec<OsString> = vec!["run-agent".into(), MASK_COMMAND.into()];
    all.extend(options.iter().map(OsString::from));
    all.extend(["--".into(), program.to_owned()]);
    all.extend(argv.iter().cloned());
    let named = env.iter().filter(|(name, _)| is_secret_name(name) || is_own(name));
    let secrets = engine.secrets().document(named.map(|(_, value)| value.as_str()));
    let program = engine.run_agent().ok_or_else(no_run_agent)?;
    Ok(Masked { program, argv: all, secrets })
}

/// The error of work that needs `run-agent` to mask its output, and cannot have it.
pub(crate) fn no_run_agent() -> Error {
    let what = "to mask what the agent prints the program run-agent is needed, and there is none";
    Error::new(ErrorKind::SpawnFailed, "agent.no_run_agent", what)
        .with_field("redact")
        .with_hint("put run-agent on PATH or beside this program, or name it when opening the root")
}
