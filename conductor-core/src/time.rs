//! Points in time and lengths of time as they stand on disk and on command lines.
//!
//! Times are UTC with nanoseconds, written as Go's RFC3339Nano (`2026-11-23T14:43:36.72608858Z`,
//! trailing zeros of the fraction trimmed). Lengths are Go durations (`500ms`, `1h30m`, `168h`).
//! What time it is comes from [`Os`](crate::sys::Os), so that a test can set the clock.

use crate::error::{Error, Result};
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A point in time, UTC, with nanoseconds, from the year -9999 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The moment that stands for "none yet" on disk: `0001-01-01T00:00:00Z`.
    pub const ZERO: Timestamp = Timestamp(jiff::Timestamp::constant(-62_135_596_800, 0));

    /// The start of Unix time.
    pub const UNIX_EPOCH: Timestamp = Timestamp(jiff::Timestamp::UNIX_EPOCH);

    /// The moment `nanos` nanoseconds after the start of Unix time, kept within what can be written.
    pub fn from_unix_nanos(nanos: i128) -> Timestamp {
        let clamped =
            nanos.clamp(jiff::Timestamp::MIN.as_nanosecond(), jiff::Timestamp::MAX.as_nanosecond());
        Timestamp(jiff::Timestamp::from_nanosecond(clamped).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
    }

    /// The moment `seconds` and `nanos` (below 1,000,000,000) after the start of Unix time.
    pub(crate) fn from_unix(seconds: i64, nanos: u32) -> Option<Timestamp> {
        jiff::Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok().map(Timestamp)
    }

    /// Nanoseconds since the start of Unix time.
    pub fn unix_nanos(self) -> i128 {
        self.0.as_nanosecond()
    }

    /// Whether this is [`Timestamp::ZERO`], which stands for "none yet".
    pub fn is_zero(self) -> bool {
        self == Timestamp::ZERO
    }

    /// The time from `earlier` to this moment; zero when it lies in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        let nanos = self.unix_nanos().saturating_sub(earlier.unix_nanos()).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// This moment and `length` more.
    #[must_use]
    pub fn plus(self, length: Duration) -> Timestamp {
        let nanos = i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
        Timestamp::from_unix_nanos(self.unix_nanos().saturating_add(nanos))
    }

    /// This moment less `length`.
    #[must_use]
    pub fn minus(self, length: Duration) -> Timestamp {
        let nanos = i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
        Timestamp::from_unix_nanos(self.unix_nanos().saturating_sub(nanos))
    }

    /// `YYYYMMDD-HHMMSS` in UTC, as it stands in ids.
    pub fn compact(self) -> String {
        let t = TimeZone::UTC.to_datetime(self.0);
        format!(
            "{:04}{:02}{:02}-{:02}{:02}{:02}",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }

    /// Nanoseconds within the second, 0 to 999,999,999.
    pub fn subsec_nanos(self) -> u32 {
        u32::try_from(self.unix_nanos().rem_euclid(1_000_000_000)).unwrap_or(0)
    }

    /// RFC 3339 in UTC with exactly nine digits of fraction.
    pub fn rfc3339_fixed(self) -> String {
        format!("{:.9}", self.0)
    }

    /// Reads a moment as HTTP writes it: `Wed, 21 Oct 2015 07:28:00 GMT`.
    #[cfg(feature = "http")]
    pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
        let moment = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
        Some(Timestamp(moment.timestamp()))
    }

    /// `YYYY-MM-DD HH:MM:SS` in UTC, for people.
    pub fn human(self) -> String {
        let t = TimeZone::UTC.to_datetime(self.0);
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }
}

impl fmt::Display for Timestamp {
    /// RFC3339Nano: UTC, `Z`, the fraction without trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Reads RFC 3339 with any offset.
    fn from_str(text: &str) -> Result<Timestamp> {
        text.parse().map(Timestamp).map_err(|source: jiff::Error| {
            Error::invalid("time.invalid", "time", format!("invalid time {text:?}"))
                .with_hint("a time looks like 2026-11-23T14:43:36Z")
                .with_source(source)
        })
    }
}

/// What clocks show somewhere.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// Universal time.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// What clocks show on this machine; universal time where that is not known.
    pub fn local() -> Zone {
        Zone(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// The moment of the day of `moment` at which clocks show this.
    pub fn same_day(&self, moment: Timestamp, hour: i8, minute: i8) -> Option<Timestamp> {
        let time = jiff::civil::Time::new(hour, minute, 0, 0).ok()?;
        let today = self.0.to_datetime(moment.0).date();
        self.0.to_timestamp(today.to_datetime(time)).ok().map(Timestamp)
    }

    /// The moment at which calendars and clocks show this; `None` where they never do.
    pub fn moment(&self, year: i16, month: i8, day: i8, hour: i8, minute: i8) -> Option<Timestamp> {
        let date = jiff::civil::DateTime::new(year, month, day, hour, minute, 0, 0).ok()?;
        self.0.to_timestamp(date).ok().map(Timestamp)
    }
}

/// Units of a Go duration, longest first.
const UNITS: [(&str, u64); 8] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
];

