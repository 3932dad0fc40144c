//! The start of one run, step by step, so that a crash between any two leaves a truth that can be read.
//!
//! A hidden folder with the lock, the prompt and the record `starting`; the entry among the open runs;
//! the folder's own name; keeper with the agent held before its program; `RUN_START`; record `running`
//! with the agent's identity, durable; release. So no run is seen without its record, and a record
//! `starting` without a process means that nothing ever ran.

use super::engine::Engine;
use super::handle::RunWatch;
use super::kept::{Kept, not_started};
use super::open_entry::OpenEntry;
use super::stop::stop_wished;
use crate::agent::stream::StreamKind;
use crate::agent::{
    AgentCommand, AgentKind, PromptForm, RunContext, attached_environment, preamble,
    run_environment,
};
use crate::bus::{Post, Posted};
use crate::cancel::Wait;
use crate::config::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder, found};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{
    KEEPER, OUTPUT, PROMPT, RUN_LOCK, RUNS, STDERR, STDOUT, TASK_BUS, TASK_PROMPT,
};
use crate::limits;
use crate::run::receipts;
use crate::run::store::{self, Keep};
use crate::run::{Phase, RunRecord, Status};
use crate::sys::{KeeperControl, KeeperLimits, LockKind, ProcessId, Processes};
use crate::time::Timestamp;
use crate::update::{Admission, admit};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A run to be started: everything is checked, nothing is made yet.
#[derive(Clone, Debug)]
pub(crate) struct RunPlan {
    pub(crate) project: ProjectId,
    pub(crate) task: TaskId,
    pub(crate) agent: AgentCommand,
    /// What work calls the agent: a name of the configuration, or of a built-in one.
    pub(crate) agent_name: String,
    /// What the configuration puts into the agent's environment. Never written down.
    pub(crate) agent_env: Vec<(String, Secret)>,
    /// The command that work itself gave; empty where its agent has one.
    pub(crate) command: Vec<OsString>,
    /// What to do, without the preamble.
    pub(crate) prompt: String,
    /// The folder to start in; the task's folder where none is named.
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) parent_run: Option<RunId>,
    pub(crate) previous_run: Option<RunId>,
    /// The series of the task's loop that the run is an attempt of.
    pub(crate) series: Option<u64>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) limits: KeeperLimits,
    /// Whether it shares the terminal of this process, which keeps it.
    pub(crate) attached: bool,
}

/// A run that was started.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) run: RunId,
    /// Its keeper's process, unless it was stopped before there was one.
    pub(crate) keeper: Option<ProcessId>,
}

impl Engine {
    /// Starts a run. Returns when its agent runs and its record is on disk, or when somebody stopped it
    /// meanwhile.
    ///
    /// # Errors
    /// What stood in the way. If it came after the run's folder was made, the run is finished as
    /// `refused` and the error names it.
    pub(crate) fn start_run(&self, plan: &RunPlan, wait: &Wait) -> Result<Started> {
        // A loop has its task's folder: an attempt does not bring a deleted task back.
        let make = plan.series.is_none();
        let (prepared, lock) = self.prepare(plan, make, wait)?;
        match prepared.launch(self, lock, wait) {
            Ok(keeper) => Ok(Started { run: prepared.run, keeper: Some(keeper) }),
            Err(error) => {
                // The run never began; its record says so. The first error is the one to tell.
                let _first_error_is_told = prepared.refused(self, &error);
                // Somebody stopped it while it began, which is no failure to start.
                match stop_wished(&prepared.folder)? {
                    true => Ok(Started { run: prepared.run, keeper: None }),
                    false => Err(error),
                }
            }
        }
    }

    /// Lets new work pass the gate that an update of the server closes; `None` for the work of a run
    /// that lives, which passes always.
    ///
    /// # Errors
    /// `update.in_progress`.
    pub(crate) fn admit(&self, parent: Option<&RunId>, wait: &Wait) -> Result<Option<Admission>> {
        if let Some(parent) = parent
            && !self.living_runs(|entry| entry.run == *parent)?.is_empty()
        {
            return Ok(None);
        }
        admit(self.layout(), wait).map(Some)
    }

