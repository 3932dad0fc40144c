//! The few keys of a record that a look over all runs of a root needs.
//!
//! A record is read line by line as long as it looks as both programs write it; anything unusual is
//! left to the reader of the whole record, which takes ten times as long.

use super::outcome::{Outcome, Status};
use super::record::{RunRecord, VERSION};
use crate::time::Timestamp;

/// What a look over all runs needs of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Glimpse {
    /// Whether the form is newer than what is known here.
    pub(crate) too_new: bool,
    pub(crate) parent_run_id: Option<String>,
    pub(crate) previous_run_id: Option<String>,
    pub(crate) start_time: Timestamp,
    pub(crate) end_time: Timestamp,
    pub(crate) status: Status,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) series: Option<u64>,
    pub(crate) agent: String,
    /// Whether it tells what the run used or cost.
    pub(crate) counted: bool,
    /// Whether the record itself says that conductor supervises the run.
    pub(crate) supervised: bool,
}

impl From<&RunRecord> for Glimpse {
    fn from(record: &RunRecord) -> Glimpse {
        Glimpse {
            too_new: record.version > VERSION,
            parent_run_id: record.parent_run_id.clone(),
            previous_run_id: record.previous_run_id.clone(),
            start_time: record.start_time,
            end_time: record.end_time,
            status: record.status.clone(),
            outcome: record.outcome,
            series: record.series,
            agent: record.agent.clone(),
            counted: record.model.is_some() || record.usage.is_some() || record.cost_usd.is_some(),
            supervised: record.supervised,
        }
    }
}

/// How many keys are read.
const KEYS: usize = 10;

/// The place of a key among those that are read. One that stands twice is unusual.
fn place_of(key: &str) -> Option<usize> {
    Some(match key {
        "version" => 0,
        "parent_run_id" => 1,
        "previous_run_id" => 2,
        "start_time" => 3,
        "end_time" => 4,
        "status" => 5,
        "outcome" => 6,
        "series" => 7,
        "rev" => 8,
        "agent" => 9,
        _ => return None,
    })
}

/// Whether a key tells what a run used or cost.
fn counts(key: &str) -> bool {
    matches!(key, "model" | "usage" | "cost_usd")
}

/// Reads the record; `None` where it is unusual, so that only the whole reader knows.
pub(crate) fn glimpse(bytes: &[u8]) -> Option<Glimpse> {
    // Printable ASCII: what else there is may mean something to YAML.
    let usual = |byte: &u8| (b' '..=b'~').contains(byte) || *byte == b'\n';
    // Without an early end, which the processor does for many bytes at once.
    let all_usual = bytes.iter().fold(true, |all, byte| all & usual(byte));
    let text = std::str::from_utf8(bytes).ok().filter(|_| all_usual)?;
    let mut found: [Option<&str>; KEYS] = [None; KEYS];
    // Whether indented lines may follow: the value of the last key stands on them.
    let mut group = false;
    let mut counted = false;
    for line in lines(text) {
        let inner = line.trim_start_matches(' ');
        if inner.len() < line.len() {
            let item = inner.strip_prefix("- ").unwrap_or(inner);
            if !group || !is_simple_item(item) {
                return None;
            }
            continue;
        }
        let (key, value) = split(line)?;
        group = value.is_empty();
        counted |= counts(key);
        let value = scalar(value)?;
        if let Some(at) = place_of(key) {
            // A value on further lines is none that is known here.
            if group || found[at].replace(value).is_some() {
                return None;
            }
        }
    }
    let [version, parent, previous, start, end, status, outcome, series, rev, agent] = found;
    let time = |text: Option<&str>| match text {
        None => Some(Timestamp::ZERO),
        Some(text) => text.parse().ok(),
    };
    let id = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Glimpse {
        too_new: version.map_or(Some(0), |version| version.parse::<u64>().ok())? > VERSION,
        parent_run_id: id(parent),
        previous_run_id: id(previous),
        start_time: time(start)?,
        end_time: time(end)?,
        status: Status::parse(status.unwrap_or_default()),
        outcome: match outcome {
            None => None,
            Some(word) => Some(Outcome::parse(word)?),
        },
        series: match series {
            None => None,
            Some(number) => Some(number.parse().ok()?),
        },
        agent: agent.unwrap_or_default().to_owned(),
        counted,
        supervised: match rev {
            None => false,
            Some(number) => number.parse::<u64>().is_ok().then_some(true)?,
        },
    })
}

