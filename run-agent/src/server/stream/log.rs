//! What a run prints, line by line, and where it stands.

use super::frame::Frames;
use super::hub::{BATCH, Found, Source};
use super::polled::AnyOf;
use super::topic::RunKey;
use conductor_core::{
    Conductor, OutputFile, OutputFollower, Result, Run, RunInfo, RunOutput, Step, Timestamp,
};
use serde::Serialize;
use std::os::fd::BorrowedFd;
use std::time::{SystemTime, UNIX_EPOCH};

/// How much is read at once, in bytes; also the longest line that is told in one piece.
const CHUNK: usize = 64 << 10;

/// Where a run stands, as streams tell it.
#[derive(Serialize)]
pub(super) struct StatusTold {
    run_id: String,
    project_id: String,
    task_id: String,
    status: String,
    exit_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

impl From<&RunInfo> for StatusTold {
    fn from(info: &RunInfo) -> StatusTold {
        StatusTold {
            run_id: info.id.to_string(),
            project_id: info.project.to_string(),
            task_id: info.task.to_string(),
            status: info.status().as_str().to_owned(),
            exit_code: info.record.exit_code,
            outcome: info.outcome().map(|outcome| outcome.as_str()),
        }
    }
}

impl StatusTold {
    /// What is news where it differs.
    pub(super) fn stands(&self) -> (String, Option<&'static str>) {
        (self.status.clone(), self.outcome)
    }

    /// As one line of JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct LineTold<'a> {
    run_id: &'a str,
    project_id: &'a str,
    task_id: &'a str,
    stream: &'a str,
    line: &'a str,
    timestamp: &'a str,
}

/// Bytes of the two streams that were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    stdout: u64,
    stderr: u64,
}

impl Place {
    fn text(self) -> String {
        format!("s={};e={}", self.stdout, self.stderr)
    }

    fn of(&mut self, file: OutputFile) -> &mut u64 {
        if file == OutputFile::Stdout { &mut self.stdout } else { &mut self.stderr }
    }

    /// Reads an id: `s=..;e=..` in any of the forms that older clients send, or one number for both.
    pub(super) fn parse(text: &str) -> Option<Place> {
        let text = text.trim();
        if text == "-1" {
            return Some(Place::default());
        }
        if let Ok(both) = text.parse() {
            return Some(Place { stdout: both, stderr: both });
        }
        let mut place = Place::default();
        for part in text.split([';', ',', '|']) {
            let (name, number) = part.split_once(['=', ':'])?;
            let number = number.trim().parse().ok()?;
            match name.trim() {
                "s" | "stdout" | "out" => place.stdout = number,
                "e" | "stderr" | "err" => place.stderr = number,
                _ => return None,
            }
        }
        Some(place)
    }
}

/// Tells lines of one run.
struct Teller<'a> {
    key: &'a RunKey,
    place: &'a mut Place,
    frames: &'a mut Frames,
    now: String,
}

impl Teller<'_> {
    /// Tells the whole lines in `held`; the rest too at the end of all, or where it is too long to keep.
    fn lines(&mut self, file: OutputFile, held: &mut Vec<u8>, is_end: bool) {
        let mut told = 0;
        while told < held.len() {
            let rest = &held[told..];
            let (line, length) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&rest[..end], end + 1),
                None if is_end || rest.len() >= CHUNK => (rest, rest.len()),
                None => break,
            };
            *self.place.of(file) += length as u64;
            told += length;
            let line = String::from_utf8_lossy(line);
            self.line(file, line.strip_suffix('\r').unwrap_or(&line));
        }
        held.drain(..told);
    }

    fn line(&mut self, file: OutputFile, line: &str) {
        let told = LineTold {
            run_id: self.key.run.as_str(),
            project_id: self.key.project.as_str(),
            task_id: self.key.task.as_str(),
            stream: file.as_str(),
            line,
            timestamp: &self.now,
        };
        let data = serde_json::to_vec(&told).unwrap_or_default();
        self.frames.json(Some(&self.place.text()), "log", &data);
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::UNIX_EPOCH.plus(since).to_string()
}

/// A run that is followed.
pub(super) struct LogSource {
    key: RunKey,
    run: Run,
    outs: [Out; 2],
    any: AnyOf,
    place: Place,
    status: Option<(String, Option<&'static str>)>,
    buffer: Vec<u8>,
}

struct Out {
    file: OutputFile,
    follower: OutputFollower,
    /// The beginning of a line whose end is not there yet.
    held: Vec<u8>,
    is_over: bool,
}

impl LogSource {
    /// Follows a run from the present ends of what it printed.
    pub(super) fn open(conductor: &Conductor, key: RunKey) -> Result<LogSource> {
        let run = conductor.runs().get(&key.project, &key.task, &key.run)?;
        let mut place = Place::default();
        let mut open = |file| -> Result<Out> {
            let start = last_line(&run, file)?;
            *place.of(file) = start;
            let follower = run.follow_output(file)?.from(start);
            Ok(Out { file, follower, held: Vec::new(), is_over: false })
        };
        let outs = [open(OutputFile::Stdout)?, open(OutputFile::Stderr)?];
        let any = AnyOf::new(&[outs[0].follower.fd(), outs[1].follower.fd()])?;
        let buffer = vec![0; CHUNK];
        Ok(LogSource { key, run, outs, any, place, status: None, buffer })
    }

