//! From a spec to a plan: every check that can be made before anything is made.

use super::agents::{Choice, choose_agent, search_path};
use super::asked::{Asked, check_env, on_output_limit};
use super::wrap::project_of;
use crate::agent::{AgentCommand, is_own_variable};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ProjectId, TaskId};
use crate::layout::TASK_PROMPT;
use crate::limits;
use crate::supervise::{Engine, External, Family, OnOutputLimit, PlannedAgent, RunPlan};
use crate::sys::{self, KeeperLimits};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The plan of a run, or of the first attempt of a task.
pub(super) fn plan_run(engine: &Engine, work: &Asked, wait: &Wait) -> Result<RunPlan> {
    let project = work.project_id()?;
    let given = work.task_id()?;
    let prompt = match (read_prompt(work)?, &given) {
        (Some(prompt), _) => prompt,
        (None, Some(task)) => stored_prompt(engine, &project, task)?,
        (None, None) => return Err(no_prompt()),
    };
    let prompt = engine.secrets().hide(&prompt).into_owned();
    refuse_secrets(engine, &work.command)?;
    // Everything that can be wrong is looked at before the first folder is made.
    let choice = choose_agent(engine, work, wait)?;
    work.env.iter().try_for_each(|(name, value)| check_env(name, value))?;
    refuse_own_variables(&work.env)?;
    let cwd = work.cwd.as_deref().map(working_folder).transpose()?;
    let (parent_run, previous_run) = (work.parent_run_id()?, work.previous_run_id()?);
    let choice = choice.take_turn(engine, work, wait)?;
    let shared = choice.is_shared(work);
    let task = match given {
        Some(task) => task,
        None => fresh_task_id(engine, &project, &prompt)?,
    };
    let bounds = &engine.settings().config.config().limits;
    let Choice { agent, others, .. } = choice;
    let stops = work.on_output_limit.or(on_output_limit(bounds)) == Some(OnOutputLimit::Stop);
    let output = work.output_limit.or(bounds.output_limit).unwrap_or(limits::OUTPUT);
    Ok(RunPlan {
        agent: agent.command,
        agent_name: agent.name,
        agent_env: agent.env,
        model: agent.model,
        version: agent.version,
        resumes: agent.resumes,
        redacts: agent.redacts,
        session: None,
        others: others.into_iter().map(PlannedAgent::from).collect(),
        shared,
        command: work.command.clone(),
        project,
        task,
        prompt,
        cwd,
        parent_run,
        previous_run,
        series: None,
        env: work.env.clone(),
        limits: KeeperLimits {
            grace: work.grace.or(bounds.grace).unwrap_or(limits::STOP_GRACE),
            first_byte: limit(work.first_byte_timeout.or(bounds.first_byte_timeout)),
            idle: limit(work.idle_timeout.or(bounds.idle_timeout)),
            total: limit(work.total_timeout.or(bounds.total_timeout)),
            output: Some(output).filter(|limit| *limit > 0),
            stop_on_output: stops,
        },
        family: family_of(engine, work),
        account: agent.account,
        attached: false,
        external: None,
    })
}

