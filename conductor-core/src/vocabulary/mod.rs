//! The one vocabulary: what options and record fields are called in every language.
//!
//! The command line writes a name with dashes (`--max-attempts`), Go in camel case
//! (`MaxAttempts`), all others as it stands here. A test of each surface walks these tables.

/// What a value is; text, where a row does not say.
macro_rules! value {
    () => {
        Value::Text
    };
    ($value:ident) => {
        Value::$value
    };
}

mod fields;
mod options;

use crate::error::Error;
use crate::nearest::nearest;

pub use fields::{FIELDS, FieldRow};
pub use options::{OPTIONS, OptionRow};

/// What an option belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// Starting one run.
    Job,
    /// Starting runs until `DONE` stands.
    Task,
    /// Opening a root.
    Open,
    /// Looking at what a root holds.
    List,
    /// Posting a message.
    Post,
    /// Reading a bus.
    Read,
    /// Reading what a run wrote.
    Output,
    /// Ending work on purpose.
    Stop,
    /// Deleting a task.
    Delete,
    /// Summing up what runs used.
    Usage,
    /// Reading the configuration.
    Config,
    /// Looking at whether this machine is ready.
    Validate,
    /// Garbage collection.
    Gc,
}

impl Noun {
    /// What takes the option, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Noun::Job => "a job",
            Noun::Task => "a task",
            Noun::Open => "opening a root",
            Noun::List => "a list",
            Noun::Post => "a post",
            Noun::Read => "reading a bus",
            Noun::Output => "reading an output",
            Noun::Stop => "a stop",
            Noun::Delete => "deleting a task",
            Noun::Usage => "sums of usage",
            Noun::Config => "reading the configuration",
            Noun::Validate => "a validation",
            Noun::Gc => "garbage collection",
        }
    }
}

/// What a value is, and so what it is in a language with types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text,
    /// A path of a file or folder.
    Path,
    /// A whole number.
    Number,
    /// A number with a fraction.
    Decimal,
    /// A length of time, as `1h30m`.
    Duration,
    /// True or false.
    Flag,
    /// A moment, as RFC 3339 writes it.
    Time,
    /// A name and a text, as `NAME=text`.
    Pair,
    /// A list of texts.
    List,
    /// A group of fields.
    Group,
    /// A list of groups of fields.
    Groups,
}

/// What a field tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A project.
    Project,
    /// One run.
    Run,
    /// A task.
    Task,
    /// A task or a run in a list that cannot be read.
    Unreadable,
    /// How a task ended.
    Result,
    /// What stopping did.
    Stop,
    /// A message on a bus, or damage in its place.
    Message,
    /// The receipt for a message.
    Posted,
    /// A piece of what a run wrote.
    Output,
    /// Where the update of a server's program stands.
    Update,
    /// What garbage collection does with one thing.
    Gc,
    /// What garbage collection would do as a whole.
    GcPlan,
    /// What garbage collection did as a whole.
    GcReport,
    /// How far a goal of garbage collection is reached.
    GcGoal,
    /// What stays, and lies in the way of a goal.
    GcHeld,
    /// What runs used, summed up.
    Usage,
    /// An event that waits for the webhook.
    Event,
    /// What became of what waited for the webhook.
    Delivery,
    /// A line of the log.
    Log,
    /// The sums of groups of runs, and of all of them.
    UsageReport,
    /// What a check of a bus found.
    BusCheck,
    /// Something on a bus that is not as it should be.
    BusFinding,
    /// What became of the rotation of a bus.
    Rotation,
    /// The configuration that holds.
    Config,
    /// A key of the configuration with the value that holds.
    ConfigValue,
    /// Something wrong or doubtful in the configuration.
    Problem,
    /// Whether this machine is ready.
    Validation,
    /// What was found of an agent.
    AgentCheck,
    /// Something that is wrong with a root.
    Finding,
    /// Why a run stands where it stands, besides the fields of the run.
    Why,
}

/// The error about a name that is no option of `noun`, with the nearest that is.
pub(crate) fn unknown_option(name: &str, noun: Noun) -> Error {
    unknown(name, OPTIONS.iter().filter(|option| option.nouns.contains(&noun)).map(|o| o.name))
}

/// The error about a name that is none of `names`, with the nearest that is.
pub(crate) fn unknown<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Error {
    let error = Error::invalid("option.unknown", name, format!("unknown option {name:?}"));
    match nearest(name, names) {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None => error.with_hint("the options are those of `run-agent`, with _ for -"),
    }
}
