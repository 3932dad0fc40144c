//! What no single key can get wrong: keys that contradict each other, names that lead nowhere.

use super::model::{AGENT_TYPES, Agent, Config, NOT_YET, WITHOUT_EFFECT};
use super::problem::Problem;
use super::read::{Places, Reader};
use super::take::is_variable;
use super::variables::{API_KEY, Variables};
use crate::log::LogLevels;
use crate::nearest::nearest;
use crate::yaml::{Part, Step};

/// Agents that are called over the network.
const REST: &[&str] = &["perplexity", "xai"];

impl Agent {
    /// Its type: the one that is said, `command` where a command is, else its own `name`.
    pub(crate) fn type_of(&self, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        match &self.kind {
            Some(kind) => Some(kind.clone()),
            None if AGENT_TYPES.contains(&lower.as_str()) => Some(lower),
            None if self.command.is_some() => Some("command".to_owned()),
            None => None,
        }
    }

    /// Whether it is called over the network, without a program of its own.
    pub(crate) fn is_rest(&self, name: &str) -> bool {
        self.type_of(name).is_some_and(|kind| REST.contains(&kind.as_str()))
    }
}

impl Config {
    /// The agent that a name stands for: the entry of that name, else the first whose type it is.
    pub(crate) fn find_agent(&self, name: &str) -> Option<(&str, &Agent)> {
        let by_name = self
            .agents
            .get_key_value(name)
            .or_else(|| self.agents.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
        let lower = name.to_ascii_lowercase();
        // Every command is of the type `command`: that names none of them.
        let by_type = || {
            let wanted = lower.as_str();
            let of_type = |(known, agent): &(&String, &Agent)| {
                agent.type_of(known).is_some_and(|kind| kind == wanted && kind != "command")
            };
            self.agents.iter().find(of_type)
        };
        by_name.or_else(by_type).map(|(name, agent)| (name.as_str(), agent))
    }
}

/// Looks at the whole of what was read.
pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    for (name, agent) in &config.agents {
        check_agent(name, agent, reader);
    }
    check_defaults(config, reader);
    check_api(config, reader);
    check_webhook(config, reader);
    check_log(config, reader);
    for path in std::mem::take(&mut reader.said) {
        if let Some(why) = why_without_effect(&path) {
            let problem = Problem::warning("config.no_effect", format!("no effect: {why}"));
            reader.tell(problem, &path, Part::Key);
        }
    }
}

/// Why a key does nothing, if it does nothing.
fn why_without_effect(path: &[Step]) -> Option<&'static str> {
    let [.., Step::Key(outer), Step::Key(key)] = path else { return None };
    // What stands above an agent's key is its name.
    let section = match path {
        [Step::Key(section), _, _] if section == "agents" => section,
        _ => outer,
    };
    let never = WITHOUT_EFFECT.iter().find(|(known, name, _)| known == section && name == key);
    never.map(|(_, _, why)| *why).or_else(|| {
        let (_, keys) = NOT_YET.iter().find(|(known, _)| known == section)?;
        keys.contains(&key.as_str()).then_some("this version does not honour it yet")
    })
}

fn path(names: &[&str]) -> Vec<Step> {
    names.iter().map(|name| Step::from(*name)).collect()
}

fn conflict(message: impl Into<String>, hint: &str) -> Problem {
    Problem::error("config.conflict", message).hint(hint.to_owned())
}

fn check_agent(name: &str, agent: &Agent, reader: &mut Reader<'_>) {
    let at = |key: &str| path(&["agents", name, key]);
    let Some(kind) = agent.type_of(name) else {
        if reader.told_of(&at("type")) || reader.told_of(&at("command")) {
            return;
        }
        let problem = Problem::error("config.no_type", format!("the agent {name:?} has no type"))
            .hint(format!("type is one of {}", AGENT_TYPES.join(", ")));
        return reader.tell(problem, &path(&["agents", name]), Part::Key);
    };
    if agent.token.is_some() && agent.token_file.is_some() {
        let problem = conflict("token and token_file are both given", "keep one of them");
        reader.tell(problem, &at("token_file"), Part::Key);
    }
    if let Some(variable) = &agent.token_env
        && !is_variable(variable)
    {
        let message = format!("{variable:?} is no variable that a token can be put into");
        let hint = "a name has no =, and is none of conductor's own (JRUN_..., CONDUCTOR_ROOT)";
        let problem = Problem::error("config.invalid_value", message).hint(hint.to_owned());
        reader.tell(problem, &at("token_env"), Part::Value);
    }
    let rest = agent.is_rest(name);
    match (kind.as_str(), &agent.command) {
        ("command", None) if !reader.told_of(&at("command")) => {
            let problem =
                Problem::error("config.no_command", "an agent of this type needs a command")
                    .hint("for example: command: [my-agent, --print]".to_owned());
            reader.tell(problem, &path(&["agents", name]), Part::Key);
        }
        ("shell", Some(_)) => {
            let hint = "leave command out, or give the type `command`";
            reader.tell(
                conflict("a shell has a command of its own", hint),
                &at("command"),
                Part::Key,
            );
        }
        (_, Some(_)) if rest => {
            let hint = "leave command out, or give the type `command`";
            let message = format!("an agent of the type {kind} runs no command");
            reader.tell(conflict(message, hint), &at("command"), Part::Key);
        }
        _ => {}
    }
    let unused = |key: &str| {
        let message = format!("no effect: an agent of the type {kind} does not use it");
        (Problem::warning("config.no_effect", message), at(key))
    };
    let mut unused_keys = Vec::new();
    if agent.base_url.is_some() && !rest {
        unused_keys.push("base_url");
    }
    if agent.model.is_some() && ["shell", "command"].contains(&kind.as_str()) {
        unused_keys.push("model");
    }
    let has_variable = !["shell", "command"].contains(&kind.as_str());
    if !has_variable && agent.token_env.is_none() {
        unused_keys.extend(agent.token.as_ref().map(|_| "token"));
        unused_keys.extend(agent.token_file.as_ref().map(|_| "token_file"));
    }
    for key in unused_keys {
        let (problem, at) = unused(key);
        let hint = match key {
            "model" => "write it as an argument of the command",
            "token" | "token_file" => "name the variable that the program reads, with token_env",
            _ => "set the variable that the program reads, with env",
        };
        reader.tell(problem.hint(hint.to_owned()), &at, Part::Key);
    }
}