/// The plan of a run that shares this process's terminal.
pub(super) fn plan_attached(engine: &Engine, work: Asked) -> Result<RunPlan> {
    let project = project_of(&work.project)?;
    let given = work.task_id()?;
    for (name, limit) in
        [("first_byte_timeout", work.first_byte_timeout), ("idle_timeout", work.idle_timeout)]
    {
        if limit.is_some() {
            let what = "a program in a terminal is not listened to";
            return Err(Error::invalid("limit.unused", name, what)
                .with_hint("total_timeout bounds it as a whole"));
        }
    }
    refuse_secrets(engine, &work.command)?;
    let agent = AgentCommand::in_terminal(&work.command, &search_path(engine, &work))?;
    let named = work.agent.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let own = || agent.program.file_name().map(|name| name.to_string_lossy().into_owned());
    let agent_name = named.map(str::to_owned).or_else(own).unwrap_or_default().to_lowercase();
    work.env.iter().try_for_each(|(name, value)| check_env(name, value))?;
    refuse_own_variables(&work.env)?;
    let cwd = match &work.cwd {
        Some(cwd) => working_folder(cwd)?,
        None => std::env::current_dir().map_err(|e| Error::io("find the folder", ".", e))?,
    };
    let prompt = read_prompt(&work)?.unwrap_or_else(|| {
        let (line, cwd) = (agent.line(), cwd.display());
        format!("{agent_name} in a terminal, used by a person.\n\ncommand: {line}\ncwd: {cwd}\n")
    });
    let prompt = engine.secrets().hide(&prompt).into_owned();
    let (parent_run, previous_run) = (work.parent_run_id()?, work.previous_run_id()?);
    let task = match given {
        Some(task) => task,
        None => fresh_task_id(engine, &project, &prompt)?,
    };
    let family = family_of(engine, &work);
    let configured = &engine.settings().config.config().limits;
    let grace = work.grace.or(configured.grace).unwrap_or(limits::STOP_GRACE);
    let total = limit(work.total_timeout);
    Ok(RunPlan {
        command: work.command,
        cwd: Some(cwd),
        parent_run,
        previous_run,
        env: work.env,
        limits: KeeperLimits { grace, total, ..KeeperLimits::default() },
        attached: true,
        ..one_program((project, task), (agent, agent_name), prompt, family)
    })
}

/// The plan of a run that follows a process which is not its own.
pub(super) fn plan_import(
    engine: &Engine,
    work: &Asked,
    (agent, agent_name, redacts): (AgentCommand, String, bool),
    external: External,
) -> Result<RunPlan> {
    let project = work.project_id()?;
    let given = work.task_id()?;
    let prompt = read_prompt(work)?.ok_or_else(no_prompt)?;
    let prompt = engine.secrets().hide(&prompt).into_owned();
    let cwd = work.cwd.as_deref().map(working_folder).transpose()?;
    let (parent_run, previous_run) = (work.parent_run_id()?, work.previous_run_id()?);
    let task = match given {
        Some(task) => task,
        None => fresh_task_id(engine, &project, &prompt)?,
    };
    let bounds = &engine.settings().config.config().limits;
    let output = work.output_limit.or(bounds.output_limit).unwrap_or(limits::OUTPUT);
    let output = Some(output).filter(|limit| *limit > 0);
    let family = family_of(engine, work);
    Ok(RunPlan {
        redacts,
        cwd,
        parent_run,
        previous_run,
        // How long it takes is its starter's affair, and its output cannot be stopped, only cut.
        limits: KeeperLimits { grace: limits::STOP_GRACE, output, ..KeeperLimits::default() },
        external: Some(external),
        ..one_program((project, task), (agent, agent_name), prompt, family)
    })
}

/// A run of one program, without what a configured agent brings.
fn one_program(
    (project, task): (ProjectId, TaskId),
    (agent, agent_name): (AgentCommand, String),
    prompt: String,
    family: Family,
) -> RunPlan {
    RunPlan {
        project,
        task,
        agent,
        agent_name,
        agent_env: Vec::new(),
        model: None,
        version: String::new(),
        resumes: false,
        redacts: false,
        session: None,
        others: Vec::new(),
        shared: false,
        command: Vec::new(),
        prompt,
        cwd: None,
        parent_run: None,
        previous_run: None,
        series: None,
        env: Vec::new(),
        limits: KeeperLimits::default(),
        family,
        account: None,
        attached: false,
        external: None,
    }
}

/// What the agent of this work may start.
fn family_of(engine: &Engine, work: &Asked) -> Family {
    let bounds = &engine.settings().config.config().limits;
    let default = Some(limits::MAX_CHILDREN as u64);
    Family {
        max_depth: work.max_depth.or(bounds.max_depth),
        max_children: work.max_children.or(bounds.max_children).or(default),
    }
}

/// A command is written down, with all its arguments.
fn refuse_secrets(engine: &Engine, command: &[OsString]) -> Result<()> {
    match command.iter().any(|word| engine.secrets().holds(word.as_encoded_bytes())) {
        false => Ok(()),
        true => Err(writes_secret("agent.command_secret", "command", "the command")),
    }
}

