//! When to try again, and when to give up. Pure: time is handed in.

use crate::limits;
use crate::time::Timestamp;
use std::time::Duration;

/// The pauses after the first tries; the last one goes on.
const PAUSES: [Duration; 7] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(180),
    Duration::from_secs(900),
    Duration::from_secs(3600),
];

/// Failures in a row after which a receiver is taken to be down.
const DOWN: u32 = 5;
/// The longest time that a receiver that is down is left alone.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The pause before the next try of an event that was tried this often. `spread` moves it by up to a
/// fifth, so that events that failed together do not come back together.
pub(super) fn pause(attempts: u32, spread: u64) -> Duration {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES[index.min(PAUSES.len() - 1)];
    // From 80 to 120 hundredths.
    let hundredths = 80 + u32::try_from(spread % 41).unwrap_or(20);
    pause * hundredths / 100
}

/// How long the receiver is left alone after this many failures in a row, whichever events they were
/// of; `None` where it is not down.
pub(super) fn rest(failures: u32) -> Option<Duration> {
    let beyond = failures.checked_sub(DOWN)?;
    Some(Duration::from_secs(1 << beyond.min(6)).min(LONGEST_REST))
}

/// Whether an event is given up whose try just failed. Its own age says nothing: a machine may have been
/// switched off for days. Nor does one jump of the clock: it takes many tries too.
pub(super) fn is_given_up(attempts: u32, failing_since: Timestamp, now: Timestamp) -> bool {
    attempts >= limits::OUTBOX_TRIES && now.since(failing_since) > limits::OUTBOX_AGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_their_bounds() {
        for spread in [0, 20, 40, 41, u64::MAX] {
            let mut before = Duration::ZERO;
            for attempts in 1..8 {
                let pause = pause(attempts, spread);
                assert!(pause > before, "{attempts}");
                before = pause;
            }
            assert!(pause(u32::MAX, spread) <= Duration::from_secs(4320));
            assert!(pause(0, spread) >= Duration::from_millis(160));
        }
    }

    #[test]
    fn a_receiver_is_left_alone_only_when_it_failed_in_a_row() {
        assert_eq!(rest(0), None);
        assert_eq!(rest(DOWN - 1), None);
        assert_eq!(rest(DOWN), Some(Duration::from_secs(1)));
        assert_eq!(rest(DOWN + 3), Some(Duration::from_secs(8)));
        assert_eq!(rest(u32::MAX), Some(LONGEST_REST));
    }

    #[test]
    fn events_are_given_up_after_days_and_tries_and_a_clock_that_was_set_back_gives_up_none() {
        let first = Timestamp::UNIX_EPOCH.plus(Duration::from_secs(1 << 30));
        let late = first.plus(limits::OUTBOX_AGE + Duration::from_secs(1));
        assert!(is_given_up(limits::OUTBOX_TRIES, first, late));
        assert!(!is_given_up(limits::OUTBOX_TRIES, first, first.plus(limits::OUTBOX_AGE)));
        assert!(!is_given_up(limits::OUTBOX_TRIES - 1, first, late));
        assert!(!is_given_up(u32::MAX, first, Timestamp::UNIX_EPOCH));
    }
}
