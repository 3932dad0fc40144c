//! `gc`: deletes what is finished and old, rotates buses, clears leftovers away.

mod answer;
mod story;
mod tally;

use crate::args::{OrNone, duration, duration_or_none, size, size_or_none};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::render::error::note;
use crate::render::status_line::StatusLine;
use clap::Args;
use conductor_core::{
    Cancel, Conductor, Error, ErrorKind, GcAction, GcPlan, GcPolicy, GcResult, ProjectId, Record,
    Result,
};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tally::Tally;

/// The pause between two updates of the status line.
const BEAT: Duration = Duration::from_millis(100);

/// Deletes finished runs that are old; rotates buses, deletes finished tasks
///
/// What is not said is as the section `gc` of the configuration says. `--keep-failed=false`, `--max-bytes none`
/// and the like take back what that turns on.
#[derive(Args, Debug)]
pub(crate) struct Gc {
    /// Only this project
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Delete runs that ended longer ago than this [default: 168h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older_than: Option<Duration>,
    /// Say what would be done, and why; do nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep runs that did not complete
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    keep_failed: Option<bool>,
    /// Keep the newest runs of each task
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,
    /// Delete the oldest runs, whatever their age, until the root holds at most this, or the
    /// project that is named; `none`, or 0, is no limit. All that lies there counts: where what
    /// may not go is more than this, every run goes that --keep-last and --keep-failed let go
    #[arg(long, value_name = "SIZE", value_parser = size_or_none)]
    max_bytes: Option<OrNone<u64>>,
    /// Delete the oldest runs, whatever their age, until this much of the disk is free; `none`, or
    /// 0, is no goal
    #[arg(long, value_name = "SIZE", value_parser = size_or_none)]
    min_free: Option<OrNone<u64>>,
    /// Archive message buses that are larger than --bus-max-size
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rotate_bus: Option<bool>,
    /// Size above which a bus is archived [default: 10MB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    bus_max_size: Option<u64>,
    /// Delete archives of buses that nobody wrote to for longer than this; `none` keeps them
    #[arg(long, value_name = "TIME", value_parser = duration_or_none)]
    prune_archives: Option<OrNone<Duration>>,
    /// Delete tasks that are DONE and old, and have no runs left
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    delete_done_tasks: Option<bool>,
    /// Believe the clock although it ran ahead since the last time
    #[arg(long)]
    force: bool,
    /// Print JSON: everything that was judged, with reasons both ways
    #[arg(long)]
    json: bool,
}

impl Gc {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let policy = self.policy(conductor.gc().policy())?;
        let cancel = interrupt::switch()?;
        let mut meter = Meter::new();
        let plan = conductor.gc().plan_telling(policy, &cancel, |tasks, runs| {
            meter.show(|| format!("looking: {tasks} tasks, {runs} runs"));
        })?;
        meter.clear();
        for error in plan.errors() {
            context.trouble(error);
        }
        match (self.dry_run, self.json) {
            (true, false) => tell_plan(context, &plan, &cancel)?,
            (true, true) => answer_plan(context, &plan, &cancel)?,
            (false, false) => apply(context, &conductor, &plan, &cancel, meter)?,
            (false, true) => answer_apply(context, &conductor, &plan, &cancel, meter)?,
        }
        Ok(context.or_trouble(exit::OK))
    }

    /// The policy: what the command line says, else what `base` says.
    fn policy(&self, base: GcPolicy) -> Result<GcPolicy> {
        let mut policy = base;
        policy.project = self.project.as_deref().map(ProjectId::new).transpose()?;
        policy.older_than = self.older_than.unwrap_or(policy.older_than);
        policy.keep_failed = self.keep_failed.unwrap_or(policy.keep_failed);
        policy.keep_last = self.keep_last.unwrap_or(policy.keep_last);
        policy.max_bytes = self.max_bytes.map_or(policy.max_bytes, |said| said.0);
        policy.min_free = self.min_free.map_or(policy.min_free, |said| said.0);
        policy.rotate_bus = self.rotate_bus.unwrap_or(policy.rotate_bus);
        policy.bus_max_size = self.bus_max_size.unwrap_or(policy.bus_max_size);
        policy.prune_archives = self.prune_archives.map_or(policy.prune_archives, |said| said.0);
        policy.delete_done_tasks = self.delete_done_tasks.unwrap_or(policy.delete_done_tasks);
        policy.force = self.force;
        Ok(policy)
    }
}

/// Whether an error ends the work and is not about one thing.
fn ends_it(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Timeout)
}

/// Prints what would be done, line by line as it is found.
fn tell_plan(context: &mut Context, plan: &GcPlan, cancel: &Cancel) -> Result<(), Failure> {
    let mut tally = Tally::default();
    for item in plan.asked(cancel) {
        match item {
            Ok(item) => {
                tally.plan(&item);
                story::tell_planned(&mut context.out, &item)?;
            }
            Err(over) if ends_it(&over) => return Err(over.into()),
            Err(error) => context.trouble(&error),
        }
    }
    story::tell_plan_totals(&mut context.out, &tally.totals)?;
    Ok(story::tell_goals(&mut context.out, plan.goals())?)
}

