//! Options by name: the form in which C, Go and Python give them.

mod plan;

pub use plan::{ListPlan, OpenPlan, OutputPlan, PostPlan, ReadPlan, UsagePlan};

use super::output::OutputFile;
use super::spec::{JobSpec, TaskSpec};
use super::usage::UsageBy;
use super::validate::Validate;
use crate::bus::{Cursor, Durability, Post};
use crate::error::{Error, Result};
use crate::gc::GcPolicy;
use crate::id::{MessageId, ProjectId, RunId, TaskId};
use crate::limits;
use crate::size::parse_size;
use crate::supervise::Stop;
use crate::time::{Timestamp, parse_duration};
use crate::vocabulary::{self, Noun, OPTIONS, OptionRow, Value};
use std::path::PathBuf;

/// The word that takes back what the configuration says.
const NONE: &str = "none";

/// Options by their names in [`vocabulary`], each with a text as on a command line.
///
/// What each call makes of them is one method: [`job`](Settings::job), [`post`](Settings::post) and
/// so on. An option that the call does not take is an error, never left out in silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(Vec<(&'static OptionRow, String)>);

impl Settings {
    /// No options.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// Sets an option. The same name again adds to a list, and replaces anything else.
    ///
    /// # Errors
    /// `option.unknown` naming the nearest one; what is wrong with the value, by field.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let Some(row) = OPTIONS.iter().find(|option| option.name == name) else {
            return Err(vocabulary::unknown(name, OPTIONS.iter().map(|option| option.name)));
        };
        check(row, value)?;
        match self.0.iter_mut().find(|(known, _)| known.name == name && !row.list) {
            Some((_, known)) => value.clone_into(known),
            None => self.0.push((row, value.to_owned())),
        }
        Ok(())
    }

    /// How to open a root: `config`, `run_agent`, `durability`.
    pub fn open(&self) -> Result<OpenPlan> {
        let mut plan = OpenPlan::default();
        for (name, value) in self.of(Noun::Open)? {
            match name {
                "config" => plan.config = Some(value.into()),
                "run_agent" => plan.run_agent = Some(value.into()),
                "durability" => plan.durability = Some(durability(value)?),
                _ => return Err(forgotten(name)),
            }
        }
        Ok(plan)
    }

    /// One run.
    pub fn job(&self) -> Result<JobSpec> {
        let mut spec = JobSpec::new("");
        for (name, value) in self.of(Noun::Job)? {
            spec.set(name, value)?;
        }
        Ok(spec)
    }

    /// A task.
    pub fn task(&self) -> Result<TaskSpec> {
        let mut spec = TaskSpec::new("");
        for (name, value) in self.of(Noun::Task)? {
            spec.set(name, value)?;
        }
        Ok(spec)
    }

    /// What of a root to list: `project`, `task`, `status`.
    pub fn list(&self) -> Result<ListPlan> {
        let mut plan = ListPlan::default();
        for (name, value) in self.of(Noun::List)? {
            match name {
                "project" => plan.project = Some(ProjectId::new(value)?),
                "task" => plan.task = Some(TaskId::new(value)?),
                "status" => plan.status = Some(value.to_owned()),
                _ => return Err(forgotten(name)),
            }
        }
        if plan.project.is_none() && (plan.task.is_some() || plan.status.is_some()) {
            return Err(Error::invalid("project.missing", "project", "no project is named")
                .with_hint("tasks, runs and their status are listed within a project"));
        }
        Ok(plan)
    }

    /// A message of this type with this text.
    pub fn post(&self, kind: &str, body: &str) -> Result<PostPlan> {
        let mut plan = PostPlan { post: Post::new(kind, body), once: None, wait: limits::BUS_LOCK };
        for (name, value) in self.of(Noun::Post)? {
            let post = plan.post.clone();
            match name {
                "run" => plan.post = post.run(&RunId::new(value)?),
                "parent" => plan.post = post.parent(&named_message(value)?),
                "link" => plan.post = post.link(value, "", ""),
                "meta" => {
                    let (key, text) = pair(name, value)?;
                    plan.post = post.meta(key, text);
                }
                "once" => plan.once = Some(value.to_owned()),
                "wait" => plan.wait = parse_duration(value)?,
                _ => return Err(forgotten(name)),
            }
        }
        Ok(plan)
    }

    /// What of a bus to read.
    pub fn read(&self) -> Result<ReadPlan> {
        let mut plan = ReadPlan::default();
        for (name, value) in self.of(Noun::Read)? {
            let options = plan.options.clone();
            match name {
                "after" => plan.options = options.after(&cursor(name, value)?),
                "tail" => plan.options = options.tail(number(name, value)?),
                "type" => plan.options = options.of_type(value.to_ascii_uppercase()),
                "run" => plan.options = options.of_run(&RunId::new(value)?),
                "since" => plan.options = options.since(time(name, value)?),
                "until" => plan.options = options.until(time(name, value)?),
                "follow" => plan.follow = flag(name, value)?,
                "cursor" => plan.cursor = Some(value.to_owned()),
                _ => return Err(forgotten(name)),
            }
        }
        plan.check()?;
        Ok(plan)
    }

    /// What of a run's output to read.
    pub fn output(&self) -> Result<OutputPlan> {
        let mut plan = OutputPlan { file: OutputFile::Output, tail: None, follow: false };
        for (name, value) in self.of(Noun::Output)? {
            match name {
                "file" => plan.file = OutputFile::parse(value)?,
                "tail" => plan.tail = Some(number(name, value)?),
                "follow" => plan.follow = flag(name, value)?,
                _ => return Err(forgotten(name)),
            }
        }
        Ok(plan)
    }

    /// How to end work.
    pub fn stop(&self) -> Result<Stop> {
        let mut stop = Stop::default();
        for (name, value) in self.of(Noun::Stop)? {
            match name {
                "reason" => value.clone_into(&mut stop.reason),
                "force" => stop.force = flag(name, value)?,
                _ => return Err(forgotten(name)),
            }
        }
        Ok(stop)
    }

    /// How to delete a task: `force` stops first what runs.
    pub fn delete(&self) -> Result<Option<Stop>> {
        let mut force = false;
        for (name, value) in self.of(Noun::Delete)? {
            match name {
                "force" => force = flag(name, value)?,
                _ => return Err(forgotten(name)),
            }
        }
        Ok(force.then(|| Stop::because("deleted")))
    }

    /// What to sum up: `project`, `task`, `by`.
    pub fn usage(&self) -> Result<UsagePlan> {
        let mut plan = UsagePlan::default();
        for (name, value) in self.of(Noun::Usage)? {
            match name {
                "project" => plan.project = Some(ProjectId::new(value)?),
                "task" => plan.task = Some(TaskId::new(value)?),
                "by" => plan.by = Some(UsageBy::parse(value)?),
                _ => return Err(forgotten(name)),
            }
        }
        if plan.project.is_none() && plan.task.is_some() {
            return Err(Error::invalid("project.missing", "project", "no project is named")
                .with_hint("a task is named together with its project"));
        }
        Ok(plan)
    }

    /// Which configuration to read: `config`.
    pub fn config(&self) -> Result<Option<PathBuf>> {
        let mut config = None;
        for (name, value) in self.of(Noun::Config)? {
            match name {
                "config" => config = Some(value.into()),
                _ => return Err(forgotten(name)),
            }
        }
        Ok(config)
    }

    /// What to look at of this machine: the configuration `config`, and `agent`, `check_tokens`.
    pub fn validate(&self) -> Result<(Option<PathBuf>, Validate)> {
        let (mut config, mut wish) = (None, Validate::default());
        for (name, value) in self.of(Noun::Validate)? {
            match name {
                "config" => config = Some(value.into()),
                "agent" => wish = wish.agent(Some(value.to_owned())),
                "check_tokens" => wish = wish.check_tokens(flag(name, value)?),
                _ => return Err(forgotten(name)),
            }
        }
        Ok((config, wish))
    }

    /// What garbage collection takes; what is not given is as in `base`. `max_bytes`, `min_free` and
    /// `prune_archives` are taken back by `none`.
    pub fn gc(&self, base: GcPolicy) -> Result<GcPolicy> {
        let mut policy = base;
        for (name, value) in self.of(Noun::Gc)? {
            match name {
                "project" => policy.project = Some(ProjectId::new(value)?),
                "older_than" => policy.older_than = parse_duration(value)?,
                "keep_failed" => policy.keep_failed = flag(name, value)?,
                "keep_last" => policy.keep_last = number(name, value)?,
                "max_bytes" => policy.max_bytes = or_none(value, |value| size(name, value))?,
                "min_free" => policy.min_free = or_none(value, |value| size(name, value))?,
                "rotate_bus" => policy.rotate_bus = flag(name, value)?,
                "bus_max_size" => policy.bus_max_size = size(name, value)?,
                "prune_archives" => policy.prune_archives = or_none(value, parse_duration)?,
                "delete_done_tasks" => policy.delete_done_tasks = flag(name, value)?,
                "force" => policy.force = flag(name, value)?,
                _ => return Err(forgotten(name)),
            }
        }
        Ok(policy)
    }

    /// The options, all of which `noun` takes.
    ///
    /// # Errors
    /// `option.misplaced`.
    fn of(&self, noun: Noun) -> Result<impl Iterator<Item = (&'static str, &str)>> {
        match self.0.iter().find(|(row, _)| !row.nouns.contains(&noun)) {
            None => Ok(self.0.iter().map(|(row, value)| (row.name, value.as_str()))),
            Some((row, _)) => {
                let takers: Vec<_> = row.nouns.iter().map(|noun| noun.as_str()).collect();
                let message = format!("the option {:?} is not for {}", row.name, noun.as_str());
                Err(Error::invalid("option.misplaced", row.name, message)
                    .with_hint(format!("it is for {}", takers.join(", "))))
            }
        }
    }
}

