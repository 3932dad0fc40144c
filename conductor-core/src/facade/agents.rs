//! From the name of an agent to what is run: what the caller names, what the configuration says of it,
//! what is built in.

use super::asked::Asked;
use super::rotation::Rotation;
use crate::agent::stream::StreamKind;
use crate::agent::{AgentCommand, AgentKind};
use crate::cancel::Wait;
use crate::config::{Agent, LoadedConfig, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::nearest::nearest;
use crate::supervise::{Engine, PlannedAgent, account_name, no_masking};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// An agent that work names, ready to be started.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// The name that work gave, or the configuration.
    pub(super) name: String,
    pub(super) command: AgentCommand,
    /// What the configuration puts into its environment, its token among it.
    pub(super) env: Vec<(String, Secret)>,
    /// The model that it is asked to use.
    pub(super) model: Option<String>,
    /// The version of its program; empty where that is not known.
    pub(super) version: String,
    /// Whose usage limit holds for it; `None` for an agent that tells of none.
    pub(super) account: Option<String>,
    /// The variable that it reads its token from.
    token_variable: Option<String>,
    /// Whether the next attempt goes on with its session.
    pub(super) resumes: bool,
    /// Whether known tokens are masked in what it prints.
    pub(super) redacts: bool,
}

/// The agent of some work, and whose turn it was.
pub(super) struct Choice {
    pub(super) agent: Chosen,
    /// Those that stand in for it when it fails, in their order.
    pub(super) others: Vec<Chosen>,
    /// Whose turns are counted, where the work was shared out anew, and the order that it was chosen by.
    rotation: Option<(Rotation, Vec<String>)>,
}

impl From<Chosen> for PlannedAgent {
    fn from(chosen: Chosen) -> PlannedAgent {
        let Chosen { name, command, env, model, version, account, resumes, redacts, .. } = chosen;
        PlannedAgent { command, name, env, model, version, account, resumes, redacts }
    }
}

impl Choice {
    /// Whether the work is shared out, now or when it began.
    pub(super) fn is_shared(&self, work: &Asked) -> bool {
        self.rotation.is_some() || work.shared
    }

    /// Counts the turn of the agent, where it was given one. Where others took turns since it was chosen, it
    /// is chosen anew: no lock is held while programs are asked what they can do.
    pub(super) fn take_turn(self, engine: &Engine, work: &Asked, wait: &Wait) -> Result<Choice> {
        let mut choice = self;
        while let Some((rotation, order)) = &choice.rotation
            && !rotation.take(engine.layout(), order, &choice.agent.name, wait)?
        {
            choice = choose_agent(engine, work, wait)?;
        }
        Ok(choice)
    }
}

/// The agent of `work`: the one it names, else one of those that share work that names none, else the
/// configured default. A program that is not known yet is asked for its version and options; nothing else
/// is written.
///
/// # Errors
/// `agent.missing`, `agent.unknown`, `agent.no_run_agent`, `agent.no_token`, `agent.too_old`, what
/// [`AgentCommand::resolve`] says, and what is wrong with a token file.
pub(super) fn choose_agent(engine: &Engine, work: &Asked, wait: &Wait) -> Result<Choice> {
    let loaded = &engine.settings().config;
    let named = said(work.agent.as_deref());
    let sharing = &loaded.config().defaults.diversification;
    let shared = sharing.enabled == Some(true);
    let falls_back = shared && sharing.fallback_on_failure == Some(true);
    let rotation = shared.then(|| rotation(loaded));
    match (named, rotation) {
        (Some(name), Some(rotation)) if work.shared && falls_back => {
            // Work that was shared out before goes on as it began.
            let agent = named_agent(engine, work, &name, wait)?;
            let order = rotation.order_behind(&name);
            let others = order.iter().map(|name| named_agent(engine, work, name, wait));
            Ok(Choice { agent, others: others.filter_map(Result::ok).collect(), rotation: None })
        }
        (None, Some(rotation)) => share_out(engine, work, rotation, falls_back, wait),
        (named, _) => {
            let default = || said(loaded.config().defaults.agent.as_deref());
            let Some(name) = named.or_else(default) else {
                return Err(no_agent(loaded, &search_path(engine, work)));
            };
            let agent = named_agent(engine, work, &name, wait)?;
            Ok(Choice { agent, others: Vec::new(), rotation: None })
        }
    }
}

/// The agent that stands in for `name`; `None` where none does.
pub(super) fn stand_in(
    engine: &Engine,
    work: &Asked,
    name: &str,
    wait: &Wait,
) -> Result<Option<String>> {
    let named = Asked { agent: Some(name.to_owned()), shared: true, ..work.clone() };
    let choice = choose_agent(engine, &named, wait)?;
    Ok(choice.others.into_iter().next().map(|other| other.name))
}

