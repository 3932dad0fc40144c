//! What a driver saw of a usage limit that its agent waits out by itself.
//!
//! The agent tells of the limit in one file and of its work in the other, and nothing in them says which
//! line came first. Who watches them knows. So each time a limit was met, or was over, the driver notes how
//! far both files had come: whoever takes over, and whoever writes the end down, sees what it saw. Of what
//! came behind the note, or where there is none, only the times of the files tell.

use crate::error::Result;
use crate::fsx::Folder;

/// The note, in a run's folder.
const NOTE: &str = ".limit";
/// More is no note of ours, in bytes.
const LONGEST: u64 = 200;

/// How long both files were at a moment, and whether the agent had gone on by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
    /// Whether all limits were over that it had told of; else it waited for the last.
    pub(super) over: bool,
}

impl Seen {
    /// What is noted of a run; `None` where nothing is, or something else stands there.
    pub(super) fn noted(run: &Folder) -> Result<Option<Seen>> {
        let bytes = run.read_hint(NOTE, LONGEST)?;
        Ok(bytes.and_then(|bytes| Seen::parse(std::str::from_utf8(&bytes).ok()?)))
    }

    /// Notes it. A power cut may take it back: then the times of the files tell.
    pub(super) fn note(self, run: &Folder) -> Result<()> {
        run.replace_hint(NOTE, self.to_text().as_bytes())
    }

    fn to_text(self) -> String {
        let Seen { stdout, stderr, over } = self;
        format!("stdout: {stdout}\nstderr: {stderr}\nover: {over}\n")
    }

    fn parse(text: &str) -> Option<Seen> {
        let mut lines = text.lines();
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(": ");
        let (stdout, stderr) = (value("stdout")?.parse().ok()?, value("stderr")?.parse().ok()?);
        Some(Seen { stdout, stderr, over: value("over")?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_as_it_was_and_nothing_else_is_one() {
        for over in [true, false] {
            let seen = Seen { stdout: 7, stderr: u64::MAX, over };
            assert_eq!(Seen::parse(&seen.to_text()), Some(seen));
        }
        for text in
            ["", "stdout: 1\nstderr: 2\n", "stdout: 1\nstderr: 2\nover: no\n", "stdout: -1\n"]
        {
            assert_eq!(Seen::parse(text), None, "{text:?}");
        }
    }
}