/// So is a completion check.
pub(super) fn refuse_secret_check(engine: &Engine, verify: &[String]) -> Result<()> {
    match verify.iter().any(|word| engine.secrets().holds(word.as_bytes())) {
        false => Ok(()),
        true => Err(writes_secret("task.verify_secret", "verify", "the completion check")),
    }
}

fn writes_secret(code: &'static str, field: &'static str, what: &str) -> Error {
    Error::invalid(code, field, format!("{what} holds a token that the configuration knows"))
        .with_hint(format!("{what} is written down: let it read the token from a variable"))
}

/// The variables that tell an agent where it is are conductor's own to set.
fn refuse_own_variables(env: &[(String, String)]) -> Result<()> {
    match env.iter().find(|(name, _)| is_own_variable(OsStr::new(name))) {
        None => Ok(()),
        Some((name, _)) => Err(Error::invalid(
            "env.reserved",
            "env",
            format!("the variable {name} cannot be given"),
        )
        .with_hint("JRUN_ variables and CONDUCTOR_ROOT say where a run is; each run has its own")),
    }
}

/// The folder that the agent starts in, absolute; it must exist.
fn working_folder(cwd: &Path) -> Result<PathBuf> {
    let cwd = std::path::absolute(cwd)
        .map_err(|e| Error::io("find the folder", cwd, e).with_field("cwd"))?;
    match sys::program_metadata(&cwd) {
        Some(meta) if meta.is_dir() => Ok(cwd),
        _ => Err(Error::invalid(
            "cwd.not_a_folder",
            "cwd",
            format!("the working folder {} does not exist", cwd.display()),
        )
        .with_path(cwd)
        .with_hint("name an existing folder")),
    }
}

/// A limit; zero is none.
fn limit(limit: Option<Duration>) -> Option<Duration> {
    limit.filter(|limit| !limit.is_zero())
}

fn no_prompt() -> Error {
    Error::invalid("prompt.missing", "prompt", "there is no prompt")
        .with_hint("say what to do with --prompt or --prompt-file")
}

/// The prompt that the spec names; a file wins over text.
fn read_prompt(work: &Asked) -> Result<Option<String>> {
    let (text, field, path) = match (&work.prompt_file, &work.prompt) {
        (Some(path), _) => {
            let bytes = sys::read_user_file(path, limits::PROMPT_SIZE)
                .map_err(|e| Error::io("read the prompt", path, e).with_field("prompt_file"))?;
            let text = String::from_utf8(bytes).map_err(|source| {
                Error::invalid(
                    "prompt.not_utf8",
                    "prompt_file",
                    format!("the prompt {} is not UTF-8", path.display()),
                )
                .with_path(path)
                .with_source(source)
            })?;
            (text, "prompt_file", Some(path))
        }
        (None, Some(text)) => (text.clone(), "prompt", None),
        (None, None) => return Ok(None),
    };
    let refuse = |code, what: &str| {
        let error = Error::invalid(code, field, format!("the prompt {what}"));
        Err(match path {
            Some(path) => error.with_path(path),
            None => error,
        })
    };
    if text.len() as u64 > limits::PROMPT_SIZE {
        return refuse("prompt.too_large", "is larger than 64 MiB");
    }
    if text.contains('\0') {
        return refuse("prompt.nul", "holds a NUL byte");
    }
    if text.trim().is_empty() {
        return refuse("prompt.empty", "is empty");
    }
    Ok(Some(text))
}

/// The prompt that an existing task keeps.
fn stored_prompt(engine: &Engine, project: &crate::ProjectId, task: &TaskId) -> Result<String> {
    let folder = match engine.layout().task(project, task) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(no_prompt()),
        folder => folder?,
    };
    crate::task::stored_prompt(&folder)?
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| no_prompt().with_path(folder.join(TASK_PROMPT)))
}

/// An id that no task of the project has, made by an exclusive `mkdir`.
fn fresh_task_id(engine: &Engine, project: &crate::ProjectId, prompt: &str) -> Result<TaskId> {
    let folder = engine.layout().ensure_project(project)?;
    let base = TaskId::generate(&engine.now().compact(), prompt);
    let mut number = 2;
    let mut id = base.clone();
    loop {
        match folder.make_folder(id.as_str()) {
            Ok(_) => {
                folder.sync()?;
                return Ok(id);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                id = base.numbered(number);
                number += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