    /// Tells where the run stands, where that is news; whether it is over. Its end is told behind all that it
    /// printed: it may have printed more, and ended, since that was read.
    fn tell_status(&mut self, frames: &mut Frames) -> Result<bool> {
        let told = StatusTold::from(&self.run.info()?);
        let (status, is_over) = (told.stands(), told.outcome.is_some());
        if is_over && !self.outs.iter().all(|out| out.is_over) {
            return Ok(true);
        }
        if self.status.as_ref() != Some(&status) {
            frames.json(None, "status", &told.json());
            self.status = Some(status);
        }
        Ok(is_over)
    }
}

/// Where the last line begins that is not whole yet; else the end.
fn last_line(run: &Run, file: OutputFile) -> Result<u64> {
    let mut output = match run.output(file) {
        Err(error) if error.code() == "output.not_found" => return Ok(0),
        output => output?,
    };
    let size = output.size()?;
    if size == 0 {
        return Ok(0);
    }
    output.seek(size - 1)?;
    let mut last = [0];
    output.read(&mut last)?;
    if last == *b"\n" {
        return Ok(size);
    }
    output.tail(1)?;
    Ok(output.offset())
}

impl Source for LogSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.any.fd()
    }

    fn look(&mut self, frames: &mut Frames) -> Result<Found> {
        let LogSource { key, outs, place, buffer, .. } = self;
        let mut teller = Teller { key, place, frames, now: now() };
        let mut read = 0;
        for out in outs.iter_mut().filter(|out| !out.is_over) {
            while read < BATCH {
                match out.follower.step(buffer) {
                    Ok(Step::Pending) => break,
                    Ok(Step::Ready(0)) => out.is_over = true,
                    Ok(Step::Ready(count)) => {
                        read += count;
                        out.held.extend_from_slice(&buffer[..count]);
                    }
                    // A run that never printed anything.
                    Err(error) if error.code() == "output.not_found" => out.is_over = true,
                    Err(error) => return Err(error),
                }
                teller.lines(out.file, &mut out.held, out.is_over);
                if out.is_over {
                    break;
                }
            }
        }
        if read >= BATCH {
            return Ok(Found::More);
        }
        let is_over = self.tell_status(frames)?;
        Ok(match self.outs.iter().all(|out| out.is_over) {
            true if is_over => Found::All,
            // Somebody writes its end down at this moment.
            true => Found::More,
            false => Found::AllForNow,
        })
    }

    fn place(&self) -> String {
        self.place.text()
    }

    fn opening(&mut self, _: Option<&str>, frames: &mut Frames) -> Result<()> {
        frames.json(None, "status", &StatusTold::from(&self.run.info()?).json());
        Ok(())
    }
}

/// What a client missed of what a run printed.
#[derive(Debug)]
pub(super) struct Missed {
    key: RunKey,
    place: Place,
}

impl Missed {
    /// `None` for a client that wants only what is new.
    pub(super) fn new(key: RunKey, from: Option<&str>) -> Option<Missed> {
        // An id that is none is as none: the client gets what is new.
        let place = Place::parse(from?)?;
        Some(Missed { key, place })
    }

    /// Reads on up to the place `to`; whether that was reached.
    pub(super) fn read(
        &mut self,
        conductor: &Conductor,
        to: &str,
        frames: &mut Frames,
    ) -> Result<bool> {
        let Some(mut to) = Place::parse(to) else { return Ok(true) };
        let RunKey { project, task, run } = &self.key;
        let run = conductor.runs().get(project, task, run)?;
        for file in [OutputFile::Stdout, OutputFile::Stderr] {
            let until = *to.of(file);
            let mut output = match run.output(file) {
                Err(error) if error.code() == "output.not_found" => continue,
                output => output?,
            };
            while *self.place.of(file) < until {
                if frames.len() >= BATCH {
                    return Ok(false);
                }
                let from = *self.place.of(file);
                let mut held = piece(&mut output, from, until)?;
                let is_end = from + held.len() as u64 >= until;
                let mut teller = Teller {
                    key: &self.key,
                    place: &mut self.place,
                    frames: &mut *frames,
                    now: now(),
                };
                teller.lines(file, &mut held, is_end);
            }
        }
        Ok(true)
    }

    /// The place behind what was read.
    pub(super) fn place(&self) -> String {
        self.place.text()
    }
}

/// The next piece of a file, up to `until`.
fn piece(output: &mut RunOutput, from: u64, until: u64) -> Result<Vec<u8>> {
    output.seek(from)?;
    let most = usize::try_from(until - from).unwrap_or(CHUNK).min(CHUNK);
    let mut bytes = vec![0; most];
    let read = output.read(&mut bytes)?;
    bytes.truncate(read);
    // A file that was cut meanwhile has no more: what is missing is passed over.
    if read == 0 {
        bytes = vec![b'\n'; most.min(1)];
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_all_their_forms() {
        let place = |stdout, stderr| Some(Place { stdout, stderr });
        for (text, wanted) in [
            ("s=37;e=2", place(37, 2)),
            ("stdout:37|stderr:2", place(37, 2)),
            ("out=1,err=0", place(1, 0)),
            ("0", place(0, 0)),
            ("12", place(12, 12)),
            ("-1", place(0, 0)),
            ("", None),
            ("x=1", None),
            ("s=x", None),
        ] {
            assert_eq!(Place::parse(text), wanted, "{text}");
        }
        assert_eq!(Place::parse(&Place { stdout: 3, stderr: 4 }.text()), place(3, 4));
    }
}
