//! What to run: one run (a job) or a task.

use super::asked::{Asked, amount, duration, number};
use crate::config::Limits;
use crate::error::Result;
use crate::id::TaskId;
use crate::supervise::OnOutputLimit;
use crate::task::{Bounds, Budget, OnQuestion, Parameters, shell_line};
use crate::{limits, vocabulary};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

macro_rules! work_builder {
    ($name:ident) => {
        impl $name {
            /// The task that the work belongs to; without one an id is made from the prompt.
            #[must_use]
            pub fn task(mut self, task: impl Into<String>) -> Self {
                self.work.task = Some(task.into());
                self
            }

            /// The agent: `claude`, `codex`, `gemini`, `perplexity`, `xai`, `shell`, `command`, or one
            /// that is configured; one of those that share the work, or the default, unless set.
            #[must_use]
            pub fn agent(mut self, agent: impl Into<String>) -> Self {
                self.work.agent = Some(agent.into());
                self
            }

            /// The program and arguments of the agent `command`.
            #[must_use]
            pub fn command(mut self, argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
                self.work.command = argv.into_iter().map(Into::into).collect();
                self
            }

            /// What to do.
            #[must_use]
            pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
                self.work.prompt = Some(prompt.into());
                self
            }

            /// The file that says what to do; wins over [`prompt`](Self::prompt).
            #[must_use]
            pub fn prompt_file(mut self, path: impl Into<PathBuf>) -> Self {
                self.work.prompt_file = Some(path.into());
                self
            }

            /// The folder that the agent starts in; the task's folder without one.
            #[must_use]
            pub fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
                self.work.cwd = Some(path.into());
                self
            }

            /// The run whose agent starts this work.
            #[must_use]
            pub fn parent_run_id(mut self, run: impl Into<String>) -> Self {
                self.work.parent_run = Some(run.into());
                self
            }

            /// A variable for the agent's environment. `JRUN_` names are conductor's own.
            #[must_use]
            pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
                self.work.env.push((name.into(), value.into()));
                self
            }

            /// Ends the run when it wrote nothing at all for this long; zero is no limit.
            #[must_use]
            pub fn first_byte_timeout(mut self, limit: Duration) -> Self {
                self.work.first_byte_timeout = Some(limit);
                self
            }

            /// Ends the run when its output did not grow for this long; zero is no limit.
            #[must_use]
            pub fn idle_timeout(mut self, limit: Duration) -> Self {
                self.work.idle_timeout = Some(limit);
                self
            }

            /// Ends the run after this long; zero is no limit.
            #[must_use]
            pub fn total_timeout(mut self, limit: Duration) -> Self {
                self.work.total_timeout = Some(limit);
                self
            }

            /// The time between the polite signal and the one that cannot be ignored.
            #[must_use]
            pub fn grace(mut self, grace: Duration) -> Self {
                self.work.grace = Some(grace);
                self
            }

            /// The most bytes that are kept of each output stream, [`limits::OUTPUT`] unless set; zero
            /// is no limit.
            #[must_use]
            pub fn output_limit(mut self, bytes: u64) -> Self {
                self.work.output_limit = Some(bytes);
                self
            }

            /// What becomes of an output that is longer: its middle is cut out unless set.
            #[must_use]
            pub fn on_output_limit(mut self, choice: OnOutputLimit) -> Self {
                self.work.on_output_limit = Some(choice);
                self
            }

            /// The deepest nesting of runs that start runs below this one; no limit unless set.
            #[must_use]
            pub fn max_depth(mut self, depth: u64) -> Self {
                self.work.max_depth = Some(depth);
                self
            }

            /// The most living runs that one agent has started; [`limits::MAX_CHILDREN`] unless set.
            #[must_use]
            pub fn max_children(mut self, children: u64) -> Self {
                self.work.max_children = Some(children);
                self
            }
        }
    };
}

/// One run of one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    pub(crate) work: Asked,
}

work_builder!(JobSpec);

impl JobSpec {
    /// A run in `project`.
    pub fn new(project: impl Into<String>) -> JobSpec {
        JobSpec { work: Asked { project: project.into(), ..Asked::default() } }
    }

