//! What is wrong with a root, and the way out of each.

use super::conductor::Conductor;
use super::monitor::STALE_AFTER;
use super::record::Record;
use crate::error::{Error, ErrorKind, Result};
use crate::gc;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{ATTACHED, AUDIT, BIN, CONDUCTOR, HOLDS, RUNS};
use crate::supervise::{Hold, Known, OpenEntry, RunInfo, Sight, Verdict, known, observe};
use crate::sys::{FileKind, ProcessId, Processes};
use crate::time::format_duration;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Free space below which work may soon stop, in bytes.
const LITTLE_SPACE: u64 = 1 << 30;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is, as a stable word.
    pub kind: FindingKind,
    /// Where.
    pub path: PathBuf,
    /// What was found, for a person.
    pub text: String,
    /// The way out.
    pub way_out: String,
}

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A run ended and nobody wrote it down.
    NotClosed,
    /// An agent lives without its keeper: nobody enforces its limits.
    Unsupervised,
    /// A run may live or not: its processes are those of somebody else.
    Unknown,
    /// A task is unfinished and nobody drives it.
    NotDriven,
    /// A file cannot be read.
    Damaged,
    /// A name below the root that is no id; nothing looks into it.
    Foreign,
    /// What a crash left behind.
    LeftBehind,
    /// The disk is nearly full.
    LittleSpace,
    /// The webhook's receiver does not take what is told, or events were given up.
    NotTold,
    /// The usage limit of an account is reached: nothing is started with it for now.
    OnHold,
    /// An agent lives and has said nothing for long.
    Stuck,
    /// Processes of a run live on although it is over.
    Leaking,
}

impl FindingKind {
    /// Its word in every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::NotClosed => "not_closed",
            FindingKind::Unsupervised => "unsupervised",
            FindingKind::Unknown => "unknown",
            FindingKind::NotDriven => "not_driven",
            FindingKind::Damaged => "damaged",
            FindingKind::Foreign => "foreign",
            FindingKind::LeftBehind => "left_behind",
            FindingKind::LittleSpace => "little_space",
            FindingKind::NotTold => "not_told",
            FindingKind::OnHold => "on_hold",
            FindingKind::Stuck => "stuck",
            FindingKind::Leaking => "leaking",
        }
    }
}

impl From<&Finding> for Record {
    fn from(finding: &Finding) -> Record {
        let mut record = Record::default();
        record.put("kind", finding.kind.as_str());
        record.put("path", finding.path.to_string_lossy());
        record.put("text", finding.text.as_str());
        record.put("way_out", finding.way_out.as_str());
        record
    }
}

