//! What runs used: tokens and money, summed up.
//!
//! A run counts once, when it is finished: by its receipt, or by its record where it has none, as a run
//! of the older program. Runs whose folders are gone count by their receipts.

use super::conductor::Conductor;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{Layout, RUNS};
use crate::run::receipts::{self, Receipt, Receipts};
use crate::run::{Outcome, store};
use crate::time::Timestamp;
use crate::usage::Usage;
use std::collections::BTreeMap;
use std::path::Path;

/// What one finished run used. What is not known is `None`, and never zero.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunUsage {
    /// The project.
    pub project: ProjectId,
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// The kind of its agent.
    pub agent: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// The model that answered.
    pub model: Option<String>,
    /// The tokens.
    pub usage: Option<Usage>,
    /// What they cost, in US dollars.
    pub cost_usd: Option<f64>,
}

/// What belongs together in a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageBy {
    /// Each run for itself.
    Run,
    /// The runs of a task.
    Task,
    /// The runs of a project.
    Project,
    /// The runs of one kind of agent.
    Agent,
    /// The runs that ended on a day, in universal time.
    Day,
}

impl UsageBy {
    /// All of them.
    pub const ALL: [UsageBy; 5] =
        [UsageBy::Run, UsageBy::Task, UsageBy::Project, UsageBy::Agent, UsageBy::Day];

    /// Its word in every surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            UsageBy::Run => "run",
            UsageBy::Task => "task",
            UsageBy::Project => "project",
            UsageBy::Agent => "agent",
            UsageBy::Day => "day",
        }
    }

    /// What a word stands for.
    ///
    /// # Errors
    /// `usage.unknown_group`, with the words that there are.
    pub fn parse(word: &str) -> Result<UsageBy> {
        UsageBy::ALL.into_iter().find(|by| by.as_str() == word).ok_or_else(|| {
            let words = UsageBy::ALL.map(UsageBy::as_str).join(", ");
            Error::invalid("usage.unknown_group", "by", format!("unknown group {word:?}"))
                .with_hint(format!("the groups are {words}"))
        })
    }

    fn key(self, run: &RunUsage) -> String {
        match self {
            UsageBy::Run => format!("{}/{}/{}", run.project, run.task, run.run),
            UsageBy::Task => format!("{}/{}", run.project, run.task),
            UsageBy::Project => run.project.to_string(),
            UsageBy::Agent => run.agent.clone(),
            UsageBy::Day => run.end.human()[..10].to_owned(),
        }
    }
}

/// A sum over runs.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UsageSum {
    /// What the runs have in common: `project/task/run`, `project/task`, a project, an agent, a day;
    /// empty for all of them.
    pub name: String,
    /// How many runs there are.
    pub runs: u64,
    /// The tokens of those whose tokens are known.
    pub usage: Usage,
    /// How many runs are not in `usage`.
    pub unknown_usage: u64,
    /// The cost of those whose cost is known, in US dollars; `None` where none is.
    pub cost_usd: Option<f64>,
    /// How many runs are not in `cost_usd`.
    pub unknown_cost: u64,
}

impl UsageSum {
    fn add(&mut self, run: &RunUsage) {
        self.runs += 1;
        match &run.usage {
            Some(usage) => self.usage.add(usage),
            None => self.unknown_usage += 1,
        }
        match run.cost_usd {
            Some(cost) => self.cost_usd = Some(self.cost_usd.unwrap_or(0.0) + cost),
            None => self.unknown_cost += 1,
        }
    }
}

/// What the runs of a part of the root used.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct UsageReport {
    /// The finished runs, by project, task and time.
    pub runs: Vec<RunUsage>,
    /// What could not be read. A run whose record cannot be read, and that has no receipt, is missing
    /// in the sums.
    pub damage: Vec<Error>,
}

impl UsageReport {
    /// The sums of the groups, by name.
    pub fn by(&self, by: UsageBy) -> Vec<UsageSum> {
        let mut groups: BTreeMap<String, UsageSum> = BTreeMap::new();
        for run in &self.runs {
            groups.entry(by.key(run)).or_default().add(run);
        }
        let named = |(name, sum)| UsageSum { name, ..sum };
        groups.into_iter().map(named).collect()
    }

    /// The sum of all.
    pub fn total(&self) -> UsageSum {
        let mut total = UsageSum::default();
        self.runs.iter().for_each(|run| total.add(run));
        total
    }
}

