//! A run that shares the terminal of this process and is kept by it, not by a keeper of its own.
//!
//! Its program is a child in a process group of its own, in the session of the terminal: that is what a
//! shell does with a job, and so the keys do what they do without us. It writes the same `.keeper` file
//! as a keeper, so that whoever looks at the run, stops it or writes its end down needs to know nothing
//! of this. What it cannot have is a life of its own: it ends with its terminal, and if this process is
//! killed, nobody sees its end.

use super::engine::Engine;
use super::handle::RunWatch;
use super::kept::not_started;
use super::prepared::Prepared;
use super::start::RunPlan;
use super::stop::{stop_wished, stop_wished_now};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::fsx::{FILE_MODE, FileLock, Folder};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{ATTACHED, KEEPER, RUNS, STDERR, STDOUT};
use crate::limits;
use crate::sys::{
    Child, ChildEnd, ChildLook, ChildSpec, KeeperEnd, KeeperIdentity, KeeperJournal, KeeperLimits,
    KeeperReason, KeeperRecord, KeeperState, LOOK_OFTEN, News, Open, Paused, Poller, ProcessId,
    Processes, Signal, Terminal, TimerFd, Watch, keeper_moment, open_working_folder,
    prepare_keeper_file,
};
use crate::wait::Step;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// What stands in the place of the program's output.
const NOTICE: &str = "The program had the terminal to itself: what it printed was not recorded.\n";
/// How soon to look again at processes that are about to end.
const SOON: Duration = Duration::from_millis(20);
/// How long what is left of a stopped program may take when its first process has ended.
const REMAINS: Duration = Duration::from_secs(2);
/// How long killed processes may take to be gone; one that hangs in the kernel keeps nobody waiting.
const KILLED: Duration = Duration::from_secs(5);

/// What happened to an attached run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Its program was stopped, and the terminal is ours again.
    Stopped(Paused),
    /// It ended, and that is written down.
    Ended,
}

/// An attached run.
#[derive(Debug)]
pub(crate) struct Attached {
    engine: Engine,
    project: ProjectId,
    task: TaskId,
    run: RunId,
    folder: Folder,
    /// Held while the program lives, as a keeper holds it.
    lock: Option<FileLock>,
    journal: KeeperJournal,
    child: Child,
    terminal: Option<Terminal>,
    limits: KeeperLimits,
    began: Instant,
    ending: Option<Ending>,
    end: Option<(ChildEnd, Instant)>,
    poller: Poller,
    timer: TimerFd,
    /// Tells of a wish to stop.
    names: Watch,
    /// Readable when the program has ended, where the system has such descriptors.
    process: Option<OwnedFd>,
}

/// The program is being ended.
#[derive(Clone, Copy, Debug)]
struct Ending {
    /// When what still lives is killed.
    kill_at: Instant,
    /// When it was.
    killed_at: Option<Instant>,
}

impl Engine {
    /// Starts a run in this process's terminal. Returns when its program runs and its record is on disk.
    ///
    /// # Errors
    /// What stood in the way. If it came after the run's folder was made, the run is finished as
    /// `refused` and the error names it.
    pub(crate) fn start_attached(&self, plan: &RunPlan, wait: &Wait) -> Result<Attached> {
        let (prepared, lock) = self.prepare_attached(plan, wait)?;
        Attached::begin(self, &prepared, lock, wait).inspect_err(|error| {
            // The run never began; its record says so. The first error is the one to tell.
            let _first_error_is_told = prepared.refused(self, error);
        })
    }
}

