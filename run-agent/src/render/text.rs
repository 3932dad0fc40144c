//! Text of agents and other strangers, made safe for a terminal and for a line.

use std::borrow::Cow;

/// `text` on one line: control characters become escapes.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| true)
}

/// `text` with its lines and tabs, but without what would move the cursor, colour the screen or set
/// the title.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && c != '\t')
}

/// The place of what waits in a line, behind what it waits for; nothing where there is no line.
pub(crate) fn place_in_line(position: Option<usize>) -> String {
    position.map_or_else(String::new, |position| format!(" (number {position} in line)"))
}

fn escape(text: &str, escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    let bad = |c: char| (c.is_control() || is_override(c)) && escaped(c);
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if bad(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Characters that make a line read other than it is.
fn is_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first `limit` characters of `text`, its white space collapsed; `...` where more follows.
pub(crate) fn preview(text: &str, limit: usize) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
        // No need to walk through megabytes for a line.
        if short.len() > limit * 4 + 4 {
            break;
        }
    }
    if short.chars().count() <= limit {
        return short;
    }
    let cut: String = short.chars().take(limit.saturating_sub(3)).collect();
    format!("{}...", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(one_line("a\nb\x1b[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(harmless("a\n\tb\r\x1b]0;x\x07"), "a\n\tb\\r\\u{1b}]0;x\\u{7}");
        assert_eq!(harmless("na\u{ef}ve \u{65e5}"), "na\u{ef}ve \u{65e5}");
        assert_eq!(one_line("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn previews_count_characters() {
        assert_eq!(preview(" a\n b ", 96), "a b");
        assert_eq!(preview("\u{65e5}\u{672c}\u{8a9e}", 3), "\u{65e5}\u{672c}\u{8a9e}");
        assert_eq!(preview("abcdefgh", 6), "abc...");
        assert_eq!(preview(&"x".repeat(1 << 20), 96).len(), 96);
    }
}
