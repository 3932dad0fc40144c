//! `watch`: waits until tasks are over, and tells how they go. It drives nothing.

use crate::args::duration;
use crate::context::Context;
use crate::exit::Failure;
use crate::interrupt;
use crate::render::error::notice;
use crate::render::status_line::StatusLine;
use crate::render::time::{minutes, now, whole};
use crate::render::{color, json};
use clap::Args;
use conductor_core::{
    Cancel, Error, ErrorKind, Named, ProjectId, Result, Status, TaskId, TaskInfo, TaskWatch, Wait,
};
use serde_json::json;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How often the line at the bottom of a terminal is written anew.
const TICK: Duration = Duration::from_secs(1);

/// Waits until tasks are over
///
/// Exit code 0 when all came to a good end, 1 when one did not, 124 when the time was over first. It
/// looks on only: `run-agent attach` drives a task that nobody drives.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// Project; without it the one that the current folder belongs to
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Task, or tasks; without one that of the current folder, else all that live or wait
    #[arg(long, value_name = "ID")]
    task: Vec<String>,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration,
        allow_hyphen_values = true)]
    timeout: Duration,
    /// Print a line of JSON at each change
    #[arg(long)]
    json: bool,
}

impl Watch {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let named =
            Named::default().project(self.project.as_deref()).task(self.task.first().cloned());
        let mut place = conductor.locate(&named, &context.around())?;
        let project = place.need_project()?;
        let mut tasks: Vec<TaskId> =
            self.task.iter().map(TaskId::new).collect::<conductor_core::Result<_>>()?;
        if tasks.is_empty() {
            tasks.extend(place.task.take());
        }
        if tasks.is_empty() {
            let living = conductor.tasks().living()?;
            for error in &living.unreadable {
                context.trouble(error);
            }
            let living = living.tasks.into_iter();
            tasks = living.filter(|(of, _, _)| *of == project).map(|(_, task, _)| task).collect();
        } else {
            // A whole project that does not exist is a slip; a task may yet come.
            conductor.tasks().ids(&project)?;
        }
        let watch = conductor.tasks().watch(&project, tasks)?;
        Watching::new(project, watch, self).follow(context, &interrupt::switch()?)
    }
}

/// How a task goes, in the words of this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Active,
    Blocked,
    Completed,
    Failed,
    Pending,
}

impl Phase {
    const ALL: [Phase; 5] =
        [Phase::Active, Phase::Blocked, Phase::Completed, Phase::Failed, Phase::Pending];

    fn word(self) -> &'static str {
        match self {
            Phase::Active => "active",
            Phase::Blocked => "blocked",
            Phase::Completed => "completed",
            Phase::Failed => "failed",
            Phase::Pending => "pending",
        }
    }
}

/// A task at one look.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    phase: Phase,
    status: String,
    over: bool,
    /// How long its newest run has been running, or ran.
    length: Duration,
}

impl Seen {
    fn of(found: &Result<TaskInfo>) -> Seen {
        let info = match found {
            Ok(info) => info,
            Err(error) => {
                let missing = error.kind() == ErrorKind::NotFound;
                let status = if missing { "unknown" } else { "damaged" }.to_owned();
                return Seen { phase: Phase::Pending, status, over: false, length: Duration::ZERO };
            }
        };
        let over = info.is_over();
        let status = info.status();
        let phase = match (over, status.as_str()) {
            (true, _) if info.is_success() => Phase::Completed,
            (true, _) => Phase::Failed,
            (false, "running") => Phase::Active,
            (false, "blocked") => Phase::Blocked,
            // Between two attempts the last one has ended and the task has not.
            (false, _) if info.is_unfinished() => Phase::Active,
            (false, _) => Phase::Pending,
        };
        let status = match (phase, status.as_str()) {
            (Phase::Active, _) => Status::Running.as_str(),
            (Phase::Completed, _) => Status::Completed.as_str(),
            (_, "-") => "unknown",
            (_, word) => word,
        };
        let length = info.latest.as_ref().map_or(Duration::ZERO, |run| {
            let (start, end) = (run.record.start_time, run.record.end_time);
            if start.is_zero() {
                return Duration::ZERO;
            }
            if end.is_zero() { now().since(start) } else { end.since(start) }
        });
        Seen { phase, status: status.to_owned(), over, length }
    }
}

struct Watching {
    project: ProjectId,
    watch: TaskWatch,
    tasks: Vec<TaskId>,
    seen: Vec<Option<Seen>>,
    timeout: Duration,
    started: Instant,
    json: bool,
    line: StatusLine,
}

impl Watching {
    fn new(project: ProjectId, watch: TaskWatch, command: Watch) -> Watching {
        let tasks: Vec<TaskId> = watch.tasks().cloned().collect();
        Watching {
            project,
            watch,
            seen: vec![None; tasks.len()],
            tasks,
            timeout: command.timeout,
            started: Instant::now(),
            json: command.json,
            line: StatusLine::new(),
        }
    }

