//! The agent of a run that is to be started, and those that stand in for it.

use super::start::RunPlan;
use crate::agent::AgentCommand;
use crate::config::Secret;
use crate::run::RunRecord;
use crate::usage::ErrorClass;
use std::collections::BTreeSet;

/// An agent, ready to be started.
#[derive(Clone, Debug)]
pub(crate) struct PlannedAgent {
    pub(crate) command: AgentCommand,
    /// What work calls it.
    pub(crate) name: String,
    /// What the configuration puts into its environment. Never written down.
    pub(crate) env: Vec<(String, Secret)>,
    /// The model that it is asked to use, where the configuration names one.
    pub(crate) model: Option<String>,
    /// The version of its program; empty where that is not known.
    pub(crate) version: String,
    /// Whose usage limit holds for it; `None` for an agent that tells of none.
    pub(crate) account: Option<String>,
    /// Whether the next attempt goes on with its session.
    pub(crate) resumes: bool,
    /// Whether known tokens are masked in what it prints.
    pub(crate) redacts: bool,
}

impl RunPlan {
    /// The agent that it begins with.
    pub(crate) fn agent(&self) -> PlannedAgent {
        PlannedAgent {
            command: self.agent.clone(),
            name: self.agent_name.clone(),
            env: self.agent_env.clone(),
            model: self.model.clone(),
            version: self.version.clone(),
            account: self.account.clone(),
            resumes: self.resumes,
            redacts: self.redacts,
        }
    }

    /// The agent that it begins with, and those that stand in for it.
    pub(crate) fn agents(&self) -> impl Iterator<Item = PlannedAgent> {
        std::iter::once(self.agent()).chain(self.others.iter().cloned())
    }

    /// The same run by another agent, which gives back the one that it had.
    fn swap(&mut self, agent: PlannedAgent) {
        self.agent = agent.command;
        self.agent_name = agent.name;
        self.agent_env = agent.env;
        self.model = agent.model;
        self.version = agent.version;
        self.account = agent.account;
        self.resumes = agent.resumes;
        self.redacts = agent.redacts;
    }

    /// The plan of the attempt behind the one that `last` tells of: by another agent where that one
    /// failed and others stand in for it, and going on with its session where that is wished. Those that are
    /// `missing` are passed over, unless all are.
    pub(crate) fn behind(&self, last: Option<&RunRecord>, missing: &BTreeSet<String>) -> RunPlan {
        let mut plan = self.clone();
        let Some(last) = last else { return plan.finishing() };
        let failed = last.outcome.is_some_and(|outcome| outcome.is_failure());
        let names: Vec<&str> = std::iter::once(self.agent_name.as_str())
            .chain(self.others.iter().map(|other| other.name.as_str()))
            .collect();
        let at = names.iter().position(|name| *name == last.agent_name()).unwrap_or(0);
        let next = if failed { (at + 1) % names.len() } else { at };
        let mut from_there = (next..names.len()).chain(0..next);
        let next = from_there.find(|at| !missing.contains(names[*at])).unwrap_or(next);
        if let Some(other) = next.checked_sub(1).and_then(|at| self.others.get(at)) {
            plan.swap(other.clone());
        }
        if plan.resumes && plan.agent_name == last.agent_name() && !last.failed_to_resume() {
            plan.go_on_with(last.session_to_go_on_with());
        }
        plan.finishing()
    }

    /// A service can make no file: who calls it does so when the answer is whole.
    fn finishing(mut self) -> RunPlan {
        if self.agent.kind.is_rest() {
            self.agent.argv.push("--finish-task".into());
        }
        self
    }

    fn go_on_with(&mut self, session: Option<&str>) {
        // What the agent's command line would take for an option is no session.
        let Some(session) = session.filter(|id| !id.is_empty() && !id.starts_with('-')) else {
            return;
        };
        let kind = self.agent.kind;
        if let Some(argv) = kind.resuming(self.agent.argv.clone(), session) {
            self.agent.argv = argv;
            self.session = Some(session.to_owned());
        }
    }
}

impl RunRecord {
    /// What work calls the agent.
    pub(crate) fn agent_name(&self) -> &str {
        self.agent_name.as_deref().unwrap_or(&self.agent)
    }

    /// Whether it was to go on with a session, and ended before anything came of that. A limit, a service
    /// that is out of order and an account that is refused keep any run from its work: the session is there
    /// all the same.
    fn failed_to_resume(&self) -> bool {
        use ErrorClass::{BadCredentials, Transient, UsageLimit};
        let used = self.usage.is_some_and(|usage| usage.total() > 0);
        let failed = self.outcome.is_some_and(|outcome| outcome.is_failure());
        let other = !matches!(self.error_class, Some(UsageLimit | Transient | BadCredentials));
        self.resumed_session.is_some() && failed && !used && other
    }