/// The lines of a text. Records have short ones: a plain loop finds their ends fastest.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest.as_bytes());
        let (line, more) = rest.split_at(end.unwrap_or(rest.len()));
        rest = more.get(1..).unwrap_or_default();
        Some(line)
    })
}

/// A line `key: value`, or `key:`.
fn split(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_at(line.bytes().position(|byte| byte == b':')?);
    let rest = &rest[1..];
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.';
    if !key.bytes().all(plain) || !key.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    match rest {
        "" => Some((key, "")),
        _ => Some((key, rest.strip_prefix(' ')?)),
    }
}

fn is_simple_item(line: &str) -> bool {
    match split(line) {
        Some((_, value)) => scalar(value).is_some(),
        None => scalar(line).is_some(),
    }
}

/// The text of a scalar that ends on its line and means what it shows.
fn scalar(value: &str) -> Option<&str> {
    let Some(first) = value.bytes().next() else { return Some("") };
    if let quote @ (b'"' | b'\'') = first {
        let inner = value[1..].strip_suffix(char::from(quote))?;
        return (!inner.contains(['"', '\'', '\\'])).then_some(inner);
    }
    let special = b"|>[]{}&*!%@`#?,- ".contains(&first);
    let negative = value.len() > 1 && value[1..].bytes().all(|b| b.is_ascii_digit());
    if special && !(first == b'-' && negative) {
        return None;
    }
    let means_more = |pair: &[u8]| matches!(pair, b": " | b" #");
    if value.as_bytes().windows(2).any(means_more) || value.ends_with([':', ' ']) {
        return None;
    }
    let null = matches!(value, "~" | "null" | "Null" | "NULL");
    let flag = matches!(value, "True" | "TRUE" | "False" | "FALSE");
    (!null && !flag && !is_odd_number(value)).then_some(value)
}

