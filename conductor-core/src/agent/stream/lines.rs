//! Cutting bytes into lines, whatever the chunks and however long the lines.

/// The longest line that is looked at, in bytes.
pub(super) const LONGEST_LINE: usize = 16 << 20;
/// How much of a line is shown when it is asked whether anybody wants it, in bytes.
const HEAD: usize = 4 << 10;

/// What the start of a line tells about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nobody wants the line: it need not be held.
    Pass,
    /// Somebody wants it, or it cannot be told from the start.
    Take,
}

/// Who reads the lines.
pub(super) trait Sink {
    /// Looks at the start of a line: its first 4 KiB, or all of a shorter one.
    ///
    /// A line that is passed over is looked at once; one that is taken may be looked at twice.
    fn look(&mut self, start: &[u8]) -> Look;

    /// Reads a whole line, without its end.
    fn take(&mut self, line: &[u8]);
}

/// Cuts bytes into lines. Holds at most one line, and none that nobody wants.
#[derive(Debug)]
pub(super) struct Lines {
    held: Vec<u8>,
    passing: bool,
    longest: usize,
    /// Lines that somebody might have wanted and that were too long.
    pub(super) too_long: u64,
}

impl Lines {
    /// Lines of at most `longest` bytes.
    pub(super) fn new(longest: usize) -> Lines {
        Lines { held: Vec::new(), passing: false, longest, too_long: 0 }
    }

    /// Hands the lines that `bytes` complete to `sink`.
    pub(super) fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            start = end + 1;
            if self.passing {
                self.passing = false;
            } else if self.held.is_empty() {
                self.whole(line, sink);
            } else {
                self.hold(line, sink);
                self.end_held(sink);
            }
        }
        if !self.passing {
            self.hold(&bytes[start..], sink);
        }
    }

    /// Hands over the last line, which has no end.
    pub(super) fn finish(&mut self, sink: &mut impl Sink) {
        self.end_held(sink);
    }

    /// How much of a line is shown first.
    fn head(&self) -> usize {
        HEAD.min(self.longest + 1)
    }

    fn whole(&mut self, line: &[u8], sink: &mut impl Sink) {
        if sink.look(&line[..line.len().min(self.head())]) == Look::Pass {
            return;
        }
        if line.len() > self.longest {
            self.too_long += 1;
        } else {
            sink.take(line);
        }
    }

    /// Holds more of an unfinished line, unless nobody wants it.
    fn hold(&mut self, bytes: &[u8], sink: &mut impl Sink) {
        let before = self.held.len();
        // Of a line that is too long anyway no more is held than shows that it is.
        let room = (self.longest + 1).saturating_sub(before).min(bytes.len());
        self.held.extend_from_slice(&bytes[..room]);
        let head = self.head();
        let shown = before < head && self.held.len() >= head;
        if shown && sink.look(&self.held[..head]) == Look::Pass {
            self.let_pass();
        } else if self.held.len() > self.longest {
            self.too_long += 1;
            self.let_pass();
        }
    }

    fn let_pass(&mut self) {
        self.held.clear();
        self.passing = true;
    }

    fn end_held(&mut self, sink: &mut impl Sink) {
        if !self.passing && !self.held.is_empty() {
            let line = std::mem::take(&mut self.held);
            self.whole(&line, sink);
            self.held = line;
        }
        self.held.clear();
        self.passing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Wants lines that do not begin with `-`.
    #[derive(Default)]
    struct Kept(Vec<Vec<u8>>);

    impl Sink for Kept {
        fn look(&mut self, start: &[u8]) -> Look {
            if start.starts_with(b"-") { Look::Pass } else { Look::Take }
        }

        fn take(&mut self, line: &[u8]) {
            self.0.push(line.to_vec());
        }
    }

    fn cut(chunks: &[&[u8]], longest: usize) -> (Vec<Vec<u8>>, u64) {
        let (mut lines, mut kept) = (Lines::new(longest), Kept::default());
        for chunk in chunks {
            lines.push(chunk, &mut kept);
            assert!(lines.held.len() <= longest + 1);
        }
        lines.finish(&mut kept);
        kept.0.retain(|line| !line.is_empty());
        (kept.0, lines.too_long)
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_not_held() {
        let long = vec![b'x'; 3 * HEAD];
        let text: &[&[u8]] = &[b"a\n", &long, &long, b"\nb"];
        assert_eq!(cut(text, HEAD), (vec![b"a".to_vec(), b"b".to_vec()], 1));
        let one = [&b"a\n"[..], &long, b"\nb\n"].concat();
        assert_eq!(cut(&[&one], HEAD).1, 1);
    }

    #[test]
    fn what_nobody_wants_is_let_go_at_once() {
        let (mut lines, mut kept) = (Lines::new(LONGEST_LINE), Kept::default());
        lines.push(b"-", &mut kept);
        for _ in 0..4096 {
            lines.push(&[b'x'; HEAD], &mut kept);
            assert!(lines.held.capacity() < 4 * HEAD);
        }
        lines.push(b"\nyes\n", &mut kept);
        assert_eq!((kept.0, lines.too_long), (vec![b"yes".to_vec()], 0));
    }

    proptest! {
        #[test]
        fn the_chunks_do_not_matter(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'-'), Just(b'x')], 0..200),
            cuts in prop::collection::vec(0usize..200, 0..8),
            longest in 1usize..20,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut start = 0;
            for at in cuts.into_iter().chain([text.len()]) {
                chunks.push(&text[start..at]);
                start = at;
            }
            prop_assert_eq!(cut(&chunks, longest), cut(&[&text], longest));
        }
    }
}
