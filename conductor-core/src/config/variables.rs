//! What the environment says over the file. Its values are handed in: this layer looks at none.

use super::given::Given;
use super::model::Config;
use super::problem::Problem;
use super::schema::Settings as _;
use super::secret::Secret;
use crate::yaml::Step;
use std::collections::BTreeMap;
use std::path::PathBuf;

const AGENT_PREFIX: &str = "CONDUCTOR_AGENT_";
const TOKEN_SUFFIX: &str = "_TOKEN";
pub(super) const API_KEY: &str = "CONDUCTOR_API_KEY";
const HOST: &str = "CONDUCTOR_HOST";
const PORT: &str = "CONDUCTOR_PORT";

/// The variables that matter to a configuration, and the user's home.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// What `~` stands for.
    pub(super) home: Option<PathBuf>,
    /// Name and value. The values may be secrets.
    values: BTreeMap<String, Secret>,
}

impl Variables {
    /// Picks what matters out of an environment; blank values say nothing.
    pub fn pick(
        home: Option<PathBuf>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Variables {
        let matters = |name: &str| {
            [API_KEY, HOST, PORT].contains(&name)
                || (name.starts_with(AGENT_PREFIX) && name.ends_with(TOKEN_SUFFIX))
        };
        let values = environment
            .into_iter()
            .filter(|(name, value)| matters(name) && !value.trim().is_empty())
            .map(|(name, value)| (name, Secret::new(value.trim())))
            .collect();
        Variables { home, values }
    }

    /// The values, but for those that say where a server listens.
    pub(super) fn values(&self) -> impl Iterator<Item = &Secret> {
        let secret = |name: &str| name != HOST && name != PORT;
        self.values.iter().filter(move |(name, _)| secret(name)).map(|(_, value)| value)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Secret> {
        self.values.get(name)
    }

    /// The token that a variable gives for an agent, whether a file names the agent or not.
    pub(crate) fn token(&self, agent: &str) -> Option<&Secret> {
        self.get(&token_variable(agent))
    }
}

/// The variable that gives the token of an agent: `CONDUCTOR_AGENT_MY_AGENT_TOKEN` for `my-agent`.
pub(crate) fn token_variable(agent: &str) -> String {
    let upper = agent.chars().map(|c| match c.to_ascii_uppercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '_',
    });
    format!("{AGENT_PREFIX}{}{TOKEN_SUFFIX}", upper.collect::<String>())
}

/// Puts the variables over the file; gives the keys that they set, each with the variable's name.
pub(super) fn apply(
    config: &mut Config,
    variables: &Variables,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Vec<Step>, String> {
    let mut set = BTreeMap::new();
    let path = |names: &[&str]| names.iter().map(|name| Step::from(*name)).collect::<Vec<_>>();
    let names: Vec<String> = config.agents.keys().cloned().collect();
    for name in &names {
        let variable = token_variable(name);
        let Some(token) = variables.get(&variable) else { continue };
        if let Some(other) = names.iter().find(|o| *o != name && token_variable(o) == variable) {
            let message = format!("{variable} could be the token of {name:?} or of {other:?}");
            problems.push(
                Problem::error("config.ambiguous_token", message)
                    .field(&path(&["agents", name]))
                    .hint("unset it, or give one of the agents another name".to_owned()),
            );
            continue;
        }
        if let Some(agent) = config.agents.get_mut(name) {
            agent.token = Some(token.clone());
            agent.token_file = None;
            set.insert(path(&["agents", name, "token"]), variable);
        }
    }
    if let Some(key) = variables.get(API_KEY) {
        config.api.api_key = Some(key.clone());
        set.insert(path(&["api", "api_key"]), API_KEY.to_owned());
        // The key wins over the older form of `auth`, as it did there; `auth` itself says what the key
        // is for.
        match (&config.api.auth, config.api.auth_enabled) {
            (Some(_), _) | (None, Some(true)) => {}
            (None, Some(false)) => {
                config.api.auth_enabled = Some(true);
                set.insert(path(&["api", "auth_enabled"]), API_KEY.to_owned());
            }
            (None, None) => {
                config.api.auth = Some("all".to_owned());
                set.insert(path(&["api", "auth"]), API_KEY.to_owned());
            }
        }
    }
    if let Some(host) = variables.get(HOST) {
        config.api.set("host", Given::Text(host.reveal().to_owned()));
        set.insert(path(&["api", "host"]), HOST.to_owned());
    }
    if let Some(port) = variables.get(PORT) {
        match port.reveal().parse::<u16>() {
            Ok(port) => {
                config.api.port = Some(port);
                set.insert(path(&["api", "port"]), PORT.to_owned());
            }
            Err(_) => problems.push(
                Problem::error("config.invalid_variable", format!("{PORT} is no port number"))
                    .field(&path(&[PORT]))
                    .hint("a whole number from 0 to 65535 is wanted".to_owned()),
            ),
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::super::load::{LoadedConfig, Origin};
    use super::*;
    use std::path::Path;

    fn with_key(text: &str) -> LoadedConfig {
        let variables = Variables::pick(None, [(API_KEY.to_owned(), "k".to_owned())]);
        LoadedConfig::parse(text.as_bytes(), Path::new("/c.yaml"), &variables).unwrap()
    }

    #[test]
    fn a_key_in_the_environment_locks_the_server_also_against_the_older_switch() {
        for text in ["", "api: {auth_enabled: false}\n", "api: {auth_enabled: true}\n"] {
            let loaded = with_key(text);
            let api = &loaded.config().api;
            let locked = api.auth.as_deref() == Some("all") || api.auth_enabled == Some(true);
            assert!(locked, "{text:?}: {api:?}");
            assert!(loaded.warnings().is_empty(), "{text:?}: {:?}", loaded.warnings());
        }
        let loaded = with_key("api: {auth_enabled: false}\n");
        let values = loaded.values();
        let value = values.iter().find(|value| value.key == "api.auth_enabled").unwrap();
        assert_eq!(value.text, "true");
        assert_eq!(value.origin, Origin::Variable(API_KEY.to_owned()));
    }

    #[test]
    fn a_key_in_the_environment_that_asks_for_less_than_it_could_is_told() {
        for word in ["off", "token"] {
            let loaded = with_key(&format!("api:\n  auth: {word}\n"));
            assert_eq!(loaded.config().api.auth.as_deref(), Some(word), "the file said so");
            let [problem] = loaded.warnings() else { panic!("{:?}", loaded.warnings()) };
            assert_eq!((problem.code, problem.line), ("config.idle_key", Some(2)));
            assert!(problem.message.contains(API_KEY), "{problem:?}");
        }
        assert!(with_key("api:\n  auth: all\n").warnings().is_empty());
    }
}