    /// Makes the folder of a new run, and that of its task where `make` says so.
    pub(super) fn prepare<'a>(
        &self,
        plan: &'a RunPlan,
        make: bool,
        wait: &Wait,
    ) -> Result<(Prepared<'a>, FileLock)> {
        // A loop was let in when it began. Held until the run stands among the open ones, where an
        // update counts it.
        let _admission = match plan.series {
            Some(_) => None,
            None => self.admit(plan.parent_run.as_ref(), wait)?,
        };
        let (task, _task_lock) =
            self.lock_task(&plan.project, &plan.task, make, LockKind::Shared, wait)?;
        if task.stat(TASK_PROMPT)?.is_none() {
            task.create_once(TASK_PROMPT, format!("{}\n", plan.prompt.trim()).as_bytes())?;
        }
        Prepared::make(self, plan, task, wait)
    }

    /// Removes the entry of a run, and what else is left of it, whose starter died before the run's
    /// folder had its name, or whose folder somebody deleted; whether it was so.
    pub(crate) fn forget_if_gone(&self, entry: &OpenEntry) -> Result<bool> {
        let OpenEntry { project, task, run, .. } = entry;
        let exists = || found(self.layout().run(project, task, run)).map(|run| run.is_some());
        if exists()? {
            return Ok(false);
        }
        if let Some(task) = found(self.layout().task(project, task))?
            && let Some(runs) = task.folder_if_exists(RUNS)?
            && let Some(folder) = runs.folder_if_exists(hidden(run))?
        {
            let Some(_lock) = folder.try_lock(RUN_LOCK, LockKind::Exclusive)? else {
                return Ok(false);
            };
            runs.remove_tree(hidden(run))?;
        }
        // Its starter may have given it its name between the two looks.
        if exists()? {
            return Ok(false);
        }
        OpenEntry::remove(self.layout(), project, task, run)?;
        Ok(true)
    }
}

/// An id that no other run of this process has.
fn next_id(runs: &Folder, now: Timestamp) -> Result<RunId> {
    static SEQUENCE: AtomicU32 = AtomicU32::new(1);
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let (fraction, pid) = (now.subsec_nanos() / 100_000, runs.os().process_id());
    RunId::new(format!("{}{fraction:04}-{pid}-{sequence}", now.compact()))
}

/// The name of a run's folder while it is being filled; no listing shows it.
fn hidden(run: &RunId) -> String {
    format!(".{run}")
}

/// A run whose folder is made, and of which nothing lives yet.
pub(super) struct Prepared<'a> {
    pub(super) plan: &'a RunPlan,
    pub(super) task: Folder,
    pub(super) run: RunId,
    pub(super) folder: Folder,
    pub(super) cwd: PathBuf,
}