/// Whether YAML may take it for a number that it writes in another way: `0.`, `1e3`, `007`, `0x1F`.
fn is_odd_number(value: &str) -> bool {
    let bytes = value.as_bytes();
    let Some(first) = bytes.first() else { return false };
    if !first.is_ascii_digit() {
        return matches!(first, b'.' | b'+');
    }
    if bytes.iter().all(u8::is_ascii_digit) {
        // Longer ones may not fit.
        return bytes.len() > 18 || (bytes.len() > 1 && *first == b'0');
    }
    // A sign within a number stands behind its exponent; dates and ids have others.
    let sign = |pair: &[u8]| matches!(pair[1], b'-' | b'+') && !matches!(pair[0], b'e' | b'E');
    let in_numbers = |byte: &u8| byte.is_ascii_hexdigit() || b"+-._xXoO".contains(byte);
    bytes.iter().all(in_numbers) && !bytes.windows(2).any(sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_mapping;
    use proptest::prelude::*;
    use std::path::Path;

    fn whole(text: &str) -> Option<Glimpse> {
        let path = Path::new("/r/run-info.yaml");
        let record = RunRecord::from_mapping(parse_mapping(text.as_bytes(), path).ok()?, path);
        Some(Glimpse::from(&record.ok()?))
    }

    fn full() -> String {
        let mut record = RunRecord::blank();
        let text = |text: &str| Some(text.to_owned());
        record.run_id = "20260301-0800000000-1-1".into();
        record.parent_run_id = text("20260301-0800000000-1-2");
        record.previous_run_id = text("20260301-0800000000-1-3");
        record.start_time = "2026-03-01T08:00:00.25Z".parse().unwrap();
        record.end_time = "2026-03-01T08:01:00Z".parse().unwrap();
        record.status = Status::Failed;
        record.exit_code = -1;
        record.commandline = text("claude -p --x 'a b' < /r/prompt.md");
        record.error_summary = text("agent exited with code 3");
        record.outcome = Some(Outcome::Lost);
        record.rev = Some(4);
        record.series = Some(2);
        record.start_msg = text("c1:7:MSG-20260301-080000-000000000-PID00001-0001");
        record.to_mapping().to_yaml()
    }

    #[test]
    fn a_record_as_we_write_it_needs_no_whole_reading() {
        let text = full();
        let seen = glimpse(text.as_bytes()).expect("a usual record");
        assert_eq!(Some(&seen), whole(&text).as_ref());
        assert_eq!((seen.outcome, seen.series), (Some(Outcome::Lost), Some(2)));
        assert!(seen.supervised && !seen.too_new);
    }

    #[test]
    fn keys_of_others_in_plain_form_do_not_matter() {
        let more =
            "usage:\n    input_tokens: 5\n    cached: 7\nlist:\n    - a\n    - 'b'\nx: \"y\"\n";
        let text = full() + more;
        assert_eq!(glimpse(text.as_bytes()), whole(&text));
    }

    #[test]
    fn what_is_unusual_is_left_to_the_whole_reader() {
        for line in [
            "outcome: completed",
            "note: \"begins\n  and ends\"",
            "note: |\n    outcome: completed",
            "note: >-\n  x",
            "note: {a: b}",
            "note: [1]",
            "note: &a x",
            "note: *a",
            "note: x # y",
            "note: a: b",
            "note:  x",
            "? a",
            "---",
            "# comment",
            "\tx: y",
            "note: plain\n  goes on",
            "note: 'it''s'",
            "note: \"a\\n\"",
            "no colon",
            "note: ~",
            "",
        ] {
            let text = format!("{}{line}\n", full());
            assert_eq!(glimpse(text.as_bytes()), None, "{line:?}");
        }
        for (from, to) in [
            ("outcome: lost", "outcome: nice"),
            ("series: 2", "series: two"),
            ("version: 1", "version: x"),
            ("end_time: 2026-03-01T08:01:00Z", "end_time: yesterday"),
        ] {
            let text = full().replace(from, to);
            assert_eq!(glimpse(text.as_bytes()), None, "{to}");
        }
    }

    #[test]
    fn odd_numbers_are_left_to_the_whole_reader() {
        let with = |status: &str| full().replace("status: failed", &format!("status: {status}"));
        for odd in ["0.", "1.", "1e3", "007", "0x1F", "0o17", "+1", ".5", "12345678901234567890"] {
            assert_eq!(glimpse(with(odd).as_bytes()), None, "{odd}");
        }
        // What a line shows is not what YAML reads: a glimpse of the line would contradict the whole.
        let read = whole(&with("0.")).unwrap().status;
        assert_ne!(read, Status::parse("0."));
    }

    fn any_line() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            Just("status".to_owned()),
            Just("outcome".to_owned()),
            Just("end_time".to_owned()),
            Just("parent_run_id".to_owned()),
            Just("note".to_owned()),
            "[a-z]{1,4}",
        ];
        let value = prop_oneof![
            Just("completed".to_owned()),
            Just("2026-03-01T08:01:00Z".to_owned()),
            Just("\"\"".to_owned()),
            Just("'x'".to_owned()),
            "[0-9+.exE_-]{1,6}",
            "(true|True|FALSE)",
            "[ -~]{0,12}",
            "\\PC{0,6}",
        ];
        let indent = prop_oneof![9 => Just(""), 1 => Just("  "), 1 => Just("    ")];
        (indent, key, value).prop_map(|(indent, key, value)| format!("{indent}{key}: {value}\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Where the whole reader reads the record, the glimpse sees the same or nothing.
        #[test]
        fn a_glimpse_never_contradicts_the_whole(lines in prop::collection::vec(any_line(), 0..6)) {
            let text = lines.concat();
            if let (Some(seen), Some(whole)) = (glimpse(text.as_bytes()), whole(&text)) {
                prop_assert_eq!(seen, whole, "{}", text);
            }
        }
    }
}
