//! What can be given to calls.

use super::{Noun, Value};

/// An option of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionRow {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub value: Value,
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
const OPEN: &[Noun] = &[Noun::Open];
const LIST: &[Noun] = &[Noun::List];
const POST: &[Noun] = &[Noun::Post];
const READ: &[Noun] = &[Noun::Read];
const OUTPUT: &[Noun] = &[Noun::Output];
const STOP: &[Noun] = &[Noun::Stop];
const END: &[Noun] = &[Noun::Stop, Noun::Delete, Noun::Gc];
const USAGE: &[Noun] = &[Noun::Usage];
const FILE: &[Noun] = &[Noun::Open, Noun::Config, Noun::Validate];
const READY: &[Noun] = &[Noun::Validate];
const AGENT: &[Noun] = &[Noun::Job, Noun::Task, Noun::Validate];
const PLACE: &[Noun] = &[Noun::Job, Noun::Task, Noun::List, Noun::Usage];
const WITHIN: &[Noun] = &[Noun::Job, Noun::Task, Noun::List, Noun::Usage, Noun::Gc];
const GIVEN: &[Noun] = &[Noun::Read, Noun::Output];
const GC: &[Noun] = &[Noun::Gc];
const BY_RUN: &[Noun] = &[Noun::Post, Noun::Read];

macro_rules! options {
    ($($name:literal $(: $value:ident)? $nouns:ident $list:literal $example:literal
        $help:literal;)*) => {
        /// Every option of every call, in every language.
        pub const OPTIONS: &[OptionRow] = &[$(OptionRow {
            name: $name,
            value: value!($($value)?),
            nouns: $nouns,
            list: $list,
            example: $example,
            help: $help,
        }),*];
    };
}

options! {
    "project"                      WITHIN false "shop"       "project that the work belongs to";
    "task"                         PLACE  false "fix-login"  "task that the work belongs to";
    "agent"                        AGENT  false "claude"     "agent that does the work";
    "command"                      BOTH   true  "my-agent"   "program and arguments of the agent \"command\"";
    "prompt"                       BOTH   false "Do it."     "what to do";
    "prompt_file": Path            BOTH   false "task.md"    "file that says what to do";
    "cwd": Path                    BOTH   false "."          "folder that the agent starts in";
    "parent_run_id"                BOTH   false "run-1"      "run whose agent starts this work";
    "previous_run_id"              JOB    false "run-1"      "run that this one goes on from";
    "env": Pair                    BOTH   true  "A=b"        "variable for the agent's environment";
    "first_byte_timeout": Duration BOTH   false "5m"         "end a run that wrote nothing for this long";
    "idle_timeout": Duration       BOTH   false "20m"        "end a run whose output did not grow for this long";
    "total_timeout": Duration      BOTH   false "8h"         "end a run after this long";
    "grace": Duration              BOTH   false "10s"        "time between SIGTERM and SIGKILL";
    "output_limit"                 BOTH   false "256MB"      "most that is kept of each output stream";
    "on_output_limit"              BOTH   false "stop"       "trim or stop when an output is longer";
    "max_depth": Number            BOTH   false "4"          "deepest nesting of runs that start runs";
    "max_children": Number         BOTH   false "8"          "most living runs that one agent has started";
    "depends_on"                   TASK   true  "other"      "task that must be ready first";
    "max_attempts": Number         TASK   false "100"        "most attempts of the task";
    "max_wall": Duration           TASK   false "24h"        "longest time that its attempts run, all together";
    "max_tokens": Number           TASK   false "5000000"    "most tokens of the task";
    "max_cost_usd": Decimal        TASK   false "25"         "highest cost of the task, in US dollars";
    "result_grace": Duration       TASK   false "60s"        "end an agent that told its result and did not exit for this long";
    "restart_delay": Duration      TASK   false "1s"         "pause between two attempts";
    "child_wait_timeout": Duration TASK   false "5m"         "how long a finished task waits for its children";
    "verify"                       TASK   false "make test"  "line for /bin/sh that says whether the work is done";
    "verify_timeout": Duration     TASK   false "10m"        "how long that may take";
    "on_question"                  TASK   false "wait"       "go_on or wait while a question has no answer";
    "question_timeout": Duration   TASK   false "24h"        "how long to wait for an answer";
    "status"                       LIST   false "running"    "only what stands so";
    "run_agent": Path              OPEN   false "/usr/bin/run-agent" "a working run-agent, for agents to find";
    "durability"                   OPEN   false "disk"       "what a message survives: disk, or process";
    "config": Path                 FILE   false "/etc/conductor.yaml" "the configuration, before all other places";
    "check_tokens": Flag           READY  false "true"       "warn of every agent without a token";
    "run"                          BY_RUN false "run-1"      "run that the message belongs to";
    "parent"                       POST   true  "MSG-1"      "message that it answers or rests on";
    "link"                         POST   true  "/a/file"    "what it points to";
    "meta": Pair                   POST   true  "by=me"      "a named text";
    "once"                         POST   false "key-1"      "post only where no message has this key";
    "wait": Duration               POST   false "10s"        "how long to wait for other writers";
    "after"                        READ   false "start"      "place to read from: a cursor, start or end";
    "cursor"                       READ   false "mailer"     "name of a kept place: read what comes after it, and commit";
    "type"                         READ   true  "FACT"       "only messages of this type";
    "since": Time                  READ   false "2026-01-01T00:00:00Z" "only what was posted then or later";
    "until": Time                  READ   false "2026-01-01T00:00:00Z" "only what was posted before then";
    "tail": Number                 GIVEN  false "20"         "only the last, this many";
    "follow": Flag                 GIVEN  false "true"       "go on with what comes";
    "file"                         OUTPUT false "stdout"     "output, stdout, stderr or prompt";
    "reason"                       STOP   false "too slow"   "why; it is recorded";
    "force": Flag                  END    false "true"       "kill at once, without grace; of a deletion: stop first what runs; of garbage collection: believe the clock";
    "older_than": Duration         GC     false "168h"       "delete runs that ended longer ago than this";
    "keep_failed": Flag            GC     false "true"       "keep runs that did not complete";
    "keep_last": Number            GC     false "3"          "keep so many of the newest runs of each task";
    "max_bytes"                    GC     false "10GB"       "delete the oldest runs until the root, or the one project, holds at most this; none, or 0, is no limit";
    "min_free"                     GC     false "10GB"       "delete the oldest runs until this much of the disk is free; none, or 0, is no goal";
    "rotate_bus": Flag             GC     false "true"       "archive buses that are larger than bus_max_size";
    "bus_max_size"                 GC     false "10MB"       "size above which a bus is archived";
    "prune_archives": Duration     GC     false "720h"       "delete archives that nobody wrote to for longer than this; none keeps them";
    "delete_done_tasks": Flag      GC     false "true"       "delete tasks that are done and old, and have no runs left";
    "by"                           USAGE  false "day"        "what to sum up: run, task, project, agent or day";
}
