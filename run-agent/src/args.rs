//! Arguments that several commands share, and how their values are read. Nothing here does I/O.

use clap::Args;
use conductor_core::{parse_duration, parse_size};
use std::time::Duration;

/// A project and a task of it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    /// Project; without it the one that the current folder belongs to
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<String>,
    /// Task; without it the one that the current folder belongs to
    #[arg(long, value_name = "ID")]
    pub(crate) task: Option<String>,
}

/// Reads a duration as Go does: `500ms`, `30m`, `168h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| match error.specific_hint() {
        Some(hint) => hint.to_owned(),
        None => error.to_string(),
    })
}

/// Reads a number of bytes: `4096`, `10MB`, `1.5GB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).map_err(|error| match error.specific_hint() {
        Some(hint) => hint.to_owned(),
        None => error.to_string(),
    })
}

/// A value, or none: the word `none` takes a value of the configuration back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

impl<T> OrNone<T> {
    fn read(text: &str, read: fn(&str) -> Result<T, String>) -> Result<OrNone<T>, String> {
        match text {
            "none" => Ok(OrNone(None)),
            text => read(text).map(|value| OrNone(Some(value))),
        }
    }
}

/// As [`size`], or `none`.
pub(crate) fn size_or_none(text: &str) -> Result<OrNone<u64>, String> {
    OrNone::read(text, size)
}

/// As [`duration`], or `none`.
pub(crate) fn duration_or_none(text: &str) -> Result<OrNone<Duration>, String> {
    OrNone::read(text, duration)
}

/// Reads an amount of money: `25`, `2.50`.
pub(crate) fn amount(text: &str) -> Result<f64, String> {
    let amount = text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| "an amount like 25 or 2.50 is wanted".to_owned())
}

/// Reads `NAME=value`.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=value is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert!(duration("90").unwrap_err().contains("500ms"));
    }

    #[test]
    fn none_is_no_value() {
        assert_eq!(size_or_none("none"), Ok(OrNone(None)));
        assert_eq!(size_or_none("1KB"), Ok(OrNone(Some(1024))));
        assert_eq!(duration_or_none("none"), Ok(OrNone(None)));
        assert!(duration_or_none("None").is_err());
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(size("1.5MB").unwrap(), 3 << 19);
        assert!(size("10xMB").unwrap_err().contains("10MB"));
    }

    #[test]
    fn amounts_are_not_negative() {
        assert_eq!(amount("2.50").unwrap(), 2.5);
        assert!(amount("-1").is_err() && amount("inf").is_err() && amount("x").is_err());
    }

    #[test]
    fn assignments_need_a_name() {
        assert_eq!(assignment("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(assignment("a=").unwrap(), ("a".into(), String::new()));
        assert!(assignment("=b").is_err() && assignment("a").is_err());
    }
}