    /// The run that this one goes on from.
    #[must_use]
    pub fn previous_run_id(mut self, run: impl Into<String>) -> JobSpec {
        self.work.previous_run = Some(run.into());
        self
    }

    /// Sets an option by its name in [`vocabulary`], with the text as on a command line.
    ///
    /// # Errors
    /// `option.unknown` naming the nearest one, or what is wrong with the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match self.work.set(key, value)? {
            true => Ok(()),
            false => Err(vocabulary::unknown_option(key, vocabulary::Noun::Job)),
        }
    }
}

/// A task: runs of an agent until `DONE` stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    pub(crate) work: Asked,
    pub(crate) depends_on: Option<Vec<String>>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) max_wall: Option<Duration>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_cost_usd: Option<f64>,
    pub(crate) result_grace: Option<Duration>,
    pub(crate) restart_delay: Option<Duration>,
    pub(crate) child_wait_timeout: Option<Duration>,
    pub(crate) verify: Vec<String>,
    pub(crate) verify_timeout: Option<Duration>,
    pub(crate) on_question: Option<OnQuestion>,
    pub(crate) question_timeout: Option<Duration>,
}

work_builder!(TaskSpec);

impl TaskSpec {
    /// A task in `project`.
    pub fn new(project: impl Into<String>) -> TaskSpec {
        TaskSpec {
            work: Asked { project: project.into(), ..Asked::default() },
            depends_on: None,
            max_attempts: None,
            max_wall: None,
            max_tokens: None,
            max_cost_usd: None,
            result_grace: None,
            restart_delay: None,
            child_wait_timeout: None,
            verify: Vec::new(),
            verify_timeout: None,
            on_question: None,
            question_timeout: None,
        }
    }

    /// Tasks of the same project that must be ready first. Replaces what is stored for the task.
    #[must_use]
    pub fn depends_on(mut self, tasks: impl IntoIterator<Item = impl Into<String>>) -> TaskSpec {
        self.depends_on = Some(tasks.into_iter().map(Into::into).collect());
        self
    }

