//! The start of one run, step by step, so that a crash between any two leaves a truth that can be read.
//!
//! A hidden folder with the lock, the prompt and the record `starting`; the entry among the open runs;
//! the folder's own name; keeper with the agent held before its program; `RUN_START`; record `running`
//! with the agent's identity, durable; release. So no run is seen without its record, and a record
//! `starting` without a process means that nothing ever ran.

use super::admission::{Admission, Admitted, Demand, Gate, not_admitted, not_started_before};
use super::bounds::Family;
use super::engine::Engine;
use super::family::Place;
use super::handle::RunWatch;
use super::kept::{Kept, not_started};
use super::masked::masked_command;
use super::note::Note;
use super::open_entry::OpenEntry;
use super::planned::PlannedAgent;
use super::stop::stop_wished;
use crate::agent::stream::StreamKind;
use crate::agent::{AgentCommand, AgentKind, PromptForm, RunContext, preamble, run_environment};
use crate::bus::{Post, Posted};
use crate::cancel::Wait;
use crate::config::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FILE_MODE, FileLock, Folder, found};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{
    KEEPER, OUTPUT, PROMPT, RESERVE, RUN_LOCK, RUNS, STDERR, STDOUT, TASK_BUS, TASK_PROMPT,
};
use crate::limits;
use crate::run::receipts;
use crate::run::store::{self, Keep};
use crate::run::{Phase, RunRecord, Status};
use crate::sys::{KeeperControl, KeeperLimits, LockKind, Open, ProcessId, Processes};
use crate::time::Timestamp;
use crate::wait::{both, failed};
use std::ffi::OsString;
use std::os::fd::AsFd as _;
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
    /// The model that it is asked to use, where the configuration names one.
    pub(crate) model: Option<String>,
    /// The version of its program, where that is known.
    pub(crate) version: String,
    /// Whether the next attempt goes on with the agent's session.
    pub(crate) resumes: bool,
    /// Whether known tokens are masked in what the agent prints.
    pub(crate) redacts: bool,
    /// The session that the agent goes on with.
    pub(crate) session: Option<String>,
    /// The agents that stand in for this one when it failed, in their order.
    pub(crate) others: Vec<PlannedAgent>,
    /// Whether the work was shared out, and not given to this very agent.
    pub(crate) shared: bool,
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
    /// What its agent may start.
    pub(crate) family: Family,
    /// The account whose usage limit holds for it; `None` for an agent that tells of none.
    pub(crate) account: Option<String>,
}

/// A run that was started.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) run: RunId,
    /// Its keeper's process, unless it was stopped before there was one.
    pub(crate) keeper: Option<ProcessId>,
}

impl Engine {
    /// Starts a run that is no attempt of a loop. Returns when its agent runs and its record is on disk,
    /// or when somebody stopped it meanwhile. Where it may not start yet, it waits: as a run of its own,
    /// in the phase `queued`, which says what for.
    ///
    /// # Errors
    /// What stood in the way. If it came after the run's folder was made, the run is finished as
    /// `refused` and the error names it.
    pub(crate) fn start_job(&self, plan: &RunPlan, wait: &Wait) -> Result<Started> {
        let (task, task_lock) =
            self.lock_task(&plan.project, &plan.task, true, LockKind::Shared, wait)?;
        self.close_what_is_over(&plan.project, &plan.task, wait);
        if task.stat(TASK_PROMPT)?.is_none() {
            task.create_once(TASK_PROMPT, format!("{}\n", plan.prompt.trim()).as_bytes())?;
        }
        let mut admission = Admission::of_run(self.clone(), self.demand(plan)?)?;
        let admitted = admission.step(wait)?;
        let queued = match &admitted {
            Admitted::Go(_) => None,
            // A run that waits has a folder, and there is no room for one.
            Admitted::Wait(gate @ Gate::Space(_)) => return Err(not_started_before(gate)),
            Admitted::Wait(gate) => Some(gate.clone()),
        };
        let (prepared, lock) = Prepared::make(self, plan, task, queued.as_ref(), wait)?;
        drop(task_lock);
        let launched = match admitted {
            Admitted::Go(slot) => Ok(slot),
            Admitted::Wait(gate) => prepared.wait_in_line(self, admission, gate, wait),
        };
        let launched = launched.and_then(|slot| prepared.launch(self, lock, slot, wait));
        prepared.started(self, launched)
    }

