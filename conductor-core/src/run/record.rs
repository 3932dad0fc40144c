//! What the record of a run says.

use super::outcome::{Outcome, Phase, Status};
use crate::id::{ProjectId, RunId, TaskId};
use crate::time::Timestamp;
use crate::usage::{ErrorClass, Usage};
use crate::yaml::Mapping;

/// The version of the record's form that is written.
pub(super) const VERSION: u64 = 1;

/// The record of a run, as it stands on disk.
///
/// The first fields are those of the older program, in its order; those from `rev` on are
/// conductor's own. Keys that neither knows are kept when the record is rewritten.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RunRecord {
    /// The version of the form.
    pub version: u64,
    /// The run.
    pub run_id: String,
    /// The run whose agent started this one.
    pub parent_run_id: Option<String>,
    /// The run that this one goes on from.
    pub previous_run_id: Option<String>,
    /// The project.
    pub project_id: String,
    /// The task.
    pub task_id: String,
    /// The kind of the agent.
    pub agent: String,
    /// `managed`, or `external` for a process that nobody here may signal.
    pub process_ownership: Option<String>,
    /// The agent's process; 0 while there is none.
    pub pid: i64,
    /// The agent's process group; 0 while there is none.
    pub pgid: i64,
    /// When the run began.
    pub start_time: Timestamp,
    /// When it ended; [`Timestamp::ZERO`] before.
    pub end_time: Timestamp,
    /// The exit code, 128 + n for death by signal n, -1 while it runs or where nobody knows.
    pub exit_code: i32,
    /// The status in the older program's words.
    pub status: Status,
    /// The folder that the agent started in.
    pub cwd: Option<String>,
    /// The prompt's file.
    pub prompt_path: Option<String>,
    /// The final text's file.
    pub output_path: Option<String>,
    /// The file of the standard output.
    pub stdout_path: Option<String>,
    /// The file of the standard error.
    pub stderr_path: Option<String>,
    /// The command, for people.
    pub commandline: Option<String>,
    /// Why it failed, in a few words.
    pub error_summary: Option<String>,
    /// The version of the agent's program; empty where it is not known.
    pub agent_version: String,

    /// Counts the times that conductor wrote the record.
    pub rev: Option<u64>,
    /// Where a run that has not ended stands.
    pub phase: Option<Phase>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it was stopped.
    pub stop_reason: Option<String>,
    /// The signal that ended the agent.
    pub signal: Option<i32>,
    /// When the agent's process started, in the kernel's clock ticks since boot.
    pub process_start: Option<u64>,
    /// The boot of the machine that the process numbers belong to.
    pub boot_id: Option<String>,
    /// The pid namespace that the process numbers belong to.
    pub pid_ns: Option<u64>,
    /// The keeper's process.
    pub keeper_pid: Option<u32>,
    /// When the keeper's process started, in the kernel's clock ticks since boot.
    pub keeper_start: Option<u64>,
    /// The loop of the task that this run is an attempt of.
    pub series: Option<u64>,
    /// The cursor of the message that told of its start.
    pub start_msg: Option<String>,
    /// The cursor of the message that told of its end.
    pub stop_msg: Option<String>,
    /// The agent's own session, as its command line takes it to go on with it.
    pub session_id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The tokens that were used.
    pub usage: Option<Usage>,
    /// What they cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// What kept the agent from its work, as its own records tell.
    pub error_class: Option<ErrorClass>,
    /// When the limit ends that kept it from its work.
    pub limit_reset: Option<Timestamp>,
    /// The account whose usage limit holds for it.
    pub account: Option<String>,
    /// What it waits for before it may start.
    pub waiting_for: Option<String>,
    /// Until when, where that is known.
    pub waiting_until: Option<Timestamp>,
    /// The form of the agent's output, where it is not the one of its kind.
    pub parser: Option<String>,
    /// Whether its end is told to the webhook, whoever writes it down.
    pub(crate) webhook: Option<bool>,
    /// Whether it shares the terminal of the process that started it, and is kept by that.
    pub attached: bool,
    /// What work calls the agent, where that is not [`agent`](RunRecord::agent).
    pub agent_name: Option<String>,
    /// The agent's session that the run was to go on with.
    pub resumed_session: Option<String>,
    /// For how many seconds the machine slept between its start and its end.
    pub slept: Option<u64>,

    /// Whether conductor supervises the run: the record says so, or a keeper's file stands beside
    /// it. The older program drops our keys from the record, but knows nothing of that file.
    pub(crate) supervised: bool,
    /// The document that the record was read from.
    pub(crate) source: Mapping,
}

