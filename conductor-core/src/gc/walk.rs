//! The way through a root: what lies below it, one thing after the other, each with its verdict.
//!
//! Reads only. Whoever makes a list of what goes and whoever carries it out go the same way. What is
//! remembered on the way are the names in one folder at a time.

use super::decide::{Place, Verdict, delete, judge_bus, judge_run, judge_stray, may_go_early};
use super::facts::{Owner, RunFact, TaskFact};
use super::goal::Beside;
use super::item::{GcAction, GcItem, GcReason};
use super::oldest::Turn;
use super::plan::{Early, GcPlan};
use super::relations::Relations;
use super::scan_run::{FoundRun, RunScanner};
use super::scan_task::{Loose, TaskScan};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{Layout, PROJECT_BUS};
use crate::sys::FileKind;
use crate::wait;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::str::FromStr;

/// A way through a root.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) plan: GcPlan,
    /// Whether it is looked at how much things hold that stay.
    pub(super) sizes: bool,
    pub(super) root: Folder,
    /// What binds things to each other, where that is known better than when the plan was made.
    pub(super) newer: Option<Relations>,
    /// The places of readers that keep archives.
    cursors: Option<Folder>,
    scanner: RunScanner,
    /// Whether what belongs to no project was looked at.
    began: bool,
    projects: std::vec::IntoIter<ProjectId>,
    project: Option<OpenProject>,
    /// What ends it in the middle of something large.
    wait: Wait,
    /// That the wait is over; nothing more is looked at then.
    pub(super) over: Option<Error>,
}

/// The project that is being looked at.
#[derive(Debug)]
struct OpenProject {
    id: ProjectId,
    folder: Folder,
    tasks: std::vec::IntoIter<TaskId>,
}

/// What comes next on the way.
#[derive(Debug)]
pub(super) enum Step {
    /// What belongs to no project.
    Root(Loose),
    /// The files of a project.
    Project(Owner, Loose),
    /// A task, whose runs come one by one.
    Task(Box<TaskScan>),
}

impl Walk {
    pub(super) fn new(plan: &GcPlan, sizes: bool, wait: Wait) -> Result<Walk> {
        let layout = plan.engine.layout();
        let root = layout.root()?;
        let projects = match &plan.policy.project {
            None => Layout::projects_in(&root)?.ids,
            Some(project) => {
                layout.project(project)?;
                vec![project.clone()]
            }
        };
        Ok(Walk {
            plan: plan.clone(),
            sizes,
            cursors: layout.cursors()?,
            scanner: RunScanner::new(layout.path(), plan.now),
            root,
            newer: None,
            began: false,
            projects: projects.into_iter(),
            project: None,
            wait,
            over: None,
        })
    }

    pub(super) fn relations(&self) -> &Relations {
        self.newer.as_ref().unwrap_or(&self.plan.relations)
    }

    pub(super) fn wait(&self) -> &Wait {
        &self.wait
    }

    /// Takes note of an error that ends the way; gives back any other.
    pub(super) fn unless_over(&mut self, error: Error) -> Option<Error> {
        match error.kind() {
            ErrorKind::Cancelled | ErrorKind::Timeout => {
                self.over = Some(error);
                None
            }
            _ => Some(error),
        }
    }

    pub(super) fn cursors(&self) -> Option<&Folder> {
        self.cursors.as_ref()
    }

