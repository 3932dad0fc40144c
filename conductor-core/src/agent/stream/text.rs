//! The text that an agent said, gathered piece by piece and bounded.

/// The most text that is kept, in bytes; of more, the end is kept.
const MOST: usize = 16 << 20;

/// Text that grows at its end. When it grows too long its beginning goes.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    /// How many bytes of its beginning are gone.
    pub(super) omitted: u64,
}

impl Text {
    /// Adds `more` right behind what is there.
    pub(super) fn append(&mut self, more: &str) {
        self.text.push_str(more);
        if self.text.len() > MOST {
            // Half of it at once, so that the cost of moving the rest is spread.
            let mut cut = self.text.len() - MOST / 2;
            while !self.text.is_char_boundary(cut) {
                cut += 1;
            }
            self.text.drain(..cut);
            self.omitted += cut as u64;
        }
    }

    /// Adds `more` on a line of its own.
    pub(super) fn append_line(&mut self, more: &str) {
        if !self.is_empty() {
            self.append("\n");
        }
        self.append(more);
    }

    /// What `more` has to add, which may repeat all that was said so far.
    pub(super) fn news<'a>(&self, more: &'a str) -> News<'a> {
        if self.omitted == 0 && self.text.starts_with(more) {
            return News::Nothing;
        }
        match more.strip_prefix(self.text.as_str()) {
            Some(rest) if self.omitted == 0 => News::Rest(rest),
            _ => News::All(more),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.omitted == 0
    }

    pub(super) fn clear(&mut self) {
        *self = Text::default();
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text without blanks around it; `None` where nothing is left.
    pub(super) fn trimmed(self) -> Option<Text> {
        let text = self.text.trim();
        (!text.is_empty()).then(|| Text { text: text.to_owned(), omitted: self.omitted })
    }

    pub(super) fn into_parts(self) -> (String, u64) {
        (self.text, self.omitted)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text { text, omitted: 0 }
    }
}

/// What a text that may repeat the one so far has to add.
#[derive(Debug, PartialEq)]
pub(super) enum News<'a> {
    /// All of it was said already.
    Nothing,
    /// It repeats what was said and goes on with this.
    Rest(&'a str),
    /// It is another text.
    All(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_what_is_gone_is_counted() {
        let mut text = Text::default();
        let piece = "\u{65e5}".repeat(1 << 20);
        let mut all = 0;
        for _ in 0..20 {
            text.append_line(&piece);
            all += piece.len() as u64 + 1;
        }
        let (kept, omitted) = text.into_parts();
        assert!(kept.len() <= MOST && kept.len() > MOST / 3 && kept.ends_with('\u{65e5}'));
        assert_eq!(kept.len() as u64 + omitted, all - 1);
    }

    #[test]
    fn a_repetition_adds_only_what_is_new() {
        let mut text = Text::default();
        assert_eq!(text.news("ab"), News::Rest("ab"));
        text.append("ab");
        assert_eq!(text.news("a"), News::Nothing);
        assert_eq!(text.news("abc"), News::Rest("c"));
        assert_eq!(text.news("x"), News::All("x"));
    }
}
