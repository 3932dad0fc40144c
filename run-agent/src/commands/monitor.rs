//! `monitor`: the tasks on a list, started, gone on with, and ticked.

use crate::args::duration;
use crate::context::Context;
use crate::exit::Failure;
use crate::work::background;
use crate::work::drive::{End, wait_for_any};
use crate::work::ending::code_of_wait;
use crate::work::signals::Signals;
use crate::work::view::tell;
use crate::work::{place, stay};
use clap::Args;
use conductor_core::{
    Conductor, Config, Error, ErrorKind, Monitor as Eye, MonitorAction, MonitorItem, MonitorNews,
    ProjectId, Result, Run, STALE_AFTER, Stop, TaskId, Wait, format_duration,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The list, unless another is named.
const TODO: &str = "TODOs.md";
/// The longest time between two looks, unless another is asked for.
const INTERVAL: Duration = Duration::from_secs(30);
/// The pause between two tasks with which something is done, unless another is asked for.
const RATE_LIMIT: Duration = Duration::from_secs(2);
/// Two looks are at least this far apart, whatever happens.
const BREATH: Duration = Duration::from_secs(1);
/// How long to wait for others who change the list.
const LIST: Duration = Duration::from_secs(10);

/// Looks after the tasks on a list
///
/// A line of the list with an empty box, `- [ ]`, names a task: by an id as run-agent makes them, or by
/// any id in back quotes. A task that never ran is started, with the line as its prompt where it has no
/// TASK.md; one that nobody drives any more is gone on with; the box of one that is done is ticked. A
/// task that somebody stopped or cancelled, or that gave up, is left alone. Every task is driven by a
/// process of its own in the background: it goes on when the monitor ends.
#[derive(Args, Debug)]
pub(crate) struct Monitor {
    /// Project of the tasks; without it the one that the current folder belongs to
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// File of the list [default: TODOs.md]
    #[arg(long, value_name = "FILE")]
    todo: Option<PathBuf>,
    /// Agent of the tasks that are started [default: the configured one]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Folder that their agents start in [default: the source folder of the project, else the current
    /// one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Look once
    #[arg(long)]
    once: bool,
    /// Look once, say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Look at least this often [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    interval: Option<Duration>,
    /// End an attempt when neither its output nor its bus had anything new for this long
    /// [default: 20m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    stale_after: Option<Duration>,
    /// Pause between two tasks with which something is done [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    rate_limit: Option<Duration>,
}

/// The list, and how it is looked after: as the command line says, else the configuration.
struct Pace {
    todo: PathBuf,
    interval: Duration,
    stale_after: Duration,
    rate_limit: Duration,
}

impl Pace {
    fn of(said: &Monitor, config: &Config) -> Pace {
        let monitor = &config.monitor;
        let or = |said: Option<Duration>, configured: Option<Duration>, usual: Duration| {
            said.or(configured).unwrap_or(usual)
        };
        let todo = said.todo.clone().or_else(|| monitor.todo.clone());
        Pace {
            todo: todo.unwrap_or_else(|| TODO.into()),
            interval: or(said.interval, monitor.interval, INTERVAL),
            stale_after: or(said.stale_after, monitor.stale_after, STALE_AFTER),
            rate_limit: or(said.rate_limit, monitor.rate_limit, RATE_LIMIT),
        }
    }
}

impl Monitor {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let signals = Signals::listen()?;
        let conductor = context.conductor()?;
        let mut here = place::locate(context, &conductor, self.project.as_deref(), None)?;
        let project = here.need_project()?;
        let pace = Pace::of(&self, conductor.config());
        let eye = conductor.monitor(&project, &pace.todo).stale_after(pace.stale_after);
        // Before anything is made: a list that is not there is a mistake.
        eye.look()?;
        let _only_one = if self.dry_run { None } else { Some(eye.hold()?) };
        let cwd = self.cwd.clone().or(here.source_folder).or_else(|| std::env::current_dir().ok());
        let mut watch = Watch {
            conductor: &conductor,
            signals: &signals,
            eye,
            project,
            cwd,
            options: &self,
            pace: &pace,
            greeted: false,
            said: BTreeMap::new(),
            troubles: BTreeMap::new(),
            ending: BTreeMap::new(),
            blind: None,
            failed: false,
        };
        loop {
            let began = Instant::now();
            let looked = watch.pass(context);
            if self.once || self.dry_run {
                let end = looked?.1;
                watch.join(context, true);
                return Ok(end.unwrap_or_else(|| context.answered(!watch.failed)));
            }
            // An editor may be about to save the list: the next look finds it.
            let news = match looked {
                Ok((_, Some(end))) => return Ok(end),
                Ok((news, None)) => Some(news),
                Err(error) => {
                    watch.lost_sight(context, &error);
                    None
                }
            };
            let until = began + pace.interval.max(BREATH);
            let mut fds = vec![signals.fd()];
            fds.extend(news.as_ref().map(MonitorNews::fd));
            wait_for_any(&fds, Some(if news.is_some() { until } else { began + BREATH }))?;
            // Many changes at once are one piece of news.
            if let Some(end) = watch.rest(began + BREATH)? {
                return Ok(end);
            }
        }
    }
}

