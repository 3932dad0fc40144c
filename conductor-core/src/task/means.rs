//! What a driver brings along that a loop's parameters do not say: how its agents are configured, and the
//! values of variables. None of that is kept; digests of it tell whether somebody else brings the same.

use crate::agent::AgentCommand;
use crate::supervise::{Engine, PlannedAgent, RunPlan};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Hexadecimal digits of the digest of what may be a secret: enough to notice another value, too few to
/// find the value by trying.
const SECRET: usize = 4;
/// The same of everything else.
const PLAIN: usize = 8;

/// The means of a driver, each by its name in the configuration and with a digest. What is not configured
/// has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Means(BTreeMap<String, String>);

impl Means {
    /// What this process would drive `plan` with.
    pub(super) fn of(plan: &RunPlan, engine: &Engine) -> Means {
        let mut means = Means::default();
        for (name, value) in &plan.env {
            means.insert(format!("env.{name}"), [value.as_bytes()], SECRET);
        }
        let first = plan.agent();
        let all: Vec<&PlannedAgent> = std::iter::once(&first).chain(&plan.others).collect();
        for agent in &all {
            means.add_agent(plan, agent, engine);
        }
        if all.len() > 1 {
            let names = all.iter().map(|agent| agent.name.as_bytes());
            means.insert("defaults.diversification".to_owned(), names, PLAIN);
        }
        means
    }

    fn add_agent(&mut self, plan: &RunPlan, agent: &PlannedAgent, engine: &Engine) {
        let key = |part: &str| format!("agents.{}.{part}", agent.name);
        let AgentCommand { kind, argv, stream, .. } = &agent.command;
        self.insert(key("type"), [kind.name().as_bytes()], PLAIN);
        self.insert(key("command"), argv.iter().map(|word| word.as_encoded_bytes()), PLAIN);
        if let Some(stream) = stream {
            self.insert(key("parser"), [stream.name().as_bytes()], PLAIN);
        }
        if let Some(account) = &agent.account {
            self.insert(key("account"), [account.as_bytes()], SECRET);
        }
        for (part, said) in [("resume_session", agent.resumes), ("redact", agent.redacts)] {
            if said {
                self.insert(key(part), [], PLAIN);
            }
        }
        let own = kind.own_keys();
        // Where the configuration lies is for what the agent starts: what this one is, stands here.
        let is_its = |name: &str| name != "CONDUCTOR_CONFIG" && !own.contains(&name);
        let of_agent = agent.env.iter().filter(|(name, _)| is_its(name));
        let mut of_agent: Vec<[&[u8]; 2]> =
            of_agent.map(|(name, value)| [name.as_bytes(), value.reveal().as_bytes()]).collect();
        of_agent.sort_unstable();
        if !of_agent.is_empty() {
            self.insert(key("env"), of_agent.into_iter().flatten(), SECRET);
        }
        // As its environment is made: what work gives, then the configuration, then what is inherited.
        let inherited = engine.inherited_environment();
        for name in own {
            let given = plan.env.iter().find(|(known, _)| known == name);
            let configured = agent.env.iter().find(|(known, _)| known == name);
            let inherited = inherited.iter().find(|(known, _)| known == name);
            let value = given
                .map(|(_, value)| value.as_bytes())
                .or(configured.map(|(_, value)| value.reveal().as_bytes()))
                .or(inherited.map(|(_, value)| value.as_encoded_bytes()));
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                self.insert(key(&format!("token ({name})")), [value], SECRET);
            }
        }
    }

    fn insert<'a>(
        &mut self,
        name: String,
        parts: impl IntoIterator<Item = &'a [u8]>,
        digits: usize,
    ) {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        digest.truncate(digits);
        self.0.insert(name, digest);
    }

    /// The names of what differs; nothing where one of the two is not known.
    pub(super) fn differences<'a>(&'a self, other: &'a Means) -> Vec<&'a str> {
        if self.0.is_empty() || other.0.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<&str> =
            self.0.keys().chain(other.0.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.0.get(*name) != other.0.get(*name));
        names
    }

    /// As texts, each a name and a digest.
    pub(super) fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(|(name, digest)| format!("{name}={digest}")).collect()
    }

    /// From texts as [`to_texts`](Means::to_texts) gives them; `None` where one is something else.
    pub(super) fn from_texts(texts: &[String]) -> Option<Means> {
        let pair = |text: &String| {
            let (name, digest) = text.rsplit_once('=')?;
            let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_digest && !digest.is_empty()).then(|| (name.to_owned(), digest.to_owned()))
        };
        texts.iter().map(pair).collect::<Option<_>>().map(Means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(parts: &[(&str, &str)]) -> Means {
        let mut means = Means::default();
        for (name, value) in parts {
            means.insert((*name).to_owned(), [value.as_bytes()], PLAIN);
        }
        means
    }

    #[test]
    fn what_differs_is_named_also_where_one_has_it_alone() {
        let one = means(&[("agents.a.command", "x"), ("agents.a.redact", ""), ("env.A", "1")]);
        let other = means(&[("agents.a.command", "y"), ("agents.a.env", "z"), ("env.A", "1")]);
        let names = ["agents.a.command", "agents.a.env", "agents.a.redact"];
        assert_eq!(one.differences(&other), names);
        assert_eq!(other.differences(&one), names);
        assert!(one.differences(&one.clone()).is_empty());
        assert!(one.differences(&Means::default()).is_empty(), "an older version kept none");
    }

    #[test]
    fn they_come_back_as_they_were_written() {
        let one = means(&[("agents.a.token (A_KEY)", "x"), ("env.A=B", "1")]);
        assert_eq!(Means::from_texts(&one.to_texts()), Some(one));
        for text in ["", "no digest", "a=", "a=xyz"] {
            assert_eq!(Means::from_texts(&[text.to_owned()]), None, "{text}");
        }
    }

    #[test]
    fn no_secret_can_be_found_from_its_digest() {
        let mut means = Means::default();
        for number in 0..100_000u32 {
            means.insert(number.to_string(), [number.to_le_bytes().as_slice()], SECRET);
        }
        let digests: std::collections::BTreeSet<_> = means.0.values().collect();
        assert!(digests.len() <= 1 << 16, "several values share each digest");
    }

    #[test]
    fn words_are_not_joined() {
        let mut means = Means::default();
        means.insert("a".into(), [b"ab".as_slice(), b"c"], PLAIN);
        means.insert("b".into(), [b"a".as_slice(), b"bc"], PLAIN);
        assert_ne!(means.0["a"], means.0["b"]);
    }
}