impl Conductor {
    /// Looks for what is wrong with the root. Reads only.
    ///
    /// Costs a look at each task, at each run that is not finished, not at each run, and at each process of
    /// the machine.
    pub fn doctor(&self) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        match self.engine.layout().root() {
            Err(error) if error.code() == "root.not_found" => return Ok(found),
            root => drop(root?),
        }
        // What cannot be looked at is a finding, and hides no other.
        let looked_at = match self.look_at_open_runs(&mut found) {
            Ok(looked_at) => looked_at,
            Err(error) => {
                found.push(damaged(&error, self.root()));
                HashSet::new()
            }
        };
        let mut look = |looked: &dyn Fn(&mut Vec<Finding>) -> Result<()>| {
            if let Err(error) = looked(&mut found) {
                found.push(damaged(&error, self.root()));
            }
        };
        look(&|found| self.look_at_tasks(&looked_at, found));
        look(&|found| {
            self.look_at_silence(STALE_AFTER, found);
            Ok(())
        });
        look(&|found| self.look_at_processes(found));
        look(&|found| self.look_at_leftovers(found));
        look(&|found| self.look_at_outbox(found));
        look(&|found| self.look_at_space(found));
        look(&|found| self.look_at_holds(found));
        Ok(found)
    }

    fn look_at_holds(&self, found: &mut Vec<Finding>) -> Result<()> {
        let folder = self.root().join(CONDUCTOR).join(HOLDS);
        let (holds, errors) = self.engine.all_holds()?;
        found.extend(errors.iter().map(|error| damaged(error, &folder)));
        let now = self.engine.now();
        for hold in holds.into_iter().filter(|hold| hold.is_in_force(now)) {
            let Hold { account, until, known, run, .. } = &hold;
            let end = match known {
                true => format!("until {until}"),
                false => format!("and when it ends is not known; the next probe is due at {until}"),
            };
            found.push(Finding {
                kind: FindingKind::OnHold,
                path: folder.join(hold.file()),
                text: format!("nothing is started with the account {account}: the run {run} met its usage limit, {end}"),
                way_out: "wait; or remove the file to try at once".to_owned(),
            });
        }
        Ok(())
    }

    fn look_at_open_runs(&self, found: &mut Vec<Finding>) -> Result<HashSet<PathBuf>> {
        let entries = OpenEntry::list(self.engine.layout())?;
        found.extend(entries.damaged.iter().map(|error| damaged(error, self.root())));
        let mut looked_at = HashSet::new();
        // One of which nothing can be told hides no other.
        for entry in entries.entries {
            let OpenEntry { project, task, run, .. } = &entry;
            let path = self.root().join(project).join(task).join(RUNS).join(run);
            match self.engine.look_at(&entry) {
                Ok(Sight::Living(_) | Sight::Over) => match self.look_at_open_run(&entry) {
                    Ok(more) => found.extend(more),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => found.push(damaged(&error, &path)),
                },
                Ok(Sight::Untold(error)) => found.push(Finding {
                    kind: FindingKind::Damaged,
                    path: path.clone(),
                    text: format!("its agent lives, and its folder tells nothing of it: {error}"),
                    way_out: format!(
                        "let it end, or `run-agent stop --project {project} --task {task}`"
                    ),
                }),
                Ok(Sight::Lost(error)) => found.push(Finding {
                    kind: FindingKind::NotClosed,
                    path: path.clone(),
                    text: format!("it ended, and its folder tells nothing of it: {error}"),
                    way_out: "`run-agent reconcile`".to_owned(),
                }),
                Ok(Sight::Gone) => {}
                Err(error) => found.push(damaged(&error, &path)),
            }
            looked_at.insert(path);
        }
        Ok(looked_at)
    }

    fn look_at_open_run(&self, entry: &OpenEntry) -> Result<Vec<Finding>> {
        let OpenEntry { project, task, run, .. } = entry;
        let folder = self.engine.layout().run(project, task, run)?;
        let Known { record, damage } = known(&folder)?;
        let mut found: Vec<_> = damage.iter().map(|error| damaged(error, folder.path())).collect();
        let mut tell = |kind, text: &str, way_out: String| {
            let (path, text) = (folder.path().to_owned(), text.to_owned());
            found.push(Finding { kind, path, text, way_out });
        };
        match observe(&folder, &record)? {
            Verdict::Supervised => {}
            Verdict::Adopted => tell(
                FindingKind::Unsupervised,
                "the agent lives although its keeper was killed; nobody enforces its limits",
                format!(
                    "let it end, or `run-agent stop --project {project} --task {task} --run {run}`"
                ),
            ),
            Verdict::PossiblyAlive => tell(
                FindingKind::Unknown,
                "it may live: its process numbers are not of this machine's boot or container",
                "look where it was started".to_owned(),
            ),
            Verdict::Over(_) => tell(
                FindingKind::NotClosed,
                "it ended and nobody wrote it down",
                "`run-agent reconcile`".to_owned(),
            ),
        }
        Ok(found)
    }

    fn look_at_tasks(&self, looked_at: &HashSet<PathBuf>, found: &mut Vec<Finding>) -> Result<()> {
        let projects = self.projects()?;
        // The server's own.
        let foreign_names = projects.foreign.iter().filter(|name| *name != AUDIT);
        found.extend(foreign_names.map(|name| foreign(&self.root().join(name))));
        for project in projects.ids {
            let tasks = match self.engine.layout().tasks(&project) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                tasks => tasks?,
            };
            let folder = self.root().join(&project);
            found.extend(tasks.foreign.iter().map(|name| foreign(&folder.join(name))));
            for task in tasks.ids {
                let info = match self.tasks().info(&project, &task) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => {
                        found.push(damaged(&error, &folder.join(&task)));
                        continue;
                    }
                    Ok(info) => info,
                };
                for run in &info.unreadable {
                    let path = info.folder.join(RUNS).join(run);
                    if let Err(error) = self.runs().info(&project, &task, run) {
                        found.push(damaged(&error, &path));
                    }
                }
                let unlisted = info.latest.as_ref().filter(|run| !looked_at.contains(&run.folder));
                found.extend(unlisted.and_then(not_listed));
                if info.is_unfinished() && info.driver.is_none() {
                    found.push(Finding {
                        kind: FindingKind::NotDriven,
                        path: info.folder,
                        text: "the task is unfinished, and nobody starts its next attempt".into(),
                        way_out: way_on(&project, &task, &info.env_names),
                    });
                }
            }
        }
        Ok(())
    }

    /// Tells of runs that live and have said nothing for longer than `limit`.
    fn look_at_silence(&self, limit: Duration, found: &mut Vec<Finding>) {
        // What keeps a run from being read was told by the look at the open runs.
        for run in self.runs().living().map(|living| living.runs).unwrap_or_default() {
            let waits = run.record.waiting_for.is_some();
            // A person's terminal and another program's process may be silent, and are not ours to stop.
            let others = run.record.is_external() || run.folder.join(ATTACHED).exists();
            let Ok(silent) = self.tasks().silence(&run) else { continue };
            if run.alive != Some(true) || waits || others || silent < limit {
                continue;
            }
            let (project, task, id) = (&run.project, &run.task, &run.id);
            let silent = format_duration(Duration::from_secs(silent.as_secs()));
            let place = format!("--project {project} --task {task}");
            let which = match run.record.series {
                Some(_) => "--attempt".to_owned(),
                None => format!("--run {id}"),
            };
            found.push(Finding {
                kind: FindingKind::Stuck,
                path: run.folder.clone(),
                text: format!("its agent lives, and wrote and posted nothing for {silent}"),
                way_out: format!(
                    "wait, or `run-agent stop {place} {which}`; --idle-timeout does it by itself"
                ),
            });
        }
    }

    /// Tells of processes that outlived the run that they belong to.
    fn look_at_processes(&self, found: &mut Vec<Finding>) -> Result<()> {
        let named = Processes
            .naming(["JRUN_ID", "JRUN_RUN_FOLDER"])
            .map_err(|e| Error::io("look at the processes of", self.root(), e))?;
        let mut left: BTreeMap<PathBuf, Vec<u32>> = BTreeMap::new();
        for (process, [run, folder]) in named {
            let folder = Path::new(OsStr::from_bytes(&folder));
            if self.outlived(process, &run, folder) {
                left.entry(folder.to_owned()).or_default().push(process.pid);
            }
        }
        for (path, mut pids) in left {
            pids.sort_unstable();
            let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
            let pids = pids.join(" ");
            found.push(Finding {
                kind: FindingKind::Leaking,
                path,
                text: format!("the run is over, and processes that it started live on: {pids}"),
                way_out: format!("`kill {pids}`, unless they are meant to live on"),
            });
        }
        Ok(())
    }

    /// Whether a process that names this run and folder outlived it.
    fn outlived(&self, process: ProcessId, run: &[u8], folder: &Path) -> bool {
        let Ok(inside) = folder.strip_prefix(self.root()) else { return false };
        let parts: Vec<&str> = inside.iter().filter_map(OsStr::to_str).collect();
        let [project, task, RUNS, id] = parts[..] else { return false };
        let (Ok(project), Ok(task), Ok(id)) = (project.parse(), task.parse(), id.parse()) else {
            return false;
        };
        match self.runs().info(&project, &task, &id) {
            _ if RunId::as_str(&id).as_bytes() != run => false,
            // A keeper needs a moment to go; what a program in a terminal left behind is its user's.
            Ok(info) => {
                info.record.outcome.is_some()
                    && info.record.keeper_pid != Some(process.pid)
                    && !info.record.is_external()
                    && std::fs::symlink_metadata(folder.join(ATTACHED)).is_err()
            }
            Err(error) => {
                let has_entry = self.engine.has_entry(&project, &task, &id);
                error.code() == "run.not_found" && matches!(has_entry, Ok(false))
            }
        }
    }

    fn look_at_leftovers(&self, found: &mut Vec<Finding>) -> Result<()> {
        let root = self.engine.layout().root()?;
        if let Some(trash) = self.engine.layout().trash()? {
            for entry in trash.list()? {
                // What a living collector has in hand is no leftover.
                if gc::is_in_hand(&trash, &entry)? {
                    continue;
                }
                found.push(left_behind(trash.join(&entry.name), "a deletion that was cut short"));
            }
        }
        if let Some(bin) = root.folder_if_exists(Path::new(CONDUCTOR).join(BIN))? {
            for entry in bin.list()? {
                let stray = entry.name.as_encoded_bytes().starts_with(b".");
                if stray && entry.kind == FileKind::File {
                    found.push(left_behind(
                        bin.join(&entry.name),
                        "a keeper that was not installed",
                    ));
                }
            }
        }
        Ok(())
    }

    fn look_at_space(&self, found: &mut Vec<Finding>) -> Result<()> {
        let os = self.engine.layout().os();
        let free = os
            .available_space(self.root())
            .map_err(|e| Error::io("look at the free space of", self.root(), e))?;
        if free < LITTLE_SPACE {
            found.push(Finding {
                kind: FindingKind::LittleSpace,
                path: self.root().to_owned(),
                text: format!("{} MiB are free", free >> 20),
                way_out: "make room: a run on a full disk cannot write what it did".to_owned(),
            });
        }
        Ok(())
    }
}

