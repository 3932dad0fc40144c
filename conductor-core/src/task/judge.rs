//! The completion check of a task: whether a `DONE` is believed.

use super::decide::Judgement;
use super::parameters::Parameters;
use crate::agent::{RunContext, run_environment};
use crate::error::{Error, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::{DONE, Layout, RUNS, TASK_BUS, check_files};
use crate::supervise::{
    Check, Checked, Engine, RunPlan, checked, is_damage, last_lines, stop_check,
};
use crate::sys::{KeeperLimits, Polled, Poller, ProcessId, Processes};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Lines of a failed check's output that are passed on.
const SHOWN_LINES: usize = 30;

/// Who judges the work of a task: the program named by `verify`.
#[derive(Debug)]
pub(super) struct Judge {
    argv: Vec<OsString>,
    limits: KeeperLimits,
    watched: Option<(ProcessId, Polled<OwnedFd>)>,
}

impl Judge {
    /// The judge of a task; `None` where a `DONE` is believed as it stands.
    pub(super) fn of(parameters: &Parameters) -> Option<Judge> {
        let argv: Vec<OsString> = parameters.verify.iter().map(OsString::from).collect();
        let limits = KeeperLimits {
            grace: parameters.grace,
            total: Some(parameters.verify_timeout),
            ..KeeperLimits::default()
        };
        (!argv.is_empty()).then_some(Judge { argv, limits, watched: None })
    }

    /// What it says. `after` is the number of the last check that counts already.
    pub(super) fn says(&self, bench: &Bench, after: u32) -> Result<Judgement> {
        let (_, state) = self.latest(bench, after)?;
        Ok(match state {
            Checked::Not | Checked::Lost => Judgement::Wanted,
            Checked::Running(_) => Judgement::Running,
            Checked::Passed => Judgement::Passed,
            Checked::Failed(why) => Judgement::Failed(why),
        })
    }

    /// The number and state of the check that counts: the first that was not lost.
    fn latest(&self, bench: &Bench, after: u32) -> Result<(u32, Checked)> {
        let mut number = after + 1;
        loop {
            match checked(&bench.folder, number, &self.limits)? {
                Checked::Lost => number += 1,
                state => return Ok((number, state)),
            }
        }
    }

    /// Begins a check.
    pub(super) fn begin(
        &self,
        engine: &Engine,
        plan: &RunPlan,
        bench: &Bench,
        after: u32,
    ) -> Result<()> {
        let (number, state) = self.latest(bench, after)?;
        if state != Checked::Not {
            return Ok(());
        }
        let env: Vec<_> = bench.environment(engine, plan).into_iter().collect();
        let cwd = plan.cwd.clone().unwrap_or_else(|| bench.task.path().to_owned());
        Check {
            folder: &bench.folder,
            run: &bench.run,
            number,
            argv: &self.argv,
            program: &program(&self.argv, &env),
            cwd: &cwd,
            env: &env,
            limits: self.limits,
        }
        .begin(engine)
    }

    /// Asks the check that runs to end.
    pub(super) fn stop(&self, bench: &Bench, after: u32) -> Result<()> {
        let (number, _) = self.latest(bench, after)?;
        stop_check(&bench.folder, number)
    }

    /// Has the poller wake up when the check that runs has ended; `false` where it cannot tell.
    pub(super) fn watch(&mut self, bench: &Bench, after: u32, poller: &Poller) -> Result<bool> {
        let (_, state) = self.latest(bench, after)?;
        let failed = |e| bench.folder.error("watch the check in", "", e);
        let Checked::Running(Some(process)) = state else { return Ok(false) };
        if self.watched.as_ref().is_some_and(|(known, _)| *known == process)
            && Processes.is_alive(process).map_err(failed)?
        {
            return Ok(true);
        }
        // The descriptor of a process that ended stays readable: it must go.
        self.watched = None;
        let Some(fd) = Processes.watch(process).map_err(failed)? else { return Ok(false) };
        self.watched = Some((process, poller.hold(fd, 4).map_err(failed)?));
        Ok(true)
    }

    /// The number of the last check.
    pub(super) fn number(&self, bench: &Bench, after: u32) -> Result<u32> {
        Ok(self.latest(bench, after)?.0)
    }

    /// The number of the check that failed, and the end of what it printed.
    pub(super) fn findings(&self, bench: &Bench, after: u32) -> Result<(u32, String)> {
        let number = self.number(bench, after)?;
        let lines = last_lines(&bench.folder, &check_files(number).output, SHOWN_LINES)?;
        Ok((number, lines))
    }
}

/// What is judged: the last run of a task, or the task itself where it has none.
#[derive(Debug)]
pub(super) struct Bench {
    task: Folder,
    pub(super) folder: Folder,
    run: RunId,
}

impl Bench {
    pub(super) fn of(task: &Folder, last: Option<&RunId>) -> Result<Bench> {
        // A run whose folder somebody deleted cannot be judged; the one before it, or the task, can.
        let newest = || Ok::<_, Error>(Layout::runs_in(task)?.ids.pop());
        let open = |run: &RunId| match task.folder_if_exists(Path::new(RUNS).join(run)) {
            Err(error) if is_damage(&error) => Ok(None),
            folder => folder,
        };
        let mut found = None;
        for run in last.cloned().into_iter().chain(newest()?) {
            found = found.or(open(&run)?.map(|folder| (run, folder)));
        }
        let (run, folder) = match found {
            Some((run, folder)) => (Some(run), folder),
            None => (None, task.clone()),
        };
        let run = match run {
            Some(run) => run,
            None => RunId::new("none")?,
        };
        Ok(Bench { task: task.clone(), folder, run })
    }

    fn environment(&self, engine: &Engine, plan: &RunPlan) -> crate::agent::Environment {
        let context = RunContext {
            project: plan.project.clone(),
            task: plan.task.clone(),
            run: self.run.clone(),
            is_attempt: true,
            parent_run: plan.parent_run.clone(),
            agent: plan.agent_name.clone(),
            root: engine.layout().path().to_owned(),
            task_folder: self.task.path().to_owned(),
            run_folder: self.folder.path().to_owned(),
            bus: self.task.join(TASK_BUS),
            run_agent: engine.run_agent(),
        };
        let kept = plan.agent.kind.own_keys();
        run_environment(engine.inherited_environment(), &plan.env, kept, &context)
    }

    /// Sets `DONE` aside under a name that nothing has.
    pub(super) fn set_done_aside(&self, number: u32) -> Result<()> {
        let task = &self.task;
        for number in number.. {
            let aside = format!("{DONE}.rejected-{number}");
            let renamed =
                task.os().rename_at(task.fd(), DONE.as_ref(), task.fd(), aside.as_ref(), false);
            match renamed {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                // The agent took it back itself.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                renamed => {
                    renamed.map_err(|e| task.error("set aside", DONE, e))?;
                    return task.sync();
                }
            }
        }
        Ok(())
    }
}

/// The program's path, searched where the check will search; as it is named where it is not found,
/// so that its start fails and says so.
fn program(argv: &[OsString], env: &[(OsString, OsString)]) -> PathBuf {
    let named = PathBuf::from(argv.first().cloned().unwrap_or_default());
    if named.components().count() > 1 {
        return named;
    }
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let folders: Vec<PathBuf> = std::env::split_paths(&path.unwrap_or_default()).collect();
    let found = folders.iter().map(|folder| folder.join(&named)).find(|program| program.is_file());
    found.unwrap_or(named)
}