impl Attached {
    fn begin(
        engine: &Engine,
        prepared: &Prepared<'_>,
        lock: FileLock,
        wait: &Wait,
    ) -> Result<Attached> {
        let Prepared { plan, task, run, folder, cwd } = prepared;
        let failed = |e| folder.error("start the program of", "", e);
        drop(folder.create(STDOUT, NOTICE.as_bytes())?);
        drop(folder.create(STDERR, b"")?);
        drop(folder.create(ATTACHED, b"")?);
        let file = real_file(folder.open(KEEPER, Open::CreateNew(FILE_MODE))?)?;
        prepare_keeper_file(&file, "").map_err(|e| folder.error("prepare", KEEPER, e))?;
        folder.sync()?;
        task.folder(RUNS)?.sync()?;

        let (poller, timer) = (Poller::new().map_err(failed)?, TimerFd::new().map_err(failed)?);
        let names = Watch::join(&poller, 2, News::Names).map_err(failed)?;
        names.add_names(folder.path()).map_err(failed)?;
        poller.add(&timer, 1).map_err(failed)?;
        let cwd = open_working_folder(cwd)
            .map_err(|e| Error::io("open the working folder", cwd, e).with_field("cwd"))?;
        let mut terminal = Terminal::controlling().map_err(failed)?;
        let env: Vec<(OsString, OsString)> = prepared.environment(engine);
        let spec = ChildSpec {
            program: plan.agent.program.as_os_str(),
            argv: &plan.agent.argv,
            env: &env,
            cwd: cwd.as_fd(),
        };
        let mut child = Child::hold(&spec).map_err(not_started)?;
        let process = Processes.watch(child.id()).map_err(failed)?;
        if let Some(process) = &process {
            poller.add(process, 3).map_err(failed)?;
        }
        let me = Processes.own().map_err(failed)?;
        let mut journal = KeeperJournal::new(file, first_record(me, child.id()).map_err(failed)?);
        journal.write(KeeperState::Born).map_err(|e| folder.error("write", KEEPER, e))?;
        prepared.tell_start(engine, child.id(), me, wait)?;
        // As a keeper that heard of a release: from here on the program may run.
        journal.record.released_at = Some(keeper_moment());
        journal.write(KeeperState::Released).map_err(|e| folder.error("write", KEEPER, e))?;
        if let Some(terminal) = &mut terminal {
            terminal.give(child.group()).map_err(failed)?;
        }
        let released = child.release();
        if !matches!(released, Ok(Ok(())))
            && let Some(terminal) = &mut terminal
        {
            terminal.take(child.group(), false).map_err(failed)?;
        }
        if let Err(source) = released.map_err(not_started)? {
            journal.record.errno =
                source.raw_os_error().and_then(|errno| u32::try_from(errno).ok());
            journal.write(KeeperState::ExecFailed).map_err(|e| folder.error("write", KEEPER, e))?;
            return Err(prepared.agent_not_started(source));
        }
        timer.set(Duration::ZERO).map_err(failed)?;
        Ok(Attached {
            engine: engine.clone(),
            project: plan.project.clone(),
            task: plan.task.clone(),
            run: run.clone(),
            folder: folder.clone(),
            lock: Some(lock),
            journal,
            child,
            terminal,
            limits: plan.limits,
            began: Instant::now(),
            ending: None,
            end: None,
            poller,
            timer,
            names,
            process,
        })
    }