/// A run that is not closed and has no entry, so that nobody who closes runs would come to it.
fn not_listed(run: &RunInfo) -> Option<Finding> {
    if !run.record.is_supervised() || !run.record.is_open() {
        return None;
    }
    let (kind, text) = match run.ended {
        Some(_) => (FindingKind::NotClosed, "it ended and nobody wrote it down"),
        None => (FindingKind::Damaged, "it lives, and its entry among the open runs is gone"),
    };
    let (path, text) = (run.folder.clone(), text.to_owned());
    Some(Finding { kind, path, text, way_out: "`run-agent reconcile --all`".to_owned() })
}

/// How to go on with a task that nobody drives.
fn way_on(project: &ProjectId, task: &TaskId, env_names: &[String]) -> String {
    let attach = format!("`run-agent attach --project {project} --task {task}`");
    match env_names {
        [] => attach,
        names => format!("{attach}, with {} in the environment", names.join(", ")),
    }
}

pub(super) fn damaged(error: &Error, path: &Path) -> Finding {
    Finding {
        kind: FindingKind::Damaged,
        path: error.path().unwrap_or(path).to_owned(),
        text: error.to_string(),
        way_out: error.hint().to_owned(),
    }
}

fn foreign(path: &Path) -> Finding {
    Finding {
        kind: FindingKind::Foreign,
        path: path.to_owned(),
        text: "its name is no id, so nothing looks into it".to_owned(),
        way_out: "rename it to letters, digits, dots, dashes and underscores, or move it away"
            .into(),
    }
}

