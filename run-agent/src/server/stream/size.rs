//! How much a run has printed, and where it stands: for a page that reads the parts that it shows.

use super::frame::Frames;
use super::hub::{Found, Source};
use super::log::StatusTold;
use super::polled::AnyOf;
use super::topic::RunKey;
use conductor_core::{Conductor, OutputFile, OutputFollower, Result, Run, Step};
use std::os::fd::BorrowedFd;

/// How much is passed over at once, in bytes.
const CHUNK: usize = 256 << 10;
/// How much is passed over before what was found is told.
const MOST: u64 = 64 << 20;

/// The lengths of what a run prints, as they grow.
pub(super) struct SizeSource {
    run: Run,
    outs: [Out; 2],
    any: AnyOf,
    status: Option<(String, Option<&'static str>)>,
    buffer: Vec<u8>,
}

struct Out {
    follower: OutputFollower,
    size: u64,
    is_over: bool,
}

impl SizeSource {
    /// Follows a run from the present ends of what it printed.
    pub(super) fn open(conductor: &Conductor, key: RunKey) -> Result<SizeSource> {
        let run = conductor.runs().get(&key.project, &key.task, &key.run)?;
        let open = |file| -> Result<Out> {
            let size = match run.output(file) {
                Err(error) if error.code() == "output.not_found" => 0,
                output => output?.size()?,
            };
            Ok(Out { follower: run.follow_output(file)?.from(size), size, is_over: false })
        };
        let outs = [open(OutputFile::Stdout)?, open(OutputFile::Stderr)?];
        let any = AnyOf::new(&[outs[0].follower.fd(), outs[1].follower.fd()])?;
        Ok(SizeSource { run, outs, any, status: None, buffer: vec![0; CHUNK] })
    }

    fn sizes(&self) -> String {
        format!("{{\"stdout\":{},\"stderr\":{}}}", self.outs[0].size, self.outs[1].size)
    }

    /// Tells where the run stands, where that is news; whether it is over. Its end is told behind all that it
    /// printed: it may have printed more, and ended, since that was passed over.
    fn tell_status(&mut self, frames: &mut Frames) -> Result<bool> {
        let told = StatusTold::from(&self.run.info()?);
        let status = told.stands();
        let is_over = status.1.is_some();
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

impl Source for SizeSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.any.fd()
    }

    fn look(&mut self, frames: &mut Frames) -> Result<Found> {
        let before = self.sizes();
        let mut passed = 0;
        for out in self.outs.iter_mut().filter(|out| !out.is_over) {
            while passed < MOST {
                match out.follower.step(&mut self.buffer) {
                    Ok(Step::Pending) => break,
                    Ok(Step::Ready(0)) => out.is_over = true,
                    Ok(Step::Ready(count)) => passed += count as u64,
                    // A run that never printed anything.
                    Err(error) if error.code() == "output.not_found" => out.is_over = true,
                    Err(error) => return Err(error),
                }
                out.size = out.follower.offset().max(out.size);
                if out.is_over {
                    break;
                }
            }
        }
        let after = self.sizes();
        if after != before {
            frames.json(Some(&self.place()), "size", after.as_bytes());
        }
        if passed >= MOST {
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
        format!("{}-{}", self.outs[0].size, self.outs[1].size)
    }

    fn opening(&mut self, _: Option<&str>, frames: &mut Frames) -> Result<()> {
        frames.json(None, "status", &StatusTold::from(&self.run.info()?).json());
        frames.json(None, "size", self.sizes().as_bytes());
        Ok(())
    }
}
