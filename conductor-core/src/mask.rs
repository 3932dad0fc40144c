//! Hiding known secrets in bytes that stream by, whatever the pieces they come in.

use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// What stands in the place of a secret.
const MASK: &[u8] = b"(secret)";
/// A shorter text is no secret: it would stand in many words by chance.
const SHORTEST: usize = 8;
/// So many secrets are marked one by one; of more, only that they are these.
const MOST_MARKS: usize = 32;

/// The texts that are to be hidden. Cloning it is cheap enough for one copy a stream.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// The texts that are long enough to be hidden, as they are and as JSON writes them.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Secrets {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for text in texts.into_iter().map(str::trim).filter(|text| text.len() >= SHORTEST) {
            all.push(text.as_bytes().to_vec());
            let json = serde_json::Value::from(text).to_string();
            all.push(json.trim_matches('"').as_bytes().to_vec());
        }
        all.sort();
        all.dedup();
        Secrets(all)
    }

    /// Each of them, and these too: a document for [`Redactor::from_document`].
    pub(crate) fn document<'a>(&self, more: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
        let more = Secrets::new(more);
        let mut all: Vec<&[u8]> = self.0.iter().chain(&more.0).map(Vec::as_slice).collect();
        all.sort_unstable();
        all.dedup();
        // No secret holds a NUL: no variable and no configuration could.
        all.join(&0)
    }

    /// The text with every secret in it hidden.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.holds(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut hidden = Vec::with_capacity(text.len());
        let mut mask = Redactor::of(self.clone());
        mask.push(text.as_bytes(), &mut hidden);
        mask.finish(&mut hidden);
        // Secrets are whole texts: what is left of valid text is valid.
        Cow::Owned(String::from_utf8_lossy(&hidden).into_owned())
    }

    /// A few digits of each, by which somebody else can tell whether it knows them all: too few to find a
    /// secret from them. `None` where there is nothing to hide.
    pub(crate) fn marks(&self) -> Option<String> {
        let marks = self.each_mark();
        match marks.len() {
            0 => None,
            1..=MOST_MARKS => Some(marks.into_iter().collect::<Vec<_>>().join(" ")),
            _ => Some(self.mark_of_all()),
        }
    }

    /// Whether all that has these [marks](Secrets::marks) is known here too.
    pub(crate) fn knows(&self, marks: &str) -> bool {
        let mine = self.each_mark();
        marks == self.mark_of_all() || marks.split(' ').all(|mark| mine.contains(mark))
    }

    fn each_mark(&self) -> BTreeSet<String> {
        self.0.iter().map(|secret| mark([secret.as_slice()])).collect()
    }

    fn mark_of_all(&self) -> String {
        format!("all-{}", mark(self.0.iter().map(Vec::as_slice)))
    }

    /// Whether a secret stands in these bytes.
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        self.first(bytes).is_some()
    }

    /// Where the first secret stands, and its end; the longest of those that begin there.
    fn first(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let found = self.0.iter().filter_map(|secret| {
            let at = memchr::memmem::find(bytes, secret)?;
            Some((at, at + secret.len()))
        });
        found.min_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)))
    }

    /// Where the longest end of these bytes stands that may be the beginning of a secret.
    fn open_end(&self, bytes: &[u8]) -> Option<usize> {
        let longest = self.0.iter().map(Vec::len).max()?;
        let from = bytes.len().saturating_sub(longest - 1);
        (from..bytes.len()).find(|at| {
            let end = &bytes[*at..];
            self.0.iter().any(|secret| secret.len() > end.len() && secret.starts_with(end))
        })
    }
}

/// Four hexadecimal digits of these texts' digest.
fn mark<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(2).map(|byte| format!("{byte:02x}")).collect()
}

/// Hides known secrets in a stream of bytes, whatever the pieces it comes in.
///
/// Holds back no more than the beginning of what may be a secret. Texts of fewer than 8 bytes are none.
#[derive(Debug)]
pub struct Redactor {
    secrets: Secrets,
    held: Vec<u8>,
}

