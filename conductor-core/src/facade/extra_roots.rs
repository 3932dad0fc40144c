//! Runs below the extra roots of the configuration: those of older programs, each in `runs/<run>`. They are
//! read and never changed.

use super::conductor::Conductor;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::{RUN_INFO, RUNS};
use crate::limits;
use crate::run::{CWD_TXT, Outcome, RunRecord, Status, store};
use crate::supervise::look;
use crate::sys::FileKind;
use crate::time::Timestamp;
use std::path::Path;

/// The runs below the extra roots; from [`Conductor::extra_runs`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ExtraRuns {
    /// The runs, by root and in no other order. What is known of one is read when it is asked for.
    pub runs: Vec<ExtraRun>,
    /// What keeps roots from being listed, and folders that can be no run's.
    pub unreadable: Vec<Error>,
}

/// A run below an extra root.
#[derive(Clone, Debug)]
pub struct ExtraRun {
    id: RunId,
    runs: Folder,
}

/// What is known of a run below an extra root.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExtraRunInfo {
    /// Its record, or what its `cwd.txt` tells. Project and task are words, which need be no ids here.
    pub record: RunRecord,
    /// Where it stands in the words of the older program, judged by what lives.
    pub status: Status,
    /// How it ended; `None` while it lives.
    pub ended: Option<Outcome>,
}

impl Conductor {
    /// The runs below the extra roots that the configuration names (`storage.extra_roots`), each in
    /// `<root>/runs/<run>`. Lists folders and reads no record.
    pub fn extra_runs(&self) -> ExtraRuns {
        let mut found = ExtraRuns::default();
        for root in self.config().storage.extra_roots.iter().flatten() {
            if let Err(error) = self.list_extra(root, &mut found) {
                found.unreadable.push(error);
            }
        }
        found
    }

    /// The run below an extra root that has this id; the first where several have it.
    ///
    /// # Errors
    /// `run.not_found`; where a root cannot be read, so that nobody knows, why.
    pub fn extra_run(&self, run: &RunId) -> Result<ExtraRun> {
        let mut found = self.extra_runs();
        let unreadable = found.unreadable.drain(..).find(|error| error.code() != "id.invalid");
        match (found.runs.into_iter().find(|known| known.id == *run), unreadable) {
            (Some(run), _) => Ok(run),
            (None, Some(error)) => Err(error),
            (None, None) => {
                let what = format!("there is no run {run}");
                Err(Error::new(ErrorKind::NotFound, "run.not_found", what).with_field("run"))
            }
        }
    }

    fn list_extra(&self, root: &Path, found: &mut ExtraRuns) -> Result<()> {
        let os = self.engine.layout().os().clone();
        let root = Folder::open_root(os, root)?;
        let Some(runs) = root.folder_if_exists(RUNS)? else { return Ok(()) };
        for entry in runs.list()? {
            // Links are not followed; names that begin with a dot are being written.
            let name = entry.name.to_string_lossy();
            if entry.kind != FileKind::Folder || name.starts_with('.') {
                continue;
            }
            match RunId::new(&*name) {
                Ok(id) => found.runs.push(ExtraRun { id, runs: runs.clone() }),
                Err(error) => found.unreadable.push(error.with_path(runs.join(&entry.name))),
            }
        }
        Ok(())
    }
}

impl ExtraRun {
    /// The run: the name of its folder.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// What is known of it now. A record is judged by what lives; a `cwd.txt` says all that there is.
    ///
    /// # Errors
    /// What keeps it from being read; `io.not_found` where there is neither.
    pub fn info(&self) -> Result<ExtraRunInfo> {
        let folder = self.runs.folder(&self.id)?;
        let record = match store::read(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return self.noted(&folder),
            record => record,
        };
        let mut record = record?;
        let (alive, ended) = look(&folder, &mut record)?;
        let status = match (alive, ended) {
            (Some(true), _) => Status::Running,
            (_, Some(outcome)) => outcome.status(),
            _ => record.status.clone(),
        };
        Ok(ExtraRunInfo { record, status, ended })
    }