/// Whether the text is a value of the option's kind; what is more is for its call to say.
fn check(row: &OptionRow, value: &str) -> Result<()> {
    if value.contains('\0') {
        let message = format!("the option {:?} holds a NUL byte", row.name);
        return Err(Error::invalid("option.nul", row.name, message));
    }
    match row.value {
        Value::Duration if row.name == "prune_archives" && value == NONE => Ok(()),
        Value::Number => number(row.name, value).map(drop),
        Value::Duration => {
            parse_duration(value).map(drop).map_err(|error| error.with_field(row.name))
        }
        Value::Flag => flag(row.name, value).map(drop),
        Value::Time => time(row.name, value).map(drop),
        Value::Pair => pair(row.name, value).map(drop),
        Value::Text | Value::Path | Value::Decimal | Value::List | Value::Group | Value::Groups => {
            Ok(())
        }
    }
}

/// A value, or that there is none, where the configuration may say one.
fn or_none<T>(text: &str, read: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
    if text == NONE { Ok(None) } else { read(text).map(Some) }
}

fn number(name: &str, text: &str) -> Result<usize> {
    // What counts attempts or messages fits into 32 bits in every language.
    text.parse::<u32>().map(|number| number as usize).map_err(|source| {
        Error::invalid("number.invalid", name, format!("invalid {name} {text:?}"))
            .with_hint("a whole number from 0 to 4294967295 is wanted")
            .with_source(source)
    })
}

