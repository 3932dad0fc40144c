//! The one vocabulary: what options and record fields are called in every language.
//!
//! The command line writes a name with dashes (`--max-attempts`), Go in camel case
//! (`MaxAttempts`), all others as it stands here. A test of each surface walks these tables.

use crate::error::Error;

/// What an option belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// One run.
    Job,
    /// Runs until `DONE` stands.
    Task,
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

/// The name most like `name`, where one is like it at all: at most a third of it differs.
pub(crate) fn nearest<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    names
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_nonsense_has_none() {
        let names = || OPTIONS.iter().map(|option| option.name);
        assert_eq!(nearest("promt", names()), Some("prompt"));
        assert_eq!(nearest("max-attempts", names()), Some("max_attempts"));
        assert_eq!(nearest("zzzzzz", names()), None);
    }
}