    /// The run.
    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }

    /// How the program ended, also where that could not be written down.
    pub(crate) fn end(&self) -> Option<ChildEnd> {
        self.end.map(|(end, _)| end)
    }

    /// Readable when a step may find something new, but for a program that a key stopped.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Looks once, and does what has to be done now.
    pub(crate) fn step(&mut self) -> Result<Step<Changed>> {
        self.names.drain();
        if self.end.is_none() {
            // Looked for first: whoever stops it may end the program himself.
            if stop_wished(&self.folder)? {
                let force = stop_wished_now(&self.folder)?;
                self.stop(KeeperReason::Stopped, force)?;
            }
            match self.child.look().map_err(|e| self.failed(e))? {
                ChildLook::Runs => {}
                // Who is asked to end must run for it.
                ChildLook::Stopped(_) if self.ending.is_some() => {
                    self.signal_group(Signal::Continue)?
                }
                ChildLook::Stopped(why) => {
                    self.take_terminal(true)?;
                    return Ok(Step::Ready(Changed::Stopped(why)));
                }
                ChildLook::Ended(end) => self.note_end(end)?,
            }
        }
        match self.end {
            Some((_, at)) => self.close(at),
            None => self.keep_limits(),
        }
    }

    fn keep_limits(&mut self) -> Result<Step<Changed>> {
        let now = Instant::now();
        let total = self.limits.total.and_then(|total| self.began.checked_add(total));
        if self.ending.is_none() && total.is_some_and(|at| at <= now) {
            self.stop(KeeperReason::Total, false)?;
        }
        if let Some(ending) = self.ending.filter(|ending| ending.kill_at <= now) {
            self.kill(ending)?;
        }
        let next = match self.ending {
            Some(Ending { killed_at: Some(_), .. }) => Some(now + SOON),
            Some(ending) => Some(ending.kill_at),
            None => total,
        };
        let mut delay = next.map_or(limits::SAFETY_POLL, |at| at.saturating_duration_since(now));
        delay = delay.min(limits::SAFETY_POLL);
        if self.process.is_none() {
            delay = delay.min(LOOK_OFTEN);
        }
        self.rest(delay)
    }

    /// Begins to end the program and all that it started: politely, and by force after the grace.
    pub(crate) fn stop(&mut self, reason: KeeperReason, force: bool) -> Result<()> {
        if self.end.is_some() && self.ending.is_none() {
            return Ok(());
        }
        let now = Instant::now();
        let grace = if force { Duration::ZERO } else { self.limits.grace };
        let kill_at = now.checked_add(grace).unwrap_or(now);
        let begun = self.ending;
        let kill_at = begun.map_or(kill_at, |ending| ending.kill_at.min(kill_at));
        let killed_at = begun.and_then(|ending| ending.killed_at);
        self.ending = Some(Ending { kill_at, killed_at });
        if begun.is_none() {
            self.journal.record.reason.get_or_insert(reason);
            if !force {
                for process in self.tree()? {
                    self.signal(process, Signal::Term)?;
                    self.signal(process, Signal::Continue)?;
                }
            }
        }
        self.rest(Duration::ZERO).map(drop)
    }

    fn kill(&mut self, ending: Ending) -> Result<()> {
        for process in self.tree()? {
            if self.signal(process, Signal::Kill)? && ending.killed_at.is_none() {
                self.journal.record.killed += 1;
            }
        }
        let killed_at = ending.killed_at.or(Some(Instant::now()));
        self.ending = Some(Ending { killed_at, ..ending });
        Ok(())
    }

    /// The living processes of the run: those of the program's group, and whoever inherited the run's
    /// id. Child runs have ids of their own and are stopped as runs.
    ///
    /// Once somebody else waited for the program, the number of its group may be that of strangers.
    fn tree(&mut self) -> Result<Vec<ProcessId>> {
        let mark = format!("JRUN_ID={}", self.run);
        let group = self.child.own_group().map_err(|e| self.failed(e))?;
        Processes.in_group_or_with(group, mark.as_bytes()).map_err(|e| self.failed(e))
    }

    fn signal(&self, process: ProcessId, signal: Signal) -> Result<bool> {
        match Processes.signal(process, signal) {
            // A program that changed its user is not ours to signal.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(false),
            sent => sent.map_err(|e| self.failed(e)),
        }
    }

    /// Writes down that the program ended, once its terminal is back.
    fn note_end(&mut self, end: ChildEnd) -> Result<()> {
        self.end = Some((end, Instant::now()));
        let small = |number: i32| u32::try_from(number).unwrap_or_default();
        let record = &mut self.journal.record;
        record.ended = match end {
            ChildEnd::Code(code) => Some(KeeperEnd::Code(small(code))),
            ChildEnd::Signal(signal) => Some(KeeperEnd::Signal(small(signal))),
            ChildEnd::Unseen => None,
        };
        record.reason.get_or_insert(KeeperReason::Exit);
        record.exited_at = Some(keeper_moment());
        let back = self.take_terminal(matches!(end, ChildEnd::Signal(_)));
        self.write(KeeperState::Exited).and(back)
    }

    /// What follows the program's end: what is left of one that was stopped ends too, then the end is
    /// written down.
    ///
    /// What a program leaves behind that ended by itself is not touched, as without us.
    fn close(&mut self, ended_at: Instant) -> Result<Step<Changed>> {
        let now = Instant::now();
        if let Some(ending) = self.ending
            && ending.killed_at.is_none_or(|at| now < at + KILLED)
            && !self.tree()?.is_empty()
        {
            if now >= ending.kill_at.min(ended_at + REMAINS) {
                self.kill(ending)?;
            }
            return self.rest(SOON);
        }
        if self.lock.is_some() {
            // Written again where the disk refused it before.
            self.journal.record.empty_at = Some(keeper_moment());
            self.write(KeeperState::Empty)?;
            self.child.reap().map_err(|e| self.failed(e))?;
            self.lock = None;
        }
        let (project, task) = (self.project.clone(), self.task.clone());
        let watch = RunWatch::new(self.engine.clone(), project, task, self.run.clone())?;
        watch.wait(&Wait::from(limits::RECORD_LOCK))?;
        self.rest(Duration::ZERO)?;
        Ok(Step::Ready(Changed::Ended))
    }

    /// Stops this process and its whole group as the key stopped the program, and lets the program go
    /// on when somebody lets us go on.
    ///
    /// Where nobody could, because no shell looks after our group, the program goes on at once; if it
    /// was stopped for using a terminal that it has not, it is told that the terminal is gone, as the
    /// kernel does with groups that nobody looks after.
    pub(crate) fn suspend(&mut self, why: Paused) -> Result<()> {
        self.take_terminal(true)?;
        if !Processes.own_group_is_orphaned().map_err(|e| self.failed(e))? {
            // Stopped here, until somebody lets us go on.
            Processes.stop_own_group(why).map_err(|e| self.failed(e))?;
        } else if why != Paused::Asked {
            self.signal_group(Signal::HangUp)?;
        }
        self.go_on()
    }

    /// Lets the program go on, in front of the terminal where that is ours.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        if self.end.is_some() {
            return Ok(());
        }
        if let Some(terminal) = &mut self.terminal {
            let group = self.child.group();
            terminal
                .give(group)
                .map_err(|e| self.folder.error("pass the terminal on to", "", e))?;
        }
        self.signal_group(Signal::Continue)
    }

    /// Passes a signal on to the program's group as it is; it goes on to hear of it.
    pub(crate) fn pass_on(&self, signal: Signal) -> Result<()> {
        if self.end.is_some() {
            return Ok(());
        }
        self.signal_group(signal)?;
        if signal == Signal::HangUp { self.signal_group(Signal::Continue) } else { Ok(()) }
    }

    fn signal_group(&self, signal: Signal) -> Result<()> {
        self.child.signal_group(signal).map(drop).map_err(|e| self.failed(e))
    }

    fn take_terminal(&mut self, reset: bool) -> Result<()> {
        let Some(terminal) = &mut self.terminal else { return Ok(()) };
        let taken = terminal.take(self.child.group(), reset);
        taken.map_err(|e| self.folder.error("take the terminal back from", "", e))
    }

    fn write(&mut self, state: KeeperState) -> Result<()> {
        self.journal.write(state).map_err(|e| self.folder.error("write", KEEPER, e))
    }

    fn rest(&self, delay: Duration) -> Result<Step<Changed>> {
        self.timer.set(delay).map_err(|e| self.failed(e))?;
        Ok(Step::Pending)
    }

    fn failed(&self, source: std::io::Error) -> Error {
        self.folder.error("look after the program of", "", source)
    }
}

fn first_record(me: ProcessId, agent: ProcessId) -> std::io::Result<KeeperRecord> {
    let id = |process: ProcessId| KeeperIdentity { pid: process.pid, start: process.start };
    let mut boot_id = [b'0'; 36];
    let boot = Processes.boot_id()?.as_bytes();
    boot_id.iter_mut().zip(boot).for_each(|(to, from)| *to = *from);
    Ok(KeeperRecord {
        keeper: id(me),
        agent: id(agent),
        boot_id,
        pid_ns: Processes.pid_namespace()?,
        state: KeeperState::Born,
        ended: None,
        errno: None,
        reason: None,
        born_at: keeper_moment(),
        released_at: None,
        exited_at: None,
        empty_at: None,
        slept: None,
        killed: 0,
        cuts: Default::default(),
    })
}

fn real_file(fd: crate::sys::Fd) -> Result<std::fs::File> {
    let file = fd.as_file().map(std::fs::File::try_clone);
    let file = file.unwrap_or_else(|| Err(std::io::ErrorKind::Unsupported.into()));
    file.map_err(not_started)
}
