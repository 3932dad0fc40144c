//! Why a run stands where it stands: the evidence, and what to do next.

use super::record::Record;
use super::runs::Run;
use crate::error::Result;
use crate::layout::{RUN_LOCK, STDERR};
use crate::run::{Outcome, Phase, RunRecord};
use crate::supervise::{RunInfo, keeper_facts, keeper_record, last_lines, stop_reason};
use crate::sys::KeeperReason;
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
            ("stop_reason", record.stop_reason.clone().or(stop_reason(&folder)?)),
            ("error_class", record.error_class.map(|class| class.as_str().to_owned())),
            ("limit_reset", record.limit_reset.map(|reset| reset.to_string())),
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
        let keeper = keeper_record(&folder)?;
        let adopted = info.alive == Some(true) && !folder.is_locked(RUN_LOCK)?;
        let (because, next) = judge(&info, keeper.and_then(|keeper| keeper.reason), adopted);
        Ok(Why { info, because, evidence, next })
    }
}

/// A sentence for what happened, and one for what to do.
fn judge(info: &RunInfo, reason: Option<KeeperReason>, adopted: bool) -> (String, String) {
    let place = format!("--project {} --task {}", info.project, info.task);
    let run = format!("{place} --run {}", info.id);
    let record = &info.record;
    let code = record.exit_code;
    // An attempt belongs to a loop, which may go on; any other run is started anew.
    let again = match record.series {
        Some(_) => {
            format!("`run-agent attach {place}` goes on with the task, where it is unfinished")
        }
        None => format!("`run-agent output {run}` shows what it left; start it again if need be"),
    };
    let Some(outcome) = info.outcome() else { return of_living(info, adopted, &run) };
    let say = |because: &str, next: String| (because.to_owned(), next);
    if let Some(told) = class_of(record, &again) {
        return told;
    }
    // It was ended, and its own word stands.
    if let (Outcome::Completed | Outcome::Failed, Some(why)) = (outcome, &record.stop_reason) {
        let word = match outcome {
            Outcome::Completed => "the agent told that it had succeeded",
            _ => "the agent told that it had failed",
        };
        let next = format!("raise --result-grace if it was at work; {again}");
        return (format!("{word}, and was ended: {why}"), next);
    }
    match outcome {
        Outcome::Completed => match record.series {
            Some(_) => {
                let next = format!(
                    "`run-agent status {place}` tells whether DONE stands; without it the task is \
                     started again: `run-agent attach {place}` goes on"
                );
                say("the agent exited with 0", next)
            }
            None => {
                say("the agent exited with 0", format!("`run-agent output {run}` shows its result"))
            }
        },
        Outcome::Failed => {
            let next = match record.attached {
                true => "its terminal showed what it complained about".to_owned(),
                false => {
                    format!("`run-agent output --file stderr {run}` shows what it complained about")
                }
            };
            (format!("the agent exited with code {code}"), next)
        }
        Outcome::Killed => {
            let signal = record.signal.unwrap_or_default();
            let because = format!("signal {signal} ended the agent, and conductor did not send it");
            let next = match (signal, record.attached) {
                (1, true) => "its terminal was closed; start it again in another one".to_owned(),
                (2, true) => "somebody pressed Ctrl-C; start it again if that was not meant".into(),
                (9, _) => format!(
                    "signal 9 out of nowhere is often the kernel short of memory: look at `dmesg`; \
                     {again}"
                ),
                (4 | 6 | 7 | 8 | 11, _) => format!(
                    "the agent's own program crashed: `run-agent output --file stderr {run}`; update it"
                ),
                _ => format!("find out who sent it; {again}"),
            };
            (because, next)
        }
        Outcome::TimedOut => {
            let (limit, flag) = match reason {
                Some(KeeperReason::FirstByte) => {
                    ("it wrote nothing at all in time", "--first-byte-timeout")
                }
                Some(KeeperReason::Idle) => {
                    ("its output stood still for too long", "--idle-timeout")
                }
                Some(KeeperReason::Total) => ("it took too long altogether", "--total-timeout"),
                _ => ("one of its time limits ran out", "the limit"),
            };
            say(limit, format!("raise {flag} if it was at work; {again}"))
        }
        Outcome::OutputLimit => say(
            "it wrote more than it may",
            format!("raise --output-limit if that was meant; {again}"),
        ),
        Outcome::Stopped => {
            let because = match record.stop_reason.as_deref() {
                Some(why) => format!("somebody stopped it: {why}"),
                None => "somebody stopped it".to_owned(),
            };
            let next = match record.series {
                Some(_) => format!("`run-agent task resume {place}` starts the task once more"),
                None => "start it again if that was not meant".to_owned(),
            };
            (because, next)
        }
        Outcome::Lost if record.attached => say(
            "nobody saw it end: the process that had it in its terminal was killed before it",
            "start it again".to_owned(),
        ),
        Outcome::Lost => say(
            "nobody saw it end: its keeper or the whole machine went away before it",
            format!("`run-agent doctor` tells what else is wrong; {again}"),
        ),
        Outcome::Refused => say(
            "its agent was never started",
            format!("put right what the evidence names, then start it again; {again}"),
        ),
    }
}