fn unknown_agent(config: &Config, name: &str) -> Problem {
    let names = || config.agents.keys().map(String::as_str);
    let hint = match nearest(name, names().chain(AGENT_TYPES.iter().copied())) {
        Some(near) => format!("did you mean {near:?}?"),
        None if config.agents.is_empty() => "no agents are configured".to_owned(),
        None => format!("the agents are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Problem::error("config.unknown_agent", format!("there is no agent {name:?}")).hint(hint)
}

/// Whether work could name this agent.
fn is_known(config: &Config, name: &str) -> bool {
    let built_in = AGENT_TYPES.iter().any(|kind| kind.eq_ignore_ascii_case(name.trim()));
    // The type `command` alone says nothing to run.
    config.find_agent(name.trim()).is_some()
        || (built_in && !name.trim().eq_ignore_ascii_case("command"))
}

fn check_defaults(config: &Config, reader: &mut Reader<'_>) {
    if let Some(name) = &config.defaults.agent
        && !is_known(config, name)
    {
        reader.tell(unknown_agent(config, name), &path(&["defaults", "agent"]), Part::Value);
    }
    let diversification = &config.defaults.diversification;
    let at = |key: &str| path(&["defaults", "diversification", key]);
    let agents = diversification.agents.clone().unwrap_or_default();
    for (index, name) in agents.iter().enumerate() {
        if !is_known(config, name) {
            let mut path = at("agents");
            path.push(Step::Index(index));
            reader.tell(unknown_agent(config, name), &path, Part::Value);
        }
    }
    let Some(weights) = &diversification.weights else { return };
    let shared = if agents.is_empty() { config.agents.len() } else { agents.len() };
    if weights.len() != shared {
        let message =
            format!("{} weights stand here, where {shared} agents share the work", weights.len());
        let problem = conflict(message, "give one weight for each agent, in their order");
        reader.tell(problem, &at("weights"), Part::Key);
    }
    if weights.iter().try_fold(0u64, |sum, weight| sum.checked_add(*weight)).is_none() {
        let problem =
            Problem::error("config.invalid_value", "the weights are too large to be added");
        reader.tell(problem, &at("weights"), Part::Key);
    }
}

fn check_api(config: &Config, reader: &mut Reader<'_>) {
    let api = &config.api;
    let auth = api.auth.as_deref();
    if api.auth_enabled.is_some() && auth.is_some() {
        let problem = conflict(
            "auth and auth_enabled are both given",
            "auth_enabled is the older form: keep auth",
        );
        reader.tell(problem, &path(&["api", "auth_enabled"]), Part::Key);
    }
}

/// A server without a token must stay on this machine, whoever named its address: looked at when the
/// environment has had its say.
pub(super) fn check_exposure(config: &Config, places: &Places) -> Option<Problem> {
    let api = &config.api;
    let host = api.host.as_deref().unwrap_or("127.0.0.1");
    if api.auth.as_deref() != Some("off") || is_loopback(host) {
        return None;
    }
    let message = format!("without a token the server stays on this machine, and not on {host}");
    let at = path(&["api", "auth"]);
    let problem = conflict(message, "set api.host to 127.0.0.1, or api.auth to all");
    Some(problem.field(&at).place(places.find(&at, Part::Key)))
}

/// A key in the environment does less than it could where the file says for itself what it is for.
pub(super) fn check_idle_key(
    config: &Config,
    variables: &Variables,
    places: &Places,
) -> Option<Problem> {
    let word = config.api.auth.as_deref().filter(|word| *word != "all")?;
    variables.get(API_KEY)?;
    let open = if word == "off" { "everything" } else { "reading" };
    let message = format!("{API_KEY} is set, and {open} is open without it: auth is {word}");
    let at = path(&["api", "auth"]);
    let problem = Problem::warning("config.idle_key", message)
        .hint("set api.auth to all, or leave it out".to_owned());
    Some(problem.field(&at).place(places.find(&at, Part::Key)))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn check_webhook(config: &Config, reader: &mut Reader<'_>) {
    let webhook = &config.webhook;
    let said = webhook.events.is_some()
        || webhook.secret.is_some()
        || webhook.timeout.is_some()
        || webhook.at_exit.is_some();
    if webhook.url.is_none() && said {
        let problem = Problem::warning("config.no_effect", "no effect: the webhook has no url")
            .hint("add url, or leave the section out".to_owned());
        reader.tell(problem, &path(&["webhook"]), Part::Key);
    }
}

fn check_log(config: &Config, reader: &mut Reader<'_>) {
    let Some(Err(error)) = config.log.levels.as_ref().map(|levels| levels.parse::<LogLevels>())
    else {
        return;
    };
    let hint = error.specific_hint().map(str::to_owned);
    let problem = Problem::error("config.invalid_value", error.to_string()).hint(hint);
    reader.tell(problem, &path(&["log", "levels"]), Part::Value);
}
