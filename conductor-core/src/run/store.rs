//! Reading and changing `run-info.yaml` in a run's folder.
//!
//! A change is made under two locks: ours, which nobody ever removes, and then the older program's,
//! which it removes after use, so that alone it would let two in at once.

use super::outcome::Status;
use super::record::{RunRecord, VERSION};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::{KEEPER, RUN_INFO, RUNS};
use crate::limits;
use crate::sys::LockKind;
use crate::yaml::parse_mapping;
use std::path::Path;

/// Our lock of the record.
const LOCK: &str = ".run-info.lock";
/// The lock that the older program takes.
const OLDER_LOCK: &str = "run-info.yaml.lock";

/// A record that could not be read when the run's end was written down.
const DAMAGED: &str = "run-info.yaml.damaged";

/// Whether a change must survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It is on the disk when the call returns.
    Durably,
    /// A power cut may take it back; what it says can be found out again.
    Loosely,
}

/// Reads the record of the run whose folder is open.
///
/// What the record lacks is filled in from the folder's own place, as the older program does.
///
/// # Errors
/// `io.not_found` where there is none; `yaml.empty`, `yaml.corrupt` and `run_info.corrupt`, naming
/// the file.
pub(crate) fn read(run: &Folder) -> Result<RunRecord> {
    let bytes = run.read(RUN_INFO, limits::YAML_FILE)?;
    let path = run.join(RUN_INFO);
    let mut record = RunRecord::from_mapping(parse_mapping(&bytes, &path)?, &path)?;
    fill_in(&mut record, run.path());
    if !record.supervised {
        record.supervised = run.has_file(KEEPER)?;
    }
    Ok(record)
}

/// Fills empty ids from `<project>/<task>/runs/<run>`.
fn fill_in(record: &mut RunRecord, folder: &Path) {
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned())
    };
    if record.run_id.is_empty() {
        record.run_id = name(Some(folder)).unwrap_or_default();
    }
    let runs = folder.parent();
    if name(runs).as_deref() != Some(RUNS) {
        return;
    }
    let task = runs.and_then(Path::parent);
    if record.task_id.is_empty() {
        record.task_id = name(task).unwrap_or_default();
    }
    if record.project_id.is_empty() {
        record.project_id = name(task.and_then(Path::parent)).unwrap_or_default();
    }
}

/// Writes the first record of a run. Not durable: nothing of the run has happened yet.
pub(crate) fn create(run: &Folder, record: &RunRecord) -> Result<()> {
    run.replace_relaxed(RUN_INFO, record.to_mapping().to_yaml().as_bytes())
}

/// What stands in for the record of a run of ours that cannot be read: what its place tells.
pub(crate) fn stand_in(run: &Folder) -> RunRecord {
    let mut record = RunRecord {
        process_ownership: Some("managed".to_owned()),
        status: Status::Running,
        exit_code: -1,
        rev: Some(0),
        supervised: true,
        ..RunRecord::blank()
    };
    fill_in(&mut record, run.path());
    record
}

/// As [`create`], in place of a record that cannot be read, which is kept under [`DAMAGED`].
pub(crate) fn create_anew(run: &Folder, record: &RunRecord) -> Result<()> {
    if run.stat(RUN_INFO)?.is_some() {
        run.os()
            .rename_at(run.fd(), RUN_INFO.as_ref(), run.fd(), DAMAGED.as_ref(), true)
            .map_err(|e| run.error("set aside", RUN_INFO, e))?;
    }
    create(run, record)
}

/// Changes the record, and gives it as it stands then. A change that changes nothing writes nothing.
///
/// An outcome that stands stays, with everything that belongs to it, whatever the change says.
///
/// # Errors
/// Those of [`read`]; `run_info.too_new` for a record of a newer form; `lock.timeout`.
pub(crate) fn update(
    run: &Folder,
    wait: &Wait,
    keep: Keep,
    change: impl FnOnce(&mut RunRecord) -> Result<()>,
) -> Result<RunRecord> {
    let wait = wait.clone().at_most(limits::RECORD_LOCK);
    let _ours = run.lock(LOCK, LockKind::Exclusive, &wait)?;
    let _older = run.lock(OLDER_LOCK, LockKind::Exclusive, &wait)?;
    let before = read(run)?;
    if before.version > VERSION {
        return Err(Error::new(
            ErrorKind::TooNew,
            "run_info.too_new",
            format!(
                "{} has version {}, and {VERSION} is known",
                run.join(RUN_INFO).display(),
                before.version
            ),
        )
        .with_path(run.join(RUN_INFO))
        .with_field("version"));
    }
    let mut after = before.clone();
    change(&mut after)?;
    if before.outcome.is_some() {
        stick(&before, &mut after);
    }
    if after == before {
        return Ok(before);
    }
    after.rev = Some(before.rev.unwrap_or(0) + 1);
    let text = after.to_mapping().to_yaml();
    match keep {
        Keep::Durably => run.replace(RUN_INFO, text.as_bytes())?,
        Keep::Loosely => run.replace_relaxed(RUN_INFO, text.as_bytes())?,
    }
    Ok(after)
}

