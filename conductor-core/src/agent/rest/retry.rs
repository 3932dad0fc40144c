//! When to ask again. Pure: the clock and the chance are handed in.

use crate::time::Timestamp;
use crate::usage::ErrorClass;
use std::time::Duration;

/// How often a service is asked in all.
pub(super) const MOST_CALLS: u32 = 5;
/// The longest pause that is waited out here; whoever drives the work waits for longer ones.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause behind the first call, and the longest that doubling gives.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(32);

/// What comes of a call that failed before any text came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is made again after this long.
    Again(Duration),
    /// It is not.
    GiveUp,
}

/// What a status means.
pub(super) fn class_of(status: u16) -> ErrorClass {
    ErrorClass::of_status(status.into()).unwrap_or(ErrorClass::Other)
}

/// Whether a call that got this status may succeed later, without any change.
fn may_pass(status: u16) -> bool {
    status == 429 || status == 408 || status >= 500
}

/// What comes of call number `call`, the first being 1. `status` is `None` where no answer came;
/// `asked` is the pause that the service asked for; `chance` is between 0 and 1.
pub(super) fn next(call: u32, status: Option<u16>, asked: Option<Duration>, chance: f64) -> Next {
    if call >= MOST_CALLS || !status.is_none_or(may_pass) {
        return Next::GiveUp;
    }
    match asked {
        Some(pause) if pause > LONGEST_PAUSE => Next::GiveUp,
        Some(pause) => Next::Again(pause),
        None => {
            let doubled = FIRST_PAUSE.saturating_mul(1 << call.saturating_sub(1).min(10));
            let pause = doubled.min(LONGEST_BACKOFF);
            Next::Again(pause + pause.mul_f64(chance.clamp(0.0, 1.0) / 2.0))
        }
    }
}

/// Reads the header `Retry-After`: seconds, or a moment.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        let sane = seconds.is_finite() && (0.0..366.0 * 86_400.0).contains(&seconds);
        return sane.then(|| Duration::from_secs_f64(seconds));
    }
    Some(Timestamp::parse_http_date(value)?.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_the_service_has_its_say() {
        let pause = |seconds| Next::Again(Duration::from_secs(seconds));
        assert_eq!(next(1, None, None, 0.0), pause(1));
        assert_eq!(next(2, Some(500), None, 0.0), pause(2));
        assert_eq!(next(4, Some(503), None, 0.0), pause(8));
        assert_eq!(next(2, Some(429), None, 1.0), pause(3));
        assert_eq!(next(1, Some(429), Some(Duration::from_secs(7)), 0.5), pause(7));
        assert_eq!(next(5, Some(500), None, 0.0), Next::GiveUp);
        assert_eq!(next(1, Some(429), Some(Duration::from_secs(3600)), 0.0), Next::GiveUp);
        for status in [400, 401, 403, 404, 422, 302] {
            assert_eq!(next(1, Some(status), None, 0.0), Next::GiveUp, "{status}");
        }
    }

    #[test]
    fn a_pause_is_told_in_seconds_or_as_a_moment() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        let read = |value: &str| retry_after(value, now);
        assert_eq!(read(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(read("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Wed, 21 Oct 2015 07:26:00 GMT"), Some(Duration::ZERO));
        for odd in ["", "soon", "-1", "inf", "1e99"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