/// Prints everything that was judged as JSON, item by item as it is found.
fn answer_plan(context: &mut Context, plan: &GcPlan, cancel: &Cancel) -> Result<(), Failure> {
    let mut tally = Tally::of_errors(plan.errors());
    tally.goals = plan.goals().iter().map(Record::from).collect();
    let (mut over, mut first) = (None, None);
    let written = answer::write(&mut context.out, plan, true, &mut tally, |tally, tell| {
        for item in plan.items(cancel) {
            match item {
                Ok(item) => {
                    tally.plan(&item);
                    // Nobody reads on: there is nothing to be done for.
                    if !tell(&Record::from(&item)) {
                        return;
                    }
                }
                Err(error) => {
                    tally.fail(&error);
                    if ends_it(&error) {
                        over = Some(error);
                        break;
                    }
                    note(&error);
                    first.get_or_insert(error);
                }
            }
        }
    });
    first.iter().for_each(|error| context.remember(error));
    written?;
    over.map_or(Ok(()), |over| Err(over.into()))
}

/// Carries the plan out and prints what is done.
fn apply(
    context: &mut Context,
    conductor: &Conductor,
    plan: &GcPlan,
    cancel: &Cancel,
    mut meter: Meter,
) -> Result<(), Failure> {
    let mut failed: Option<std::io::Error> = None;
    let mut tally = Tally::default();
    let applied = conductor.gc().apply_telling(plan, cancel, |told| {
        tally.done(told);
        meter.clear();
        // Who reads may leave: the work goes on.
        failed = failed.take().or(story::tell_done(&mut context.out, told).err());
        meter.show(|| tally.progress());
    });
    meter.clear();
    if let Some(error) = failed {
        return Err(error.into());
    }
    let report = applied?;
    for error in &report.errors {
        context.trouble(error);
    }
    if report.failed > report.errors.len() {
        story::tell_more_errors(report.failed - report.errors.len());
    }
    story::tell_done_totals(&mut context.out, &tally.totals)?;
    Ok(story::tell_goals(&mut context.out, &report.goals)?)
}

/// Carries the plan out and prints everything that was judged as JSON: what was to go as it is done, then
/// what stays.
fn answer_apply(
    context: &mut Context,
    conductor: &Conductor,
    plan: &GcPlan,
    cancel: &Cancel,
    mut meter: Meter,
) -> Result<(), Failure> {
    let mut tally = Tally::of_errors(plan.errors());
    let (mut applied, mut cut_short) = (None, None);
    let written = answer::write(&mut context.out, plan, false, &mut tally, |tally, tell| {
        // What was to go and stayed is told once.
        let mut told_kept = HashSet::new();
        let done = conductor.gc().apply_telling(plan, cancel, |told| {
            tally.done(told);
            if let GcResult::Kept(_) = told.result {
                told_kept.insert(told.item.path.clone());
            }
            // Who reads may leave: the work goes on.
            let _heard = tell(&Record::from(told));
            meter.show(|| tally.progress());
        });
        match &done {
            Ok(report) => report.errors.iter().for_each(|error| tally.note(error)),
            Err(over) => tally.fail(over),
        }
        if let Ok(report) = &done {
            tally.totals.failed = tally.before + report.failed;
            tally.goals = report.goals.iter().map(Record::from).collect();
            for item in plan.items(cancel) {
                let item = match item {
                    Ok(item) => item,
                    Err(over) if ends_it(&over) => {
                        tally.fail(&over);
                        cut_short = Some(over);
                        break;
                    }
                    // It was told by the report.
                    Err(_) => continue,
                };
                let stays = item.action == GcAction::Keep && !told_kept.contains(&item.path);
                if stays && !tell(&Record::from(&item)) {
                    break;
                }
            }
        }
        applied = Some(done);
    });
    meter.clear();
    let report = match applied {
        Some(applied) => applied?,
        None => return written.map_err(Failure::from),
    };
    for error in &report.errors {
        context.trouble(error);
    }
    written?;
    cut_short.map_or(Ok(()), |over| Err(over.into()))
}

/// A status line that is not written more often than a person can read.
struct Meter {
    line: StatusLine,
    next: Instant,
}

impl Meter {
    fn new() -> Meter {
        Meter { line: StatusLine::new(), next: Instant::now() + BEAT }
    }

    fn show(&mut self, text: impl FnOnce() -> String) {
        if self.line.is_seen() && Instant::now() >= self.next {
            self.line.show(&text());
            self.next = Instant::now() + BEAT;
        }
    }

    fn clear(&mut self) {
        self.line.clear();
    }
}