fn left_behind(path: PathBuf, what: &str) -> Finding {
    Finding {
        kind: FindingKind::LeftBehind,
        path,
        text: format!("{what}; nothing needs it"),
        way_out: "remove it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use std::fs;

    #[test]
    fn what_is_wrong_is_told_with_the_way_out_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Conductor::open(dir.path().join("root"), Options::default()).unwrap();
        assert!(conductor.doctor().unwrap().is_empty(), "no root is no fault");
        let root = conductor.root().to_owned();
        fs::create_dir_all(root.join("shop/fix/runs/r1")).unwrap();
        // The server's own.
        fs::create_dir(root.join("_audit")).unwrap();
        fs::write(root.join("shop/fix/runs/r1/run-info.yaml"), "status: completed\n").unwrap();
        let kinds = || -> Vec<FindingKind> {
            conductor.doctor().unwrap().into_iter().map(|finding| finding.kind).collect()
        };
        let space = kinds();
        assert!(space.iter().all(|kind| *kind == FindingKind::LittleSpace), "{space:?}");

        fs::create_dir(root.join("with space")).unwrap();
        fs::create_dir_all(root.join(".conductor/trash/x")).unwrap();
        fs::create_dir_all(root.join("shop/fix/runs/r2")).unwrap();
        fs::write(root.join("shop/fix/runs/r2/run-info.yaml"), "").unwrap();
        fs::write(root.join("shop/fix/.loop.yaml"), "state: sleeping\n").unwrap();
        fs::create_dir_all(root.join(".conductor/open")).unwrap();
        fs::write(root.join(".conductor/open/x"), "nonsense").unwrap();
        let found = kinds();
        for (kind, times) in [
            (FindingKind::Foreign, 1),
            (FindingKind::LeftBehind, 1),
            (FindingKind::Damaged, 2),
            (FindingKind::NotDriven, 0),
        ] {
            let count = found.iter().filter(|found| **found == kind).count();
            assert_eq!(count, times, "{kind:?} in {found:?}");
        }
    }

    #[test]
    fn an_agent_that_says_nothing_is_told_and_a_persons_terminal_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Conductor::open(dir.path().join("root"), Options::default()).unwrap();
        let job = crate::JobSpec::new("p").task("t").agent("shell").prompt("exec sleep 1000");
        let run = conductor.jobs().start(job, crate::Wait::FOREVER).unwrap();
        let silent = |limit| {
            let mut found = Vec::new();
            conductor.look_at_silence(limit, &mut found);
            found.iter().map(|finding: &Finding| finding.kind).collect::<Vec<_>>()
        };
        assert_eq!(silent(Duration::from_secs(3600)), []);
        assert_eq!(silent(Duration::ZERO), [FindingKind::Stuck]);
        let mark = run.info().unwrap().folder.join(ATTACHED);
        fs::write(&mark, "").unwrap();
        assert_eq!(silent(Duration::ZERO), []);
        fs::remove_file(mark).unwrap();
        let stop = crate::Stop::because("end of the test").force(true);
        run.stop(stop, crate::Wait::FOREVER).unwrap();
        assert_eq!(silent(Duration::ZERO), []);
    }
}