/// The end of a run is written once.
fn stick(before: &RunRecord, after: &mut RunRecord) {
    after.outcome = before.outcome;
    after.status = before.status.clone();
    after.exit_code = before.exit_code;
    after.signal = before.signal;
    after.end_time = before.end_time;
    after.error_summary.clone_from(&before.error_summary);
    after.stop_reason.clone_from(&before.stop_reason);
    after.session_id.clone_from(&before.session_id);
    after.model.clone_from(&before.model);
    after.usage = before.usage;
    after.cost_usd = before.cost_usd;
    after.error_class = before.error_class;
    after.limit_reset = before.limit_reset;
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::run::{Outcome, Status};
    use crate::sys::RealOs;
    use crate::{ProjectId, RunId, TaskId};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// Works again while the lock is not had in the few seconds that are allowed for it: whoever has it may
    /// be held up for as long on a slow machine.
    pub(in crate::run) fn patiently<T>(mut work: impl FnMut() -> Result<T>) -> T {
        let begun = Instant::now();
        loop {
            match work() {
                Err(error)
                    if error.code() == "lock.timeout"
                        && begun.elapsed() < Duration::from_secs(60) => {}
                done => return done.unwrap(),
            }
        }
    }

    fn run() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("shop/fix/runs/r1")).unwrap();
        let root = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let folder = root.folder("shop/fix/runs/r1").unwrap();
        (dir, folder)
    }

    fn record() -> RunRecord {
        let id = |text: &str| (ProjectId::new(text), TaskId::new(text), RunId::new(text));
        RunRecord::new(&id("shop").0.unwrap(), &id("fix").1.unwrap(), &id("r1").2.unwrap())
    }

    fn text(run: &Folder) -> String {
        String::from_utf8(run.read(RUN_INFO, 1 << 20).unwrap()).unwrap()
    }

    #[test]
    fn what_is_changed_stands_and_no_change_writes_nothing() {
        let (_dir, run) = run();
        create(&run, &record()).unwrap();
        let set = |pid| {
            update(&run, &Wait::FOREVER, Keep::Durably, |record| {
                record.pid = pid;
                Ok(())
            })
            .unwrap()
        };
        assert_eq!((set(7).rev, read(&run).unwrap().pid), (Some(1), 7));
        let inode = run.stat(RUN_INFO).unwrap().unwrap().inode;
        assert_eq!(set(7).rev, Some(1));
        assert_eq!(run.stat(RUN_INFO).unwrap().unwrap().inode, inode);
    }

    #[test]
    fn an_end_is_written_once() {
        let (_dir, run) = run();
        create(&run, &record()).unwrap();
        let end = |outcome: Outcome, code| {
            update(&run, &Wait::FOREVER, Keep::Loosely, |record| {
                record.outcome = Some(outcome);
                record.status = outcome.status();
                record.exit_code = code;
                record.stop_msg = Some("c1:1:MSG".into());
                Ok(())
            })
            .unwrap()
        };
        end(Outcome::Completed, 0);
        let after = end(Outcome::Lost, -1);
        assert_eq!((after.outcome, after.exit_code), (Some(Outcome::Completed), 0));
        assert_eq!(after.status, Status::Completed);
    }

    #[test]
    fn a_record_that_the_older_program_rewrote_is_still_ours() {
        let (dir, run) = run();
        create(&run, &record()).unwrap();
        std::fs::write(dir.path().join("shop/fix/runs/r1").join(KEEPER), "").unwrap();
        let theirs = "version: 1\nrun_id: r1\npid: 5\nstatus: failed\nexit_code: -1\n";
        std::fs::write(dir.path().join("shop/fix/runs/r1").join(RUN_INFO), theirs).unwrap();
        let seen = read(&run).unwrap();
        assert!(seen.is_supervised() && seen.is_open());
        assert_eq!((seen.project_id.as_str(), seen.task_id.as_str()), ("shop", "fix"));
    }

    #[test]
    fn a_failed_change_and_a_newer_form_leave_the_file_alone() {
        let (dir, run) = run();
        create(&run, &record()).unwrap();
        let before = text(&run);
        let refuse = || Error::new(ErrorKind::Conflict, "x.y", "no");
        update(&run, &Wait::FOREVER, Keep::Durably, |_| Err(refuse())).unwrap_err();
        assert_eq!(text(&run), before);
        let path = dir.path().join("shop/fix/runs/r1").join(RUN_INFO);
        std::fs::write(&path, "version: 2\nrun_id: r1\n").unwrap();
        let error = update(&run, &Wait::FOREVER, Keep::Durably, |record| {
            record.pid = 1;
            Ok(())
        })
        .unwrap_err();
        assert_eq!((error.code(), error.field()), ("run_info.too_new", Some("version")));
        assert_eq!(text(&run), "version: 2\nrun_id: r1\n");
    }

    #[test]
    fn concurrent_changes_are_all_kept_although_the_older_lock_is_removed() {
        let (dir, run) = run();
        create(&run, &record()).unwrap();
        let older = dir.path().join("shop/fix/runs/r1").join(OLDER_LOCK);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let _gone_already = std::fs::remove_file(&older);
                        patiently(|| {
                            update(&run, &Wait::FOREVER, Keep::Loosely, |record| {
                                record.pid += 1;
                                Ok(())
                            })
                        });
                    }
                });
            }
        });
        let last = read(&run).unwrap();
        assert_eq!((last.pid, last.rev), (200, Some(200)));
    }
}
