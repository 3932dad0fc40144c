//! What a run has used so far, as its agent's stream tells while it runs.
//!
//! It sleeps while the agent prints nothing, and looks at most once a second while it does, each time at what
//! is new. A look comes a second after the news: an agent that tells what it used because it is
//! done has ended by then.

use super::engine::Engine;
use super::evidence::known;
use super::output::{opened, stream_kind};
use super::session::own_usage;
use crate::agent::stream::StreamParser;
use crate::error::Result;
use crate::fsx::Folder;
use crate::layout::{STDERR, STDOUT};
use crate::run::RunRecord;
use crate::sys::{Fd, News, Poller, Watch};
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The most that one look reads of a file, in bytes.
const MOST: u64 = 8 << 20;
/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// Follows what one run uses.
#[derive(Debug)]
pub(crate) struct Meter {
    engine: Engine,
    record: RunRecord,
    folder: Folder,
    parser: StreamParser,
    stdout: Option<Source>,
    stderr: Option<Source>,
    state: State,
}

#[derive(Debug)]
struct Source {
    name: &'static str,
    file: Fd,
    read: u64,
}

#[derive(Debug)]
enum State {
    /// The next look is due then.
    Due(Instant),
    /// Nothing was new at the last look; this tells when something is.
    Asleep(Watch),
}

impl Meter {
    /// A meter of the run in `folder`; `None` for an agent whose stream tells nothing.
    pub(crate) fn of_run(engine: &Engine, folder: Folder) -> Result<Option<Meter>> {
        let record = known(&folder)?.record;
        let Some(kind) = stream_kind(&record) else { return Ok(None) };
        let parser = StreamParser::new(kind);
        let source = |name, wanted| -> Result<Option<Source>> {
            let file = if wanted { opened(&folder, name)? } else { None };
            Ok(file.map(|file| Source { name, file, read: 0 }))
        };
        let stdout = source(STDOUT, parser.wants_stdout())?;
        let stderr = source(STDERR, parser.wants_stderr())?;
        let state = State::Due(Instant::now() + PAUSE);
        Ok(Some(Meter { engine: engine.clone(), record, folder, parser, stdout, stderr, state }))
    }

    /// Looks if there is something to look at. How soon to come back; `None` where `poller` wakes up
    /// under `tag`.
    pub(crate) fn step(&mut self, poller: &Poller, tag: u64) -> Result<Option<Duration>> {
        match &self.state {
            State::Asleep(watch) if !watch.drain() => return Ok(None),
            State::Asleep(_) => {
                self.state = State::Due(Instant::now() + PAUSE);
                return Ok(Some(PAUSE));
            }
            State::Due(at) => {
                let left = at.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Ok(Some(left));
                }
            }
        }
        if !self.read()? {
            let watch = self.watch(poller, tag)?;
            // What came before the watch was there.
            if !self.read()? {
                self.state = State::Asleep(watch);
                return Ok(None);
            }
        }
        self.state = State::Due(Instant::now() + PAUSE);
        Ok(Some(PAUSE))
    }

    fn watch(&self, poller: &Poller, tag: u64) -> Result<Watch> {
        let failed = |e| self.folder.error("watch the output of", "", e);
        let watch = Watch::join(poller, tag, News::Content).map_err(failed)?;
        for source in self.stdout.iter().chain(&self.stderr) {
            match watch.add(&self.folder.join(source.name)) {
                // Its agent put it away. What it still writes there is read when the run is over.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                watched => watched.map_err(failed)?,
            }
        }
        Ok(watch)
    }

    /// Reads on; whether something was new.
    fn read(&mut self) -> Result<bool> {
        let Meter { folder, parser, stdout, stderr, .. } = self;
        let mut new = false;
        if let Some(source) = stdout {
            new |= source.read_on(folder, |bytes| parser.push(bytes))?;
        }
        if let Some(source) = stderr {
            new |= source.read_on(folder, |bytes| parser.push_stderr(bytes))?;
        }
        Ok(new)
    }

    /// The tokens and the US dollars that it told of so far; 0 where it told of none.
    pub(crate) fn used(&self) -> (u64, f64) {
        let (usage, cost) = self.parser.used();
        let own = own_usage(&self.engine, &self.record, usage);
        (own.map_or(0, |usage| usage.total()), cost.unwrap_or(0.0))
    }
}

impl Source {
    fn read_on(&mut self, folder: &Folder, mut take: impl FnMut(&[u8])) -> Result<bool> {
        let mut buffer = Vec::new();
        let end = self.read + MOST;
        let begin = self.read;
        while self.read < end {
            buffer.resize(CHUNK, 0);
            let read = folder.os().read_at(&self.file, &mut buffer, self.read);
            let read = read.map_err(|e| folder.error("read", self.name, e))?;
            if read == 0 {
                break;
            }
            take(&buffer[..read]);
            self.read += read as u64;
        }
        Ok(self.read > begin)
    }
}
