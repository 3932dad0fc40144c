//! Moments as ids and records write them: fixed width, so that text order is time order.

use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// Days from the start of the calendar's 400-year cycle (0000-03-01) to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;
const CYCLE_DAYS: i64 = 146_097;

/// A moment from the year 1 to 9999, in UTC, as seconds and nanoseconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    seconds: i64,
    nanos: u32,
}

/// The bytes of [`Moment::push_compact`].
pub(crate) const COMPACT_LEN: usize = 25;
/// The bytes of [`Moment::push_rfc3339`].
const RFC3339_LEN: usize = 30;

impl Moment {
    /// 0001-01-01T00:00:00Z.
    pub(crate) const MIN: Moment = Moment { seconds: -62_135_596_800, nanos: 0 };
    /// The last nanosecond of the year 9999.
    const MAX: Moment = Moment { seconds: 253_402_300_799, nanos: 999_999_999 };

    /// The nearest moment that can be written.
    pub(crate) fn of(time: Timestamp) -> Moment {
        let nanos = time.unix_nanos();
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
        Moment { seconds, nanos: rest }.clamp(Moment::MIN, Moment::MAX)
    }

    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_unix(self.seconds, self.nanos).unwrap_or(Timestamp::ZERO)
    }

    /// Nanoseconds since 1970; `None` where they are too many for 64 bits.
    pub(crate) fn unix_nanos(self) -> Option<i64> {
        self.seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(self.nanos))
    }

    /// A nanosecond later; `None` at the end of what can be written.
    pub(crate) fn next(self) -> Option<Moment> {
        if self >= Moment::MAX {
            return None;
        }
        Some(match self.nanos {
            999_999_999 => Moment { seconds: self.seconds + 1, nanos: 0 },
            nanos => Moment { seconds: self.seconds, nanos: nanos + 1 },
        })
    }

    /// Appends `YYYYMMDD-HHMMSS-nnnnnnnnn`.
    pub(crate) fn push_compact(self, out: &mut Vec<u8>) {
        let (year, month, day, time) = self.fields();
        let mut text = *b"00000000-000000-000000000";
        digits(&mut text[..4], year);
        digits(&mut text[4..6], month);
        digits(&mut text[6..8], day);
        digits(&mut text[9..11], time / 3600);
        digits(&mut text[11..13], time / 60 % 60);
        digits(&mut text[13..15], time % 60);
        digits(&mut text[16..], self.nanos);
        out.extend_from_slice(&text);
    }

    /// Appends `YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ`.
    pub(crate) fn push_rfc3339(self, out: &mut Vec<u8>) {
        let (year, month, day, time) = self.fields();
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        digits(&mut text[..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], time / 3600);
        digits(&mut text[14..16], time / 60 % 60);
        digits(&mut text[17..19], time % 60);
        digits(&mut text[20..29], self.nanos);
        out.extend_from_slice(&text);
    }

    /// Reads what [`Moment::push_compact`] wrote.
    pub(crate) fn parse_compact(text: &[u8]) -> Option<Moment> {
        if text.len() != COMPACT_LEN || text[8] != b'-' || text[15] != b'-' {
            return None;
        }
        Moment::from_fields(
            [&text[..4], &text[4..6], &text[6..8], &text[9..11], &text[11..13], &text[13..15]],
            &text[16..],
        )
    }

    /// Reads what [`Moment::push_rfc3339`] wrote.
    pub(crate) fn parse_rfc3339(text: &[u8]) -> Option<Moment> {
        let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.')];
        if text.len() != RFC3339_LEN
            || text[29] != b'Z'
            || punctuation.iter().any(|(at, byte)| text[*at] != *byte)
        {
            return None;
        }
        Moment::from_fields(
            [&text[..4], &text[5..7], &text[8..10], &text[11..13], &text[14..16], &text[17..19]],
            &text[20..29],
        )
    }

    fn from_fields(fields: [&[u8]; 6], nanos: &[u8]) -> Option<Moment> {
        let [year, month, day, hour, minute, second] = fields.map(number);
        let (year, month, day) = (year?, month?, day?);
        let (hour, minute, second) = (hour?, minute?, second?);
        if year == 0 || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_of(i64::from(year), i64::from(month), i64::from(day))?;
        let time = i64::from(hour * 3600 + minute * 60 + second);
        Some(Moment { seconds: days * DAY + time, nanos: number(nanos)? })
    }

    /// Year, month, day, and second of the day.
    fn fields(self) -> (u32, u32, u32, u32) {
        let days = self.seconds.div_euclid(DAY) + EPOCH_DAY;
        let cycle = days.div_euclid(CYCLE_DAYS);
        let day_of_cycle = days.rem_euclid(CYCLE_DAYS);
        // Leap days end the 4-, 100- and 400-year parts of the cycle, whose years begin in March.
        let year_of_cycle = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524
            - day_of_cycle / 146_096)
            / 365;
        let day_of_year =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
        let small = |value: i64| u32::try_from(value).unwrap_or(0);
        (small(year), small(month), small(day), small(self.seconds.rem_euclid(DAY)))
    }
}