/// A monitor at work.
struct Watch<'a> {
    conductor: &'a Conductor,
    signals: &'a Signals,
    eye: Eye,
    project: ProjectId,
    cwd: Option<PathBuf>,
    options: &'a Monitor,
    pace: &'a Pace,
    /// Whether it was said what is looked after.
    greeted: bool,
    /// What was said of each task last; it is not said again.
    said: BTreeMap<TaskId, String>,
    /// What went wrong with it last, as well.
    troubles: BTreeMap<TaskId, String>,
    /// Attempts that are being ended, so that no look waits for them.
    ending: BTreeMap<TaskId, JoinHandle<Result<()>>>,
    /// What keeps the list from being read, once that was said.
    blind: Option<String>,
    failed: bool,
}

/// Says a line. The tasks do not depend on whether anybody reads it.
fn say(context: &mut Context, line: &str) {
    tell(&mut context.out, |out| out.line(line));
}

impl Watch<'_> {
    /// Looks once at everything, and does what it needs. Gives what tells of news from now on, and the
    /// exit code, where a signal asked this process to go.
    fn pass(&mut self, context: &mut Context) -> Result<(MonitorNews, Option<u8>)> {
        self.join(context, false);
        let look = self.eye.look()?;
        // From here on: what changes while we act is looked at again.
        let news = self.eye.news(&look)?;
        self.blind = None;
        if !std::mem::replace(&mut self.greeted, true) {
            let file = self.eye.list().display();
            let line = match look.items.len() {
                0 => format!("monitor: no open line of {file} names a task"),
                1 => format!("monitor: looking after 1 task of {file}"),
                count => format!("monitor: looking after {count} tasks of {file}"),
            };
            say(context, &line);
            for line in &look.nameless {
                say(context, &format!("  [skip]   line {line} names no task"));
            }
        }
        self.said.retain(|task, _| look.items.iter().any(|item| item.task == *task));
        let mut acted = false;
        for item in &look.items {
            let acts = item.action != MonitorAction::Leave;
            if acts && acted && !self.options.dry_run {
                // Not all at once; and a person may have stopped it meanwhile.
                let until = Instant::now() + self.pace.rate_limit;
                if let Some(end) = self.rest(until)? {
                    return Ok((news, Some(end)));
                }
            }
            if self.ending.contains_key(&item.task) {
                continue;
            }
            self.tell(context, item);
            if acts && !self.options.dry_run {
                acted = true;
                self.act(context, item);
            }
        }
        if let Some(error) = look.items.iter().find_map(|item| item.error.as_ref()) {
            context.remember(error);
        }
        Ok((news, None))
    }

    /// Waits until a moment; the exit code, where a signal asks us to go.
    fn rest(&self, until: Instant) -> Result<Option<u8>> {
        loop {
            if let Some(asked) = self.signals.take() {
                return Ok(Some(code_of_wait(End::Asked(asked))));
            }
            if until <= Instant::now() {
                return Ok(None);
            }
            wait_for_any(&[self.signals.fd()], Some(until))?;
        }
    }

    /// Says what a task needs, where that was not said before.
    fn tell(&mut self, context: &mut Context, item: &MonitorItem) {
        let line = format!("  [{}]", item.action.as_str());
        let line = format!("{line:<10} {}: {}", item.task, item.reason);
        if self.said.get(&item.task) != Some(&line) {
            say(context, &line);
            self.said.insert(item.task.clone(), line);
        }
    }

    /// Does what a task needs; what fails keeps no other task from it.
    fn act(&mut self, context: &mut Context, item: &MonitorItem) {
        let done = match item.action {
            MonitorAction::Tick => self.eye.tick(&item.task, LIST).map(|_| "ticked".to_owned()),
            MonitorAction::Start => self.start(item),
            MonitorAction::GoOn => self.go_on(item),
            MonitorAction::EndAttempt => self.end_attempt(item),
            _ => return,
        };
        match done {
            Ok(words) => {
                self.troubles.remove(&item.task);
                say(context, &format!("  [ok]     {}: {words}", item.task));
            }
            Err(error) => self.trouble(context, &item.task, &error),
        }
    }

    /// Tells once that the list cannot be read now.
    fn lost_sight(&mut self, context: &mut Context, error: &Error) {
        let words = format!("monitor: {error}; looking again");
        if self.blind.as_ref() != Some(&words) {
            say(context, &words);
            self.blind = Some(words);
        }
    }

    fn trouble(&mut self, context: &mut Context, task: &TaskId, error: &Error) {
        self.failed = true;
        let words = format!("  [error]  {task}: {error}; {}", error.hint());
        // The same trouble at every look is told once.
        if self.troubles.get(task) != Some(&words) {
            say(context, &words);
            self.troubles.insert(task.clone(), words);
        }
    }

    fn start(&self, item: &MonitorItem) -> Result<String> {
        // A person may have decided since the look.
        let fresh = self.eye.look()?.items.into_iter().find(|fresh| fresh.task == item.task);
        if fresh.is_none_or(|fresh| fresh.action != MonitorAction::Start) {
            return Ok("left alone: it changed meanwhile".to_owned());
        }
        let mut spec = self.eye.spec(item);
        if let Some(agent) = &self.options.agent {
            spec = spec.agent(agent);
        }
        if let Some(cwd) = &self.cwd {
            spec = spec.cwd(cwd);
        }
        let task = self.conductor.tasks().start(spec, self.signals.first())?;
        let run = task.info()?.latest.map(|run| format!(", attempt 1: {}", run.id));
        let driver = background::hand_over(self.conductor, task, &[])?;
        Ok(format!("started, driven by process {driver}{}", run.unwrap_or_default()))
    }

    fn go_on(&self, item: &MonitorItem) -> Result<String> {
        let task = self.conductor.tasks().attach(&self.project, &item.task)?;
        if let Some(error) = stay::cannot_drive(&task)? {
            return Err(error);
        }
        let driver = background::hand_over(self.conductor, task, &[])?;
        Ok(format!("gone on with, driven by process {driver}"))
    }

    fn end_attempt(&mut self, item: &MonitorItem) -> Result<String> {
        let runs = self.conductor.runs();
        let run: Run = match &item.run {
            Some(run) => runs.get(&self.project, &item.task, run)?,
            None => runs.get_newest(&self.project, &item.task)?,
        };
        let silent = format_duration(self.pace.stale_after);
        let stop = Stop::because(format!("monitor: silent for more than {silent}"));
        let id = run.id().to_string();
        let thread = std::thread::Builder::new().name("end".to_owned());
        let ends = thread.spawn(move || run.stop(stop, Wait::FOREVER).map(drop));
        let ends = ends.map_err(|e| Error::io("start a thread in", "run-agent", e))?;
        self.ending.insert(item.task.clone(), ends);
        Ok(format!("ending attempt {id}"))
    }

    /// Looks at attempts that are being ended; waits for them, if wanted.
    fn join(&mut self, context: &mut Context, wait: bool) {
        let over = |ends: &JoinHandle<Result<()>>| wait || ends.is_finished();
        let tasks: Vec<TaskId> = self
            .ending
            .iter()
            .filter(|(_, ends)| over(ends))
            .map(|(task, _)| task.clone())
            .collect();
        for task in tasks {
            let Some(ends) = self.ending.remove(&task) else { continue };
            let lost = || Error::new(ErrorKind::Internal, "monitor.lost", "a stop was lost");
            if let Err(error) = ends.join().unwrap_or_else(|_| Err(lost())) {
                self.trouble(context, &task, &error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_fits_its_column() {
        for action in [
            MonitorAction::Leave,
            MonitorAction::Tick,
            MonitorAction::Start,
            MonitorAction::GoOn,
            MonitorAction::EndAttempt,
        ] {
            assert!(format!("  [{}]", action.as_str()).len() <= 10);
        }
    }
}