fn flag(name: &str, text: &str) -> Result<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::invalid("flag.invalid", name, format!("invalid {name} {text:?}"))
            .with_hint("true or false is wanted")),
    }
}

fn time(name: &str, text: &str) -> Result<Timestamp> {
    text.parse().map_err(|error: Error| error.with_field(name))
}

fn size(name: &str, text: &str) -> Result<u64> {
    parse_size(text).map_err(|error| error.with_field(name))
}

fn cursor(name: &str, text: &str) -> Result<Cursor> {
    text.parse().map_err(|error: Error| error.with_field(name))
}

fn pair<'a>(name: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ if name == "env" => {
            Err(Error::invalid("env.invalid", name, format!("invalid variable {text:?}"))
                .with_hint("a variable is given as NAME=value"))
        }
        _ => Err(Error::invalid("meta.invalid", name, format!("invalid {name} {text:?}"))
            .with_hint("a named text is given as NAME=text")),
    }
}

fn durability(word: &str) -> Result<Durability> {
    match word {
        "disk" => Ok(Durability::Disk),
        "process" => Ok(Durability::Process),
        _ => Err(Error::invalid(
            "durability.unknown",
            "durability",
            format!("invalid durability {word:?}"),
        )
        .with_hint("disk (a power cut) or process (the death of any process) is wanted")),
    }
}

/// A message's id, also out of a cursor.
fn named_message(text: &str) -> Result<MessageId> {
    cursor("parent", text)?.msg_id().cloned().ok_or_else(|| {
        Error::invalid("message.not_named", "parent", format!("{text:?} names no message"))
            .with_hint("give the msg_id of a message")
    })
}

