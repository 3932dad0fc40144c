//! What a run wrote, in pieces of whole lines.

use crate::error::Result;
use crate::facade::output::{OutputFollower, RunOutput};
use crate::facade::record::Record;
use crate::facade::runs::Run;
use crate::facade::settings::OutputPlan;
use crate::wait::Step;
use std::os::fd::BorrowedFd;

/// The most text of an output that one record holds, in bytes.
const PIECE: usize = 64 << 10;

#[derive(Debug)]
enum Written {
    Still(RunOutput),
    Growing(OutputFollower),
}

impl Written {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Written::Still(_) => None,
            Written::Growing(follower) => Some(follower.fd()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<Step<usize>> {
        match self {
            Written::Still(output) => output.read(buffer).map(Step::Ready),
            Written::Growing(follower) => follower.step(buffer),
        }
    }

    fn offset(&self) -> u64 {
        match self {
            Written::Still(output) => output.offset(),
            Written::Growing(follower) => follower.offset(),
        }
    }
}

/// An output in pieces of whole lines, where lines are not longer than a piece.
#[derive(Debug)]
pub(super) struct Pieces {
    file: Written,
    buffer: Vec<u8>,
    /// Bytes in the buffer that were not given yet.
    held: usize,
    over: bool,
}

impl Pieces {
    pub(super) fn of(run: &Run, plan: &OutputPlan) -> Result<Pieces> {
        let file = if plan.follow {
            let follower = run.follow_output(plan.file)?;
            Written::Growing(match plan.tail {
                Some(lines) => follower.tail(lines),
                None => follower,
            })
        } else {
            let mut output = run.output(plan.file)?;
            if let Some(lines) = plan.tail {
                output.tail(lines)?;
            }
            Written::Still(output)
        };
        Ok(Pieces { file, buffer: vec![0; PIECE], held: 0, over: false })
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.fd()
    }

    pub(super) fn step(&mut self) -> Result<Step<Option<Record>>> {
        loop {
            if self.over {
                return Ok(Step::Ready(self.give(self.held)));
            }
            match self.file.read(&mut self.buffer[self.held..])? {
                Step::Pending => return Ok(Step::Pending),
                Step::Ready(0) => self.over = true,
                Step::Ready(read) => self.held += read,
            }
            let whole = whole_part(&self.buffer[..self.held], self.held == self.buffer.len());
            if whole > 0 {
                return Ok(Step::Ready(self.give(whole)));
            }
        }
    }

    fn give(&mut self, count: usize) -> Option<Record> {
        if count == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&self.buffer[..count]).into_owned();
        let offset = self.file.offset().saturating_sub(self.held as u64);
        self.buffer.copy_within(count..self.held, 0);
        self.held -= count;
        Some(Record::of_output(&text, offset))
    }
}

/// How many of the bytes can be given: up to the last line feed; of a full buffer without one, up to
/// the last whole character.
fn whole_part(bytes: &[u8], is_full: bool) -> usize {
    if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
        return at + 1;
    }
    if !is_full {
        return 0;
    }
    match std::str::from_utf8(bytes) {
        // Only a character that is cut off at the end is kept for the next piece.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Wait;
    use crate::facade::records::Records;
    use crate::facade::{Conductor, Options, Settings};
    use std::fs;

    #[test]
    fn pieces_are_whole_lines_and_whole_characters() {
        assert_eq!(whole_part(b"a\nb\nc", false), 4);
        assert_eq!(whole_part(b"abc", false), 0);
        assert_eq!(whole_part(b"abc", true), 3);
        assert_eq!(whole_part("ab\u{20ac}".as_bytes().split_last().unwrap().1, true), 2);
        assert_eq!(whole_part(b"ab\xff", true), 3);
    }

    #[test]
    fn an_output_comes_in_order_with_the_place_of_each_piece() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("p/t/runs/r1");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("run-info.yaml"), "run_id: r1\nstatus: completed\n").unwrap();
        let long = "x".repeat(PIECE + 10);
        fs::write(folder.join("output.md"), format!("one\n{long}\nend")).unwrap();
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let ids = ("p".parse().unwrap(), "t".parse().unwrap(), "r1".parse().unwrap());
        let run = conductor.runs().get(&ids.0, &ids.1, &ids.2).unwrap();
        for follow in ["false", "true"] {
            let mut settings = Settings::new();
            settings.set("follow", follow).unwrap();
            let plan = settings.output().unwrap();
            let mut records = Records::output(&run, &plan).unwrap();
            let mut text = String::new();
            while let Some(record) = records.next(Wait::NONE).unwrap() {
                assert_eq!(record.int("offset"), Some(text.len() as i64));
                text.push_str(&record.text("text").unwrap());
            }
            assert_eq!(text, format!("one\n{long}\nend"));
        }
    }
}
