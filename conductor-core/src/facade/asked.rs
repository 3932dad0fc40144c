//! What is asked of any work, a run or a task, and how the values of options are read.

use crate::config::Limits;
use crate::error::{Error, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::size::parse_size;
use crate::supervise::OnOutputLimit;
use crate::time::parse_duration;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What job and task have in common.
///
/// Text is kept as it was given and checked when the work is started, so that a builder never
/// fails and every surface reports the same errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) project: String,
    pub(crate) task: Option<String>,
    pub(crate) agent: Option<String>,
    /// Whether the agent was given its turn when the work began, and was not named.
    pub(crate) shared: bool,
    pub(crate) command: Vec<OsString>,
    pub(crate) prompt: Option<String>,
    pub(crate) prompt_file: Option<PathBuf>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) parent_run: Option<String>,
    pub(crate) previous_run: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) first_byte_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) grace: Option<Duration>,
    pub(crate) output_limit: Option<u64>,
    pub(crate) on_output_limit: Option<OnOutputLimit>,
    pub(crate) max_depth: Option<u64>,
    pub(crate) max_children: Option<u64>,
}

impl Asked {
    pub(crate) fn project_id(&self) -> Result<ProjectId> {
        ProjectId::new(&self.project)
    }

    pub(crate) fn task_id(&self) -> Result<Option<TaskId>> {
        self.task.as_deref().map(TaskId::new).transpose()
    }

    pub(crate) fn parent_run_id(&self) -> Result<Option<RunId>> {
        self.parent_run.as_deref().map(RunId::new).transpose()
    }

    pub(crate) fn previous_run_id(&self) -> Result<Option<RunId>> {
        self.previous_run.as_deref().map(RunId::new).transpose()
    }

    /// Whether a prompt is given, as text or as a file.
    pub(crate) fn names_prompt(&self) -> bool {
        self.prompt.is_some() || self.prompt_file.is_some()
    }

    /// Takes what is not said from the task's own configuration.
    pub(super) fn take_wishes(&mut self, agent: Option<String>, limits: &Limits) {
        // A command is that of the agent that was named with it.
        if self.command.is_empty() {
            self.agent = self.agent.take().or(agent);
        }
        self.first_byte_timeout = self.first_byte_timeout.or(limits.first_byte_timeout);
        self.idle_timeout = self.idle_timeout.or(limits.idle_timeout);
        self.total_timeout = self.total_timeout.or(limits.total_timeout);
        self.grace = self.grace.or(limits.grace);
        self.output_limit = self.output_limit.or(limits.output_limit);
        self.on_output_limit = self.on_output_limit.or(on_output_limit(limits));
        self.max_depth = self.max_depth.or(limits.max_depth);
        self.max_children = self.max_children.or(limits.max_children);
    }

    /// Sets an option by its name; `false` when it is none of those that all work has.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "project" => self.project = value.to_owned(),
            "task" => self.task = Some(value.to_owned()),
            "agent" => self.agent = Some(value.to_owned()),
            "command" => self.command.push(value.into()),
            "prompt" => self.prompt = Some(value.to_owned()),
            "prompt_file" => self.prompt_file = Some(value.into()),
            "cwd" => self.cwd = Some(value.into()),
            "parent_run_id" => self.parent_run = Some(value.to_owned()),
            "previous_run_id" => self.previous_run = Some(value.to_owned()),
            "env" => self.env.push(parse_env(value)?),
            "first_byte_timeout" => self.first_byte_timeout = Some(duration(key, value)?),
            "idle_timeout" => self.idle_timeout = Some(duration(key, value)?),
            "total_timeout" => self.total_timeout = Some(duration(key, value)?),
            "grace" => self.grace = Some(duration(key, value)?),
            "output_limit" => {
                let size = parse_size(value).map_err(|error| error.with_field(key))?;
                self.output_limit = Some(size);
            }
            "on_output_limit" => self.on_output_limit = Some(value.parse()?),
            "max_depth" => self.max_depth = Some(number(key, value)?.into()),
            "max_children" => self.max_children = Some(number(key, value)?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The configured answer to an output that is too long, which the configuration has checked.
pub(super) fn on_output_limit(limits: &Limits) -> Option<OnOutputLimit> {
    limits.on_output_limit.as_deref().and_then(|word| word.parse().ok())
}

/// One assignment `NAME=value`.
fn parse_env(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').ok_or_else(|| env_invalid(text))?;
    check_env(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Refuses what no environment can hold.
pub(super) fn check_env(name: &str, value: &str) -> Result<()> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(env_invalid(name));
    }
    Ok(())
}

fn env_invalid(text: &str) -> Error {
    Error::invalid("env.invalid", "env", format!("invalid variable {text:?}"))
        .with_hint("a variable is given as NAME=value, without NUL")
}

pub(super) fn duration(field: &str, text: &str) -> Result<Duration> {
    parse_duration(text).map_err(|error| error.with_field(field))
}

pub(super) fn number(field: &str, text: &str) -> Result<u32> {
    text.parse().map_err(|source: std::num::ParseIntError| {
        Error::invalid("number.invalid", field, format!("invalid {field} {text:?}"))
            .with_hint("a whole number from 0 to 4294967295 is wanted")
            .with_source(source)
    })
}

pub(super) fn amount(field: &str, text: &str) -> Result<f64> {
    let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| {
        Error::invalid("number.invalid", field, format!("invalid {field} {text:?}"))
            .with_hint("an amount like 25 or 2.50 is wanted")
    })
}