    /// The next thing on the way; `None` at its end.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        if !self.began {
            self.began = true;
            if self.plan.policy.project.is_none() {
                return Some(Step::Root(self.root_files()));
            }
        }
        loop {
            if let Some(mut project) = self.project.take()
                && let Some(id) = project.tasks.next()
            {
                let scan = self.open_task(&project.id, &project.folder, id);
                self.project = Some(project);
                match scan {
                    Some(scan) => return Some(Step::Task(Box::new(scan))),
                    None => continue,
                }
            }
            let id = self.projects.next()?;
            let owner = Owner { project: id.clone(), task: None };
            let opened = self.root.folder_here(&id).and_then(|folder| {
                let tasks = Layout::tasks_in(&folder)?.ids.into_iter();
                Ok(OpenProject { id, folder, tasks })
            });
            match opened {
                Ok(project) => {
                    let loose = self.project_files(&project.id, &project.folder);
                    self.project = Some(project);
                    return Some(Step::Project(owner, loose));
                }
                // Deleted by somebody at this very moment.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let loose = Loose { errors: vec![error], ..Loose::default() };
                    return Some(Step::Project(owner, loose));
                }
            }
        }
    }

    /// How much lies right in the root beside its projects.
    pub(super) fn beside_projects(&self) -> Result<Beside> {
        let sum = self.root.measure_until(&self.wait, &mut |name, stat| {
            stat.kind != FileKind::Folder || !is_id::<ProjectId>(name)
        })?;
        Ok(Beside { rest: sum.bytes, ..Beside::default() })
    }

    /// How much lies right in the project that is looked at beside its tasks.
    pub(super) fn beside_tasks(&self) -> Result<Beside> {
        let mut beside = Beside::default();
        let Some(project) = &self.project else { return Ok(beside) };
        let sum = project.folder.measure_until(&self.wait, &mut |name, stat| {
            beside.note(name, stat, PROJECT_BUS);
            stat.kind != FileKind::Folder || !is_id::<TaskId>(name)
        });
        match sum {
            // Deleted by somebody at this very moment.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Beside::default()),
            sum => {
                let known = beside.bus + beside.archives;
                Ok(Beside { rest: sum?.bytes.saturating_sub(known), ..beside })
            }
        }
    }

    /// Looks at a run and judges it; `None` where it is gone. `newer` of its task are newer.
    pub(super) fn look_at_run(
        &mut self,
        task: &TaskFact,
        runs: &Folder,
        id: RunId,
        newer: usize,
    ) -> Result<Option<(FoundRun, Verdict)>> {
        let open = self.relations().is_open(&task.project, &task.id, &id);
        let Some(mut found) = self.scanner.scan(runs, id, open)? else { return Ok(None) };
        found.newer = newer;
        let first = self.judge(task, &found.fact, newer);
        let early = first.reason == GcReason::Young && self.is_early(task, &found.fact).is_some();
        let orphan = found.fact.state == super::facts::RunState::Orphan;
        if !(self.sizes || early || orphan || first.deletes()) {
            return Ok(Some((found, first)));
        }
        match found.measure(&self.wait) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            measured => measured?,
        }
        let verdict = self.judge(task, &found.fact, newer);
        let reason = self.goes_early(task, &found.fact, verdict);
        Ok(Some((found, reason.map_or(verdict, delete))))
    }

    fn judge(&self, task: &TaskFact, run: &RunFact, newer: usize) -> Verdict {
        let place = Place { ancestor: self.relations().is_ancestor(&run.id), newer };
        judge_run(&self.plan.policy, self.plan.now, task, run, &place)
    }

    /// Why a young run goes all the same.
    fn goes_early(&self, task: &TaskFact, run: &RunFact, verdict: Verdict) -> Option<GcReason> {
        may_go_early(self.plan.now, run, verdict).then(|| self.is_early(task, run)).flatten()
    }

    /// Why a run is old enough all the same, if it may go.
    fn is_early(&self, task: &TaskFact, run: &RunFact) -> Option<GcReason> {
        let turn = || Turn::of(run.end, &task.project, &task.id, &run.id);
        let mut early = self.plan.early.iter();
        early.find(|Early { last, .. }| run.end <= last.end && turn() <= *last).map(|e| e.reason)
    }
}

/// Whether a name is an id.
fn is_id<T: FromStr>(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.parse::<T>().is_ok())
}

/// What of all that is judged is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Telling {
    /// All of it.
    All,
    /// What does not stay as it is.
    Actions,
    /// That, and what was asked for and stays because somebody else needs it so.
    Asked,
}

