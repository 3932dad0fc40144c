//! The one vocabulary: what options and record fields are called in every language.
//!
//! The command line writes a name with dashes (`--max-attempts`), Go in camel case
//! (`MaxAttempts`), all others as it stands here. A test of each surface walks these tables.

use crate::error::Error;
use crate::nearest::nearest;

/// What an option belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// One run.
    Job,
    /// Runs until `DONE` stands.
    Task,
}

/// What a field tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// One run.
    Run,
    /// A task.
    Task,
    /// How a task ended.
    Result,
    /// What stopping did.
    Stop,
    /// A message on a bus, or damage in its place.
    Message,
    /// What garbage collection does with one thing.
    Gc,
    /// What runs used, summed up.
    Usage,
}

/// An option of work to be started.
#[derive(Clone, Copy, Debug)]
pub struct OptionRow {
    /// Its name.
    pub name: &'static str,
    /// What it can be given for.
    pub nouns: &'static [Noun],
    /// Whether giving it again adds to a list.
    pub list: bool,
    /// A value that is accepted.
    pub example: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
}

const BOTH: &[Noun] = &[Noun::Job, Noun::Task];
const JOB: &[Noun] = &[Noun::Job];
const TASK: &[Noun] = &[Noun::Task];

macro_rules! options {
    ($($name:literal $nouns:ident $list:literal $example:literal $help:literal;)*) => {
        /// Every option of work to be started.
        pub const OPTIONS: &[OptionRow] = &[$(OptionRow {
            name: $name,
            nouns: $nouns,
            list: $list,
            example: $example,
            help: $help,
        }),*];
    };
}

options! {
    "project"            BOTH false "shop"      "project that the work belongs to";
    "task"               BOTH false "fix-login" "task that the work belongs to";
    "agent"              BOTH false "claude"    "agent that does the work";
    "command"            BOTH true  "my-agent"  "program and arguments of the agent \"command\"";
    "prompt"             BOTH false "Do it."    "what to do";
    "prompt_file"        BOTH false "task.md"   "file that says what to do";
    "cwd"                BOTH false "."         "folder that the agent starts in";
    "parent_run_id"      BOTH false "run-1"     "run whose agent starts this work";
    "previous_run_id"    JOB  false "run-1"     "run that this one goes on from";
    "env"                BOTH true  "A=b"       "variable for the agent's environment";
    "first_byte_timeout" BOTH false "5m"        "end a run that wrote nothing for this long";
    "idle_timeout"       BOTH false "20m"       "end a run whose output did not grow for this long";
    "total_timeout"      BOTH false "8h"        "end a run after this long";
    "grace"              BOTH false "10s"       "time between SIGTERM and SIGKILL";
    "depends_on"         TASK true  "other"     "task that must be ready first";
    "max_attempts"       TASK false "100"       "most attempts of the task";
    "restart_delay"      TASK false "1s"        "pause between two attempts";
    "child_wait_timeout" TASK false "5m"        "how long a finished task waits for its children";
    "verify"             TASK false "make test" "line for /bin/sh that says whether the work is done";
    "verify_timeout"     TASK false "10m"       "how long that may take";
    "on_question"        TASK false "wait"      "go_on or wait while a question has no answer";
    "question_timeout"   TASK false "24h"       "how long to wait for an answer";
}

/// A field of a [`Record`](crate::Record).
#[derive(Clone, Copy, Debug)]
pub struct FieldRow {
    /// What it tells of.
    pub about: About,
    /// Its name; a part of a group is named with a dot.
    pub name: &'static str,
    /// What it says, in a few words.
    pub help: &'static str,
}

macro_rules! fields {
    ($($about:ident { $($name:literal $help:literal;)* })*) => {
        /// Every field of every record. A run's are those of its file on disk, and three more.
        pub const FIELDS: &[FieldRow] = &[$($(FieldRow {
            about: About::$about,
            name: $name,
            help: $help,
        }),*),*];
    };
}

