//! Quoted scalars: one line of YAML's double-quoted style, whatever the text holds.

use std::borrow::Cow;

/// Appends `text` in double quotes.
pub(super) fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut copied = 0;
    for (at, c) in text.char_indices() {
        let short = match c {
            '"' | '\\' => Some(c as u8),
            '\n' => Some(b'n'),
            '\r' => Some(b'r'),
            '\t' => Some(b't'),
            _ => None,
        };
        let hex_digits = match c {
            _ if short.is_some() => 0,
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => 2,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => 4,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[copied..at]);
        copied = at + c.len_utf8();
        out.push(b'\\');
        match short {
            Some(byte) => out.push(byte),
            None => {
                out.push(if hex_digits == 2 { b'x' } else { b'u' });
                for digit in (0..hex_digits).rev() {
                    let nibble = (c as u32 >> (4 * digit) & 0xf) as usize;
                    out.push(b"0123456789abcdef"[nibble]);
                }
            }
        }
    }
    out.extend_from_slice(&text.as_bytes()[copied..]);
    out.push(b'"');
}

/// Reads a quoted scalar at the start of `text`; gives it and what follows.
pub(super) fn parse_quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inner = text.strip_prefix('"')?;
    let end = memchr::memchr2(b'"', b'\\', inner.as_bytes())?;
    if inner.as_bytes()[end] == b'"' {
        return Some((Cow::Borrowed(&inner[..end]), &inner[end + 1..]));
    }
    let mut value = inner[..end].to_owned();
    let mut rest = &inner[end..];
    loop {
        let next = rest.find(['"', '\\'])?;
        value.push_str(&rest[..next]);
        rest = &rest[next..];
        if let Some(after) = rest.strip_prefix('"') {
            return Some((Cow::Owned(value), after));
        }
        let escape = *rest.as_bytes().get(1)?;
        let length = match escape {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        let c = match escape {
            b'"' | b'\\' | b'/' => escape as char,
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'x' | b'u' | b'U' => {
                let hex = rest.get(2..2 + length)?;
                if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                char::from_u32(u32::from_str_radix(hex, 16).ok()?)?
            }
            _ => return None,
        };
        value.push(c);
        rest = &rest[2 + length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        push_quoted(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_would_break_a_line_or_a_reader_is_escaped() {
        assert_eq!(
            quoted("a\"\\\n\r\t\0\x7f\u{85}\u{2028}\u{feff}\u{1f600}é"),
            "\"a\\\"\\\\\\n\\r\\t\\x00\\x7f\\x85\\u2028\\ufeff\u{1f600}é\""
        );
        for text in ["", "a", "\"a", "\"a\\\"", "\"\\q\"", "\"\\x0\"", "\"\\ud800\"", "\"\\x+1\""] {
            assert_eq!(parse_quoted(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in any::<String>(), rest in "[a-z\"]{0,3}") {
            let line = quoted(&text) + &rest;
            let (value, after) = parse_quoted(&line).unwrap();
            prop_assert_eq!((value.as_ref(), after), (text.as_str(), rest.as_str()));
            let breaks = line.contains(['\n', '\r', '\u{85}', '\u{2028}']);
            prop_assert!(!breaks);
        }

        #[test]
        fn a_yaml_reader_sees_the_same_text(text in any::<String>()) {
            let yaml = format!("k: {}\n", quoted(&text));
            let map = crate::yaml::parse_mapping(yaml.as_bytes(), std::path::Path::new("/f")).unwrap();
            prop_assert_eq!(map.get_text("k"), Some(text));
        }
    }
}