impl<'a> Prepared<'a> {
    /// Makes the folder of a new run with everything in it that needs no process, locked; its name,
    /// which a rename onto nothing makes unique, is the run's id.
    fn make(
        engine: &Engine,
        plan: &'a RunPlan,
        task: Folder,
        wait: &Wait,
    ) -> Result<(Prepared<'a>, FileLock)> {
        let runs = task.ensure_folder(RUNS)?;
        let cwd = plan.cwd.clone().unwrap_or_else(|| task.path().to_owned());
        loop {
            let run = next_id(&runs, engine.now())?;
            let folder = match runs.make_folder(hidden(&run)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                folder => folder?.renamed(runs.join(&run)),
            };
            let (task, cwd) = (task.clone(), cwd.clone());
            let prepared = Prepared { plan, task, run, folder, cwd };
            match prepared.fill(engine, &runs, wait) {
                Ok(lock) => return Ok((prepared, lock)),
                Err(error) => {
                    prepared.forget(engine, &runs);
                    if error.kind() != ErrorKind::AlreadyExists {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn fill(&self, engine: &Engine, runs: &Folder, wait: &Wait) -> Result<FileLock> {
        let lock = self.folder.lock(RUN_LOCK, LockKind::Exclusive, wait)?;
        let prompt = match self.plan.agent.prompt {
            PromptForm::WithPreamble => preamble(&self.context(engine), &self.plan.prompt),
            PromptForm::Raw => format!("{}\n", self.plan.prompt.trim_end()),
        };
        drop(self.folder.create(PROMPT, prompt.as_bytes())?);
        store::create(&self.folder, &self.record(engine))?;
        OpenEntry::create(engine.layout(), &self.plan.project, &self.plan.task, &self.run)?;
        let (from, to) = (hidden(&self.run), self.run.as_str());
        runs.os()
            .rename_at(runs.fd(), from.as_ref(), runs.fd(), to.as_ref(), false)
            .map_err(|e| runs.error("make folder", to, e))?;
        Ok(lock)
    }

    /// Takes back what [`fill`](Prepared::fill) did before it failed, as far as the disk lets us.
    fn forget(&self, engine: &Engine, runs: &Folder) {
        let _first_error_is_told = runs.remove_tree(hidden(&self.run));
        let (project, task) = (&self.plan.project, &self.plan.task);
        let _first_error_is_told = OpenEntry::remove(engine.layout(), project, task, &self.run);
    }

    /// Starts the keeper and the agent; the keeper's process.
    fn launch(&self, engine: &Engine, lock: FileLock, wait: &Wait) -> Result<ProcessId> {
        self.task.folder(RUNS)?.sync()?;
        let mut keeper = self.spawn(engine, &lock)?;
        // The keeper holds the run's lock from here. Closing our copy does not give it back, whatever
        // happens; unlocking it would.
        let _copy = lock.into_fd();
        let born = keeper.born().map_err(not_started)?;
        let process = ProcessId { pid: born.keeper.pid, start: born.keeper.start };
        let agent = ProcessId { pid: born.agent.pid, start: born.agent.start };
        let record = self.tell_start(engine, agent, process, wait)?;
        if record.series.is_some() {
            receipts::begin(&self.task, &record, wait)?;
        }
        // Who wished it to end before there was a keeper signalled nobody.
        if stop_wished(&self.folder)? {
            return Ok(process);
        }
        keeper.send_release().map_err(not_started)?;
        match keeper.answer() {
            Ok(Err(source)) => Err(self.agent_not_started(source)),
            // Without an answer the agent is released all the same: how its start went will stand in
            // the keeper's record.
            Ok(Ok(())) | Err(_) => Ok(process),
        }
    }

    /// Tells the task's bus that the run starts, and the record who acts in it.
    pub(super) fn tell_start(
        &self,
        engine: &Engine,
        agent: ProcessId,
        keeper: ProcessId,
        wait: &Wait,
    ) -> Result<RunRecord> {
        let posted = self.post_start(engine, wait)?;
        store::update(&self.folder, wait, Keep::Durably, |record| {
            record.pid = i64::from(agent.pid);
            record.pgid = i64::from(agent.pid);
            record.phase = Some(Phase::Running);
            record.process_start = Some(agent.start);
            record.keeper_pid = Some(keeper.pid);
            record.keeper_start = Some(keeper.start);
            record.boot_id = Processes.boot_id().ok().map(str::to_owned);
            record.pid_ns = Processes.pid_namespace().ok();
            record.start_msg = Some(posted.cursor.to_string());
            Ok(())
        })
    }

    pub(super) fn agent_not_started(&self, source: std::io::Error) -> Error {
        let program = &self.plan.agent.program;
        Error::new(
            ErrorKind::SpawnFailed,
            "agent.not_started",
            format!("{} could not be started", program.display()),
        )
        .with_path(program)
        .with_field("agent")
        .with_source(source)
    }

    /// Writes down that the run never began, and why.
    pub(super) fn refused(&self, engine: &Engine, error: &Error) -> Result<()> {
        let why = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        // A wait that is over already must not keep the end from being written down.
        let wait = Wait::from(limits::RECORD_LOCK);
        store::update(&self.folder, &wait, Keep::Loosely, |record| {
            record.error_summary = Some(why);
            Ok(())
        })?;
        let (project, task) = (self.plan.project.clone(), self.plan.task.clone());
        // Its keeper takes a moment to end with us gone.
        RunWatch::new(engine.clone(), project, task, self.run.clone())?.wait(&wait).map(drop)
    }

    fn context(&self, engine: &Engine) -> RunContext {
        RunContext {
            project: self.plan.project.clone(),
            task: self.plan.task.clone(),
            run: self.run.clone(),
            parent_run: self.plan.parent_run.clone(),
            is_attempt: self.plan.series.is_some(),
            agent: self.plan.agent_name.clone(),
            root: engine.layout().path().to_owned(),
            task_folder: self.task.path().to_owned(),
            run_folder: self.folder.path().to_owned(),
            bus: self.task.join(TASK_BUS),
            run_agent: engine.run_agent(),
        }
    }

    fn record(&self, engine: &Engine) -> RunRecord {
        let text = |path: PathBuf| Some(path.to_string_lossy().into_owned());
        let prompt = self.folder.join(PROMPT);
        let mut record = RunRecord::new(&self.plan.project, &self.plan.task, &self.run);
        record.parent_run_id = self.plan.parent_run.as_ref().map(ToString::to_string);
        record.previous_run_id = self.plan.previous_run.as_ref().map(ToString::to_string);
        // As the older program has it, the kind; a command is told apart by its name only.
        record.agent = match self.plan.agent.kind {
            AgentKind::Command => self.plan.agent_name.clone(),
            kind => kind.name().to_owned(),
        };
        record.start_time = engine.now();
        record.status = Status::Running;
        record.exit_code = -1;
        record.phase = Some(Phase::Starting);
        record.cwd = text(self.cwd.clone());
        let line = self.plan.agent.line();
        record.commandline = Some(match self.plan.attached {
            true => line,
            false => format!("{line} < {}", prompt.to_string_lossy()),
        });
        record.prompt_path = text(prompt);
        record.output_path = text(self.folder.join(OUTPUT));
        record.stdout_path = text(self.folder.join(STDOUT));
        record.stderr_path = text(self.folder.join(STDERR));
        record.series = self.plan.series;
        record.attached = self.plan.attached;
        let stream = self.plan.agent.stream;
        if self.plan.attached {
            // Its name may be that of an agent with a stream.
            record.parser = Some("text".to_owned());
        } else if stream != self.plan.agent.kind.stream() {
            record.parser = Some(stream.map_or("text", StreamKind::name).to_owned());
        }
        record
    }

    /// The whole environment of the agent.
    pub(super) fn environment(&self, engine: &Engine) -> Vec<(OsString, OsString)> {
        let configured = self.plan.agent_env.iter();
        let configured = configured.map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        let extra: Vec<_> = configured.chain(self.plan.env.iter().cloned()).collect();
        let inherited = engine.inherited_environment();
        let context = self.context(engine);
        let env = match self.plan.attached {
            true => attached_environment(inherited, &extra, &context),
            false => run_environment(inherited, &extra, self.plan.agent.kind.own_keys(), &context),
        };
        env.into_iter().collect()
    }

    fn spawn(&self, engine: &Engine, lock: &FileLock) -> Result<KeeperControl> {
        let env = self.environment(engine);
        let kept = Kept {
            folder: &self.folder,
            run: self.run.as_str(),
            stdin: Some(PROMPT),
            stdout: STDOUT,
            stderr: STDERR,
            record: KEEPER,
            lock,
            cwd: &self.cwd,
            program: self.plan.agent.program.as_os_str(),
            argv: &self.plan.agent.argv,
            env: &env,
            limits: self.plan.limits,
        };
        kept.start(engine)
    }

    fn post_start(&self, engine: &Engine, wait: &Wait) -> Result<Posted> {
        let bus = engine.task_bus(&self.plan.project, &self.plan.task)?;
        bus.post(start_message(&self.folder, &self.run), wait.clone())
    }
}

/// What tells of the start of a run. Its key keeps it from being told twice.
pub(super) fn start_message(folder: &Folder, run: &RunId) -> Post {
    let path = |name: &str| folder.join(name);
    let body = format!(
        "run started\nrun_dir: {}\nprompt: {}\nstdout: {}\nstderr: {}\noutput: {}",
        folder.path().display(),
        path(PROMPT).display(),
        path(STDOUT).display(),
        path(STDERR).display(),
        path(OUTPUT).display(),
    );
    Post::new("RUN_START", body).run(run).once(start_key(run))
}

/// The key of the message about a run's start.
pub(super) fn start_key(run: &RunId) -> String {
    format!("{run}:start")
}
