//! A run that is being started, step by step, so that a crash between any two leaves a truth that can be
//! read.
//!
//! A hidden folder with the lock, the prompt and the record `starting`; the entry among the open runs;
//! the folder's own name; keeper with the agent held before its program; `RUN_START`; record `running`
//! with the agent's identity, durable; release. So no run is seen without its record, and a record
//! `starting` without a process means that nothing ever ran.

use super::admission::{Admission, Admitted, Gate, not_admitted};
use super::engine::Engine;
use super::family::Place;
use super::handle::RunWatch;
use super::kept::{Kept, not_started};
use super::masked::masked_agent;
use super::note::Note;
use super::open_entry::OpenEntry;
use super::slots::Slots;
use super::start::{RunPlan, Started};
use super::stop::stop_wished;
use crate::agent::stream::StreamKind;
use crate::agent::{
    AgentKind, PromptForm, RunContext, attached_environment, preamble, run_environment,
};
use crate::bus::{Post, Posted};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FILE_MODE, FileLock, Folder};
use crate::id::RunId;
use crate::layout::{KEEPER, OUTPUT, PROMPT, RESERVE, RUN_LOCK, RUNS, STDERR, STDOUT, TASK_BUS};
use crate::limits;
use crate::outbox::EventKind;
use crate::run::receipts;
use crate::run::store::{self, Keep};
use crate::run::{Phase, RunRecord, Status};
use crate::sys::{KeeperControl, LockKind, Open, ProcessId, Processes};
use crate::time::Timestamp;
use crate::wait::{both, failed};
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// An id that no other run of this process has.
fn next_id(runs: &Folder, now: Timestamp) -> Result<RunId> {
    static SEQUENCE: AtomicU32 = AtomicU32::new(1);
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    let (fraction, pid) = (now.subsec_nanos() / 100_000, runs.os().process_id());
    RunId::new(format!("{}{fraction:04}-{pid}-{sequence}", now.compact()))
}

/// The name of a run's folder while it is being filled; no listing shows it.
pub(super) fn hidden(run: &RunId) -> String {
    format!(".{run}")
}

