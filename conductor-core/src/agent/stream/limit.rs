//! When a limit ends, as an agent's error message says it.
//!
//! The messages are the agents' own, in fields that hold nothing else: "try again at 3:28 PM", "try
//! again at Aug 8th, 2026 12:30 PM", "try again in 3 days 6 hours 57 minutes", "will reset after
//! 17h20m43s". A form that is not known leaves the time unknown.

use crate::time::{Timestamp, Zone, parse_duration};
use std::time::Duration;

/// When a limit ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reset {
    /// Then.
    At(Timestamp),
    /// This long after it was said.
    In(Duration),
    /// When clocks here show this, on the day that it was said: another day is told by its date.
    Clock { hour: i8, minute: i8 },
    /// When calendars and clocks here show this.
    Date { year: i16, month: i8, day: i8, hour: i8, minute: i8 },
}

impl Reset {
    /// The moment of Unix time in seconds; some versions gave milliseconds.
    pub(super) fn at_unix(time: u64) -> Reset {
        let nanos = if time > 100_000_000_000 { 1_000_000 } else { 1_000_000_000 };
        Reset::At(Timestamp::from_unix_nanos(i128::from(time) * nanos))
    }

    /// Reads an agent's message; `None` where it names no time in a known form.
    pub(super) fn parse(message: &str) -> Option<Reset> {
        let lower = message.to_ascii_lowercase();
        let behind = |words: &str| lower.find(words).map(|at| lower[at + words.len()..].trim());
        if let Some(rest) = behind("try again at ") {
            return clock_or_date(rest);
        }
        if let Some(rest) = behind("try again in ") {
            return in_words(rest).map(Reset::In);
        }
        let short = behind("reset after ").or_else(|| behind("retry in "))?;
        let end = short.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        let word = short[..end.unwrap_or(short.len())].trim_end_matches('.');
        parse_duration(word).ok().map(Reset::In)
    }

    /// The moment that is meant, said at `said` where clocks show `zone`.
    pub(super) fn resolve(self, said: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match self {
            Reset::At(time) => Some(time),
            Reset::In(length) => Some(said.plus(length)),
            Reset::Clock { hour, minute } => {
                over_or_later(zone.same_day(said, hour, minute)?, said)
            }
            Reset::Date { year, month, day, hour, minute } => {
                zone.moment(year, month, day, hour, minute)
            }
        }
    }
}

/// A clock without seconds shows a minute that began before the message, which may have been written after
/// midnight. A moment that is just over is now; one that is long over was not meant.
fn over_or_later(shown: Timestamp, said: Timestamp) -> Option<Timestamp> {
    let is_just_over = |moment: Timestamp| moment <= said && said.since(moment) < JUST;
    if is_just_over(shown) || is_just_over(shown.minus(DAY)) {
        return Some(said);
    }
    (shown > said).then_some(shown)
}

const DAY: Duration = Duration::from_secs(86_400);
/// How long after the moment a message tells of it at the latest.
const JUST: Duration = Duration::from_secs(120);

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// `3:28 pm`, or `aug 8th, 2026 12:30 pm`, and whatever follows.
fn clock_or_date(text: &str) -> Option<Reset> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let first = words.next()?;
    let Some(month) = first.get(..3).and_then(|name| MONTHS.iter().position(|m| *m == name)) else {
        let (hour, minute) = clock(first, words.next()?)?;
        return Some(Reset::Clock { hour, minute });
    };
    let day = words.next()?.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
    let year = words.next()?.parse().ok()?;
    let (hour, minute) = clock(words.next()?, words.next()?)?;
    let month = i8::try_from(month + 1).ok()?;
    Some(Reset::Date { year, month, day, hour, minute })
}

/// `3:28` and `pm.` as hours and minutes of a day.
fn clock(time: &str, half: &str) -> Option<(i8, i8)> {
    let (hour, minute) = time.split_once(':')?;
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    if !(1..=12).contains(&hour) || !(0..60).contains(&minute) {
        return None;
    }
    match half.trim_end_matches('.') {
        "am" => Some((hour % 12, minute)),
        "pm" => Some((hour % 12 + 12, minute)),
        _ => None,
    }
}

