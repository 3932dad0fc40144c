//! A file of a run, as text, while it grows.

use super::frame::Frames;
use super::hub::{BATCH, Found, Source};
use super::topic::{FileKey, RunKey};
use conductor_core::{Conductor, Outcome, OutputFollower, Result, Run, Step};
use std::os::fd::BorrowedFd;

/// How much is read at once, in bytes.
const CHUNK: usize = 64 << 10;

/// A file that is followed.
pub(super) struct FileSource {
    run: Run,
    follower: OutputFollower,
    /// Bytes that were told.
    place: u64,
    /// The beginning of a character whose end is not there yet.
    held: Vec<u8>,
    buffer: Vec<u8>,
    /// How the run ended, once it did.
    end: &'static str,
}

fn open(conductor: &Conductor, key: &FileKey) -> Result<Run> {
    let RunKey { project, task, run } = &key.run;
    conductor.runs().get(project, task, run)
}

impl FileSource {
    /// Follows a file from its present end.
    pub(super) fn open(conductor: &Conductor, key: &FileKey) -> Result<FileSource> {
        let run = open(conductor, key)?;
        let place = match run.output(key.file) {
            Err(error) if error.code() == "output.not_found" => 0,
            output => output?.size()?,
        };
        let follower = run.follow_output(key.file)?.from(place);
        Ok(FileSource { run, follower, place, held: Vec::new(), buffer: vec![0; CHUNK], end: "" })
    }

    fn tell(&mut self, frames: &mut Frames, is_end: bool) {
        let whole = if is_end { self.held.len() } else { whole_characters(&self.held) };
        if whole == 0 {
            return;
        }
        self.place += whole as u64;
        let text = String::from_utf8_lossy(&self.held[..whole]).into_owned();
        self.held.drain(..whole);
        frames.text(&self.place.to_string(), &text);
    }
}

/// How many bytes there are up to a character that is cut off at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(error) => {
            // What is no text is replaced; a character that is cut off behind it is at most three bytes.
            let cut = (1..=3.min(bytes.len())).find(|cut| {
                let tail = &bytes[bytes.len() - cut..];
                matches!(std::str::from_utf8(tail), Err(e) if e.error_len().is_none() && e.valid_up_to() == 0)
            });
            bytes.len() - cut.unwrap_or(0).min(bytes.len() - error.valid_up_to())
        }
        Ok(_) => bytes.len(),
    }
}

impl Source for FileSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.follower.fd()
    }

    fn look(&mut self, frames: &mut Frames) -> Result<Found> {
        let mut read = 0;
        while read < BATCH {
            match self.follower.step(&mut self.buffer) {
                Ok(Step::Pending) => return Ok(Found::AllForNow),
                Ok(Step::Ready(0)) => return self.end(frames),
                Ok(Step::Ready(count)) => {
                    read += count;
                    self.held.extend_from_slice(&self.buffer[..count]);
                    self.tell(frames, false);
                }
                Err(error) if error.code() == "output.not_found" => return self.end(frames),
                Err(error) => return Err(error),
            }
        }
        Ok(Found::More)
    }

    fn place(&self) -> String {
        self.place.to_string()
    }

    fn closing(&mut self, frames: &mut Frames) {
        frames.plain("done", self.end);
    }
}

impl FileSource {
    fn end(&mut self, frames: &mut Frames) -> Result<Found> {
        self.tell(frames, true);
        let Some(outcome) = self.run.info()?.outcome() else {
            // Somebody writes its end down at this moment.
            return Ok(Found::More);
        };
        self.end = if outcome == Outcome::Completed { "run completed" } else { "run failed" };
        self.closing(frames);
        Ok(Found::All)
    }
}

/// What a client missed of a file.
#[derive(Debug)]
pub(super) struct Missed {
    key: FileKey,
    place: u64,
}

impl Missed {
    pub(super) fn new(key: FileKey, from: Option<&str>) -> Missed {
        let place = from.and_then(|from| from.trim().parse().ok()).unwrap_or(0);
        Missed { key, place }
    }

    /// Reads on up to the place `to`; whether that was reached.
    pub(super) fn read(
        &mut self,
        conductor: &Conductor,
        to: &str,
        frames: &mut Frames,
    ) -> Result<bool> {
        let to: u64 = to.parse().unwrap_or(0);
        if self.place >= to {
            return Ok(true);
        }
        let mut output = open(conductor, &self.key)?.output(self.key.file)?;
        while self.place < to {
            if frames.len() >= BATCH {
                return Ok(false);
            }
            output.seek(self.place)?;
            let most = usize::try_from(to - self.place).unwrap_or(CHUNK).min(CHUNK);
            let mut bytes = vec![0; most];
            let read = output.read(&mut bytes)?;
            let bytes = &bytes[..read];
            let is_end = self.place + read as u64 >= to;
            let whole = if is_end { read } else { whole_characters(bytes) };
            if whole == 0 {
                // A file that was cut meanwhile has no more.
                return Ok(true);
            }
            self.place += whole as u64;
            let text = String::from_utf8_lossy(&bytes[..whole]);
            frames.text(&self.place.to_string(), &text);
        }
        Ok(true)
    }

    /// The place behind what was read.
    pub(super) fn place(&self) -> String {
        self.place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_told_whole() {
        let euro = "\u{20ac}".as_bytes();
        assert_eq!(whole_characters(b"abc"), 3);
        assert_eq!(whole_characters(&[b"a", &euro[..2]].concat()), 1);
        assert_eq!(whole_characters(&[b"a\xff", &euro[..2]].concat()), 2);
        assert_eq!(whole_characters(b"a\xffb"), 3);
        assert_eq!(whole_characters(&euro[..1]), 0);
    }
}
