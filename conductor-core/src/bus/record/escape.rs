//! Escaping of bodies: no line of a stored body is `---`, and every body can be had back.
//!
//! A line of `---`, with any number of backslashes before and blanks, tabs or carriage returns
//! behind, gets one more backslash. Lines end with a line feed and nothing else.

use memchr::memmem;
use std::borrow::Cow;

/// Whether a line (without its line feed) is `\`... `---` and white space, with at least
/// `backslashes` backslashes.
fn is_separator(line: &[u8], backslashes: usize) -> bool {
    let dashes = line.iter().take_while(|byte| **byte == b'\\').count();
    dashes >= backslashes
        && line[dashes..]
            .strip_prefix(b"---")
            .is_some_and(|rest| rest.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')))
}

/// The starts of lines of `text` that are separators with at least `backslashes` backslashes.
fn separators(text: &[u8], backslashes: usize) -> impl Iterator<Item = usize> + '_ {
    let mut next = 0;
    memmem::find_iter(text, b"---").filter_map(move |dashes| {
        // A line is looked at once, however often it holds the dashes.
        if dashes < next {
            return None;
        }
        let start = memchr::memrchr(b'\n', &text[..dashes]).map_or(0, |at| at + 1);
        let end = memchr::memchr(b'\n', &text[dashes..]).map_or(text.len(), |at| dashes + at);
        next = end;
        is_separator(&text[start..end], backslashes).then_some(start)
    })
}

/// Appends the stored form of `body`.
pub(super) fn escape(body: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr(b'-', body).is_none() {
        out.extend_from_slice(body);
        return;
    }
    let mut copied = 0;
    for start in separators(body, 0) {
        out.extend_from_slice(&body[copied..start]);
        out.push(b'\\');
        copied = start;
    }
    out.extend_from_slice(&body[copied..]);
}

/// The length of the stored form of `body`.
pub(super) fn stored_len(body: &[u8]) -> usize {
    if memchr::memchr(b'-', body).is_none() {
        return body.len();
    }
    body.len() + separators(body, 0).count()
}

/// Gives back the body of its stored form; borrowed where nothing is escaped.
pub(crate) fn body(stored: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr(b'\\', stored) {
        None => Cow::Borrowed(stored),
        Some(_) => Cow::Owned(unescape(stored)),
    }
}

fn unescape(stored: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(stored.len());
    let mut copied = 0;
    for start in separators(stored, 1) {
        body.extend_from_slice(&stored[copied..start]);
        copied = start + 1;
    }
    body.extend_from_slice(&stored[copied..]);
    body
}

/// Whether a line of `bytes` is the bare separator, which no stored body holds.
pub(super) fn has_bare_separator(bytes: &[u8]) -> bool {
    separators(bytes, 0).any(|start| bytes[start] == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(body: &str) -> String {
        let mut out = Vec::new();
        escape(body.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_separators_are_escaped() {
        for (body, stored) in [
            ("hello\n---\n\\---\nbye", "hello\n\\---\n\\\\---\nbye"),
            ("---", "\\---"),
            ("--- \t\r\n x", "\\--- \t\r\n x"),
            ("----", "----"),
            (" ---", " ---"),
            ("a---\n---b", "a---\n---b"),
            ("", ""),
            ("\r---", "\r---"),
        ] {
            assert_eq!(escaped(body), stored);
            assert_eq!(unescape(stored.as_bytes()), body.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_body_comes_back(body in r"([\\]{0,2}|-{1,4}|\n|\r|\t| |a){0,40}") {
            let stored = escaped(&body);
            prop_assert_eq!(stored.len(), stored_len(body.as_bytes()));
            prop_assert!(!has_bare_separator(stored.as_bytes()), "{:?}", stored);
            prop_assert_eq!(unescape(stored.as_bytes()), body.as_bytes());
        }

        #[test]
        fn every_stored_form_is_the_escape_of_its_body(
            stored in r"([\\]{0,2}|-{1,4}|\n|\r|\t| |a){0,40}",
        ) {
            prop_assume!(!has_bare_separator(stored.as_bytes()));
            let body = String::from_utf8(unescape(stored.as_bytes())).unwrap();
            prop_assert_eq!(escaped(&body), stored);
        }
    }
}
