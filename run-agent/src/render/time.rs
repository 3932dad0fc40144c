//! Times and lengths as people read them.

use conductor_core::{Timestamp, format_duration};
use std::time::Duration;

/// `YYYY-MM-DD HH:MM` in the time zone of the person.
pub(crate) fn local_minute(time: Timestamp) -> String {
    let Ok(time) = jiff::Timestamp::from_nanosecond(time.unix_nanos()) else {
        return "-".to_owned();
    };
    let t = jiff::tz::TimeZone::system().to_datetime(time);
    format!("{:04}-{:02}-{:02} {:02}:{:02}", t.year(), t.month(), t.day(), t.hour(), t.minute())
}

/// `HH:MM:SS` in the time zone of the person.
pub(crate) fn local_clock(time: Timestamp) -> String {
    let Ok(time) = jiff::Timestamp::from_nanosecond(time.unix_nanos()) else {
        return "--:--:--".to_owned();
    };
    let t = jiff::tz::TimeZone::system().to_datetime(time);
    format!("{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second())
}

/// RFC 3339 in UTC, in whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    let whole = time.minus(Duration::from_nanos(time.subsec_nanos().into()));
    whole.to_string()
}

/// A length in whole seconds, as `1h2m3s`.
pub(crate) fn whole(length: Duration) -> String {
    let half = Duration::from_millis(500);
    format_duration(Duration::from_secs(length.saturating_add(half).as_secs()))
}

/// A length as people say it: `0.3s`, `7.5s`, then in whole seconds.
pub(crate) fn brief(length: Duration) -> String {
    if length < Duration::from_secs(10) {
        return format!("{:.1}s", length.as_secs_f64());
    }
    whole(length)
}

/// A length in minutes and seconds, as `75m3s`.
pub(crate) fn minutes(length: Duration) -> String {
    format!("{}m{}s", length.as_secs() / 60, length.as_secs() % 60)
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map(|length| length.as_nanos()).unwrap_or_default();
    Timestamp::from_unix_nanos(i128::try_from(nanos).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_to_the_second() {
        assert_eq!(whole(Duration::from_millis(1499)), "1s");
        assert_eq!(whole(Duration::from_millis(3_661_500)), "1h1m2s");
        assert_eq!(whole(Duration::ZERO), "0s");
        assert_eq!(brief(Duration::from_millis(340)), "0.3s");
        assert_eq!(brief(Duration::from_millis(75_400)), "1m15s");
        assert_eq!(minutes(Duration::from_secs(4503)), "75m3s");
    }

    #[test]
    fn times_lose_their_fraction() {
        let time: Timestamp = "2026-11-23T14:43:36.72608858Z".parse().unwrap();
        assert_eq!(seconds(time), "2026-11-23T14:43:36Z");
    }
}