    fn noted(&self, folder: &Folder) -> Result<ExtraRunInfo> {
        let bytes = folder.read(CWD_TXT, limits::YAML_FILE)?;
        let modified = folder.stat(CWD_TXT)?.map_or(0, |stat| stat.modified);
        let modified = Timestamp::from_unix_nanos(modified);
        let text = String::from_utf8_lossy(&bytes);
        let record = RunRecord::from_cwd_txt(&text, self.id.as_str(), modified);
        let (status, ended) = (record.status.clone(), record.foreign_outcome());
        Ok(ExtraRunInfo { record, status, ended })
    }

    /// The record as it stands on disk, byte for byte.
    ///
    /// # Errors
    /// `io.not_found` for one that has only a `cwd.txt`.
    pub fn record_bytes(&self) -> Result<Vec<u8>> {
        self.runs.folder(&self.id)?.read(RUN_INFO, limits::YAML_FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use std::fs;

    #[test]
    fn runs_of_extra_roots_are_read_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let extra = dir.path().join("older");
        let write = |path: &str, text: &str| {
            let path = extra.join("runs").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("run_20260101-1200000000-7/cwd.txt", "CWD=/w/shop\nAGENT=codex\nEXIT_CODE=0\n");
        // Running by its record, and its process is gone.
        let dead = "version: 1\nrun_id: r2\nproject_id: Old Shop\ntask_id: t\nagent: claude\n\
                    pid: 2147483646\npgid: 2147483646\nstatus: running\nexit_code: -1\n\
                    start_time: 2026-01-01T00:00:00Z\nend_time: 0001-01-01T00:00:00Z\n";
        write("r2/run-info.yaml", dead);
        write("empty/other.txt", "");
        write("not an id/cwd.txt", "");
        std::os::unix::fs::symlink("/etc", extra.join("runs/link")).unwrap();
        let text = format!("storage: {{extra_roots: [{0:?}, {0:?}]}}", extra.join("none"));
        let text = text.replacen("none", "", 1);
        let (path, variables) = (dir.path().join("config.yaml"), crate::Variables::default());
        let config = crate::LoadedConfig::parse(text.as_bytes(), &path, &variables).unwrap();
        let options = Options::default().config(config);
        let conductor = Conductor::open(dir.path().join("root"), options).unwrap();

        let mut found = conductor.extra_runs();
        found.runs.sort_by(|a, b| a.id().cmp(b.id()));
        let ids: Vec<_> = found.runs.iter().map(|run| run.id().as_str()).collect();
        assert_eq!(ids, ["empty", "r2", "run_20260101-1200000000-7"]);
        let mut codes: Vec<_> = found.unreadable.iter().map(Error::code).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["id.invalid", "io.not_found"], "one folder, and one root");

        let info = |id: &str| conductor.extra_run(&RunId::new(id).unwrap()).unwrap().info();
        let noted = info("run_20260101-1200000000-7").unwrap();
        assert_eq!((noted.status, noted.ended), (Status::Completed, Some(Outcome::Completed)));
        assert_eq!((&*noted.record.project_id, &*noted.record.agent), ("shop", "codex"));
        let dead_info = info("r2").unwrap();
        assert_eq!((dead_info.status, dead_info.ended), (Status::Failed, Some(Outcome::Lost)));
        assert_eq!(dead_info.record.project_id, "Old Shop");
        assert_eq!(fs::read_to_string(extra.join("runs/r2/run-info.yaml")).unwrap(), dead);
        assert_eq!(fs::read_dir(extra.join("runs/r2")).unwrap().count(), 1, "no lock, no copy");
        assert_eq!(info("empty").unwrap_err().code(), "io.not_found");
        let raw = conductor.extra_run(&RunId::new("r2").unwrap()).unwrap().record_bytes();
        assert_eq!(raw.unwrap(), dead.as_bytes());
    }
}