/// `3 days 6 hours 57 minutes`, and whatever follows.
fn in_words(text: &str) -> Option<Duration> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let mut seconds = None;
    while let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) {
        let unit = match words.next()?.trim_end_matches('.').trim_end_matches('s') {
            "day" => 86_400,
            "hour" => 3_600,
            "minute" => 60,
            "second" => 1,
            _ => return None,
        };
        let part = number.checked_mul(unit)?;
        seconds = Some(seconds.unwrap_or(0u64).checked_add(part)?);
    }
    seconds.filter(|seconds| *seconds < 366 * 86_400).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn when(message: &str) -> Option<String> {
        when_said(message, "2026-08-07T15:00:00Z")
    }

    fn when_said(message: &str, said: &str) -> Option<String> {
        let said: Timestamp = said.parse().unwrap();
        Some(Reset::parse(message)?.resolve(said, &Zone::UTC)?.to_string())
    }

    #[test]
    fn a_clock_is_of_the_day_and_of_a_minute_that_may_have_begun() {
        for (clock, said, time) in [
            // Met in the minute that the clock shows: it is over, not tomorrow's.
            ("3:28 PM", "2026-08-07T15:28:10Z", Some("2026-08-07T15:28:10Z")),
            ("3:28 PM", "2026-08-07T15:29:59Z", Some("2026-08-07T15:29:59Z")),
            ("3:28 PM", "2026-08-07T15:27:59Z", Some("2026-08-07T15:28:00Z")),
            ("11:59 PM", "2026-08-07T23:59:30Z", Some("2026-08-07T23:59:30Z")),
            // Written after midnight.
            ("11:59 PM", "2026-08-08T00:00:05Z", Some("2026-08-08T00:00:05Z")),
            ("11:30 PM", "2026-08-08T00:00:05Z", Some("2026-08-08T23:30:00Z")),
            // Another day would have a date.
            ("12:05 AM", "2026-08-07T15:00:00Z", None),
        ] {
            let message = format!("try again at {clock}.");
            assert_eq!(when_said(&message, said).as_deref(), time, "{clock} {said}");
        }
    }

    #[test]
    fn the_forms_that_agents_use_are_known() {
        for (message, time) in [
            ("Visit x to buy more or try again at 3:28 PM.", "2026-08-07T15:28:00Z"),
            ("try again at 2:59 PM.", "2026-08-07T15:00:00Z"),
            ("try again at Aug 8th, 2026 12:30 PM.", "2026-08-08T12:30:00Z"),
            ("try again in 3 days 6 hours 57 minutes.", "2026-08-10T21:57:00Z"),
            ("try again in 1 hour.", "2026-08-07T16:00:00Z"),
            ("Your quota will reset after 17h20m43s.", "2026-08-08T08:20:43Z"),
            ("Please retry in 90.5s..", "2026-08-07T15:01:30.5Z"),
        ] {
            assert_eq!(when(message).as_deref(), Some(time), "{message}");
        }
        for message in [
            "try again later.",
            "try again at noon",
            "try again at 13:28 PM",
            "try again at Feb 30th, 2026 1:00 PM",
            "try again in a while",
            "try again in 99999999999999999999 days",
            "try again in 3 parsecs",
            "retry in soon",
        ] {
            assert_eq!(when(message), None, "{message}");
        }
        assert_eq!(Reset::at_unix(1_778_565_600), Reset::at_unix(1_778_565_600_000));
    }

    proptest! {
        #[test]
        fn reading_any_message_never_panics(
            words in "(try again (at|in) |reset after |\\PC{0,3}){0,3}[0-9a-zA-Z:., ]{0,30}",
        ) {
            let _unknown = when(&words);
        }
    }
}