    fn follow(mut self, context: &mut Context, cancel: &Cancel) -> Result<u8, Failure> {
        let deadline = self.started.checked_add(self.timeout);
        if !self.json {
            let (count, project) = (self.tasks.len(), &self.project);
            context.out.line(&format!("Watching {count} task(s) for project \"{project}\":"))?;
        }
        loop {
            let found = self.watch.look();
            self.tell_troubles(&found);
            let seen: Vec<Seen> = found.iter().map(Seen::of).collect();
            let over = seen.iter().all(|seen| seen.over);
            if self.changed(&seen) || over {
                self.print(context, &seen, over)?;
            }
            self.seen = seen.into_iter().map(Some).collect();
            if over {
                let good = |seen: &Option<Seen>| {
                    seen.as_ref().is_some_and(|seen| seen.phase == Phase::Completed)
                };
                return Ok(context.answered(self.seen.iter().all(good)));
            }
            self.wait(deadline, cancel)?;
        }
    }

    /// Waits for news. Meanwhile the line at the bottom of a terminal goes on.
    fn wait(&mut self, deadline: Option<Instant>, cancel: &Cancel) -> Result<(), Failure> {
        loop {
            let whole_wait = deadline.map_or(Wait::FOREVER, Wait::until).or_cancelled(cancel);
            let wait = if self.line.is_seen() {
                self.line.show(&self.waiting_for());
                whole_wait.clone().at_most(TICK)
            } else {
                whole_wait.clone()
            };
            match self.watch.wait(wait) {
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    if whole_wait.check().is_ok() {
                        continue;
                    }
                    self.line.clear();
                    return Err(self.timed_out().into());
                }
                answer => {
                    self.line.clear();
                    return Ok(answer?);
                }
            }
        }
    }

    fn timed_out(&self) -> Error {
        let timeout = conductor_core::format_duration(self.timeout);
        let open = self.seen.iter().flatten().filter(|seen| !seen.over).count();
        Error::new(
            ErrorKind::Timeout,
            "watch.timeout",
            format!("timeout after {timeout}: not all tasks completed"),
        )
        .with_hint(format!("{open} of {} go on; watch again with --timeout", self.tasks.len()))
    }

    fn waiting_for(&self) -> String {
        let count = |phase| self.seen.iter().flatten().filter(|seen| seen.phase == phase).count();
        let left = self.timeout.saturating_sub(self.started.elapsed());
        format!(
            "Waiting for {} active and {} blocked task(s)... (timeout in {})",
            count(Phase::Active),
            count(Phase::Blocked),
            whole(left)
        )
    }

    /// Tells, once for each task, why it cannot be seen.
    fn tell_troubles(&mut self, found: &[Result<TaskInfo>]) {
        for (found, before) in found.iter().zip(&self.seen) {
            let known = before.as_ref().map(|seen| seen.status.as_str());
            match found {
                Err(error) if !matches!(known, Some("unknown" | "damaged")) => {
                    self.line.clear();
                    notice(&format!("warning: {error}"));
                }
                _ => {}
            }
        }
    }

    fn changed(&self, seen: &[Seen]) -> bool {
        let same = |before: &Option<Seen>, seen: &Seen| {
            let before = before.as_ref().map(|before| (before.phase, &before.status, before.over));
            before == Some((seen.phase, &seen.status, seen.over))
        };
        !self.seen.iter().zip(seen).all(|(before, seen)| same(before, seen))
    }

    fn print(&mut self, context: &mut Context, seen: &[Seen], over: bool) -> Result<(), Failure> {
        self.line.clear();
        if self.json {
            let tasks: Vec<_> = self
                .tasks
                .iter()
                .zip(seen)
                .map(|(task, seen)| {
                    json!({
                        "task_id": task.as_str(),
                        "status": seen.status,
                        "elapsed": seen.length.as_secs_f64(),
                        "done": seen.over,
                    })
                })
                .collect();
            json::item(&mut context.out, &json!({ "tasks": tasks, "all_done": over }))?;
            return Ok(());
        }
        let count = |phase| seen.iter().filter(|seen| seen.phase == phase).count();
        let counts: Vec<String> = Phase::ALL
            .into_iter()
            .map(|phase| format!("{}={}", phase.word(), count(phase)))
            .collect();
        let out = &mut context.out;
        out.line(&format!("  phase counts: {}", counts.join(" ")))?;
        for ((task, seen), before) in self.tasks.iter().zip(seen).zip(&self.seen) {
            let (style, end) = match out.is_colored() {
                true => (color::status(&seen.status).render().to_string(), "\x1b[0m"),
                false => (String::new(), ""),
            };
            let word = if seen.over { "duration" } else { "elapsed" };
            let length = minutes(seen.length);
            let (task, phase, status) = (task.as_str(), seen.phase.word(), &seen.status);
            out.line(&format!(
                "  {task:<45} [{style}{phase:<9}{end}] {status:<9} {word}: {length}"
            ))?;
            let was = before.as_ref().map_or("unknown", |before| before.status.as_str());
            if was != status {
                out.line(&format!("    transition: {was} -> {status}"))?;
            }
        }
        if over {
            out.line("All tasks complete.")?;
        } else if !self.line.is_seen() {
            let waiting = self.waiting_text(seen);
            out.line(&waiting)?;
        }
        out.flush()?;
        Ok(())
    }

    fn waiting_text(&mut self, seen: &[Seen]) -> String {
        self.seen = seen.iter().cloned().map(Some).collect();
        self.waiting_for()
    }
}
