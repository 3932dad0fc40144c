//! A cheap look at the start of a JSON object.
//!
//! Most lines of a stream are of no interest, and say so in their first bytes: the agents write `type`
//! first. A look costs those bytes alone, however long the line is.

/// The longest text that a look reads or steps over, in bytes.
const LONGEST: usize = 256;

/// The text that stands at `path` in the object that `start` begins with, where only plain members
/// stand before it. `None` where it cannot be told cheaply; then the object must be read.
pub(super) fn peek<'a>(start: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    let mut path = path.iter();
    let mut wanted = path.next()?.as_bytes();
    let mut rest = blank(start).strip_prefix(b"{")?;
    loop {
        let (key, after) = text(blank(rest))?;
        let value = blank(blank(after).strip_prefix(b":")?);
        if key == wanted {
            match path.next() {
                None => return text(value).map(|(text, _)| text),
                Some(inner) => {
                    wanted = inner.as_bytes();
                    rest = value.strip_prefix(b"{")?;
                }
            }
        } else {
            rest = blank(step_over(value)?).strip_prefix(b",")?;
        }
    }
}

/// Whether a line may hold a JSON object at all.
pub(super) fn is_object(start: &[u8]) -> bool {
    blank(start).first() == Some(&b'{')
}

fn blank(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    &bytes[blanks..]
}

/// A text without escapes, and what follows it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = bytes.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', &inner[..inner.len().min(LONGEST)])?;
    (inner[end] == b'"').then(|| (&inner[..end], &inner[end + 1..]))
}

/// What follows a plain value: a text, a number, a word.
fn step_over(value: &[u8]) -> Option<&[u8]> {
    match value.first()? {
        b'"' => text(value).map(|(_, rest)| rest),
        b'{' | b'[' => None,
        _ => {
            let end = value.iter().take(LONGEST).position(|byte| matches!(byte, b',' | b'}'))?;
            Some(&value[end..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'a>(line: &'a str, path: &[&str]) -> Option<&'a str> {
        peek(line.as_bytes(), path).map(|text| std::str::from_utf8(text).unwrap())
    }

    #[test]
    fn what_stands_in_front_is_found_and_the_rest_is_not_looked_at() {
        assert_eq!(at(r#"{"type":"user","#, &["type"]), Some("user"));
        assert_eq!(at(r#" { "n" : -1.5 , "type" : "a" }"#, &["type"]), Some("a"));
        let item = r#"{"type":"item.completed","item":{"id":"item_1","type":"x","y":["#;
        assert_eq!(at(item, &["item", "type"]), Some("x"));
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        for line in [
            "",
            "[1]",
            "{",
            r#"{"type"#,
            r#"{"type":"us"#,
            r#"{"type":7}"#,
            r#"{"type":{"a":1}}"#,
            r#"{"ty\u0070e":"user","type":"x"}"#,
            r#"{"a":{"type":"inner"},"type":"outer"}"#,
            r#"{"a":[1],"type":"x"}"#,
            r#"{"type":"a\nb"}"#,
        ] {
            assert_eq!(at(line, &["type"]), None, "{line}");
        }
        assert_eq!(at(r#"{"item":"text","type":"x"}"#, &["item", "type"]), None);
        let long = format!(r#"{{"a":"{}","type":"x"}}"#, "y".repeat(LONGEST));
        assert_eq!(at(&long, &["type"]), None);
    }
}
