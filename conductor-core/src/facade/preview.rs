//! What can be said of an agent before it is started.

use super::agents::{no_run_agent, not_installed, unknown, variable_of};
use super::options::find_run_agent;
use crate::agent::{AgentCommand, AgentKind};
use crate::config::{Agent, LoadedConfig, token_variable};
use crate::error::Result;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What can be said of an agent without starting it.
pub(super) struct Preview {
    pub(super) kind: String,
    pub(super) is_rest: bool,
    /// Its program, if it runs one.
    pub(super) program: Result<Option<PathBuf>>,
    /// How that is started, where it is the usual one of its kind: one that is configured is not asked
    /// what it can do.
    pub(super) command: Option<AgentCommand>,
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
        let kind = AgentKind::parse(&kind_name).map_err(|error| unknown(loaded, name, error))?;
        let is_rest = kind.is_rest();
        let mut command = None;
        let program = match (&agent.command, is_rest) {
            (_, true) => find_run_agent().map(Some).ok_or_else(|| no_run_agent(kind)),
            (argv, false) => {
                let argv = argv.as_ref().map(|argv| argv.iter().map(OsString::from).collect());
                AgentCommand::of_argv(kind, argv.unwrap_or_else(|| kind.argv()), &path)
                    .map(|found| Some(command.insert(found).program.clone()))
                    .map_err(|error| not_installed(error, kind, &path))
            }
        };
        let variable = variable_of(agent, Some(kind)).map(str::to_owned);
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
        let service = kind.service();
        let told = service.into_iter().flat_map(|service| service.variables).find_map(|variable| {
            let own = agent.env.as_ref().and_then(|env| env.get(*variable));
            let own = own.map(|value| value.reveal().to_owned());
            own.or_else(|| inherited(variable)?.into_string().ok())
        });
        let base_url = agent.base_url.clone().filter(|_| is_rest);
        let address = base_url.or(told).or(service.map(|service| service.address.to_owned()));
        let command = command.filter(|_| agent.command.is_none());
        Ok(Preview { kind: kind_name, is_rest, program, command, token, variable, address })
    }
}
