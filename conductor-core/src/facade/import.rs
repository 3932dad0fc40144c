//! Runs that follow a process which another program started.

use super::asked::Asked;
use super::conductor::Conductor;
use super::imported::Imported;
use super::jobs::Jobs;
use super::plan::plan_import;
use super::runs::Run;
use super::spec::JobSpec;
use crate::agent::{AgentCommand, AgentKind, PromptForm};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::supervise::{Engine, External};
use crate::sys::{ProcessId, Processes, open_user_file};
use std::path::{Path, PathBuf};

/// A process that another program started and that a run shall follow; for [`Jobs::import`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportSpec {
    /// Its number, in the pid namespace of this process.
    pub pid: u32,
    /// Its process group, where the run shall last until nothing of that lives. A process that leads its
    /// group is followed with it anyway.
    pub pgid: Option<u32>,
    /// Its command, for people.
    pub commandline: Option<String>,
    /// The file that its standard output goes to; absolute.
    pub stdout_path: Option<PathBuf>,
    /// The file that its standard error goes to; absolute.
    pub stderr_path: Option<PathBuf>,
}

impl ImportSpec {
    /// The process with this number.
    pub fn new(pid: u32) -> ImportSpec {
        ImportSpec { pid, ..ImportSpec::default() }
    }
}

impl Jobs<'_> {
    /// Records a process that runs already, and that another program started, as a run of its own: copies
    /// what it wrote and writes to its log files into the run's, and writes down when it has ended.
    ///
    /// The process is looked at and never signalled: such a run cannot be stopped, and stopping its task
    /// leaves it. Its exit code is never known. It takes no slot, no limit of time holds for it, and it
    /// lives on without this process, as every run. Of `spec` the project, the task, the agent (what the
    /// record calls it, and how its output is read), the prompt, the folder, the parent, the run before it
    /// and the output limit count.
    ///
    /// # Errors
    /// `import.pid`, `import.no_output`, `import.path`, `import.group`, `import.not_alive`,
    /// `import.unused` for anything else in the spec, and as [`start`](Jobs::start).
    pub fn import(&self, spec: JobSpec, process: ImportSpec, wait: impl Into<Wait>) -> Result<Run> {
        let Conductor { engine, .. } = self.0;
        let wait = wait.into();
        let followed = identified(&process)?;
        refuse_unused(&spec.work)?;
        let (agent, name, redacts) = follower(engine, &spec.work, &followed)?;
        let external = External { line: line(&process), about: about(&process, &followed) };
        let plan = plan_import(engine, &spec.work, (agent, name, redacts), external)?;
        let started = engine.start_job(&plan, &wait)?;
        Run::of_started(engine.clone(), plan.project, plan.task, started)
    }
}

/// The process, known by more than its number.
fn identified(spec: &ImportSpec) -> Result<Imported> {
    if spec.pid == 0 || i32::try_from(spec.pid).is_err() {
        let what = format!("{} is the number of no process", spec.pid);
        return Err(Error::invalid("import.pid", "pid", what));
    }
    if spec.stdout_path.is_none() && spec.stderr_path.is_none() {
        let what = "there is no file that the process writes to";
        return Err(Error::invalid("import.no_output", "stdout_path", what)
            .with_hint("name its standard output, its standard error, or both"));
    }
    for (field, path) in [("stdout_path", &spec.stdout_path), ("stderr_path", &spec.stderr_path)] {
        path.as_deref().map_or(Ok(()), |path| check_source(field, path))?;
    }
    let failed = |e| Error::io("look at the process", Path::new("/proc"), e).with_field("pid");
    let gone = || {
        let group = spec.pgid.unwrap_or(spec.pid);
        let what = format!("imported process is not alive (pid={} pgid={group})", spec.pid);
        Error::new(ErrorKind::Conflict, "import.not_alive", what).with_field("pid")
    };
    let process = Processes.identify(spec.pid).map_err(failed)?.ok_or_else(gone)?;
    let group = Processes.group_of(spec.pid).map_err(failed)?.ok_or_else(gone)?;
    if let Some(wanted) = spec.pgid.filter(|wanted| *wanted != group) {
        let what = format!("the process {} is of the group {group}, not {wanted}", spec.pid);
        return Err(Error::invalid("import.group", "pgid", what));
    }
    // The group of one that does not lead it may be that of the shell which started it.
    let group = spec.pgid.or(Some(group).filter(|group| *group == spec.pid));
    let ProcessId { pid, start } = process;
    let (stdout, stderr) = (spec.stdout_path.clone(), spec.stderr_path.clone());
    Ok(Imported { pid, start, group, stdout, stderr })
}