    /// The session that the next run goes on with: its own, or the one that it could not even ask for.
    fn session_to_go_on_with(&self) -> Option<&str> {
        self.session_id.as_deref().or(self.resumed_session.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentKind;
    use crate::run::Outcome;
    use crate::usage::{ErrorClass, Usage};

    fn planned(name: &str) -> PlannedAgent {
        let kind = AgentKind::parse(name).unwrap();
        PlannedAgent {
            command: AgentCommand::of_program(kind, kind.argv(), "/bin/true".into()),
            name: name.to_owned(),
            env: Vec::new(),
            model: None,
            version: String::new(),
            account: None,
            resumes: true,
            redacts: false,
        }
    }

    fn plan(names: &[&str]) -> RunPlan {
        let mut agents = names.iter().map(|name| planned(name));
        let first = agents.next().unwrap();
        RunPlan {
            project: "p".parse().unwrap(),
            task: "t".parse().unwrap(),
            agent: first.command,
            agent_name: first.name,
            agent_env: first.env,
            model: first.model,
            version: first.version,
            resumes: first.resumes,
            redacts: first.redacts,
            session: None,
            others: agents.collect(),
            shared: true,
            command: Vec::new(),
            prompt: "x".to_owned(),
            cwd: None,
            parent_run: None,
            previous_run: None,
            series: None,
            env: Vec::new(),
            limits: crate::sys::KeeperLimits::default(),
            attached: false,
            external: None,
            family: Default::default(),
            account: first.account,
        }
    }

    fn none() -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn ended(agent: &str, outcome: Outcome, session: Option<&str>) -> RunRecord {
        let id = |text: &str| text.parse::<crate::RunId>().unwrap();
        let (project, task) = ("p".parse().unwrap(), "t".parse().unwrap());
        let mut record = RunRecord::new(&project, &task, &id("r"));
        record.agent = agent.to_owned();
        record.outcome = Some(outcome);
        record.session_id = session.map(str::to_owned);
        record
    }

    #[test]
    fn another_agent_stands_in_for_one_that_failed_and_the_list_has_no_end() {
        let plan = plan(&["claude", "codex", "gemini"]);
        let next = |last: &RunRecord| plan.behind(Some(last), &none()).agent_name;
        assert_eq!(plan.behind(None, &none()).agent_name, "claude");
        assert_eq!(next(&ended("claude", Outcome::Completed, None)), "claude");
        assert_eq!(next(&ended("claude", Outcome::Failed, None)), "codex");
        assert_eq!(next(&ended("codex", Outcome::TimedOut, None)), "gemini");
        assert_eq!(next(&ended("gemini", Outcome::Killed, None)), "claude");
        assert_eq!(next(&ended("codex", Outcome::Completed, None)), "codex");
        assert_eq!(next(&ended("codex", Outcome::Stopped, None)), "codex");
        assert_eq!(next(&ended("somebody", Outcome::Completed, None)), "claude");
        assert_eq!(self::plan(&["claude"]).behind(None, &none()).agent_name, "claude");
    }

    #[test]
    fn one_that_is_missing_is_passed_over_as_long_as_others_are_there() {
        let plan = plan(&["claude", "codex", "gemini"]);
        let next = |agent: &str, outcome, missing: &[&str]| {
            let missing = missing.iter().map(|name| (*name).to_owned()).collect();
            plan.behind(Some(&ended(agent, outcome, None)), &missing).agent_name
        };
        assert_eq!(next("claude", Outcome::Failed, &["codex"]), "gemini");
        assert_eq!(next("gemini", Outcome::Failed, &["claude", "codex"]), "gemini");
        assert_eq!(next("gemini", Outcome::Failed, &["claude"]), "codex");
        assert_eq!(next("claude", Outcome::Refused, &["claude", "codex", "gemini"]), "codex");
    }

    #[test]
    fn whoever_calls_a_service_finishes_the_task() {
        let line = |plan: RunPlan| plan.agent.line();
        assert!(line(plan(&["xai"]).behind(None, &none())).ends_with("__rest xai --finish-task"));
        let last = ended("claude", Outcome::Failed, None);
        assert!(
            line(plan(&["claude", "xai"]).behind(Some(&last), &none())).ends_with("--finish-task")
        );
        assert!(!line(plan(&["claude"]).behind(None, &none())).contains("--finish-task"));
    }

    #[test]
    fn a_session_goes_on_with_the_same_agent_until_that_fails() {
        let plan = plan(&["claude", "codex"]);
        let session = |last: &RunRecord| plan.behind(Some(last), &none()).session;
        let mut last = ended("claude", Outcome::Completed, Some("s-1"));
        assert_eq!(session(&last).as_deref(), Some("s-1"));
        let line = plan.behind(Some(&last), &none()).agent.line();
        assert!(line.ends_with("--resume s-1"), "{line}");
        assert_eq!(session(&ended("claude", Outcome::Completed, None)), None);
        assert_eq!(session(&ended("claude", Outcome::Completed, Some("--help"))), None);
        assert_eq!(session(&ended("codex", Outcome::Failed, Some("s-1"))), None, "another agent");

        let alone = self::plan(&["claude"]);
        last.resumed_session = Some("s-0".into());
        last.outcome = Some(Outcome::Failed);
        assert_eq!(alone.behind(Some(&last), &none()).session, None, "nothing came of it");
        last.usage = Some(Usage { output_tokens: 1, ..Usage::default() });
        assert_eq!(alone.behind(Some(&last), &none()).session.as_deref(), Some("s-1"), "it worked");
        for (class, goes_on) in [
            (Some(ErrorClass::UsageLimit), true),
            (Some(ErrorClass::Transient), true),
            (Some(ErrorClass::BadCredentials), true),
            (Some(ErrorClass::Other), false),
            (None, false),
        ] {
            let record = |session: Option<&str>| RunRecord {
                usage: None,
                error_class: class,
                session_id: session.map(str::to_owned),
                ..last.clone()
            };
            let next = |session| alone.behind(Some(&record(session)), &none()).session;
            assert_eq!(next(Some("s-1")).as_deref(), goes_on.then_some("s-1"), "{class:?}");
            let same = "the session that it did not come to ask for";
            assert_eq!(next(None).as_deref(), goes_on.then_some("s-0"), "{class:?}: {same}");
        }
        let mut plain = alone.clone();
        plain.resumes = false;
        assert_eq!(plain.behind(Some(&last), &none()).session, None);
    }
}
