//! Why a run stands where it stands: the evidence, and what to do next.

use super::record::Record;
use super::runs::Run;
use crate::error::Result;
use crate::layout::STDERR;
use crate::run::{Outcome, Phase, RunRecord};
use crate::supervise::{RunInfo, keeper_facts, last_lines};
use crate::usage::ErrorClass;

/// Lines of the agent's errors that count as evidence.
const LINES: usize = 10;

/// Why a run stands where it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Why {
    /// What is known of the run.
    pub info: RunInfo,
    /// In a sentence.
    pub because: String,
    /// What proves it: where it stands, and what it says.
    pub evidence: Vec<(String, String)>,
    /// What to do next.
    pub next: String,
}

impl Run {
    /// Why the run stands where it stands. Reads only.
    pub fn why(&self) -> Result<Why> {
        let info = self.info()?;
        let folder = self.open_folder()?;
        let mut evidence: Vec<(String, String)> = keeper_facts(&folder)?
            .into_iter()
            .map(|(name, value)| (format!(".keeper: {name}"), value))
            .collect();
        let record = &info.record;
        for (name, value) in [
            ("error_summary", record.error_summary.clone()),
            ("stop_reason", record.stop_reason.clone()),
            ("error_class", record.error_class.map(|class| class.as_str().to_owned())),
            ("limit_reset", record.limit_reset.map(|time| time.to_string())),
            ("account", record.account.clone()),
            ("waiting_for", record.waiting_for.clone()),
            ("waiting_until", record.waiting_until.map(|time| time.to_string())),
        ] {
            evidence.extend(value.map(|value| (format!("run-info.yaml: {name}"), value)));
        }
        let lines = last_lines(&folder, STDERR, LINES)?;
        if !lines.is_empty() {
            evidence.push((format!("{STDERR}: its end"), lines));
        }
        let (because, next) = judge(&info);
        Ok(Why { info, because, evidence, next })
    }
}

/// A sentence for what happened, and one for what to do.
fn judge(info: &RunInfo) -> (String, String) {
    let place = format!("--project {} --task {}", info.project, info.task);
    let record = &info.record;
    let Some(outcome) = info.outcome() else {
        let next = format!("`run-agent output -f {place}` shows what it prints");
        return match info.alive {
            Some(_) if record.phase == Some(Phase::Queued) => {
                let what = record.waiting_for.as_deref().unwrap_or("its turn");
                let stop =
                    format!("`run-agent stop {place} --run {}` takes it out of the line", info.id);
                (format!("it waits for {what}"), stop)
            }
            Some(_) => ("it lives".to_owned(), next),
            None => (
                "another program started it, and its process number is in use: it may live".into(),
                "ask the program that started it".to_owned(),
            ),
        };
    };
    let code = record.exit_code;
    let attempt =
        format!("`run-agent attach {place}` goes on with the task, where it is unfinished");
    if let Some(told) = class_of(record, &attempt) {
        return told;
    }
    match outcome {
        Outcome::Completed => ("the agent exited with 0".to_owned(), attempt),
        Outcome::Failed => (
            format!("the agent exited with code {code}"),
            format!("`run-agent output --file stderr {place}` shows what it complained about"),
        ),
        Outcome::Killed => (
            format!(
                "signal {} ended the agent, and conductor did not send it",
                record.signal.unwrap_or_default()
            ),
            "signal 9 out of nowhere is often the kernel short of memory: look at `dmesg`"
                .to_owned(),
        ),
        Outcome::TimedOut => (
            "one of its time limits ran out".to_owned(),
            "raise --first-byte-timeout, --idle-timeout or --total-timeout if it was at work"
                .into(),
        ),
        Outcome::OutputLimit => (
            "it wrote more than it may".to_owned(),
            "raise --output-limit if that was meant".to_owned(),
        ),
        Outcome::Stopped => ("somebody stopped it".to_owned(), attempt),
        Outcome::Lost => (
            "nobody saw it end: its keeper or the whole machine went away before it".to_owned(),
            attempt,
        ),
        Outcome::Refused => (
            "its agent was never started".to_owned(),
            "put right what the evidence names, then start it again".to_owned(),
        ),
    }
}

/// What the agent's own stream says kept it from its work, and what follows; `None` where it says nothing
/// that decides.
fn class_of(record: &RunRecord, attempt: &str) -> Option<(String, String)> {
    let account = record.account.as_deref().unwrap_or("its account");
    Some(match record.error_class? {
        ErrorClass::UsageLimit => {
            let until = record.limit_reset.map(|until| format!(" until {until}"));
            (
                format!("the usage limit of {account} was reached{}", until.unwrap_or_default()),
                format!("`run-agent doctor` tells when it is tried again; {attempt}"),
            )
        }
        ErrorClass::BadCredentials => (
            format!("{account} was refused: bad credentials"),
            "put the token or the login right, then start it again".to_owned(),
        ),
        ErrorClass::Transient => (
            "the agent's service was overloaded or out of reach".to_owned(),
            format!("its task tries again by itself, less and less often; {attempt}"),
        ),
        ErrorClass::Other => return None,
    })
}

impl From<&Why> for Record {
    fn from(why: &Why) -> Record {
        let mut record = Record::from(&why.info);
        record.put("because", why.because.as_str());
        record.put_texts("evidence", &why.evidence);
        record.put("next", why.next.as_str());
        record
    }
}
