//! From the name of an agent to what is run: what the caller names, what the configuration says of it,
//! what is built in.

use super::spec::Asked;
use crate::agent::stream::StreamKind;
use crate::agent::{AgentCommand, AgentKind};
use crate::config::{Agent, LoadedConfig, Secret, token_variable};
use crate::error::{Error, ErrorKind, Result};
use crate::nearest::nearest;
use crate::supervise::Engine;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// An agent that work names, ready to be started.
pub(super) struct Chosen {
    /// The name that work gave, or the configuration.
    pub(super) name: String,
    pub(super) command: AgentCommand,
    /// What the configuration puts into its environment, its token among it.
    pub(super) env: Vec<(String, Secret)>,
}

/// The agent of `work`: the one it names, else the configured default.
///
/// # Errors
/// `agent.missing`, `agent.unknown`, `agent.unsupported`, what [`AgentCommand::resolve`] says, and what is
/// wrong with a token file.
pub(super) fn choose_agent(engine: &Engine, work: &Asked) -> Result<Chosen> {
    let path = search_path(engine, work);
    let loaded = &engine.settings().config;
    let said =
        |name: Option<&str>| name.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let default = || said(loaded.config().defaults.agent.as_deref());
    let Some(name) = said(work.agent.as_deref()).or_else(default) else {
        return Err(no_agent(loaded, &path));
    };
    match loaded.config().find_agent(&name) {
        Some((known, agent)) => configured(loaded, known, agent, work, &path),
        None => built_in(loaded, &name, work, &path),
    }
    .map(|mut chosen| {
        // What the agent starts itself shall know the same agents.
        let path = loaded.path().and_then(Path::to_str);
        chosen.env.extend(path.map(|path| ("CONDUCTOR_CONFIG".to_owned(), Secret::new(path))));
        chosen
    })
}

/// What can be said of an agent without starting it.
pub(super) struct Preview {
    pub(super) kind: String,
    pub(super) is_rest: bool,
    /// Its program, if it runs one.
    pub(super) program: Result<Option<PathBuf>>,
    /// Where its token is from.
    pub(super) token: Result<Option<String>>,
    /// The variable that it reads its token from.
    pub(super) variable: Option<String>,
    /// The address of the service that it calls.
    pub(super) address: Option<String>,
}