fields! {
    Run {
        "version"           "version of the record's form";
        "run_id"            "the run";
        "parent_run_id"     "run whose agent started it";
        "previous_run_id"   "run that it goes on from";
        "project_id"        "project that it belongs to";
        "task_id"           "task that it belongs to";
        "agent"             "kind of its agent";
        "process_ownership" "managed, or external";
        "pid"               "agent's process";
        "pgid"              "agent's process group";
        "start_time"        "when it began";
        "end_time"          "when it ended";
        "exit_code"         "exit code; 128 + n for death by signal n";
        "status"            "running, completed, failed or unknown";
        "cwd"               "folder that the agent started in";
        "prompt_path"       "file of the prompt";
        "output_path"       "file of the final text";
        "stdout_path"       "file of the standard output";
        "stderr_path"       "file of the standard error";
        "commandline"       "command, for people";
        "error_summary"     "why it failed";
        "agent_version"     "version of the agent's program";
        "rev"               "how often conductor wrote the record";
        "phase"             "where a run that has not ended stands";
        "outcome"           "how it ended";
        "stop_reason"       "why it was stopped";
        "signal"            "signal that ended the agent";
        "process_start"     "start of the agent's process, in clock ticks since boot";
        "boot_id"           "boot that the process numbers belong to";
        "pid_ns"            "pid namespace that the process numbers belong to";
        "keeper_pid"        "keeper's process";
        "keeper_start"      "start of the keeper's process, in clock ticks since boot";
        "series"            "loop of the task that it is an attempt of";
        "start_msg"         "cursor of the message about its start";
        "stop_msg"          "cursor of the message about its end";
        "session_id"        "agent's own session";
        "model"             "model that answered";
        "usage.input_tokens"          "tokens that the model read anew";
        "usage.output_tokens"         "tokens that the model wrote";
        "usage.cache_read_tokens"     "tokens that came from a cache";
        "usage.cache_creation_tokens" "tokens that were put into a cache";
        "cost_usd"          "what the tokens cost, in US dollars";
        "error_class"       "what kept the agent from its work";
        "limit_reset"       "when the limit ends that kept it from its work";
        "parser"            "form of its output, where it is not the one of its kind";
        "alive"             "whether anything of it lives";
        "folder"            "its folder";
    }
    Task {
        "project_id"    "project that it belongs to";
        "task_id"       "the task";
        "folder"        "its folder";
        "runs"          "how many runs it has";
        "done"          "whether DONE stands";
        "attempts"      "attempts of its present loop";
        "driver_pid"    "process that drives it";
        "blocked_by"    "dependencies that are not ready";
        "waiting.for"   "what it waits for";
        "waiting.since" "since when";
        "waiting.until" "until when at the latest";
        "outcome"       "how its loop ended: done, gave_up or stopped";
        "reason"        "why its loop ended";
        "latest"        "its newest run";
        "last_activity" "when something last changed in its folder";
    }
    Result {
        "outcome"  "done, gave_up or stopped";
        "reason"   "why, unless it is done";
        "attempts" "attempts of the loop";
        "run_id"   "last attempt";
    }
    Message {
        "kind"       "message, or what stands in its place: gap, corrupt, foreign or replaced";
        "msg_id"     "its id";
        "seq"        "its number on the bus";
        "ts"         "when it was posted";
        "type"       "its type";
        "project_id" "project that it belongs to";
        "task_id"    "task that it belongs to";
        "run_id"     "run that it belongs to";
        "issue_id"   "id under which it is discussed";
        "parents"    "messages that it answers or rests on";
        "links"      "what it points to";
        "meta"       "named texts";
        "body"       "its text; of damage, what stands there";
        "cursor"     "the place right behind it";
        "path"       "file of the damage";
        "offset"     "first byte of the damage";
        "len"        "length of the damage in bytes";
        "after_seq"  "last number before the damage";
        "from_seq"   "first missing number";
        "to_seq"     "last missing number";
    }
    Gc {
        "action"     "keep, delete or rotate";
        "kind"       "run, task, bus, archive, orphan, temporary, trash, lock or entry";
        "reason"     "why";
        "path"       "where it is";
        "bytes"      "how much it holds";
        "project_id" "project that it belongs to";
        "task_id"    "task that it belongs to";
        "run_id"     "run that it is";
        "status"     "status of the run";
        "start_time" "when the run began";
        "end_time"   "when the run ended; of other things, when they last changed";
        "result"     "what became of it: done, gone, kept or failed";
        "kept_for"   "why it stays for now although it was to go";
        "error"      "why it failed";
    }
    Stop {
        "signalled" "runs that were asked to end";
        "killed"    "processes that had to be killed";
    }
    Usage {
        "name"          "what the runs have in common";
        "runs"          "how many there are";
        "usage.input_tokens"          "tokens that models read anew";
        "usage.output_tokens"         "tokens that models wrote";
        "usage.cache_read_tokens"     "tokens that came from a cache";
        "usage.cache_creation_tokens" "tokens that were put into a cache";
        "unknown_usage" "runs whose tokens are not known";
        "cost_usd"      "what they cost, in US dollars, where that is known";
        "unknown_cost"  "runs whose cost is not known";
    }
}

/// The error about a name that is no option of `noun`, with the nearest that is.
pub(crate) fn unknown_option(name: &str, noun: Noun) -> Error {
    let names = OPTIONS.iter().filter(|option| option.nouns.contains(&noun)).map(|o| o.name);
    let error = Error::invalid("option.unknown", name, format!("unknown option {name:?}"));
    match nearest(name, names) {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None => error.with_hint("the options are those of `run-agent`, with _ for -"),
    }
}
