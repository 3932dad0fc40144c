//! The options of work as flags: one for each name of the library's vocabulary, `-` for `_`.

use crate::args::{amount, assignment, duration, size};
use clap::Args;
use conductor_core::{JobSpec, OnOutputLimit, OnQuestion, TaskSpec};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What one run and a task have in common.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WorkOptions {
    /// Project; without it the one that the current folder, or the agent that asks, belongs to
    #[arg(long, value_name = "ID", help_heading = "Work")]
    pub(crate) project: Option<String>,
    /// Agent: one of the configuration, claude, codex, gemini, perplexity, xai, command, or shell, for
    /// which the prompt is a script
    #[arg(long, value_name = "NAME", help_heading = "Work")]
    pub(crate) agent: Option<String>,
    /// Folder that the agent starts in [default: the current folder]
    #[arg(long, value_name = "DIR", help_heading = "Work")]
    pub(crate) cwd: Option<PathBuf>,
    /// Variable for the agent's environment; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment, help_heading = "Work")]
    pub(crate) env: Vec<(String, String)>,
    /// Run whose agent starts this work, and which waits for it and takes it along when it is stopped; ""
    /// for none [default: inside an agent, its own run]
    #[arg(long, value_name = "RUN", help_heading = "Work")]
    pub(crate) parent_run_id: Option<String>,
    /// Program of the agent "command"; given again, its arguments. Better: ... -- PROGRAM ARGUMENT...
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = "Work")]
    pub(crate) command: Vec<OsString>,
    /// Program and arguments of the agent "command"
    #[arg(last = true, value_name = "PROGRAM", conflicts_with = "command", help_heading = "Work")]
    pub(crate) argv: Vec<OsString>,

    /// End a run that wrote nothing at all for this long
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) first_byte_timeout: Option<Duration>,
    /// End a run whose output did not grow for this long
    #[arg(long, visible_alias = "timeout", value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) idle_timeout: Option<Duration>,
    /// End a run after this long
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) total_timeout: Option<Duration>,
    /// Time between SIGTERM and SIGKILL when a run is ended [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) grace: Option<Duration>,
    /// Most that is kept of each output stream; 0 is no limit [default: 1GB]
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Limits")]
    pub(crate) output_limit: Option<u64>,
    /// What becomes of a longer output: trim cuts its middle out, stop ends the run [default: trim]
    #[arg(long, value_name = "WORD", help_heading = "Limits")]
    pub(crate) on_output_limit: Option<OnOutputLimit>,
    /// Deepest nesting of runs that start runs [default: no limit]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) max_depth: Option<u64>,
    /// Most living runs that one agent has started [default: 8]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) max_children: Option<u64>,
}

/// What to do.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PromptOptions {
    /// What to do
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Work")]
    pub(crate) prompt: Option<String>,
    /// File that says what to do, - for the standard input; wins over --prompt
    #[arg(long, value_name = "FILE", help_heading = "Work")]
    pub(crate) prompt_file: Option<PathBuf>,
}

/// The options of one run.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct JobOptions {
    #[command(flatten)]
    pub(crate) work: WorkOptions,
    #[command(flatten)]
    pub(crate) prompt: PromptOptions,
    /// Task that the run belongs to [default: inside an agent its own task, else a new one]
    #[arg(long, value_name = "ID", help_heading = "Work")]
    pub(crate) task: Option<String>,
    /// Run that this one goes on from
    #[arg(long, value_name = "RUN", help_heading = "Work")]
    pub(crate) previous_run_id: Option<String>,
}

/// The options of a task, but for its name and its prompt.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TaskOptions {
    #[command(flatten)]
    pub(crate) work: WorkOptions,
    #[command(flatten)]
    pub(crate) prompt: PromptOptions,
    #[command(flatten)]
    pub(crate) bounds: TaskBounds,
}

/// What bounds a task's loop.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TaskBounds {
    /// Task that must be ready first; may be given again, or several with commas
    #[arg(long, value_name = "ID", help_heading = "Work")]
    pub(crate) depends_on: Vec<String>,
    /// Most attempts, the first one counted [default: 100]
    #[arg(long, visible_alias = "max-restarts", value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) max_attempts: Option<u32>,
    /// Longest time that its attempts run, all of them together [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) max_wall: Option<Duration>,
    /// Most tokens: no attempt is started once they are used up [default: no limit]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) max_tokens: Option<u64>,
    /// Highest cost in US dollars, as far as agents tell it [default: no limit]
    #[arg(long, value_name = "USD", value_parser = amount, help_heading = "Limits")]
    pub(crate) max_cost_usd: Option<f64>,
    /// End an agent that told its result and did not exit for this long; 0s never does [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) result_grace: Option<Duration>,
    /// Pause between two attempts; it doubles with each further one that fails [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) restart_delay: Option<Duration>,
    /// How long a finished task waits for runs that its agents started [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) child_wait_timeout: Option<Duration>,
    /// Line for /bin/sh that says whether the work is done, run once DONE stands; if it fails, DONE is
    /// set aside and the next attempt is told why
    #[arg(long, value_name = "LINE", help_heading = "Work")]
    pub(crate) verify: Option<String>,
    /// How long --verify may take [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) verify_timeout: Option<Duration>,
    /// What an attempt does about a QUESTION on the bus that has no ANSWER: go_on or wait
    #[arg(long, value_name = "WORD", help_heading = "Limits")]
    pub(crate) on_question: Option<OnQuestion>,
    /// How long an attempt waits for an ANSWER [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Limits")]
    pub(crate) question_timeout: Option<Duration>,
    /// Accepted for older scripts: there is nothing to poll
    #[arg(long, value_name = "DURATION", value_parser = duration, hide = true)]
    child_poll_interval: Option<Duration>,
    /// Accepted for older scripts
    #[arg(long, value_name = "DURATION", value_parser = duration, hide = true)]
    dependency_poll_interval: Option<Duration>,
}

