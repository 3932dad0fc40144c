//! `cwd.txt`: what an older shell script noted of a run, before there were records.

use super::outcome::Status;
use super::record::RunRecord;
use crate::time::Timestamp;
use std::path::Path;

/// The file in a run's folder.
pub(crate) const CWD_TXT: &str = "cwd.txt";

impl RunRecord {
    /// The record that the lines `KEY=VALUE` of a `cwd.txt` stand for, as the older program has it.
    ///
    /// `name` is that of the run's folder. `modified` is when the file last changed: it is written anew
    /// when the run ends.
    pub(crate) fn from_cwd_txt(text: &str, name: &str, modified: Timestamp) -> RunRecord {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            // A later line wins.
            let found = lines.rfind(|(known, _)| known.trim() == key);
            found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
        };
        let owned = |key: &str| value(key).map(str::to_owned);
        let run_id = owned("RUN_ID").unwrap_or_else(|| name.to_owned());
        let folder = value("CWD").map(Path::new).and_then(Path::file_name);
        let project = folder.map(|name| name.to_string_lossy().into_owned());
        let pid = value("PID").and_then(|pid| pid.parse().ok()).unwrap_or(0);
        let code = value("EXIT_CODE").and_then(|code| code.parse::<i32>().ok());
        let (status, end_time) = match code {
            None => (Status::Running, Timestamp::ZERO),
            Some(0) => (Status::Completed, modified),
            Some(_) => (Status::Failed, modified),
        };
        RunRecord {
            project_id: project.unwrap_or_else(|| "unknown".to_owned()),
            task_id: run_id.clone(),
            start_time: started(&run_id).unwrap_or(Timestamp::ZERO),
            run_id,
            agent: owned("AGENT").unwrap_or_default(),
            pid,
            pgid: pid,
            cwd: owned("CWD"),
            commandline: owned("CMD"),
            prompt_path: owned("PROMPT"),
            stdout_path: owned("STDOUT"),
            stderr_path: owned("STDERR"),
            status,
            end_time,
            exit_code: code.unwrap_or(-1),
            ..RunRecord::blank()
        }
    }
}

/// The moment in an id that begins with `YYYYMMDD-HHMMSS`, with `run_` before it or not.
fn started(run: &str) -> Option<Timestamp> {
    let text = run.strip_prefix("run_").unwrap_or(run).get(..15)?;
    let digits = |from: usize, to: usize| {
        text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if text.as_bytes().get(8) != Some(&b'-') {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?);
    let (hour, minute, second) = (digits(9, 11)?, digits(11, 13)?, digits(13, 15)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_for_a_record() {
        let modified: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let text = "RUN_ID=run_20260101-1234560000-77\n\nno line\nCWD=/home/me/shop\nAGENT=claude\n\
                    CMD=claude -p a=b\nSTDOUT=/r/out\nPID=77\nEXIT_CODE=1\nEXIT_CODE=0\n";
        let record = RunRecord::from_cwd_txt(text, "folder", modified);
        assert_eq!((&*record.run_id, &*record.project_id), ("run_20260101-1234560000-77", "shop"));
        assert_eq!(record.task_id, record.run_id);
        assert_eq!(record.start_time.to_string(), "2026-01-01T12:34:56Z");
        assert_eq!((record.status, record.exit_code), (Status::Completed, 0));
        assert_eq!((record.end_time, record.pid), (modified, 77));
        assert_eq!(record.commandline.as_deref(), Some("claude -p a=b"));

        let record = RunRecord::from_cwd_txt("PID=x\nEXIT_CODE=\nCWD=/\n", "folder", modified);
        assert_eq!((&*record.run_id, &*record.project_id), ("folder", "unknown"));
        assert_eq!((record.status, record.exit_code, record.pid), (Status::Running, -1, 0));
        assert!(record.end_time.is_zero() && record.start_time.is_zero());
        let failed = RunRecord::from_cwd_txt("EXIT_CODE=3", "20261399-000000", modified);
        assert_eq!((failed.status, failed.exit_code), (Status::Failed, 3));
        assert!(failed.start_time.is_zero(), "a month that is none");
    }
}