/// A file that is not there yet may come.
fn check_source(field: &'static str, path: &Path) -> Result<()> {
    let refuse = |what: &str| {
        Error::invalid("import.path", field, format!("{} {what}", path.display())).with_path(path)
    };
    if !path.is_absolute() {
        return Err(refuse("is not an absolute path"));
    }
    match open_user_file(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refuse("cannot be read as a file").with_source(error)),
    }
}

fn refuse_unused(work: &Asked) -> Result<()> {
    let unused = [
        ("command", !work.command.is_empty()),
        ("env", !work.env.is_empty()),
        ("first_byte_timeout", work.first_byte_timeout.is_some()),
        ("idle_timeout", work.idle_timeout.is_some()),
        ("total_timeout", work.total_timeout.is_some()),
        ("grace", work.grace.is_some()),
        ("on_output_limit", work.on_output_limit.is_some()),
        ("max_depth", work.max_depth.is_some()),
        ("max_children", work.max_children.is_some()),
    ];
    match unused.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((field, _)) => {
            let what = format!("{field} means nothing to a process that runs already");
            Err(Error::invalid("import.unused", field, what).with_hint("leave it away"))
        }
    }
}

/// What follows the process in place of an agent, the agent's name, and whether its output is masked.
fn follower(
    engine: &Engine,
    work: &Asked,
    followed: &Imported,
) -> Result<(AgentCommand, String, bool)> {
    let named = work.agent.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let Some(name) = named else {
        return Err(Error::invalid("agent.missing", "agent", "no agent is named")
            .with_hint("say what the process is, as claude or codex; any word will do"));
    };
    let configured = engine.settings().config.config().find_agent(name);
    let kind_name = configured.and_then(|(known, agent)| agent.type_of(known));
    let kind = AgentKind::parse(kind_name.as_deref().unwrap_or(name));
    let kind = kind.ok().filter(|kind| !kind.is_rest()).unwrap_or(AgentKind::Command);
    let redacts = configured.is_some_and(|(_, agent)| agent.redact == Some(true));
    let program = engine.run_agent().ok_or_else(|| {
        let what = "to follow a process the program run-agent is needed, and there is none";
        Error::new(ErrorKind::SpawnFailed, "agent.no_run_agent", what).with_field("agent")
    })?;
    let command = AgentCommand::of_program(kind, followed.command(), program);
    let command = AgentCommand { prompt: PromptForm::Plain, ..command };
    Ok((command, name.to_lowercase(), redacts))
}

fn line(spec: &ImportSpec) -> String {
    let given = spec.commandline.as_deref().map(str::trim).filter(|line| !line.is_empty());
    given.map_or_else(|| format!("process {}", spec.pid), str::to_owned)
}

/// What stands before the prompt in the run's `prompt.md`.
fn about(spec: &ImportSpec, followed: &Imported) -> String {
    let path = |path: &Option<PathBuf>| match path {
        Some(path) => path.display().to_string(),
        None => "none".to_owned(),
    };
    let group = followed.group.map_or_else(|| "not followed".to_owned(), |group| group.to_string());
    format!(
        "This run follows a process that another program started.\n\n\
         pid: {}\npgid: {group}\ncommandline: {}\nstdout_path: {}\nstderr_path: {}\n\
         ownership: external\n",
        spec.pid,
        line(spec),
        path(&spec.stdout_path),
        path(&spec.stderr_path),
    )
}