fn of_living(info: &RunInfo, adopted: bool, run: &str) -> (String, String) {
    let follow = format!("`run-agent output -f {run}` shows what it prints");
    if info.alive.is_some() && info.record.phase == Some(Phase::Queued) {
        let what = info.record.waiting_for.as_deref().unwrap_or("its turn");
        let next = format!("`run-agent stop {run}` takes it out of the line");
        return (format!("it waits for {what}"), next);
    }
    match (info.alive, adopted, info.record.attached) {
        (None, ..) => (
            "another program started it, and its process number is in use: it may live".to_owned(),
            "ask the program that started it".to_owned(),
        ),
        (_, true, _) => (
            "it lives, and its keeper died: nobody enforces its limits, and its end will be lost"
                .into(),
            format!("{follow}; `run-agent stop {run}` ends it"),
        ),
        (_, _, true) => (
            "it lives, in a terminal".to_owned(),
            format!("`run-agent stop {run}` ends it from here"),
        ),
        _ => ("it lives".to_owned(), follow),
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
        ErrorClass::BadRequest => (
            "the agent's service refused the request: a model, an option or a prompt that it does not \
             take"
                .to_owned(),
            "see its errors (`run-agent output --file stderr`), put it right, then start it again"
                .to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunRecord;
    use crate::time::Timestamp;
    use crate::{ProjectId, RunId, TaskId};

    fn info(change: impl FnOnce(&mut RunRecord)) -> RunInfo {
        let (project, task, id) = (
            ProjectId::new("shop").unwrap(),
            TaskId::new("fix").unwrap(),
            RunId::new("r1").unwrap(),
        );
        let mut record = RunRecord::new(&project, &task, &id);
        change(&mut record);
        let ended = record.outcome;
        let alive = Some(ended.is_none());
        RunInfo { project, task, id, folder: "/r".into(), record, alive, ended }
    }

    #[test]
    fn every_outcome_has_a_cause_and_a_next_step_that_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for outcome in Outcome::ALL {
            for series in [None, Some(1)] {
                let info = info(|record| {
                    record.outcome = Some(*outcome);
                    record.series = series;
                });
                let (because, next) = judge(&info, None, false);
                assert!(!because.is_empty() && !next.is_empty());
                seen.insert(because);
            }
        }
        assert_eq!(seen.len(), Outcome::ALL.len(), "{seen:?}");
    }

    #[test]
    fn what_is_known_in_detail_is_told() {
        let told = |reason, change: &dyn Fn(&mut RunRecord)| {
            let (because, next) = judge(&info(change), reason, false);
            format!("{because}; {next}")
        };
        let of = |outcome| move |record: &mut RunRecord| record.outcome = Some(outcome);
        for (reason, flag) in [
            (KeeperReason::FirstByte, "--first-byte-timeout"),
            (KeeperReason::Idle, "--idle-timeout"),
            (KeeperReason::Total, "--total-timeout"),
        ] {
            assert!(told(Some(reason), &of(Outcome::TimedOut)).contains(flag));
        }
        let failed = |class, reset| {
            told(None, &move |record: &mut RunRecord| {
                record.outcome = Some(Outcome::Failed);
                record.error_class = Some(class);
                record.limit_reset = reset;
            })
        };
        let reset = Some(Timestamp::UNIX_EPOCH);
        assert!(failed(ErrorClass::UsageLimit, reset).contains("until 1970-01-01T00:00:00Z"));
        assert!(failed(ErrorClass::UsageLimit, None).contains("usage limit of its account"));
        assert!(failed(ErrorClass::BadCredentials, None).contains("the login right"));
        assert!(failed(ErrorClass::BadRequest, None).contains("refused the request"));
        assert!(failed(ErrorClass::Transient, None).contains("tries again by itself"));
        assert!(failed(ErrorClass::Other, None).contains("--file stderr"));
        let killed = |signal, attached| {
            told(None, &move |record: &mut RunRecord| {
                record.outcome = Some(Outcome::Killed);
                record.signal = Some(signal);
                record.attached = attached;
            })
        };
        assert!(killed(9, false).contains("dmesg") && killed(11, false).contains("crashed"));
        assert!(killed(1, true).contains("terminal was closed"));
        assert!(killed(2, true).contains("Ctrl-C"));
        let stopped = told(None, &|record: &mut RunRecord| {
            record.outcome = Some(Outcome::Stopped);
            record.stop_reason = Some("lunch".into());
            record.series = Some(1);
        });
        assert!(stopped.contains("lunch") && stopped.contains("task resume"), "{stopped}");
        for (outcome, word) in [(Outcome::Completed, "succeeded"), (Outcome::Failed, "failed")] {
            let told = told(None, &|record: &mut RunRecord| {
                record.outcome = Some(outcome);
                record.stop_reason = Some("it did not exit".into());
            });
            assert!(told.contains(word) && told.contains("it did not exit"), "{told}");
        }
        let living = info(|_| {});
        assert!(judge(&living, None, false).1.contains("output -f"));
        assert!(judge(&living, None, true).0.contains("its keeper died"));
    }
}
