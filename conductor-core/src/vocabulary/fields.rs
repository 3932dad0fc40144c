//! What records tell.

use super::{About, Value};

/// A field of a [`Record`](crate::Record).
#[derive(Clone, Copy, Debug)]
pub struct FieldRow {
    /// What it tells of.
    pub about: About,
    /// Its name; a part of a group is named with a dot.
    pub name: &'static str,
    /// What it is.
    pub value: Value,
    /// What it says, in a few words.
    pub help: &'static str,
}

macro_rules! fields {
    ($($about:ident { $($name:literal $(: $value:ident)? $help:literal;)* })*) => {
        /// Every field of every record. A run's are those of its file on disk, and three more.
        pub const FIELDS: &[FieldRow] = &[$($(FieldRow {
            about: About::$about,
            name: $name,
            value: value!($($value)?),
            help: $help,
        }),*),*];
    };
}

fields! {
    Project {
        "project_id"   "the project";
        "folder": Path "its folder";
    }
    Run {
        "version": Number                     "version of the record's form";
        "run_id"                              "the run";
        "parent_run_id"                       "run whose agent started it";
        "previous_run_id"                     "run that it goes on from";
        "project_id"                          "project that it belongs to";
        "task_id"                             "task that it belongs to";
        "agent"                               "kind of its agent";
        "process_ownership"                   "managed, or external";
        "pid": Number                         "agent's process";
        "pgid": Number                        "agent's process group";
        "start_time": Time                    "when it began";
        "end_time": Time                      "when it ended";
        "exit_code": Number                   "exit code; 128 + n for death by signal n";
        "status"                              "running, completed, failed or unknown";
        "cwd": Path                           "folder that the agent started in";
        "prompt_path": Path                   "file of the prompt";
        "output_path": Path                   "file of the final text";
        "stdout_path": Path                   "file of the standard output";
        "stderr_path": Path                   "file of the standard error";
        "commandline"                         "command, for people";
        "error_summary"                       "why it failed";
        "agent_version"                       "version of the agent's program";
        "rev": Number                         "how often conductor wrote the record";
        "phase"                               "where a run that has not ended stands";
        "outcome"                             "how it ended";
        "stop_reason"                         "why it was stopped";
        "signal": Number                      "signal that ended the agent";
        "process_start": Number               "start of the agent's process, in clock ticks since boot";
        "boot_id"                             "boot that the process numbers belong to";
        "pid_ns": Number                      "pid namespace that the process numbers belong to";
        "keeper_pid": Number                  "keeper's process";
        "keeper_start": Number                "start of the keeper's process, in clock ticks since boot";
        "series": Number                      "loop of the task that it is an attempt of";
        "start_msg"                           "cursor of the message about its start";
        "stop_msg"                            "cursor of the message about its end";
        "session_id"                          "agent's own session";
        "model"                               "model that answered";
        "usage.input_tokens": Number          "tokens that the model read anew";
        "usage.output_tokens": Number         "tokens that the model wrote";
        "usage.cache_read_tokens": Number     "tokens that came from a cache";
        "usage.cache_creation_tokens": Number "tokens that were put into a cache";
        "cost_usd": Decimal                   "what the tokens cost, in US dollars";
        "error_class"                         "what kept the agent from its work";
        "limit_reset": Time                   "when the limit ends that kept it from its work";
        "account"                             "account whose usage limit holds for it";
        "waiting_for"                         "what it waits for before it may start";
        "waiting_until": Time                 "until when, where that is known";
        "parser"                              "form of its output, where it is not the one of its kind";
        "attached": Flag                      "whether it shares the terminal of its starter";
        "agent_name"                          "what work calls the agent, where that is not its kind";
        "resumed_session"                     "agent's session that it was to go on with";
        "slept_seconds": Number               "for how long the machine slept meanwhile, in seconds";
        "alive": Flag                         "whether anything of it lives";
        "folder": Path                        "its folder";
    }
    Task {
        "project_id"               "project that it belongs to";
        "task_id"                  "the task";
        "folder": Path             "its folder";
        "runs": Number             "how many runs it has";
        "done": Flag               "whether DONE stands";
        "attempts": Number         "attempts of its present loop";
        "driver_pid": Number       "process that drives it";
        "blocked_by": List         "dependencies that are not ready";
        "waiting.for"              "what it waits for";
        "waiting.since": Time      "since when";
        "waiting.until": Time      "until when at the latest";
        "waiting.position": Number "its place in the line, where it waits for a slot";
        "outcome"                  "how its loop ended: done, gave_up or stopped";
        "reason"                   "why its loop ended";
        "latest": Group            "its newest run";
        "last_activity": Time      "when something last changed in its folder";
        "status"                   "where it stands, in one word";
    }
    Unreadable {
        "project_id"       "project that it belongs to";
        "task_id"          "the task, or the one that the run belongs to";
        "run_id"           "the run, where it is one";
        "error"            "why it cannot be read";
        "error_code"       "the stable code of that";
        "error_path": Path "the file or folder";
    }
    Result {
        "outcome"          "done, gave_up or stopped";
        "reason"           "why, unless it is done";
        "attempts": Number "attempts of the loop";
        "run_id"           "last attempt";
    }
    Message {
        "kind"              "message, or what stands in its place: gap, corrupt, foreign or replaced";
        "msg_id"            "its id";
        "seq": Number       "its number on the bus";
        "ts": Time          "when it was posted";
        "type"              "its type";
        "project_id"        "project that it belongs to";
        "task_id"           "task that it belongs to";
        "run_id"            "run that it belongs to";
        "issue_id"          "id under which it is discussed";
        "parents": Groups   "messages that it answers or rests on";
        "links": Groups     "what it points to";
        "meta": Group       "named texts";
        "body"              "its text; of damage, what stands there";
        "cursor"            "the place right behind it";
        "path": Path        "file of the damage";
        "offset": Number    "first byte of the damage";
        "len": Number       "length of the damage in bytes";
        "after_seq": Number "last number before the damage";
        "from_seq": Number  "first missing number";
        "to_seq": Number    "last missing number";
    }
    Posted {
        "msg_id"      "its id";
        "seq": Number "its number on the bus";
        "cursor"      "the place right behind it";
    }
    Output {
        "text"           "whole lines, where lines end within 64 KiB";
        "offset": Number "first byte of it in the file";
    }
    Update {
        "state"      "idle, deferred, applying or failed";
        "served": Flag       "whether a server lives that can carry it out";
        "binary_path": Path  "the new program";
        "requested_at": Time "when it was asked for";
        "started_at": Time   "when the exchange began";
        "finished_at": Time  "when it ended";
        "active_runs_at_request": Number "root runs that were active then";
        "active_runs_now": Number "root runs that it waits for";
        "active_runs_error" "what could not be read, and counts as active";
        "step"       "what is being done to the program";
        "installed_version" "version that the last one brought";
        "last_error" "why the last one failed";
        "last_note"  "how the last one ended otherwise";
    }
    Gc {
        "action"     "keep, delete or rotate";
        "kind"       "run, task, bus, archive, orphan, temporary, trash, lock or entry";
        "reason"     "why";
        "path": Path       "where it is";
        "bytes": Number      "how much it holds";
        "project_id" "project that it belongs to";
        "task_id"    "task that it belongs to";
        "run_id"     "run that it is";
        "status"     "status of the run";
        "start_time": Time "when the run began";
        "end_time": Time   "when the run ended; of other things, when they last changed";
        "cursor"     "name of the cursor that has yet to read an archive";
        "result"     "what became of it: done, gone, kept or failed";
        "kept_for"   "why it stays for now although it was to go";
        "error"      "why it failed";
    }
    GcPlan {
        "plan"           "the plan as one text: with it, another process makes the plan again";
        "now": Time      "the moment that ages are counted from";
        "runs": Number   "runs that the root holds";
        "goals": Groups  "how far each goal of the policy is reached";
        "errors": Groups "what could not be looked at elsewhere in the root: error, error_code, error_path";
    }
    GcReport {
        "runs": Number     "runs that were deleted";
        "tasks": Number    "tasks that were deleted";
        "buses": Number    "buses that were archived";
        "archives": Number "archives that were deleted";
        "strays": Number   "leftovers that were removed";
        "freed": Number    "bytes of all that was deleted";
        "kept": Number     "things that stay for now although they were to go";
        "failed": Number   "things that could not be looked at, or not be deleted";
        "goals": Groups    "how far each goal of the policy is reached, once the work is over";
        "errors": Groups   "why, of the first hundred: error, error_code, error_path";
    }
    GcGoal {
        "goal"           "max_bytes or min_free";
        "wanted": Number "bytes that were asked for";
        "now": Number    "bytes that there are, held or free";
        "short": Number  "bytes that are missing once the plan is carried out";
        "held": Groups   "what stays, most bytes first, where the goal is not reached";
    }
    GcHeld {
        "what"          "runs, buses, archives, tasks, projects or root";
        "reason"        "of runs: why they stay";
        "count": Number "of runs: how many they are";
        "bytes": Number "how much it holds";
    }
    Delivery {
        "delivered": Number  "events that the receiver took";
        "failed": Number     "tries that failed";
        "left": Number       "events that still wait";
        "given_up": Number   "events that were given up: nobody took them for days";
        "error"              "why the last try failed";
        "next_attempt": Time "when the next one is to be tried";
    }
    Log {
        "at": Time      "when it happened";
        "level"         "error, warn, info or debug";
        "subsystem"     "part that it comes from: runner, messagebus, storage, webhook";
        "event"         "what happened, as a stable word";
        "message"       "what happened, for a person";
        "fields": Group "what belongs to it, by name";
        "text"          "all of it as pairs on one line";
    }
    Event {
        "event_id"           "what the receiver knows it by; the same at each try";
        "event"              "what happened: run_start, run_stop, task_done, task_failed, waiting, budget";
        "at": Time           "when it happened";
        "attempts": Number   "how often it was tried";
        "next_attempt": Time "it is not tried again before then";
        "error"              "why the last try failed";
        "body"               "what is told: one JSON object as text";
    }
    Stop {
        "signalled": List "runs that were asked to end";
        "killed": Number  "processes that had to be killed";
    }
    Usage {
        "name"                                "what the runs have in common";
        "runs": Number                        "how many there are";
        "usage.input_tokens": Number          "tokens that models read anew";
        "usage.output_tokens": Number         "tokens that models wrote";
        "usage.cache_read_tokens": Number     "tokens that came from a cache";
        "usage.cache_creation_tokens": Number "tokens that were put into a cache";
        "unknown_usage": Number               "runs whose tokens are not known";
        "cost_usd": Decimal                   "what they cost, in US dollars, where that is known";
        "unknown_cost": Number                "runs whose cost is not known";
    }
    UsageReport {
        "by"             "what the runs of a sum have in common: run, task, project, agent or day";
        "sums": Groups   "the sums of the groups, by name";
        "total": Group   "the sum of all";
        "damage": Groups "what could not be read: error, error_code, error_path";
    }
    BusCheck {
        "messages": Number "messages that were read";
        "files": Number    "files that were read, archives and the live one";
        "bytes": Number    "bytes that were read";
        "last_seq": Number "number of the last record";
        "damaged": Flag    "whether messages are lost or hidden";
        "findings": Groups "what is not as it should be, in the order of the bus";
    }
    BusFinding {
        "kind"           "corrupt, foreign, gap, torn, straggler, adopted, stray, hidden, kept_aside or linked";
        "path": Path     "the file";
        "offset": Number "its place in the file";
        "len": Number    "its length in bytes; 0 where it has none";
        "text"           "what to know of it, for a person";
        "damage": Flag   "whether messages are lost or hidden by it";
    }
    Rotation {
        "result"        "done, empty (there is nothing to archive) or older_writer (one may still write)";
        "archive": Path "where the messages are now";
    }
    Config {
        "path": Path       "the file; none where nothing is configured";
        "values": Groups   "every key that has a value, in the order of the documentation";
        "warnings": Groups "what is doubtful";
    }
    ConfigValue {
        "key"         "the key with its sections, as agents.claude.model";
        "value"       "its value, of whatever kind; secrets are masked";
        "from": Group "kind: default, file or variable; line and column of the file, name of the variable";
    }
    Problem {
        "severity"       "warning or error";
        "kind"           "what to do about it, as the kind of an error";
        "code"           "the stable code of what it is";
        "message"        "what is wrong";
        "hint"           "the way out";
        "path": Path     "the file";
        "line": Number   "the line, from 1";
        "column": Number "the column, from 1";
        "field"          "the key with its sections";
    }
    Validation {
        "config": Group    "path of the configuration, where there is one, and ok: whether it can be used";
        "root": Group      "path of the root, and ok: whether it can be used";
        "agents": Groups   "each agent that was looked at";
        "problems": Groups "everything that is wrong or doubtful";
        "errors": Number   "how many of them are errors";
        "warnings": Number "how many of them are warnings";
    }
    AgentCheck {
        "name"          "its name";
        "type"          "its type";
        "program": Path "the program that it runs";
        "version"       "what the program told of itself when it was first started in the root";
        "token"         "where its token is from, for a person";
        "status"        "ok, warning or error: the worst of its problems";
    }
    Finding {
        "kind"       "what it is";
        "path": Path "where";
        "text"       "what was found, for a person";
        "way_out"    "what to do";
    }
    Why {
        "because"         "what happened, in a sentence";
        "evidence": Group "what proves it: where it stands, and what it says";
        "next"            "what to do next";
    }
}