    /// Starts an attempt of the loop that works in `task`, which was admitted with this slot.
    ///
    /// # Errors
    /// As [`start_job`](Engine::start_job); `task.deleted` where another folder has the task's name.
    pub(crate) fn start_attempt(
        &self,
        plan: &RunPlan,
        task: &Folder,
        slot: Option<FileLock>,
        wait: &Wait,
    ) -> Result<Started> {
        let locked = self.lock_task(&plan.project, &plan.task, false, LockKind::Shared, wait);
        let (named, task_lock) = match locked {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(deleted(task)),
            locked => locked?,
        };
        // An attempt does not work in a task that took the name of a deleted one.
        let stat = |folder: &Folder| {
            folder.os().stat(folder.fd()).map_err(|e| folder.error("look at", "", e))
        };
        if !stat(task)?.same_file(&stat(&named)?) {
            return Err(deleted(task));
        }
        let (prepared, lock) = Prepared::make(self, plan, named, None, wait)?;
        drop(task_lock);
        let launched = prepared.launch(self, lock, slot, wait);
        prepared.started(self, launched)
    }

    /// What a run wants that may be short.
    pub(crate) fn demand(&self, plan: &RunPlan) -> Result<Demand> {
        let place = self.place(plan.parent_run.as_ref(), plan.family)?;
        Ok(Demand {
            account: plan.account.clone(),
            slot: place.is_root,
            who: format!("{}/{}", plan.project, plan.task),
        })
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

/// The size of the file whose space is set aside for a run's end, in bytes.
const RESERVED: u64 = 64 << 10;

/// Writes down what a run waits for that may not start yet.
fn note_gate(record: &mut RunRecord, gate: &Gate) {
    record.phase = Some(Phase::Queued);
    record.waiting_for = Some(gate.words());
    record.waiting_until = gate.until();
}

fn stopped_in_line() -> Error {
    let what = "the run was stopped while it waited to start";
    Error::new(ErrorKind::Conflict, "run.stopped", what)
}

fn deleted(folder: &Folder) -> Error {
    let what = format!("{} was deleted while its loop went on", folder.path().display());
    Error::new(ErrorKind::NotFound, "task.deleted", what)
        .with_path(folder.path())
        .with_field("task")
        .with_hint("start the task anew")
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

struct Prepared<'a> {
    plan: &'a RunPlan,
    task: Folder,
    run: RunId,
    folder: Folder,
    cwd: PathBuf,
}

impl<'a> Prepared<'a> {
    /// Makes the folder of a new run with everything in it that needs no process, locked; its name,
    /// which a rename onto nothing makes unique, is the run's id.
    fn make(
        engine: &Engine,
        plan: &'a RunPlan,
        task: Folder,
        queued: Option<&Gate>,
        wait: &Wait,
    ) -> Result<(Prepared<'a>, FileLock)> {
        let runs = task.ensure_folder(RUNS)?;
        let (place, _counted) = engine.take_place(plan.parent_run.as_ref(), plan.family, wait)?;
        let cwd = plan.cwd.clone().unwrap_or_else(|| task.path().to_owned());
        loop {
            let run = next_id(&runs, engine.now())?;
            let folder = match runs.make_folder(hidden(&run)) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                folder => folder?.renamed(runs.join(&run)),
            };
            let (task, cwd) = (task.clone(), cwd.clone());
            let prepared = Prepared { plan, task, run, folder, cwd };
            match prepared.fill(engine, &runs, &place, queued, wait) {
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

    fn fill(
        &self,
        engine: &Engine,
        runs: &Folder,
        place: &Place,
        queued: Option<&Gate>,
        wait: &Wait,
    ) -> Result<FileLock> {
        let lock = self.folder.lock(RUN_LOCK, LockKind::Exclusive, wait)?;
        let prompt = match self.plan.agent.prompt {
            PromptForm::WithPreamble => preamble(&self.context(engine), &self.plan.prompt),
            PromptForm::Raw => format!("{}\n", self.plan.prompt.trim_end()),
            PromptForm::Plain => format!("{}\n", self.plan.prompt.trim()),
        };
        drop(self.folder.create(PROMPT, prompt.as_bytes())?);
        self.set_space_aside()?;
        let mut record = self.record(engine);
        if let Some(gate) = queued {
            note_gate(&mut record, gate);
        }
        store::create(&self.folder, &record)?;
        let ids = (&self.plan.project, &self.plan.task, &self.run);
        OpenEntry::create(engine.layout(), ids, &place.parents, place.family)?;
        let (from, to) = (hidden(&self.run), self.run.as_str());
        runs.os()
            .rename_at(runs.fd(), from.as_ref(), runs.fd(), to.as_ref(), false)
            .map_err(|e| runs.error("make folder", to, e))?;
        Ok(lock)
    }

    /// Space for the end, should the disk be full by then: whoever writes it down removes the file.
    fn set_space_aside(&self) -> Result<()> {
        let file = self.folder.open(RESERVE, Open::CreateNew(FILE_MODE))?;
        let allocated = self.folder.os().allocate(&file, RESERVED);
        allocated.map_err(|e| self.folder.error("set space aside in", RESERVE, e))
    }

    /// Waits until the run may start; its slot. Says what for in the record and on the bus.
    fn wait_in_line(
        &self,
        engine: &Engine,
        mut admission: Admission,
        mut gate: Gate,
        wait: &Wait,
    ) -> Result<Option<FileLock>> {
        let bus = engine.task_bus(&self.plan.project, &self.plan.task)?;
        let tell = |gate: &Gate| {
            let until = gate.until().map(|until| format!(" until {until}")).unwrap_or_default();
            let text = format!("the run waits for {}{until}", gate.words());
            bus.post(Post::new("PROGRESS", text).run(&self.run), wait.clone()).map(drop)
        };
        tell(&gate)?;
        // A stop is a name that appears in the run's folder.
        admission.also_watch(&self.folder)?;
        let poller = both(admission.as_fd(), wait).map_err(failed)?;
        loop {
            if stop_wished(&self.folder)? {
                return Err(stopped_in_line());
            }
            match admission.step(wait)? {
                Admitted::Go(slot) => {
                    store::update(&self.folder, wait, Keep::Loosely, |record| {
                        record.start_time = engine.now();
                        record.phase = Some(Phase::Starting);
                        record.waiting_for = None;
                        record.waiting_until = None;
                        Ok(())
                    })?;
                    return Ok(slot);
                }
                Admitted::Wait(now) => {
                    if (now.words(), now.until()) != (gate.words(), gate.until()) {
                        store::update(&self.folder, wait, Keep::Loosely, |record| {
                            note_gate(record, &now);
                            Ok(())
                        })?;
                        tell(&now)?;
                        gate = now;
                    }
                }
            }
            wait.check().map_err(|over| not_admitted(&gate, over))?;
            poller.wait(wait.remaining()).map_err(failed)?;
        }
    }

    /// What came of the start; one that failed is written down as a run that never began.
    fn started(self, engine: &Engine, launched: Result<ProcessId>) -> Result<Started> {
        match launched {
            Ok(keeper) => Ok(Started { run: self.run, keeper: Some(keeper) }),
            Err(error) => {
                // The run never began; its record says so. The first error is the one to tell.
                let _first_error_is_told = self.refused(engine, &error);
                // Somebody stopped it while it began, which is no failure to start.
                match stop_wished(&self.folder)? {
                    true => Ok(Started { run: self.run, keeper: None }),
                    false => Err(error),
                }
            }
        }
    }

    /// Takes back what [`fill`](Prepared::fill) did before it failed, as far as the disk lets us.
    fn forget(&self, engine: &Engine, runs: &Folder) {
        let _first_error_is_told = runs.remove_tree(hidden(&self.run));
        let (project, task) = (&self.plan.project, &self.plan.task);
        let _first_error_is_told = OpenEntry::remove(engine.layout(), project, task, &self.run);
    }

    /// Starts the keeper and the agent; the keeper's process.
    fn launch(
        &self,
        engine: &Engine,
        lock: FileLock,
        slot: Option<FileLock>,
        wait: &Wait,
    ) -> Result<ProcessId> {
        self.task.folder(RUNS)?.sync()?;
        let mut keeper = self.spawn(engine, &self.context(engine), &lock, slot.as_ref())?;
        // The keeper holds the run's lock from here. Closing our copy does not give it back, whatever
        // happens; unlocking it would.
        let _copy = lock.into_fd();
        let _copy_of_slot = slot.and_then(FileLock::into_fd);
        let born = keeper.born().map_err(not_started)?;
        let process = ProcessId { pid: born.keeper.pid, start: born.keeper.start };
        let posted = self.post_start(engine, wait)?;
        let record = store::update(&self.folder, wait, Keep::Durably, |record| {
            record.pid = i64::from(born.agent.pid);
            record.pgid = i64::from(born.agent.pid);
            record.phase = Some(Phase::Running);
            record.process_start = Some(born.agent.start);
            record.keeper_pid = Some(born.keeper.pid);
            record.keeper_start = Some(born.keeper.start);
            record.boot_id = Processes.boot_id().ok().map(str::to_owned);
            record.pid_ns = Processes.pid_namespace().ok();
            record.start_msg = Some(posted.cursor.to_string());
            Ok(())
        })?;
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

    fn agent_not_started(&self, source: std::io::Error) -> Error {
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
    fn refused(&self, engine: &Engine, error: &Error) -> Result<()> {
        let why = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        // A wait that is over already must not keep the end from being written down.
        let wait = Wait::from(limits::RECORD_LOCK);
        store::update(&self.folder, &wait, Keep::Loosely, |record| {
            record.error_summary = Some(engine.secrets().hide(&why).into_owned());
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
        record.commandline = Some(format!(
            "{} < {}",
            engine.secrets().hide(&self.plan.agent.line()),
            prompt.to_string_lossy()
        ));
        record.prompt_path = text(prompt);
        record.output_path = text(self.folder.join(OUTPUT));
        record.stdout_path = text(self.folder.join(STDOUT));
        record.stderr_path = text(self.folder.join(STDERR));
        record.series = self.plan.series;
        // Until the agent says which one answers, and where it never does.
        record.model = self.plan.model.clone();
        record.agent_version = self.plan.version.clone();
        record.resumed_session = self.plan.session.clone();
        record.agent_name =
            Some(&self.plan.agent_name).filter(|name| **name != record.agent).cloned();
        record.account.clone_from(&self.plan.account);
        let stream = self.plan.agent.stream;
        if stream != self.plan.agent.kind.stream() {
            record.parser = Some(stream.map_or("text", StreamKind::name).to_owned());
        }
        record
    }

    fn spawn(
        &self,
        engine: &Engine,
        context: &RunContext,
        lock: &FileLock,
        slot: Option<&FileLock>,
    ) -> Result<KeeperControl> {
        let configured = self.plan.agent_env.iter();
        let configured = configured.map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        let extra: Vec<_> = configured.chain(self.plan.env.iter().cloned()).collect();
        let env: Vec<(OsString, OsString)> = run_environment(
            engine.inherited_environment(),
            &extra,
            self.plan.agent.kind.own_keys(),
            context,
        )
        .into_iter()
        .collect();
        let masked = match self.plan.redacts {
            true => Some(masked_command(engine, &self.plan.agent, &extra)?),
            false => None,
        };
        let (program, argv, secrets) = match &masked {
            Some(masked) => (&masked.program, &masked.argv, Some(&*masked.secrets)),
            None => (&self.plan.agent.program, &self.plan.agent.argv, None),
        };
        let kept = Kept {
            folder: &self.folder,
            run: self.run.as_str(),
            stdin: Some(PROMPT),
            memory: secrets,
            stdout: STDOUT,
            stderr: STDERR,
            record: KEEPER,
            lock,
            note: &Note::of(&self.record(engine)).to_text(),
            slot,
            cwd: &self.cwd,
            program: program.as_os_str(),
            argv,
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