impl Redactor {
    /// Hides these texts, as they are and as JSON writes them.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Redactor {
        Redactor::of(Secrets::new(secrets))
    }

    /// Hides what stands in a document of secrets: texts with a NUL byte between two of them.
    pub fn from_document(document: &[u8]) -> Redactor {
        let texts = document.split(|byte| *byte == 0).filter(|text| text.len() >= SHORTEST);
        Redactor::of(Secrets(texts.map(<[u8]>::to_vec).collect()))
    }

    fn of(secrets: Secrets) -> Redactor {
        Redactor { secrets, held: Vec::new() }
    }

    /// Takes the next bytes, and appends to `out` what can be told now.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        let open = self.secrets.open_end(&self.held);
        self.tell(open.unwrap_or(self.held.len()), out);
    }

    /// Appends what was held back: the stream is over.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.tell(self.held.len(), out);
    }

    /// Tells what begins before `open`, from where more must come to decide.
    fn tell(&mut self, open: usize, out: &mut Vec<u8>) {
        let mut told = 0;
        while let Some((start, end)) = self.secrets.first(&self.held[told..]) {
            let (start, end) = (told + start, told + end);
            if start >= open {
                break;
            }
            out.extend_from_slice(&self.held[told..start]);
            out.extend_from_slice(MASK);
            told = end;
        }
        // A secret may reach into what looked like the beginning of another.
        let open = match told > open {
            true => {
                self.secrets.open_end(&self.held[told..]).map_or(self.held.len(), |at| told + at)
            }
            false => open,
        };
        out.extend_from_slice(&self.held[told..open]);
        self.held.drain(..open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hidden(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let mut mask = Redactor::new(secrets.iter().copied());
        let mut out = Vec::new();
        for piece in pieces {
            mask.push(piece, &mut out);
            assert!(mask.held.len() < 64);
        }
        mask.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_hidden_wherever_the_pieces_cut_it() {
        let text = b"key sk-12345678 and sk-1234567 and sk-12345678sk-12345678.";
        let whole = "key (secret) and sk-1234567 and (secret)(secret).";
        for cut in 0..text.len() {
            assert_eq!(hidden(&["sk-12345678"], &[&text[..cut], &text[cut..]]), whole, "{cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(hidden(&["sk-12345678"], &bytes), whole);
    }

    #[test]
    fn nothing_but_a_beginning_is_held_back() {
        let mut mask = Redactor::new(["sk-12345678"]);
        let mut out = Vec::new();
        mask.push(b"a line\n", &mut out);
        assert_eq!(out, b"a line\n");
        mask.push(b"then sk-123", &mut out);
        assert_eq!(out, b"a line\nthen ");
        mask.push(b"x", &mut out);
        assert_eq!(out, b"a line\nthen sk-123x");
    }

    #[test]
    fn of_secrets_that_overlap_the_first_and_longest_is_hidden() {
        let secrets = ["abcdefgh", "abcdefghijkl", "ghijklmnop"];
        assert_eq!(hidden(&secrets, &[b"abcdefgh ", b"abcdefgh", b"ijkl."]), "(secret) (secret).");
        assert_eq!(hidden(&secrets, &[b"abcdefghijklmnop"]), "(secret)mnop");
        assert_eq!(hidden(&secrets, &[b"abcdefgh"]), "(secret)");
    }

    #[test]
    fn what_is_short_is_no_secret_and_json_has_another_form() {
        assert!(Secrets::new(["short", " ", ""]).0.is_empty());
        let document = Secrets::new(["first-secret"]).document(["other-secret", "short"]);
        let mut out = Vec::new();
        let mut mask = Redactor::from_document(&document);
        mask.push(b"first-secret short other-secret", &mut out);
        assert_eq!(out, b"(secret) short (secret)");
        let secrets = Secrets::new(["a\"b\\c-123456"]);
        assert_eq!(secrets.hide("x a\"b\\c-123456"), "x (secret)");
        assert_eq!(secrets.hide(r#"{"t": "a\"b\\c-123456"}"#), r#"{"t": "(secret)"}"#);
        assert!(matches!(secrets.hide("nothing"), Cow::Borrowed(_)));
        assert_eq!(format!("{secrets:?}"), "2 secrets");
    }

    #[test]
    fn marks_tell_who_knows_them_all_and_no_secret() {
        let mine = Secrets::new(["first-secret", "other-secret"]);
        let marks = mine.marks().unwrap();
        assert_eq!(marks.len(), 4 + 1 + 4, "{marks}");
        assert!(mine.knows(&marks));
        assert!(Secrets::new(["other-secret", "third-secret", "first-secret"]).knows(&marks));
        assert!(!Secrets::new(["first-secret"]).knows(&marks));
        assert!(!Secrets::default().knows(&marks));
        assert_eq!(Secrets::default().marks(), None);

        let many: Vec<String> = (0..100).map(|number| format!("secret-{number:04}")).collect();
        let all = Secrets::new(many.iter().map(String::as_str));
        let marks = all.marks().unwrap();
        assert_eq!(marks.len(), "all-".len() + 4, "{marks}");
        assert!(all.knows(&marks) && !mine.knows(&marks));
        assert!(!Secrets::new(many[1..].iter().map(String::as_str)).knows(&marks));
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            text in "[ab]{0,80}",
            secrets in prop::collection::vec("[ab]{8,12}", 0..4),
            cuts in prop::collection::vec(0usize..80, 0..6),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for at in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[start..at]);
                start = at;
            }
            let told = hidden(&secrets, &pieces);
            prop_assert_eq!(&told, &hidden(&secrets, &[bytes]));
            for secret in secrets {
                prop_assert!(!told.contains(secret));
            }
        }
    }
}