/// What a finished run used; `None` for one that is not finished.
fn used(project: &ProjectId, task: &TaskId, run: &str, receipt: Receipt) -> Option<RunUsage> {
    let (outcome, end) = receipt.end?;
    Some(RunUsage {
        project: project.clone(),
        task: task.clone(),
        run: run.parse().ok()?,
        agent: receipt.agent,
        outcome,
        start: receipt.start,
        end,
        model: receipt.model,
        usage: receipt.usage,
        cost_usd: receipt.cost_usd,
    })
}

impl Conductor {
    /// What the finished runs of a task, of a project, or of the whole root used. Reads only.
    ///
    /// Costs one small file for each task, a listing of its runs, and a record for each run without a
    /// receipt.
    ///
    /// # Errors
    /// `project.not_found`, `task.not_found`. What is damaged below is told in the report.
    pub fn usage(&self, project: Option<&ProjectId>, task: Option<&TaskId>) -> Result<UsageReport> {
        let layout = self.engine.layout();
        let mut report = UsageReport::default();
        let projects = match project {
            Some(project) => vec![project.clone()],
            None => layout.projects()?.ids,
        };
        for project in &projects {
            let tasks = match task {
                Some(task) => vec![task.clone()],
                None => layout.tasks(project)?.ids,
            };
            if task.is_none() {
                report.add_gone(project, &tasks, &layout.project(project)?);
            }
            for name in &tasks {
                match layout.task(project, name) {
                    // Deleted since it was listed.
                    Err(error) if error.kind() == ErrorKind::NotFound && task.is_none() => {}
                    Err(error) => return Err(error),
                    Ok(folder) => report.add_task(project, name, &folder),
                }
            }
        }
        Ok(report)
    }

    /// What the runs of tasks of a project used that are gone: what [`usage`](Conductor::usage) of the project
    /// tells besides that of each of its tasks. Reads only.
    ///
    /// # Errors
    /// `project.not_found`. What is damaged is told in the report.
    pub fn usage_of_gone(&self, project: &ProjectId) -> Result<UsageReport> {
        let layout = self.engine.layout();
        let mut report = UsageReport::default();
        report.add_gone(project, &layout.tasks(project)?.ids, &layout.project(project)?);
        Ok(report)
    }
}

impl UsageReport {
    /// Adds what tasks used that are gone.
    fn add_gone(&mut self, project: &ProjectId, tasks: &[TaskId], folder: &Folder) {
        for ((task, run), receipt) in self.told(receipts::read_gone(folder)) {
            // One that is still there, or there again, tells of its own runs itself.
            let told = tasks.contains(&task)
                && folder
                    .folder(&task)
                    .and_then(|folder| receipts::read(&folder))
                    .is_ok_and(|own| own.all.contains_key(run.as_str()));
            if !told {
                self.runs.extend(used(project, &task, run.as_str(), receipt));
            }
        }
    }

    fn add_task(&mut self, project: &ProjectId, task: &TaskId, folder: &Folder) {
        let Receipts { all: mut receipts, damage } = self.told(receipts::read(folder));
        self.damage.extend(damage);
        for run in self.told(Layout::runs_in(folder)).ids {
            // Its receipt may say that it was about to run, and its record more.
            if receipts.get(run.as_str()).is_none_or(|receipt| receipt.end.is_none())
                && let Some(receipt) = self.receipt_of(folder, &run)
            {
                receipts.insert(run.to_string(), receipt);
            }
        }
        let mut runs: Vec<RunUsage> = receipts
            .into_iter()
            .filter_map(|(run, receipt)| used(project, task, &run, receipt))
            .collect();
        runs.sort_by(|a, b| a.run.sort_key().cmp(&b.run.sort_key()));
        self.runs.extend(runs);
    }

    /// What a run's record says of its end; `None` where it has none yet.
    fn receipt_of(&mut self, task: &Folder, run: &RunId) -> Option<Receipt> {
        let record = task.folder(Path::new(RUNS).join(run)).and_then(|folder| store::read(&folder));
        let record = match record {
            // It is about to begin, or was deleted meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => {
                self.damage.push(error);
                return None;
            }
            Ok(record) => record,
        };
        let outcome = record.outcome.or_else(|| match record.is_open() {
            true => None,
            false => record.foreign_outcome(),
        });
        let end = outcome.map(|outcome| (outcome, record.end_time));
        Some(Receipt { end, ..Receipt::of(&record) })
    }

    fn told<T: Default>(&mut self, answer: Result<T>) -> T {
        answer.unwrap_or_else(|error| {
            self.damage.push(error);
            T::default()
        })
    }
}