/// A run whose folder is made, or about to be.
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
    pub(super) fn make(
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
            let mut entry = None;
            match prepared.fill(engine, &runs, &place, queued, &mut entry, wait) {
                Ok(lock) => return Ok((prepared, lock)),
                Err(error) => {
                    prepared.forget(engine, &runs, entry.as_ref());
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
        entry: &mut Option<OpenEntry>,
        wait: &Wait,
    ) -> Result<FileLock> {
        let lock = self.folder.lock(RUN_LOCK, LockKind::Exclusive, wait)?;
        let prompt = match self.plan.agent.prompt {
            PromptForm::WithPreamble => preamble(&self.context(engine), &self.plan.prompt),
            PromptForm::Raw => format!("{}\n", self.plan.prompt.trim_end()),
            PromptForm::Plain => format!("{}\n", self.plan.prompt.trim()),
        };
        let prompt = match &self.plan.external {
            Some(external) => format!("{}\n{prompt}", external.about),
            None => prompt,
        };
        drop(self.folder.create(PROMPT, prompt.as_bytes())?);
        self.set_space_aside()?;
        let mut record = self.record(engine);
        if let Some(gate) = queued {
            note_gate(&mut record, gate);
        }
        store::create(&self.folder, &record)?;
        let ids = (&self.plan.project, &self.plan.task, &self.run);
        *entry = Some(OpenEntry::create(engine.layout(), ids, &place.parents, place.family)?);
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
    pub(super) fn wait_in_line(
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
    pub(super) fn started(self, engine: &Engine, launched: Result<ProcessId>) -> Result<Started> {
        match launched {
            Ok(keeper) => {
                tracing::info!(
                    name: "run_started", project_id = %self.plan.project, task_id = %self.plan.task,
                    run_id = %self.run, agent = self.plan.agent_name, keeper_pid = keeper.pid,
                );
                Ok(Started { run: self.run, keeper: Some(keeper) })
            }
            Err(error) => {
                tracing::info!(
                    name: "run_not_started", project_id = %self.plan.project,
                    task_id = %self.plan.task, run_id = %self.run, agent = self.plan.agent_name,
                    code = error.code(), %error,
                );
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
    fn forget(&self, engine: &Engine, runs: &Folder, entry: Option<&OpenEntry>) {
        let _first_error_is_told = runs.remove_tree(hidden(&self.run));
        if let Some(entry) = entry {
            // That very file: the id may be that of a run of another process, which lives.
            let _first_error_is_told = entry.discard(engine.layout());
        }
    }

    /// Starts the keeper and the agent; the keeper's process.
    pub(super) fn launch(
        &self,
        engine: &Engine,
        lock: FileLock,
        slots: Slots<'_>,
        wait: &Wait,
    ) -> Result<ProcessId> {
        self.task.folder(RUNS)?.sync()?;
        let mut keeper = self.spawn(engine, &lock, &slots)?;
        // The keeper holds the run's lock from here. Closing our copy does not give it back, whatever
        // happens; unlocking it would.
        let _copy = lock.passed_on();
        let _copy_of_slot = slots.run.map(FileLock::passed_on);
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
        let record = store::update(&self.folder, wait, Keep::Durably, |record| {
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
        })?;
        if let Err(error) = engine.tell_start(&record) {
            tracing::warn!(name: "webhook_event_lost", run_id = %self.run, %error, "a start is not told");
        }
        Ok(record)
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
        let line = match &self.plan.external {
            Some(external) => external.line.clone(),
            None => self.plan.agent.line(),
        };
        let line = engine.secrets().hide(&line).into_owned();
        let reads_prompt = !self.plan.attached && self.plan.external.is_none();
        record.commandline = Some(match reads_prompt {
            false => line,
            true => format!("{line} < {}", prompt.to_string_lossy()),
        });
        if self.plan.external.is_some() {
            record.process_ownership = Some("external".to_owned());
        }
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
        record.attached = self.plan.attached;
        // Whoever writes its end down may have another configuration, or none.
        record.webhook = engine.tells(EventKind::RunStop).then_some(true);
        let stream = self.plan.agent.stream;
        if self.plan.attached {
            // Its name may be that of an agent with a stream.
            record.parser = Some("text".to_owned());
        } else if stream != self.plan.agent.kind.stream() {
            record.parser = Some(stream.map_or("text", StreamKind::name).to_owned());
        }
        record
    }

    /// What the configuration and the work put into the agent's environment.
    fn extra(&self) -> Vec<(String, String)> {
        let configured = self.plan.agent_env.iter();
        let configured = configured.map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        configured.chain(self.plan.env.iter().cloned()).collect()
    }

    /// The whole environment of the agent.
    pub(super) fn environment(&self, engine: &Engine) -> Vec<(OsString, OsString)> {
        let extra = self.extra();
        let inherited = engine.inherited_environment();
        let context = self.context(engine);
        let env = match self.plan.attached {
            true => attached_environment(inherited, &extra, &context),
            false => run_environment(inherited, &extra, self.plan.agent.kind.own_keys(), &context),
        };
        env.into_iter().collect()
    }

    fn spawn(&self, engine: &Engine, lock: &FileLock, slots: &Slots<'_>) -> Result<KeeperControl> {
        let env = self.environment(engine);
        let masked = match self.plan.redacts {
            true => Some(masked_agent(engine, &self.plan.agent, &self.extra())?),
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
            note: Some(self.note(engine)),
            slot: slots.run.as_ref(),
            task_slot: slots.task,
            cwd: &self.cwd,
            program: program.as_os_str(),
            argv,
            env: &env,
            limits: self.plan.limits,
        };
        kept.start(engine)
    }

    fn note(&self, engine: &Engine) -> Note {
        // What was masked on its way needs nobody who knows what to hide.
        let secrets = engine.secrets().marks().filter(|_| !self.plan.redacts);
        Note::of(&self.record(engine)).knowing(secrets)
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