fn said(name: Option<&str>) -> Option<String> {
    name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The agents that share work which names none.
fn rotation(loaded: &LoadedConfig) -> Rotation {
    let config = loaded.config();
    let sharing = &config.defaults.diversification;
    let all = || config.agents.keys().cloned().collect();
    let agents: Vec<String> = sharing.agents.clone().filter(|a| !a.is_empty()).unwrap_or_else(all);
    let weighted = sharing.strategy.as_deref() == Some("weighted");
    Rotation::new(&agents, sharing.weights.as_deref().filter(|_| weighted))
}

/// The agent whose turn it is. One that cannot be started is passed over where others stand in for it.
fn share_out(
    engine: &Engine,
    work: &Asked,
    rotation: Rotation,
    falls_back: bool,
    wait: &Wait,
) -> Result<Choice> {
    let order = rotation.order(engine.layout())?;
    if order.is_empty() {
        let what = "work is shared out, and no agent has a share of it";
        return Err(Error::invalid("agent.missing", "agent", what).with_hint(
            "name agents below defaults.diversification with weights above 0, or use --agent",
        ));
    }
    let mut first_error = None;
    for name in &order {
        match named_agent(engine, work, name, wait) {
            Ok(mut agent) => {
                // The name in the list is the one that has turns.
                agent.name.clone_from(name);
                let behind = if falls_back { rotation.order_behind(name) } else { Vec::new() };
                let others = behind.iter().map(|name| named_agent(engine, work, name, wait));
                let others = others.filter_map(Result::ok).collect();
                return Ok(Choice { agent, others, rotation: Some((rotation, order)) });
            }
            Err(error) if falls_back && error.kind() == ErrorKind::SpawnFailed => {
                tracing::warn!(%error, agent = name, "an agent that shares the work is passed over");
                first_error = first_error.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    Err(first_error.unwrap_or_else(|| no_agent(&engine.settings().config, OsStr::new(""))))
}

/// The agent `name` as this work starts it.
fn named_agent(engine: &Engine, work: &Asked, name: &str, wait: &Wait) -> Result<Chosen> {
    let loaded = &engine.settings().config;
    let path = search_path(engine, work);
    let mut chosen = match loaded.config().find_agent(name) {
        Some((known, agent)) => configured(engine, known, agent, work, &path),
        None => built_in(engine, name, work, &path),
    }?;
    let own_command = loaded.config().find_agent(name).is_some_and(|(_, a)| a.command.is_some());
    if !own_command {
        chosen.version = engine.probe(&chosen.command, wait)?.version;
    }
    if chosen.redacts {
        // One that knows how to call a service also knows how to mask.
        let helper = engine.run_agent().ok_or_else(no_masking)?;
        let helper = AgentCommand::of_program(AgentKind::Xai, AgentKind::Xai.argv(), helper);
        engine.probe(&helper, wait)?;
    }
    // What the agent starts itself shall know the same agents.
    let path = loaded.path().and_then(Path::to_str);
    chosen.env.extend(path.map(|path| ("CONDUCTOR_CONFIG".to_owned(), Secret::new(path))));
    chosen.account = account(&chosen, engine, work);
    Ok(chosen)
}

/// Whose usage limit holds for an agent: the configured account, else its kind with the hash of its
/// token, else its kind's own login. `None` for one that tells of no usage limit.
fn account(chosen: &Chosen, engine: &Engine, work: &Asked) -> Option<String> {
    let kind = match chosen.command.stream? {
        StreamKind::Rest => chosen.command.kind.name(),
        stream => stream.name(),
    };
    if let Some(account) = &chosen.account {
        return Some(account.clone());
    }
    let value_of = |variable: &str| {
        let own = work.env.iter().rev().find(|(name, _)| name == variable);
        let own = own.map(|(_, value)| value.clone());
        let configured = || {
            let set = chosen.env.iter().rev().find(|(name, _)| name == variable);
            set.map(|(_, value)| value.reveal().to_owned())
        };
        let inherited = || {
            let all = engine.inherited_environment();
            all.into_iter().find(|(name, _)| name == variable)?.1.into_string().ok()
        };
        own.or_else(configured).or_else(inherited).filter(|token| !token.is_empty())
    };
    let token = chosen.token_variable.as_deref().and_then(value_of);
    Some(account_name(kind, token.as_deref()))
}

/// The value of `PATH` that the agent will have.
pub(super) fn search_path(engine: &Engine, work: &Asked) -> OsString {
    let own = work.env.iter().rev().find(|(name, _)| name == "PATH");
    let own = own.map(|(_, value)| OsString::from(value));
    let inherited =
        || engine.inherited_environment().into_iter().find(|(name, _)| name == "PATH").map(|p| p.1);
    own.or_else(inherited).unwrap_or_default()
}

fn built_in(engine: &Engine, name: &str, work: &Asked, path: &OsStr) -> Result<Chosen> {
    let loaded = &engine.settings().config;
    let kind = AgentKind::parse(name).map_err(|error| unknown(loaded, name, error))?;
    let command = match kind.is_rest() {
        true => rest_command(engine, kind, work)?,
        false => AgentCommand::resolve(kind, &work.command, path)
            .map_err(|error| not_installed(error, kind, path))?,
    };
    let variable = kind.own_keys().first();
    let token = loaded.variables().token(kind.name());
    let env = variable.zip(token).map(|(name, token)| ((*name).to_owned(), token.clone()));
    let env: Vec<_> = env.into_iter().collect();
    if let Some(variable) = variable.filter(|_| kind.is_rest()) {
        need_token(engine, kind, variable, &env, work)?;
    }
    let name = kind.name().to_owned();
    let version = String::new();
    Ok(Chosen {
        name,
        command,
        env,
        model: None,
        version,
        account: None,
        token_variable: variable.map(|name| (*name).to_owned()),
        resumes: false,
        redacts: false,
    })
}

fn configured(
    engine: &Engine,
    name: &str,
    agent: &Agent,
    work: &Asked,
    path: &OsStr,
) -> Result<Chosen> {
    let loaded = &engine.settings().config;
    let kind_name = agent.type_of(name).unwrap_or_default();
    let kind = AgentKind::parse(&kind_name).map_err(|error| unknown(loaded, name, error))?;
    let command = match (&agent.command, work.command.is_empty()) {
        (None, _) if kind.is_rest() => rest_command(engine, kind, work).map(|mut command| {
            command.argv = with_model(kind, command.argv, agent);
            command
        }),
        (Some(argv), true) => {
            let argv = argv.iter().map(OsString::from).collect();
            let command = AgentCommand::of_argv(kind, with_model(kind, argv, agent), path);
            command.map_err(|error| {
                error.with_hint(format!("the configuration names it: agents.{name}.command"))
            })
        }
        (Some(_), false) => Err(Error::invalid(
            "agent.command_unused",
            "command",
            format!("the configuration says what the agent {name:?} runs"),
        )
        .with_hint("use --agent command to run another command")),
        (None, true) if kind != AgentKind::Command => {
            AgentCommand::of_argv(kind, with_model(kind, kind.argv(), agent), path)
        }
        (None, _) => AgentCommand::resolve(kind, &work.command, path),
    };
    let mut command = match &agent.command {
        Some(_) => command?,
        None => command.map_err(|error| not_installed(error, kind, path))?,
    };
    if let Some(parser) = &agent.parser {
        command.stream = StreamKind::parse(parser);
    }
    let mut env: Vec<(String, Secret)> = Vec::new();
    if let Some(url) = agent.base_url.as_ref().filter(|_| kind.is_rest())
        && let Some(variable) = kind.service().and_then(|service| service.variables.first())
    {
        // By the environment: an address may hold a password, and the command line is kept.
        env.push(((*variable).to_owned(), Secret::new(url.clone())));
    }
    for (name, value) in agent.env.iter().flatten() {
        env.push((name.clone(), value.clone()));
    }
    if let Some(variable) = variable_of(agent, Some(kind)) {
        if let Some(token) = agent.token()? {
            env.push((variable.to_owned(), token));
        }
        if kind.is_rest() {
            need_token(engine, kind, variable, &env, work)?;
        }
    }
    let model = agent.model.clone().filter(|_| kind.takes_model());
    let resumes = agent.resume_session == Some(true);
    let redacts = agent.redact == Some(true);
    let (name, version) = (name.to_owned(), String::new());
    let account = agent.account.clone().filter(|account| !account.trim().is_empty());
    let token_variable = variable_of(agent, Some(kind)).map(str::to_owned);
    Ok(Chosen { name, command, env, model, version, account, token_variable, resumes, redacts })
}

/// The command that calls a service: `run-agent` itself.
fn rest_command(engine: &Engine, kind: AgentKind, work: &Asked) -> Result<AgentCommand> {
    if !work.command.is_empty() {
        let what = format!("the agent {:?} has a command of its own", kind.name());
        return Err(Error::invalid("agent.command_unused", "command", what)
            .with_hint("use --agent command to run another one"));
    }
    let program = engine.run_agent().ok_or_else(|| no_run_agent(kind))?;
    let mut argv = kind.argv();
    // Where the work has limits of its own, they hold and no others.
    let limits = &engine.settings().config.config().limits;
    for (option, given) in [
        ("--first-byte-timeout", work.first_byte_timeout.or(limits.first_byte_timeout)),
        ("--idle-timeout", work.idle_timeout.or(limits.idle_timeout)),
        ("--total-timeout", work.total_timeout.or(limits.total_timeout)),
    ] {
        // What is kept of a task without a limit is zero, and the usual ones hold for it.
        if given.is_some_and(|limit| !limit.is_zero()) {
            argv.extend([OsString::from(option), "0s".into()]);
        }
    }
    Ok(AgentCommand::of_program(kind, argv, program))
}

pub(super) fn no_run_agent(kind: AgentKind) -> Error {
    let what = format!("the agent {} needs the program run-agent, and there is none", kind.name());
    Error::new(ErrorKind::SpawnFailed, "agent.no_run_agent", what)
        .with_field("agent")
        .with_hint("put run-agent on PATH or beside this program, or name it when opening the root")
}

/// A service without a token would refuse the call.
fn need_token(
    engine: &Engine,
    kind: AgentKind,
    variable: &str,
    env: &[(String, Secret)],
    work: &Asked,
) -> Result<()> {
    let inherited = || {
        let all = engine.inherited_environment();
        all.iter().any(|(name, value)| name == variable && !value.is_empty())
    };
    let given = work.env.iter().any(|(name, value)| name == variable && !value.is_empty());
    let configured = env.iter().any(|(name, _)| name == variable);
    if given || configured || inherited() {
        return Ok(());
    }
    let what = format!("there is no token for {}", kind.name());
    Err(Error::invalid("agent.no_token", "token", what)
        .with_hint(format!("set {variable}, or name a token or token_file for the agent")))
}

/// The variable that an agent reads its token from.
pub(super) fn variable_of(agent: &Agent, kind: Option<AgentKind>) -> Option<&str> {
    let own = kind.and_then(|kind| kind.own_keys().first().copied());
    agent.token_env.as_deref().or(own)
}

/// The command with the configured model, for the agents that take one.
fn with_model(kind: AgentKind, mut argv: Vec<OsString>, agent: &Agent) -> Vec<OsString> {
    let Some(model) = &agent.model else { return argv };
    let option = ["--model".into(), model.into()];
    match kind {
        AgentKind::Claude | AgentKind::Gemini | AgentKind::Perplexity | AgentKind::Xai => {
            argv.extend(option);
        }
        // A dash for the prompt ends its options.
        AgentKind::Codex => {
            let dash = argv.iter().rposition(|word| word == "-").unwrap_or(argv.len());
            argv.splice(dash..dash, option);
        }
        AgentKind::Shell | AgentKind::Command => {}
    }
    argv
}

/// An agent is always named by a person, never guessed; the error says what there is.
fn no_agent(loaded: &LoadedConfig, path: &OsStr) -> Error {
    let names: Vec<&str> = loaded.config().agents.keys().map(String::as_str).collect();
    let hint = match names.first() {
        Some(first) => format!(
            "configured: {}; for example --agent {first}, or agent: {first} below defaults",
            names.join(", ")
        ),
        None => agents_on(path),
    };
    Error::invalid("agent.missing", "agent", "no agent is named").with_hint(hint)
}

/// The error of an agent that is neither configured nor built in.
pub(super) fn unknown(loaded: &LoadedConfig, name: &str, error: Error) -> Error {
    let names = || loaded.config().agents.keys().map(String::as_str);
    match nearest(name, names()) {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None if loaded.config().agents.is_empty() => error,
        None => {
            let configured = names().collect::<Vec<_>>().join(", ");
            let hint = format!("configured: {configured}; {}", error.hint());
            error.with_hint(hint)
        }
    }
}

/// The error of a coding agent whose program is missing says which there are.
pub(super) fn not_installed(error: Error, kind: AgentKind, path: &OsStr) -> Error {
    if AgentKind::installable().all(|installable| installable != kind)
        || error.code() != "agent.not_found"
    {
        return error;
    }
    error.with_hint(format!("install it, or name another one; {}", agents_on(path)))
}

/// Which agents there are, and what to type for one of them.
fn agents_on(path: &OsStr) -> String {
    let found: Vec<&str> = AgentKind::installable()
        .filter(|kind| AgentCommand::resolve(*kind, &[], path).is_ok())
        .map(AgentKind::name)
        .collect();
    match found.first() {
        Some(first) => format!("on PATH here: {}; for example --agent {first}", found.join(", ")),
        None => "no agent is on PATH; --agent shell runs the prompt as a shell script".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_goes_where_the_agents_options_are() {
        let agent = Agent { model: Some("m".into()), ..Agent::default() };
        let line = |kind: AgentKind| {
            let argv = with_model(kind, kind.argv(), &agent);
            argv.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert!(line(AgentKind::Claude).ends_with(" --model m"));
        assert!(line(AgentKind::Gemini).ends_with(" --model m"));
        assert!(line(AgentKind::Codex).ends_with(" --model m -"));
        assert_eq!(line(AgentKind::Shell), "/bin/sh -s");
    }
}