/// Puts what was given into a spec; both kinds have these builders.
macro_rules! put {
    ($spec:ident: $($value:expr => $method:ident),* $(,)?) => {
        $(if let Some(value) = $value { $spec = $spec.$method(value); })*
    };
}

macro_rules! put_work {
    ($spec:ident, $work:expr) => {{
        let work = $work;
        let mut command = work.command;
        command.extend(work.argv);
        // Who gives a program has said which agent is meant.
        let named = work.agent.or_else(|| (!command.is_empty()).then(|| "command".to_owned()));
        put! { $spec:
            named => agent,
            work.cwd => cwd,
            // An empty one is nobody.
            work.parent_run_id.filter(|parent| !parent.is_empty()) => parent_run_id,
            Some(command).filter(|command| !command.is_empty()) => command,
            work.first_byte_timeout => first_byte_timeout,
            work.idle_timeout => idle_timeout,
            work.total_timeout => total_timeout,
            work.grace => grace,
            work.output_limit => output_limit,
            work.on_output_limit => on_output_limit,
            work.max_depth => max_depth,
            work.max_children => max_children,
        }
        for (name, value) in work.env {
            $spec = $spec.env(name, value);
        }
    }};
}

impl JobOptions {
    /// The spec of what was given, in a project.
    pub(crate) fn spec(self, project: &str) -> JobSpec {
        let mut spec = JobSpec::new(project);
        put_work!(spec, self.work);
        put! { spec:
            self.task => task,
            self.prompt.prompt => prompt,
            self.prompt.prompt_file => prompt_file,
            self.previous_run_id => previous_run_id,
        }
        spec
    }
}

impl TaskOptions {
    /// The spec of what was given, for a task of a project; without a name the task gets one.
    pub(crate) fn spec(self, project: &str, task: Option<&str>) -> TaskSpec {
        let mut spec = TaskSpec::new(project);
        put_work!(spec, self.work);
        put! { spec:
            task => task,
            self.prompt.prompt => prompt,
            self.prompt.prompt_file => prompt_file,
            Some(self.bounds.depends_on).filter(|tasks| !tasks.is_empty()) => depends_on,
            self.bounds.max_attempts => max_attempts,
            self.bounds.max_wall => max_wall,
            self.bounds.max_tokens => max_tokens,
            self.bounds.max_cost_usd => max_cost_usd,
            self.bounds.result_grace => result_grace,
            self.bounds.restart_delay => restart_delay,
            self.bounds.child_wait_timeout => child_wait_timeout,
            self.bounds.verify => verify,
            self.bounds.verify_timeout => verify_timeout,
            self.bounds.on_question => on_question,
            self.bounds.question_timeout => question_timeout,
        }
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;
    use conductor_core::vocabulary::{Noun, OPTIONS, OptionRow};

    fn parsed(noun: Noun, option: &OptionRow) -> Command {
        let flag = format!("--{}", option.name.replace('_', "-"));
        let noun = if noun == Noun::Job { "job" } else { "task" };
        let line = ["run-agent", noun, flag.as_str(), option.example];
        let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
        cli.command.unwrap()
    }

    #[test]
    fn every_option_of_the_vocabulary_is_a_flag_that_says_the_same() {
        for option in OPTIONS {
            for noun in option.nouns.iter().filter(|noun| [Noun::Job, Noun::Task].contains(noun)) {
                match parsed(*noun, option) {
                    Command::Job(job) => {
                        let mut spec = JobSpec::new("p");
                        spec.set(option.name, option.example).unwrap();
                        let mut given = job.into_options();
                        let project = given.work.project.take().unwrap_or("p".into());
                        // A program names its agent; in the library both are said.
                        if option.name == "command" {
                            spec = spec.agent("command");
                        }
                        assert_eq!(given.spec(&project), spec, "{}", option.name);
                    }
                    Command::Task(task) => {
                        let mut spec = TaskSpec::new("p");
                        spec.set(option.name, option.example).unwrap();
                        let (id, mut given) = task.into_options();
                        let project = given.work.project.take().unwrap_or("p".into());
                        if option.name == "command" {
                            spec = spec.agent("command");
                        }
                        assert_eq!(given.spec(&project, id.as_deref()), spec, "{}", option.name);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