impl RunRecord {
    /// The record of a run that is about to begin.
    pub(crate) fn new(project: &ProjectId, task: &TaskId, run: &RunId) -> RunRecord {
        RunRecord {
            run_id: run.to_string(),
            project_id: project.to_string(),
            task_id: task.to_string(),
            process_ownership: Some("managed".to_owned()),
            status: Status::Running,
            exit_code: -1,
            rev: Some(0),
            supervised: true,
            ..RunRecord::blank()
        }
    }

    /// A record that says nothing.
    pub(super) fn blank() -> RunRecord {
        RunRecord {
            version: VERSION,
            run_id: String::new(),
            parent_run_id: None,
            previous_run_id: None,
            project_id: String::new(),
            task_id: String::new(),
            agent: String::new(),
            process_ownership: None,
            pid: 0,
            pgid: 0,
            start_time: Timestamp::ZERO,
            end_time: Timestamp::ZERO,
            exit_code: 0,
            status: Status::Unknown,
            cwd: None,
            prompt_path: None,
            output_path: None,
            stdout_path: None,
            stderr_path: None,
            commandline: None,
            error_summary: None,
            agent_version: String::new(),
            rev: None,
            phase: None,
            outcome: None,
            stop_reason: None,
            signal: None,
            process_start: None,
            boot_id: None,
            pid_ns: None,
            keeper_pid: None,
            keeper_start: None,
            series: None,
            start_msg: None,
            stop_msg: None,
            session_id: None,
            model: None,
            usage: None,
            cost_usd: None,
            error_class: None,
            limit_reset: None,
            account: None,
            waiting_for: None,
            waiting_until: None,
            parser: None,
            agent_name: None,
            webhook: None,
            attached: false,
            resumed_session: None,
            slept: None,
            supervised: false,
            source: Mapping::new(),
        }
    }

    /// Whether conductor supervises the run, and not the older program.
    pub fn is_supervised(&self) -> bool {
        self.supervised
    }

    /// Whether its end is still to be written down.
    ///
    /// A terminal status without our outcome on a run of ours is the older program's guess, made
    /// between the agent's end and ours writing it down: the run is still open.
    pub fn is_open(&self) -> bool {
        match self.outcome {
            Some(_) => false,
            None => self.supervised || matches!(self.status, Status::Running),
        }
    }

    /// Whether the process belongs to somebody else, so that it is never signalled.
    pub fn is_external(&self) -> bool {
        self.process_ownership
            .as_deref()
            .is_some_and(|owner| owner.trim().eq_ignore_ascii_case("external"))
    }

    /// How a run of the older program ended, as far as its record tells.
    pub fn foreign_outcome(&self) -> Option<Outcome> {
        match self.status {
            Status::Completed => Some(Outcome::Completed),
            Status::Failed => Some(Outcome::Failed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_of_the_older_program_closes_only_its_own_runs() {
        let guess = RunRecord { status: Status::Failed, exit_code: -1, ..RunRecord::blank() };
        assert!(!guess.is_open());
        assert!(RunRecord { supervised: true, ..guess.clone() }.is_open());
        assert_eq!(guess.foreign_outcome(), Some(Outcome::Failed));
        let ended = RunRecord { supervised: true, outcome: Some(Outcome::Completed), ..guess };
        assert!(!ended.is_open());
    }

    #[test]
    fn ownership_is_read_as_people_write_it() {
        let owned = |owner: &str| RunRecord {
            process_ownership: Some(owner.to_owned()),
            ..RunRecord::blank()
        };
        assert!(owned(" External ").is_external());
        assert!(!owned("managed").is_external() && !owned("?").is_external());
        assert!(!RunRecord::blank().is_external());
    }
}