/// Reads a Go duration: `500ms`, `1.5h`, `1h30m`, `0`. Negative lengths are refused.
///
/// # Errors
/// `duration.invalid`, naming the text and the form.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let refuse = || {
        Error::invalid("duration.invalid", "duration", format!("invalid duration {text:?}"))
            .with_hint("a duration looks like 500ms, 30s, 15m, 1h30m or 168h")
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(refuse());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let nanos = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos);
        let part = nanos.and_then(|nanos| scaled(number, nanos)).ok_or_else(refuse)?;
        total = total.checked_add(part).ok_or_else(refuse)?;
        rest = tail;
    }
    // Go's own limit, about 292 years; beyond it a deadline could not be computed.
    let nanos = i64::try_from(total).map_err(|_| refuse())?;
    Ok(Duration::from_nanos(nanos.unsigned_abs()))
}

/// `number` (digits with at most one dot) times `unit`, in nanoseconds, the rest cut off.
fn scaled(number: &str, unit: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = &fraction[..fraction.len().min(18)];
    let part = if digits.is_empty() {
        0
    } else {
        let scale = 10u128.pow(u32::try_from(digits.len()).ok()?);
        digits.parse::<u128>().ok()? * u128::from(unit) / scale
    };
    whole.checked_mul(u128::from(unit))?.checked_add(part)
}

/// Writes a length as Go does: `168h0m0s`, `5m0s`, `1.5s`, `250ms`, `0s`.
pub fn format_duration(length: Duration) -> String {
    let nanos = length.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    for (unit, size) in [("ns", 1u128), ("\u{b5}s", 1_000), ("ms", 1_000_000)] {
        if nanos < size * 1000 && nanos < 1_000_000_000 {
            return decimal(nanos, size) + unit;
        }
    }
    let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
    match (nanos / 3_600_000_000_000, nanos / 60_000_000_000 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / unit` with as many decimals as it takes.
fn decimal(value: u128, unit: u128) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.to_string().len() - 1;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for text in [
            "2026-11-23T14:43:36.72608858Z",
            "2026-11-23T14:43:36Z",
            "0001-01-01T00:00:00Z",
            "2026-11-23T14:43:36.000000001Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        assert!("0001-01-01T00:00:00Z".parse::<Timestamp>().unwrap().is_zero());
        let offset = "2026-11-23T15:43:36+01:00".parse::<Timestamp>().unwrap();
        assert_eq!(offset.to_string(), "2026-11-23T14:43:36Z");
        assert_eq!(offset.rfc3339_fixed(), "2026-11-23T14:43:36.000000000Z");
        assert_eq!(offset.compact(), "20261123-144336");
        assert_eq!(offset.human(), "2026-11-23 14:43:36");
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases = [
            ("0", 0),
            ("500ms", 500_000_000),
            ("1.5s", 1_500_000_000),
            ("1h30m", 5_400_000_000_000),
            ("168h", 604_800_000_000_000),
            (".5s", 500_000_000),
            ("1us1ns", 1_001),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse_duration(text).unwrap().as_nanos(), nanos, "{text}");
        }
        for text in ["", "5", "5x", "-1s", "1s2", "s", ".s", "1..5s", "9999999h", "1 s", "1d"] {
            assert_eq!(parse_duration(text).unwrap_err().code(), "duration.invalid", "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let cases = [
            ("0", "0s"),
            ("168h", "168h0m0s"),
            ("5m", "5m0s"),
            ("1500ms", "1.5s"),
            ("250ms", "250ms"),
            ("1500us", "1.5ms"),
            ("90m1s", "1h30m1s"),
        ];
        for (text, shown) in cases {
            assert_eq!(format_duration(parse_duration(text).unwrap()), shown);
        }
    }

    proptest! {
        #[test]
        fn durations_survive_being_written(nanos in 0..i64::MAX) {
            let length = Duration::from_nanos(nanos.unsigned_abs());
            prop_assert_eq!(parse_duration(&format_duration(length)).unwrap(), length);
        }

        #[test]
        fn reading_a_duration_never_panics(text in "\\PC{0,30}") {
            let _ = parse_duration(&text);
        }
    }
}
