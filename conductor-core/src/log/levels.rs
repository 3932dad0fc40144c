//! Which events are wanted: a level for all, and other levels for parts.

use crate::error::{Error, Result};
use crate::nearest::nearest;
use std::fmt;
use std::str::FromStr;
use tracing::{Level, Metadata, level_filters::LevelFilter};

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be, and work goes on.
    Warn,
    /// Something happened that a person may want to know.
    Info,
    /// Something happened that helps to find a fault.
    Debug,
}

const LEVELS: [(LogLevel, &str); 4] = [
    (LogLevel::Error, "error"),
    (LogLevel::Warn, "warn"),
    (LogLevel::Info, "info"),
    (LogLevel::Debug, "debug"),
];

impl LogLevel {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        LEVELS.iter().find(|(level, _)| *level == self).map_or("", |(_, word)| word)
    }

    pub(super) fn of(level: &Level) -> LogLevel {
        match *level {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            _ => LogLevel::Debug,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        }
    }
}

/// The parts of the library that events come from: by the module, and as they are called.
const SUBSYSTEMS: &[(&str, &str)] = &[
    ("bus", "messagebus"),
    ("run", "storage"),
    ("fsx", "storage"),
    ("layout", "storage"),
    ("supervise", "runner"),
    ("task", "runner"),
    ("agent", "runner"),
    ("gc", "gc"),
    ("update", "update"),
    ("config", "startup"),
    ("facade", "startup"),
    ("outbox", "webhook"),
    ("http", "webhook"),
    ("server", "api"),
    ("work", "runner"),
];

/// The part that an event with this target comes from.
pub(super) fn subsystem(target: &str) -> &str {
    let mut parts = target.split("::");
    let package = parts.next().unwrap_or(target);
    let Some(module) = parts.next() else { return package };
    if !["conductor_core", "run_agent", "conductor"].contains(&package) {
        return package;
    }
    SUBSYSTEMS.iter().find(|(known, _)| *known == module).map_or("conductor", |(_, name)| name)
}

/// Which events are wanted: `info`, or `warn,runner=debug,messagebus=off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevels {
    /// `None` is off.
    all: Option<LogLevel>,
    parts: Vec<(String, Option<LogLevel>)>,
}

impl LogLevels {
    /// Nothing is wanted.
    pub const OFF: LogLevels = LogLevels { all: None, parts: Vec::new() };

    /// Everything of this level and above.
    pub fn all(level: LogLevel) -> LogLevels {
        LogLevels { all: Some(level), parts: Vec::new() }
    }

    /// Whether an event is wanted, by where it comes from and how much it matters.
    pub fn wants(&self, metadata: &Metadata<'_>) -> bool {
        self.wants_level(subsystem(metadata.target()), LogLevel::of(metadata.level()))
    }

    fn wants_level(&self, subsystem: &str, level: LogLevel) -> bool {
        let part = self.parts.iter().rev().find(|(name, _)| name == subsystem);
        part.map_or(self.all, |(_, level)| *level).is_some_and(|wanted| level <= wanted)
    }

    /// The level that no wanted event is below.
    pub fn lowest(&self) -> LevelFilter {
        let parts = self.parts.iter().filter_map(|(_, level)| *level);
        parts.chain(self.all).max().map_or(LevelFilter::OFF, LogLevel::filter)
    }
}

impl FromStr for LogLevels {
    type Err = Error;

    fn from_str(text: &str) -> Result<LogLevels> {
        let mut levels = LogLevels::OFF;
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match item.split_once('=') {
                None => levels.all = level_of(item)?,
                Some((name, level)) => {
                    let (name, level) = (name.trim(), level_of(level.trim())?);
                    let known = || SUBSYSTEMS.iter().map(|(_, name)| *name).chain(["conductor"]);
                    // Other packages, as a host's own, have names of any kind.
                    if let Some(near) = nearest(name, known()).filter(|near| *near != name) {
                        return Err(wrong(format!("there is no part {name:?}"))
                            .with_hint(format!("did you mean {near:?}?")));
                    }
                    levels.parts.push((name.to_owned(), level));
                }
            }
        }
        Ok(levels)
    }
}

fn level_of(word: &str) -> Result<Option<LogLevel>> {
    let lower = word.to_ascii_lowercase();
    let lower = if lower == "warning" { "warn" } else { lower.as_str() };
    if lower == "off" {
        return Ok(None);
    }
    match LEVELS.iter().find(|(_, name)| *name == lower) {
        Some((level, _)) => Ok(Some(*level)),
        None => Err(wrong(format!("there is no level {word:?}")).with_hint(
            "the levels are off, error, warn, info, debug; for parts: warn,runner=debug",
        )),
    }
}

fn wrong(message: String) -> Error {
    Error::invalid("log.invalid", "log", message)
}

impl fmt::Display for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |level: &Option<LogLevel>| level.map_or("off", LogLevel::as_str);
        f.write_str(word(&self.all))?;
        for (name, level) in &self.parts {
            write!(f, ",{name}={}", word(level))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(text: &str) -> LogLevels {
        text.parse().unwrap()
    }

    #[test]
    fn a_level_is_for_all_and_others_are_for_parts() {
        let some = levels("warn, runner=debug,messagebus=off");
        assert!(
            some.wants_level("api", LogLevel::Warn) && !some.wants_level("api", LogLevel::Info)
        );
        assert!(some.wants_level("runner", LogLevel::Debug));
        assert!(!some.wants_level("messagebus", LogLevel::Error));
        assert_eq!(some.to_string(), "warn,runner=debug,messagebus=off");
        assert_eq!(levels(&some.to_string()), some);
        assert_eq!((some.lowest(), levels("off").lowest()), (LevelFilter::DEBUG, LevelFilter::OFF));
        assert_eq!(levels("INFO"), levels("info"));
        assert!(levels("").lowest() == LevelFilter::OFF);
    }

    #[test]
    fn what_is_no_level_is_refused_with_the_way_out() {
        let error = "verbose".parse::<LogLevels>().unwrap_err();
        assert_eq!(error.code(), "log.invalid");
        assert!(error.hint().contains("debug"));
        let error = "runer=debug".parse::<LogLevels>().unwrap_err();
        assert!(error.hint().contains("runner"), "{error:?}");
    }

    #[test]
    fn modules_have_the_names_of_their_parts() {
        assert_eq!(subsystem("conductor_core::bus::channel"), "messagebus");
        assert_eq!(subsystem("conductor_core::task::driver::waits"), "runner");
        assert_eq!(subsystem("run_agent::server::auth"), "api");
        assert_eq!(subsystem("conductor_core"), "conductor_core");
        assert_eq!(subsystem("rustls::client"), "rustls");
    }
}