    /// The most attempts; [`limits::MAX_ATTEMPTS`] unless set.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> TaskSpec {
        self.max_attempts = Some(attempts);
        self
    }

    /// The longest time that attempts run, all of them together; no limit unless set.
    #[must_use]
    pub fn max_wall(mut self, limit: Duration) -> TaskSpec {
        self.max_wall = Some(limit);
        self
    }

    /// The most tokens; no limit unless set. No attempt is started once they are used up.
    #[must_use]
    pub fn max_tokens(mut self, tokens: u64) -> TaskSpec {
        self.max_tokens = Some(tokens);
        self
    }

    /// The highest cost in US dollars, as far as agents tell it; no limit unless set. No attempt is
    /// started once it is reached.
    #[must_use]
    pub fn max_cost_usd(mut self, cost: f64) -> TaskSpec {
        self.max_cost_usd = Some(cost);
        self
    }

    /// How long an agent that told its result may take to exit before it is ended; [`limits::RESULT_GRACE`]
    /// unless set, zero is no limit.
    #[must_use]
    pub fn result_grace(mut self, limit: Duration) -> TaskSpec {
        self.result_grace = Some(limit);
        self
    }

    /// The pause between two attempts; [`limits::RESTART_DELAY`] unless set.
    #[must_use]
    pub fn restart_delay(mut self, delay: Duration) -> TaskSpec {
        self.restart_delay = Some(delay);
        self
    }

    /// How long a finished task waits for running children; [`limits::CHILD_WAIT`] unless set.
    #[must_use]
    pub fn child_wait_timeout(mut self, limit: Duration) -> TaskSpec {
        self.child_wait_timeout = Some(limit);
        self
    }

    /// The completion check: a line for `/bin/sh`, run in the working folder once `DONE` stands. If it
    /// fails, `DONE` is set aside and the next attempt is told why.
    #[must_use]
    pub fn verify(mut self, line: impl Into<String>) -> TaskSpec {
        self.verify = shell_line(line.into());
        self
    }

    /// The completion check as a program and its arguments.
    #[must_use]
    pub fn verify_program(mut self, argv: impl IntoIterator<Item = impl Into<String>>) -> TaskSpec {
        self.verify = argv.into_iter().map(Into::into).collect();
        self
    }

    /// How long the completion check may take; [`limits::VERIFY`] unless set.
    #[must_use]
    pub fn verify_timeout(mut self, limit: Duration) -> TaskSpec {
        self.verify_timeout = Some(limit);
        self
    }

    /// What the next attempt does about a question that nobody answered; it goes on unless set.
    #[must_use]
    pub fn on_question(mut self, choice: OnQuestion) -> TaskSpec {
        self.on_question = Some(choice);
        self
    }

    /// How long an attempt waits for an answer where it does; zero, the default, is no limit.
    #[must_use]
    pub fn question_timeout(mut self, limit: Duration) -> TaskSpec {
        self.question_timeout = Some(limit);
        self
    }

    /// Takes the bounds that are not said from the task's own configuration.
    pub(super) fn take_limits(&mut self, limits: &Limits) {
        self.max_attempts = self.max_attempts.or(limits.max_attempts);
        self.max_wall = self.max_wall.or(limits.max_wall);
        self.max_tokens = self.max_tokens.or(limits.max_tokens);
        self.max_cost_usd = self.max_cost_usd.or(limits.max_cost_usd);
        self.result_grace = self.result_grace.or(limits.result_grace);
    }

    /// Takes what is not said from what the task was asked for before; the names of variables whose
    /// values are not kept and are not in `environment` either.
    ///
    /// Who gives variables of their own gives all of them.
    pub(crate) fn go_on_from(
        &mut self,
        stored: &Parameters,
        environment: &[(OsString, OsString)],
    ) -> Vec<String> {
        // No limit is an answer too: what was asked for wins over the configuration of today.
        let limit = |limit: Duration| Some(limit);
        let work = &mut self.work;
        if work.agent.is_none() {
            work.agent = Some(stored.agent.clone());
            work.shared = stored.shared;
            if work.command.is_empty() {
                work.command = stored.command.iter().map(OsString::from).collect();
            }
        }
        if !work.names_prompt() {
            work.prompt.clone_from(&stored.prompt);
        }
        work.cwd = work.cwd.take().or_else(|| stored.cwd.as_ref().map(PathBuf::from));
        work.parent_run = work.parent_run.take().or_else(|| stored.parent_run_id.clone());
        work.first_byte_timeout = work.first_byte_timeout.or(limit(stored.first_byte_timeout));
        work.idle_timeout = work.idle_timeout.or(limit(stored.idle_timeout));
        work.total_timeout = work.total_timeout.or(limit(stored.total_timeout));
        work.grace = work.grace.or(Some(stored.grace));
        work.output_limit = work.output_limit.or(Some(stored.output_limit));
        work.on_output_limit = work.on_output_limit.or(Some(stored.on_output_limit));
        work.max_depth = work.max_depth.or(stored.family.max_depth);
        work.max_children = work.max_children.or(stored.family.max_children);
        self.max_attempts = self.max_attempts.or(Some(stored.budget.max_attempts));
        self.max_wall = self.max_wall.or(stored.budget.max_wall);
        self.max_tokens = self.max_tokens.or(stored.budget.max_tokens);
        self.max_cost_usd = self.max_cost_usd.or(stored.budget.max_cost_usd);
        self.result_grace = self.result_grace.or(limit(stored.result_grace));
        self.restart_delay = self.restart_delay.or(Some(stored.restart_delay));
        self.child_wait_timeout = self.child_wait_timeout.or(Some(stored.child_wait_timeout));
        if self.verify.is_empty() {
            self.verify.clone_from(&stored.verify);
        }
        self.verify_timeout = self.verify_timeout.or(Some(stored.verify_timeout));
        self.on_question = self.on_question.or(Some(stored.on_question));
        self.question_timeout = self.question_timeout.or(Some(stored.question_timeout));
        if !work.env.is_empty() {
            return Vec::new();
        }
        let mut missing = Vec::new();
        for name in &stored.env_names {
            let value = environment.iter().find(|(known, _)| known.to_str() == Some(name));
            match value.and_then(|(_, value)| value.to_str()) {
                Some(value) => work.env.push((name.clone(), value.to_owned())),
                None => missing.push(name.clone()),
            }
        }
        missing
    }

    /// The bounds of the loop.
    pub(crate) fn bounds(&self, configured: &Limits) -> Bounds {
        Bounds {
            budget: Budget {
                max_attempts: self
                    .max_attempts
                    .or(configured.max_attempts)
                    .unwrap_or(limits::MAX_ATTEMPTS),
                max_wall: self.max_wall.or(configured.max_wall),
                max_tokens: self.max_tokens.or(configured.max_tokens),
                max_cost_usd: self.max_cost_usd.or(configured.max_cost_usd),
            },
            result_grace: self
                .result_grace
                .or(configured.result_grace)
                .unwrap_or(limits::RESULT_GRACE),
            restart_delay: self.restart_delay.unwrap_or(limits::RESTART_DELAY),
            child_wait: self.child_wait_timeout.unwrap_or(limits::CHILD_WAIT),
            verify: self.verify.clone(),
            verify_timeout: self.verify_timeout.unwrap_or(limits::VERIFY),
            on_question: self.on_question.unwrap_or_default(),
            question_timeout: self.question_timeout.unwrap_or_default(),
        }
    }

    /// The dependencies that are given; an item may name several, separated by commas.
    pub(crate) fn dependencies(&self) -> Result<Option<Vec<TaskId>>> {
        let Some(names) = &self.depends_on else { return Ok(None) };
        let ids = names.iter().flat_map(|list| list.split(',')).map(str::trim);
        let ids = ids.filter(|id| !id.is_empty()).map(TaskId::new);
        let ids: Result<Vec<TaskId>> = ids.collect();
        ids.map(Some).map_err(|error| error.with_field("depends_on"))
    }

    /// Sets an option by its name in [`vocabulary`], with the text as on a command line.
    ///
    /// # Errors
    /// `option.unknown` naming the nearest one, or what is wrong with the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "depends_on" => self.depends_on.get_or_insert_default().push(value.to_owned()),
            "max_attempts" => self.max_attempts = Some(number(key, value)?),
            "max_wall" => self.max_wall = Some(duration(key, value)?),
            "max_tokens" => self.max_tokens = Some(number(key, value)?.into()),
            "max_cost_usd" => self.max_cost_usd = Some(amount(key, value)?),
            "result_grace" => self.result_grace = Some(duration(key, value)?),
            "restart_delay" => self.restart_delay = Some(duration(key, value)?),
            "child_wait_timeout" => self.child_wait_timeout = Some(duration(key, value)?),
            "verify" => self.verify = shell_line(value.to_owned()),
            "verify_timeout" => self.verify_timeout = Some(duration(key, value)?),
            "on_question" => self.on_question = Some(value.parse()?),
            "question_timeout" => self.question_timeout = Some(duration(key, value)?),
            _ if self.work.set(key, value)? => {}
            _ => return Err(vocabulary::unknown_option(key, vocabulary::Noun::Task)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{Noun, OPTIONS};

    #[test]
    fn every_option_of_the_vocabulary_can_be_set_and_no_other() {
        for option in OPTIONS {
            for noun in option.nouns {
                let set = |value: &str| match noun {
                    Noun::Job => JobSpec::new("p").set(option.name, value),
                    Noun::Task => TaskSpec::new("p").set(option.name, value),
                    _ => Ok(()),
                };
                set(option.example).unwrap_or_else(|e| panic!("{}: {e}", option.name));
            }
        }
        let error = TaskSpec::new("p").set("max_attemps", "1").unwrap_err();
        assert_eq!((error.code(), error.field()), ("option.unknown", Some("max_attemps")));
        assert!(error.hint().contains("max_attempts"), "{}", error.hint());
        assert_eq!(
            JobSpec::new("p").set("max_attempts", "1").unwrap_err().code(),
            "option.unknown"
        );
    }

    #[test]
    fn wrong_values_name_their_option() {
        let mut spec = TaskSpec::new("p");
        for (key, value) in [
            ("max_attempts", "-1"),
            ("max_attempts", "many"),
            ("idle_timeout", "20"),
            ("restart_delay", "-1s"),
            ("env", "NOVALUE"),
            ("env", "=x"),
        ] {
            assert_eq!(spec.set(key, value).unwrap_err().field(), Some(key));
        }
    }
}