impl Telling {
    fn tells(self, item: &GcItem) -> bool {
        let held_back = matches!(item.reason, GcReason::OlderWriter | GcReason::Cursor);
        match self {
            Telling::All => true,
            Telling::Actions => item.action != GcAction::Keep,
            Telling::Asked => item.action != GcAction::Keep || held_back,
        }
    }
}

/// Everything that is judged, one thing after the other; from [`GcPlan::items`].
///
/// What cannot be looked at is an error in its place, and what follows it comes all the same. After the
/// error of a wait that is over nothing follows.
#[derive(Debug)]
pub struct GcItems {
    plan: GcPlan,
    wait: Wait,
    telling: Telling,
    walk: Option<Walk>,
    task: Option<Box<TaskScan>>,
    ready: VecDeque<Result<GcItem>>,
}

impl GcItems {
    pub(super) fn new(plan: &GcPlan, telling: Telling, wait: Wait) -> GcItems {
        let (walk, error) = match Walk::new(plan, telling == Telling::All, wait.clone()) {
            Ok(walk) => (Some(walk), None),
            Err(error) => (None, Some(Err(error))),
        };
        let (plan, ready) = (plan.clone(), error.into_iter().collect());
        GcItems { plan, wait, telling, walk, task: None, ready }
    }

    fn tell(&mut self, item: GcItem) {
        if self.telling.tells(&item) {
            self.ready.push_back(Ok(item));
        }
    }

    fn tell_loose(&mut self, owner: Option<&Owner>, loose: Loose) {
        self.ready.extend(loose.errors.into_iter().map(Err));
        for stray in &loose.strays {
            self.tell(self.plan.stray_item(stray, judge_stray(self.plan.now, stray)));
        }
        let Some(owner) = owner else { return };
        if let Some(bus) = loose.bus
            && let Some(verdict) = judge_bus(&bus)
        {
            self.tell(self.plan.bus_item(owner, &bus, verdict));
        }
        for archive in &loose.archives {
            self.tell(self.plan.archive_item(owner, archive));
        }
    }

    /// Looks at one thing: what there is to tell of it, or of an earlier one.
    pub(crate) fn look(&mut self) -> wait::Step<Option<Result<GcItem>>> {
        if self.ready.is_empty() && !self.step() {
            self.walk = None;
            return wait::Step::Ready(None);
        }
        self.ready.pop_front().map_or(wait::Step::Pending, |item| wait::Step::Ready(Some(item)))
    }

    /// Goes one step; `false` at the end.
    fn step(&mut self) -> bool {
        let Some(walk) = &mut self.walk else { return false };
        if let Some(over) = walk.over.take() {
            (self.walk, self.task) = (None, None);
            self.ready.push_back(Err(over));
            return true;
        }
        if let Some(mut scan) = self.task.take() {
            if let Some((found, verdict)) = walk.next_run(&mut scan) {
                let item = self.plan.run_item(&scan.fact, &found.fact, verdict);
                self.task = Some(scan);
                self.tell(item);
            } else {
                let verdict = walk.end_task(&mut scan);
                let loose = std::mem::take(&mut scan.loose);
                self.tell_loose(Some(&scan.owner()), loose);
                if let Some(verdict) = verdict {
                    self.tell(self.plan.task_item(&scan.fact, verdict));
                }
            }
            return true;
        }
        match walk.next_step() {
            None => return false,
            Some(Step::Root(loose)) => self.tell_loose(None, loose),
            Some(Step::Project(owner, loose)) => self.tell_loose(Some(&owner), loose),
            Some(Step::Task(scan)) => self.task = Some(scan),
        }
        true
    }
}

impl Iterator for GcItems {
    type Item = Result<GcItem>;

    fn next(&mut self) -> Option<Result<GcItem>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.walk.is_some()
                && let Err(over) = self.wait.check()
            {
                (self.walk, self.task) = (None, None);
                return Some(Err(over));
            }
            if !self.step() {
                self.walk = None;
                return None;
            }
        }
    }
}
