//! `gc`: deletes what is finished and old, rotates buses, clears leftovers away.

mod story;

use crate::args::{duration, size};
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::render::error::notice;
use crate::render::json;
use crate::render::status_line::StatusLine;
use clap::Args;
use conductor_core::{
    Conductor, Error, GcAction, GcDone, GcPlan, GcPolicy, GcReport, GcResult, ProjectId, Record,
    Result, format_size,
};
use serde::{Serialize, Serializer};
use std::time::{Duration, Instant};

/// The pause between two updates of the status line.
const BEAT: Duration = Duration::from_millis(100);

/// Deletes finished runs that are old; rotates buses, deletes finished tasks
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
    #[arg(long)]
    keep_failed: bool,
    /// Keep the newest runs of each task
    #[arg(long, value_name = "N")]
    keep_last: Option<usize>,
    /// Delete the oldest runs, whatever their age, until the root holds at most this
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_bytes: Option<u64>,
    /// Delete the oldest runs, whatever their age, until this much of the disk is free
    #[arg(long, value_name = "SIZE", value_parser = size)]
    min_free: Option<u64>,
    /// Archive message buses that are larger than --bus-max-size
    #[arg(long)]
    rotate_bus: bool,
    /// Size above which a bus is archived [default: 10MB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    bus_max_size: Option<u64>,
    /// Delete archives of buses that nobody wrote to for longer than this
    #[arg(long, value_name = "TIME", value_parser = duration)]
    prune_archives: Option<Duration>,
    /// Delete tasks that are DONE and old, and have no runs left
    #[arg(long)]
    delete_done_tasks: bool,
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
        let plan = conductor.gc().plan_telling(policy, &cancel, |tasks, of| {
            meter.show(|| format!("looking: {tasks} of {of} tasks"));
        })?;
        meter.clear();
        for error in plan.errors() {
            context.trouble(error);
        }
        match (self.dry_run, self.json) {
            (true, false) => story::tell_plan(&mut context.out, &plan)?,
            (true, true) => {
                let items = plan.items().map(|item| Record::from(&item));
                json::answer(&mut context.out, &Answer::new(&plan, items))?;
            }
            (false, _) => self.apply(context, &conductor, &plan, &cancel, meter)?,
        }
        Ok(context.or_trouble(exit::OK))
    }

    /// The policy: what the command line says, else what `base` says.
    fn policy(&self, base: GcPolicy) -> Result<GcPolicy> {
        let mut policy = base;
        policy.project = self.project.as_deref().map(ProjectId::new).transpose()?;
        policy.older_than = self.older_than.unwrap_or(policy.older_than);
        policy.keep_failed |= self.keep_failed;
        policy.keep_last = self.keep_last.unwrap_or(policy.keep_last);
        policy.max_bytes = self.max_bytes.or(policy.max_bytes);
        policy.min_free = self.min_free.or(policy.min_free);
        policy.rotate_bus |= self.rotate_bus;
        policy.bus_max_size = self.bus_max_size.unwrap_or(policy.bus_max_size);
        policy.prune_archives = self.prune_archives.or(policy.prune_archives);
        policy.delete_done_tasks |= self.delete_done_tasks;
        policy.force = self.force;
        Ok(policy)
    }

    fn apply(
        &self,
        context: &mut Context,
        conductor: &Conductor,
        plan: &GcPlan,
        cancel: &conductor_core::Cancel,
        mut meter: Meter,
    ) -> Result<(), Failure> {
        let mut records = Vec::new();
        let mut failed: Option<std::io::Error> = None;
        let (mut done, mut freed) = (0usize, 0u64);
        let of = if meter.is_seen() { plan.actions().count() } else { 0 };
        let applied = conductor.gc().apply_telling(plan, cancel, |told| {
            done += 1;
            if matches!((&told.result, told.item.action), (GcResult::Done, GcAction::Delete)) {
                freed += told.item.bytes;
            }
            if self.json {
                records.push(Record::from(told));
            } else {
                meter.clear();
                failed = failed.take().or(story::tell_done(&mut context.out, told).err());
            }
            meter.show(|| format!("{done} of {of} done, {} freed", format_size(freed)));
        });
        meter.clear();
        if let Some(error) = failed {
            return Err(error.into());
        }
        let report = applied?;
        for error in &report.errors {
            context.trouble(error);
        }
        if self.json {
            let kept = plan.items().filter(|item| item.action == GcAction::Keep);
            let kept = kept.map(|item| Record::from(&item));
            let answer = Answer::new(plan, records.into_iter().chain(kept)).with(report);
            json::answer(&mut context.out, &answer)?;
        } else {
            story::tell_report(&mut context.out, &report)?;
        }
        Ok(())
    }
}

/// What is printed as JSON. The items are written as they come.
struct Answer<'a, I> {
    plan: &'a GcPlan,
    items: std::cell::Cell<Option<I>>,
    report: Option<GcReport>,
}

impl<'a, I: Iterator<Item = Record>> Answer<'a, I> {
    fn new(plan: &'a GcPlan, items: I) -> Answer<'a, I> {
        Answer { plan, items: std::cell::Cell::new(Some(items)), report: None }
    }

    fn with(self, report: GcReport) -> Answer<'a, I> {
        Answer { report: Some(report), ..self }
    }
}

impl<I: Iterator<Item = Record>> Serialize for Answer<'_, I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        struct Items<I>(std::cell::Cell<Option<I>>);
        impl<I: Iterator<Item = Record>> Serialize for Items<I> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.take().into_iter().flatten())
            }
        }
        let totals = match &self.report {
            Some(report) => Totals::of_report(report),
            None => Totals::of_plan(self.plan),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("dry_run", &self.report.is_none())?;
        map.serialize_entry("now", &self.plan.now().to_string())?;
        map.serialize_entry("plan", &self.plan.token())?;
        map.serialize_entry("items", &Items(std::cell::Cell::new(self.items.take())))?;
        map.serialize_entry("totals", &totals)?;
        let of_plan = self.plan.errors().iter();
        let errors = of_plan.chain(self.report.iter().flat_map(|report| &report.errors));
        let errors: Vec<String> = errors.map(Error::to_string).collect();
        map.serialize_entry("errors", &errors)?;
        map.end()
    }
}

/// What is done in all.
#[derive(Default, Serialize)]
struct Totals {
    runs: usize,
    tasks: usize,
    buses: usize,
    archives: usize,
    strays: usize,
    freed_bytes: u64,
    /// Things that stay for now although they were to go.
    kept: usize,
}

impl Totals {
    fn of_plan(plan: &GcPlan) -> Totals {
        let mut totals = Totals { freed_bytes: plan.bytes(), ..Totals::default() };
        for item in plan.actions() {
            *story::count_of(&mut totals, item.kind) += 1;
        }
        totals
    }

    fn of_report(report: &GcReport) -> Totals {
        Totals {
            runs: report.runs,
            tasks: report.tasks,
            buses: report.buses,
            archives: report.archives,
            strays: report.strays,
            freed_bytes: report.freed,
            kept: report.kept,
        }
    }
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

    fn is_seen(&self) -> bool {
        self.line.is_seen()
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

/// Tells of something that stays for now although it was to go.
fn tell_kept(done: &GcDone) {
    if let GcResult::Kept(reason) = &done.result {
        notice(&format!("keeping {} for now ({reason})", done.item.path.display()));
    }
}