impl Preview {
    /// Looks at the agent `name` as it would be started in this `environment`.
    ///
    /// # Errors
    /// `agent.unknown`.
    pub(super) fn of(
        loaded: &LoadedConfig,
        name: &str,
        environment: &[(OsString, OsString)],
    ) -> Result<Preview> {
        let inherited = |wanted: &str| {
            let found = environment.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        let path = inherited("PATH").unwrap_or_default();
        let nothing = Agent::default();
        let (known, agent) = loaded.config().find_agent(name).unwrap_or((name, &nothing));
        let kind_name = agent.type_of(known).unwrap_or_else(|| known.to_ascii_lowercase());
        let is_rest = agent.is_rest(known);
        let kind = match AgentKind::parse(&kind_name) {
            Ok(kind) => Some(kind),
            Err(_) if is_rest => None,
            Err(error) => return Err(unknown(loaded, name, error)),
        };
        let program = kind.map(|kind| {
            let argv = match &agent.command {
                Some(argv) => argv.iter().map(OsString::from).collect(),
                None => kind.argv(),
            };
            let command = AgentCommand::of_argv(kind, argv, &path);
            command
                .map(|command| command.program)
                .map_err(|error| not_installed(error, kind, &path))
        });
        let program = program.transpose();
        let variable = match kind_name.as_str() {
            "perplexity" => Some("PERPLEXITY_API_KEY"),
            "xai" => Some("XAI_API_KEY"),
            _ => variable_of(agent, kind),
        };
        let variable = variable.map(str::to_owned);
        let token = match (loaded.variables().token(known), &agent.token, agent.token()) {
            (Some(_), ..) => Ok(Some(token_variable(known))),
            (None, Some(_), _) => Ok(Some("the configuration".to_owned())),
            (None, None, Ok(Some(_))) => {
                let path = agent.token_file.as_deref().unwrap_or(Path::new(""));
                Ok(Some(path.display().to_string()))
            }
            (None, None, Ok(None)) => Ok(variable.clone().filter(|name| inherited(name).is_some())),
            (None, None, Err(error)) => Err(error),
        };
        let service = AgentKind::service(&kind_name);
        let told = service.and_then(|(_, variable)| variable).and_then(|variable| {
            let own = agent.env.as_ref().and_then(|env| env.get(variable));
            let own = own.map(|value| value.reveal().to_owned());
            own.or_else(|| inherited(variable)?.into_string().ok())
        });
        let base_url = agent.base_url.clone().filter(|_| is_rest);
        let address = base_url.or(told).or(service.map(|(address, _)| address.to_owned()));
        Ok(Preview { kind: kind_name, is_rest, program, token, variable, address })
    }
}

/// The value of `PATH` that the agent will have.
pub(super) fn search_path(engine: &Engine, work: &Asked) -> OsString {
    let own = work.env.iter().rev().find(|(name, _)| name == "PATH");
    let own = own.map(|(_, value)| OsString::from(value));
    let inherited =
        || engine.inherited_environment().into_iter().find(|(name, _)| name == "PATH").map(|p| p.1);
    own.or_else(inherited).unwrap_or_default()
}

fn built_in(loaded: &LoadedConfig, name: &str, work: &Asked, path: &OsStr) -> Result<Chosen> {
    let kind = AgentKind::parse(name).map_err(|error| unknown(loaded, name, error))?;
    let command = AgentCommand::resolve(kind, &work.command, path)
        .map_err(|error| not_installed(error, kind, path))?;
    let variable = kind.own_keys().first();
    let token = loaded.variables().token(kind.name());
    let env = variable.zip(token).map(|(name, token)| ((*name).to_owned(), token.clone()));
    Ok(Chosen { name: kind.name().to_owned(), command, env: env.into_iter().collect() })
}

fn configured(
    loaded: &LoadedConfig,
    name: &str,
    agent: &Agent,
    work: &Asked,
    path: &OsStr,
) -> Result<Chosen> {
    let kind_name = agent.type_of(name).unwrap_or_default();
    if agent.is_rest(name) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "agent.unsupported",
            format!("agents of the type {kind_name} cannot be started yet"),
        )
        .with_field("agent")
        .with_hint("name an agent that is a program"));
    }
    let kind = AgentKind::parse(&kind_name).map_err(|error| unknown(loaded, name, error))?;
    let command = match (&agent.command, work.command.is_empty()) {
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
    for (name, value) in agent.env.iter().flatten() {
        env.push((name.clone(), value.clone()));
    }
    if let Some(variable) = variable_of(agent, Some(kind))
        && let Some(token) = agent.token()?
    {
        env.push((variable.to_owned(), token));
    }
    Ok(Chosen { name: name.to_owned(), command, env })
}

/// The variable that an agent reads its token from.
fn variable_of(agent: &Agent, kind: Option<AgentKind>) -> Option<&str> {
    let own = kind.and_then(|kind| kind.own_keys().first().copied());
    agent.token_env.as_deref().or(own)
}

/// The command with the configured model, for the agents that take one.
fn with_model(kind: AgentKind, mut argv: Vec<OsString>, agent: &Agent) -> Vec<OsString> {
    let Some(model) = &agent.model else { return argv };
    let option = ["--model".into(), model.into()];
    match kind {
        AgentKind::Claude | AgentKind::Gemini => argv.extend(option),
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
fn unknown(loaded: &LoadedConfig, name: &str, error: Error) -> Error {
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
fn not_installed(error: Error, kind: AgentKind, path: &OsStr) -> Error {
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
