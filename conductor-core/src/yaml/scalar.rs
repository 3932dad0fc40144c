//! How a text is written as a scalar: plain, in quotes, or as a block of lines.
//!
//! The rules are those of go-yaml v3: what would be read as something other than text is put in double
//! quotes, what would not be read as one plain scalar in single quotes, several lines become a literal
//! block, and anything that cannot be printed is escaped in double quotes.

use std::fmt::Write as _;

/// A way to write a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// The way that go-yaml v3 would choose.
pub(super) fn style_of(text: &str) -> Style {
    if text.is_empty() || !text.chars().all(|c| is_printable(c) || c == '\n') {
        return Style::Double;
    }
    if text.contains('\n') {
        let blanks_at_an_end = text.contains(" \n") || text.ends_with(' ');
        let starts_blank = text.starts_with([' ', '\n']);
        return if blanks_at_an_end || starts_blank { Style::Double } else { Style::Literal };
    }
    if resolves_to_something_else(text) {
        return Style::Double;
    }
    if is_plain(text) { Style::Plain } else { Style::Single }
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && !matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}')
}

fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let followed_by_blank = |index: usize| bytes.get(index + 1).is_none_or(|next| *next == b' ');
    if bytes[0] == b' ' || bytes[bytes.len() - 1] == b' ' {
        return false;
    }
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    if b"#,[]{}&*!|>'\"%@`".contains(&bytes[0]) {
        return false;
    }
    if b"-?:".contains(&bytes[0]) && followed_by_blank(0) {
        return false;
    }
    bytes.iter().enumerate().skip(1).all(|(index, byte)| match byte {
        b':' => !followed_by_blank(index),
        b'#' => bytes[index - 1] != b' ',
        _ => true,
    })
}

/// Whether a plain scalar of this text would be read as a number, a truth value, nothing or a time.
fn resolves_to_something_else(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "null", "Null", "NULL", "~", "true", "True", "TRUE", "false", "False", "FALSE", "y", "Y",
        "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
        ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
        "-.Inf", "-.INF",
    ];
    WORDS.contains(&text) || is_number(text) || is_base_60(text) || is_time(text)
}

fn is_number(text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let radix = |prefix: [&str; 2], digit: fn(&char) -> bool| {
        let rest = unsigned.strip_prefix(prefix[0]).or_else(|| unsigned.strip_prefix(prefix[1]));
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| digit(&c)))
    };
    radix(["0x", "0X"], char::is_ascii_hexdigit)
        || radix(["0o", "0O"], |c| ('0'..='7').contains(c))
        || radix(["0b", "0B"], |c| ('0'..='1').contains(c))
        || is_decimal(unsigned)
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, then an exponent or nothing.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_ok =
        all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_ok = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    mantissa_ok && exponent_ok
}

/// `190:20:30`, which YAML 1.1 reads as a number.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let first_ok = first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let sixty = |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let (seconds, fraction) = last.split_once('.').unwrap_or((last, ""));
    first_ok
        && middle.iter().all(|part| sixty(part))
        && sixty(seconds)
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// A date, or a date and a time.
fn is_time(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let day_len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, tail) = rest.split_at(day_len);
    let date = year.len() == 4
        && digits(year)
        && digits(month)
        && month.len() <= 2
        && digits(day)
        && day.len() <= 2;
    let time = tail.is_empty()
        || tail.strip_prefix(['T', 't', ' ']).is_some_and(|time| {
            time.starts_with(|c: char| c.is_ascii_digit()) && time.contains(':')
        });
    date && time
}

/// Puts a text in double quotes.
pub(super) fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) => out.push(c),
            // Writing to a String cannot fail.
            c if (c as u32) < 0x100 => {
                let _infallible = write!(out, "\\x{:02X}", c as u32);
            }
            c if (c as u32) < 0x1_0000 => {
                let _infallible = write!(out, "\\u{:04X}", c as u32);
            }
            c => {
                let _infallible = write!(out, "\\U{:08X}", c as u32);
            }
        }
    }
    out.push('"');
    out
}

/// Puts a text in single quotes.
pub(super) fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_older_programs_table() {
        let plain = [
            "it's",
            "say \"hi\"",
            "back\\slash",
            "a]b",
            "a,b",
            "a#b",
            "k:v",
            ":x",
            "?x",
            "=",
            "<<",
            "NaN",
            "1.2.3",
            "123abc",
            "20261123-1443360000-10373-1",
            "na\u{ef}ve",
            "/a/b",
            "-x",
            "claude -p < /r/x",
            "MSG-20261123-144336-718114430-PID10373-0001",
        ];
        for text in plain {
            assert_eq!(style_of(text), Style::Plain, "{text:?}");
        }
        let double = [
            "",
            "123",
            "014",
            "0o14",
            "0b1",
            "1_000",
            "+1",
            "-0",
            "00",
            "1e3",
            ".5",
            "-.5",
            ".inf",
            ".nan",
            "true",
            "Y",
            "on",
            "null",
            "~",
            "1:20",
            "2026-1-1",
            "2026-01-01T00:00:00Z",
            "a\tb",
            "\u{1f600}",
            "a\r",
            "08",
            "0x1F",
            "190:20:30.15",
        ];
        for text in double {
            assert_eq!(style_of(text), Style::Double, "{text:?}");
        }
        let single = [
            "@a", "%a", "!a", "&a", "*a", "[a", "{a", "|a", ">a", "'q'", "\"a", ",a", "- a", "? a",
            "-", "---", "--- a", "key: v", "a #b", "a:", " a", "a ", "#a", "`a",
        ];
        for text in single {
            assert_eq!(style_of(text), Style::Single, "{text:?}");
        }
        for text in ["a\nb", "a\n", "a\nb\n\n", "a: b\n- c"] {
            assert_eq!(style_of(text), Style::Literal, "{text:?}");
        }
    }

    #[test]
    fn quotes_are_written_as_go_writes_them() {
        assert_eq!(double_quoted("a\tb"), "\"a\\tb\"");
        assert_eq!(double_quoted("\u{1f600}"), "\"\\U0001F600\"");
        assert_eq!(single_quoted("'q"), "'''q'");
    }
}