/// An option that stands in the table and nowhere else. A test walks the table.
fn forgotten(name: &str) -> Error {
    let message = format!("nothing was made of the option {name:?}");
    Error::new(crate::ErrorKind::Internal, "option.forgotten", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_taken_where_the_table_says_and_nowhere_else() {
        const NOUNS: [Noun; 13] = [
            Noun::Job,
            Noun::Task,
            Noun::Open,
            Noun::List,
            Noun::Post,
            Noun::Read,
            Noun::Output,
            Noun::Stop,
            Noun::Delete,
            Noun::Usage,
            Noun::Config,
            Noun::Validate,
            Noun::Gc,
        ];
        for row in OPTIONS {
            assert!(!row.nouns.is_empty(), "{}", row.name);
            for noun in NOUNS {
                let mut settings = Settings::new();
                let within = [Noun::List, Noun::Usage].contains(&noun);
                if ["task", "status"].contains(&row.name) && within {
                    settings.set("project", "shop").unwrap();
                }
                settings.set(row.name, row.example).unwrap();
                let made = match noun {
                    Noun::Job => settings.job().map(drop),
                    Noun::Task => settings.task().map(drop),
                    Noun::Open => settings.open().map(drop),
                    Noun::List => settings.list().map(drop),
                    Noun::Post => settings.post("FACT", "x").map(drop),
                    Noun::Read => settings.read().map(drop),
                    Noun::Output => settings.output().map(drop),
                    Noun::Stop => settings.stop().map(drop),
                    Noun::Delete => settings.delete().map(drop),
                    Noun::Usage => settings.usage().map(drop),
                    Noun::Config => settings.config().map(drop),
                    Noun::Validate => settings.validate().map(drop),
                    Noun::Gc => settings.gc(GcPolicy::default()).map(drop),
                };
                match (row.nouns.contains(&noun), made) {
                    (true, made) => made.unwrap_or_else(|e| panic!("{} {noun:?}: {e}", row.name)),
                    (false, made) => {
                        let error = made.unwrap_err();
                        assert_eq!(error.code(), "option.misplaced", "{} {noun:?}", row.name);
                        assert_eq!(error.field(), Some(row.name));
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_names_and_values_are_refused_when_they_are_set() {
        let mut settings = Settings::new();
        for (name, value, code) in [
            ("max_attemps", "3", "option.unknown"),
            ("max_attempts", "-1", "number.invalid"),
            ("max_attempts", "99999999999", "number.invalid"),
            ("idle_timeout", "20", "duration.invalid"),
            ("follow", "yes", "flag.invalid"),
            ("since", "yesterday", "time.invalid"),
            ("env", "=x", "env.invalid"),
            ("meta", "x", "meta.invalid"),
            ("prompt", "a\0b", "option.nul"),
        ] {
            let error = settings.set(name, value).unwrap_err();
            assert_eq!((error.code(), error.field()), (code, Some(name)), "{value}");
        }
        assert_eq!(settings, Settings::new());
        let hint = settings.set("max_attemps", "3").unwrap_err().hint().to_owned();
        assert!(hint.contains("max_attempts"), "{hint}");
    }

    #[test]
    fn what_garbage_collection_is_told_by_the_configuration_is_taken_back() {
        let mut base = GcPolicy::default().keep_failed(true).rotate_bus(true);
        base = base.delete_done_tasks(true).max_bytes(1u64).min_free(1u64);
        base = base.prune_archives(std::time::Duration::from_secs(1));
        let mut settings = Settings::new();
        assert_eq!(settings.gc(base.clone()).unwrap(), base);
        for name in ["keep_failed", "rotate_bus", "delete_done_tasks"] {
            settings.set(name, "false").unwrap();
        }
        for name in ["max_bytes", "min_free", "prune_archives"] {
            settings.set(name, "none").unwrap();
        }
        assert_eq!(settings.gc(base.clone()).unwrap(), GcPolicy::default());
        // A length of time that nothing else says is wanted.
        assert_eq!(settings.set("older_than", "none").unwrap_err().code(), "duration.invalid");
    }

    #[test]
    fn the_same_name_again_adds_to_a_list_and_replaces_else() {
        let mut settings = Settings::new();
        for (name, value) in [("env", "A=1"), ("env", "B=2"), ("agent", "claude"), ("agent", "x")] {
            settings.set(name, value).unwrap();
        }
        let expected = JobSpec::new("").agent("x").env("A", "1").env("B", "2");
        assert_eq!(settings.job().unwrap(), expected);
    }
}
