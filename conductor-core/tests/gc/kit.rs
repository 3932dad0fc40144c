//! Roots made by hand, and what is left of them.

use conductor_core::{
    Conductor, Error, GcAction, GcItem, GcPlan, GcPolicy, GcReport, Options, Timestamp, Wait,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const WEEK: Duration = Duration::from_secs(168 * 3600);
/// No process has this number: it is beyond the highest.
pub(crate) const DEAD: u32 = 4_194_305;

/// A root of one test.
pub(crate) struct Root {
    path: PathBuf,
    /// Removed with it; none where the test was given a place.
    _dir: Option<TempDir>,
}

/// A run to be written.
#[derive(Clone, Debug)]
pub(crate) struct RunSpec {
    pub(crate) status: &'static str,
    /// How long ago it ended, in hours; negative for the future.
    pub(crate) ended: i64,
    pub(crate) pid: u32,
    pub(crate) more: String,
}

impl RunSpec {
    pub(crate) fn new(status: &'static str, ended: i64) -> RunSpec {
        RunSpec { status, ended, pid: 0, more: String::new() }
    }

    pub(crate) fn with(mut self, line: &str) -> RunSpec {
        self.more.push_str(line);
        self.more.push('\n');
        self
    }

    /// A run of the older program whose process number is in use.
    pub(crate) fn alive() -> RunSpec {
        RunSpec { pid: std::process::id(), ..RunSpec::new("running", 300) }
    }
}

pub(crate) fn hours_ago(hours: i64) -> SystemTime {
    let seconds = hours.unsigned_abs() * 3600;
    match hours < 0 {
        true => SystemTime::now() + Duration::from_secs(seconds),
        false => SystemTime::now() - Duration::from_secs(seconds),
    }
}

/// Makes a file or folder look as if it had changed so many hours ago.
pub(crate) fn age(path: &Path, hours: i64) {
    fs::File::open(path).unwrap().set_modified(hours_ago(hours)).unwrap();
}

impl Root {
    pub(crate) fn new() -> Root {
        let dir = tempfile::tempdir().unwrap();
        Root { path: dir.path().to_owned(), _dir: Some(dir) }
    }

    /// A root at a place that somebody else made.
    pub(crate) fn at(path: &Path) -> Root {
        Root { path: path.to_owned(), _dir: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn conductor(&self) -> Conductor {
        Conductor::open(self.path(), Options::default()).unwrap()
    }

    /// Writes a file, its folders first, that changed so many hours ago.
    pub(crate) fn file(&self, path: &str, text: &str, hours: i64) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        age(&path, hours);
        path
    }

    /// Writes a run with its record and some output; gives its folder.
    pub(crate) fn run(&self, task: &str, run: &str, spec: &RunSpec) -> PathBuf {
        let folder = format!("{task}/runs/{run}");
        let time = |hours: i64| {
            let since = hours_ago(hours).duration_since(SystemTime::UNIX_EPOCH).unwrap();
            Timestamp::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap())
        };
        let end = match spec.status {
            "running" => Timestamp::ZERO,
            _ => time(spec.ended),
        };
        let record = format!(
            "version: 1\nrun_id: {run}\nproject_id: p\ntask_id: t\nagent: claude\npid: {}\npgid: {}\n\
             start_time: {}\nend_time: {end}\nexit_code: 0\nstatus: {}\n{}",
            spec.pid,
            spec.pid,
            time(spec.ended + 1),
            spec.status,
            spec.more
        );
        self.file(&format!("{folder}/agent-stdout.txt"), "the work\n", spec.ended);
        self.file(&format!("{folder}/run-info.yaml"), &record, spec.ended);
        let folder = self.path().join(folder);
        age(&folder, spec.ended);
        folder
    }

    pub(crate) fn plan(&self, policy: GcPolicy) -> GcPlan {
        self.conductor().gc().plan(policy).unwrap()
    }

    pub(crate) fn collect(&self, policy: GcPolicy) -> GcReport {
        let conductor = self.conductor();
        let plan = conductor.gc().plan(policy).unwrap();
        conductor.gc().apply(&plan, Wait::FOREVER).unwrap()
    }

    /// What lies below the root, but for what conductor keeps for itself.
    pub(crate) fn left(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        walk(self.path(), Path::new(""), &mut found);
        found
    }

    pub(crate) fn trash_is_empty(&self) -> bool {
        let trash = self.path().join(".conductor/trash");
        !trash.exists() || fs::read_dir(trash).is_ok_and(|mut entries| entries.next().is_none())
    }
}

fn walk(top: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(top.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let own = [".task.lock", ".receipts.jsonl"].iter().any(|name| path.ends_with(name));
        if own || path.starts_with(".conductor") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(top, &path, found);
        }
        found.insert(path);
    }
}

/// Everything that a plan judges.
pub(crate) fn items(plan: &GcPlan) -> impl Iterator<Item = GcItem> {
    plan.items(Wait::FOREVER).filter_map(Result::ok)
}

/// What a plan cannot look at.
pub(crate) fn errors(plan: &GcPlan) -> Vec<Error> {
    plan.items(Wait::FOREVER).filter_map(Result::err).collect()
}

/// How much is to be done.
pub(crate) fn actions(plan: &GcPlan) -> usize {
    plan.actions(Wait::FOREVER).filter(Result::is_ok).count()
}

/// The paths below the root of what a plan deletes.
pub(crate) fn deleted(root: &Root, plan: &GcPlan) -> BTreeSet<PathBuf> {
    plan.actions(Wait::FOREVER)
        .filter_map(Result::ok)
        .filter(|item| item.action == GcAction::Delete)
        .map(|item| item.path.strip_prefix(root.path()).unwrap().to_owned())
        .collect()
}

/// Why something stays or goes, by the end of its path.
pub(crate) fn reason(plan: &GcPlan, path: &str) -> (&'static str, &'static str) {
    let item = items(plan).find(|item| item.path.ends_with(path));
    let item = item.unwrap_or_else(|| panic!("{path} is not in the plan"));
    (item.action.as_str(), item.reason.as_str())
}