/// Days of Unix time of a date that exists.
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let march_year = year - i64::from(month <= 2);
    let year_of_cycle = march_year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    Some(march_year.div_euclid(400) * CYCLE_DAYS + day_of_cycle - EPOCH_DAY)
}

/// Appends a number, with leading zeros up to `width` digits.
pub(super) fn push_number(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let mut text = [b'0'; 20];
    let mut start = text.len();
    while value > 0 {
        start -= 1;
        text[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&text[start.min(text.len() - width.clamp(1, 20))..]);
}

/// Writes `value` with leading zeros into the whole of `out`.
fn digits(out: &mut [u8], mut value: u32) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Reads a number of at most nine digits.
fn number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compact(moment: Moment) -> String {
        let mut out = Vec::new();
        moment.push_compact(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in [
            "20260230-000000-000000000",
            "20261301-000000-000000000",
            "20260100-000000-000000000",
            "20260101-240000-000000000",
            "00000101-000000-000000000",
            "2026010a-000000-000000000",
            "20260101-000000-00000000",
        ] {
            assert_eq!(Moment::parse_compact(text.as_bytes()), None, "{text}");
        }
        assert_eq!(compact(Moment::MIN), "00010101-000000-000000000");
        assert_eq!(compact(Moment::MAX), "99991231-235959-999999999");
        assert_eq!(Moment::MAX.next(), None);
    }

    proptest! {
        #[test]
        fn moments_are_written_as_the_clock_writes_them(
            nanos in -62_135_596_800_000_000_000i128..253_402_300_800_000_000_000,
        ) {
            let time = Timestamp::from_unix_nanos(nanos);
            let moment = Moment::of(time);
            let mut out = Vec::new();
            moment.push_rfc3339(&mut out);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), time.rfc3339_fixed());
            prop_assert_eq!(Moment::parse_rfc3339(&out), Some(moment));
            prop_assert_eq!(compact(moment), format!("{}-{:09}", time.compact(), time.subsec_nanos()));
            prop_assert_eq!(Moment::parse_compact(compact(moment).as_bytes()), Some(moment));
            prop_assert_eq!(moment.timestamp(), time);
        }

        #[test]
        fn numbers_are_written_as_the_formatter_writes_them(value in any::<u64>(), width in 0usize..20) {
            let mut out = Vec::new();
            push_number(&mut out, value, width);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{value:0width$}"));
        }

        #[test]
        fn the_next_moment_is_later_as_text_too(nanos in any::<i64>()) {
            let moment = Moment::of(Timestamp::from_unix_nanos(i128::from(nanos)));
            prop_assert!(compact(moment.next().unwrap()) > compact(moment));
        }
    }
}
