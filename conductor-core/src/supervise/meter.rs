//! What a run's agent tells while it runs: what it has used so far, that its turn is over, that it waits
//! for a usage limit to end.
//!
//! It sleeps while the agent prints nothing, and looks at most once a second while it does, each time at what
//! is new. A look comes a second after the news: an agent that tells what it used because it is
//! done has ended by then.

use super::engine::Engine;
use super::evidence::known;
use super::output::{opened, stream_kind};
use super::session::own_usage;
use crate::agent::stream::{StreamParser, Waits, Zone};
use crate::error::Result;
use crate::fsx::Folder;
use crate::layout::{STDERR, STDOUT};
use crate::run::RunRecord;
use crate::sys::{Fd, News, Poller, Watch};
use crate::time::Timestamp;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The most that one look reads of a file, in bytes.
const MOST: u64 = 8 << 20;
/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// What a run needs to be followed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The tokens and the cost that it tells of.
    pub(crate) use_so_far: bool,
    /// The end of its turn.
    pub(crate) turn_end: bool,
}

/// What became of a usage limit that an agent waits out by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitNews {
    /// It was met; when it ends, where that was told.
    Met(Option<Timestamp>),
    /// The agent went on with its work.
    Over,
}

/// Follows what one run tells.
#[derive(Debug)]
pub(crate) struct Meter {
    engine: Engine,
    record: RunRecord,
    folder: Folder,
    parser: StreamParser,
    stdout: Option<Source>,
    stderr: Option<Source>,
    /// The tokens and the US dollars that it told of so far.
    used: (u64, f64),
    wanted: Wanted,
    /// When something was new at the last.
    news: Instant,
    waits: Waits,
    /// How many limits it had met when work was last told to have gone on.
    limits_over: u64,
    limit: Option<LimitNews>,
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
    /// A meter of the run in `folder`; `None` for an agent whose stream tells nothing of what is wanted, and
    /// does not wait for limits by itself.
    pub(crate) fn of_run(engine: &Engine, folder: Folder, wanted: Wanted) -> Result<Option<Meter>> {
        let record = known(&folder)?.record;
        let Some(kind) = stream_kind(&record) else { return Ok(None) };
        let parser = StreamParser::new(kind);
        let turns = wanted.turn_end && parser.tells_turns();
        if !wanted.use_so_far && !turns && !parser.tells_of_limits() {
            return Ok(None);
        }
        let source = |name, wanted| -> Result<Option<Source>> {
            let file = if wanted { opened(&folder, name)? } else { None };
            Ok(file.map(|file| Source { name, file, read: 0 }))
        };
        let stdout = source(STDOUT, parser.wants_stdout())?;
        let stderr = source(STDERR, parser.wants_stderr())?;
        let news = Instant::now();
        Ok(Some(Meter {
            engine: engine.clone(),
            record,
            folder,
            parser,
            stdout,
            stderr,
            used: (0, 0.0),
            wanted,
            news,
            waits: Waits::default(),
            limits_over: 0,
            limit: None,
            state: State::Due(news + PAUSE),
        }))
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

    /// Reads on at once, whenever the next look is due.
    pub(crate) fn catch_up(&mut self) -> Result<()> {
        self.read().map(drop)
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
        if new {
            self.news = Instant::now();
            self.look_for_limits()?;
        }
        if new && self.wanted.use_so_far {
            let (usage, cost) = self.parser.used();
            let own = own_usage(&self.engine, &self.record, usage);
            self.used = (own.map_or(0, |usage| usage.total()), cost.unwrap_or(0.0));
        }
        Ok(new)
    }

    /// Whether a limit was met since the last look, or work went on.
    fn look_for_limits(&mut self) -> Result<()> {
        let (before, now) = (self.waits, self.parser.waits());
        self.waits = now;
        let (limits, moves) = (now.limits > before.limits, now.moves > before.moves);
        let met = match (&self.stdout, &self.stderr) {
            // Both are new, as for whoever takes over: what was written last tells.
            (Some(stdout), Some(stderr)) if limits && moves => {
                let [at_work, told] = [stdout, stderr].map(|source| source.written(&self.folder));
                told? >= at_work?
            }
            _ => limits,
        };
        if met {
            let reset = self.parser.limit_reset(self.engine.now(), &Zone::local());
            self.limit = Some(LimitNews::Met(reset));
        } else if moves && now.limits > self.limits_over {
            // Said once for each time.
            self.limits_over = now.limits;
            self.limit = Some(LimitNews::Over);
        }
        Ok(())
    }

    /// What became of a usage limit since this was asked for the last time.
    pub(crate) fn take_limit_news(&mut self) -> Option<LimitNews> {
        self.limit.take()
    }

    /// The run's record as it was when it was first looked at.
    pub(crate) fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Since when nothing more was told after the end of its turn; `None` while its turn goes on.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        self.parser.turn_end().map(|_| self.news)
    }

    /// Lets it be silent for as long again, because it may be at work.
    pub(crate) fn forgive_silence(&mut self) {
        self.news = Instant::now();
    }

    /// Whether the agent wrote anything to standard error, which need not be read here, this lately.
    pub(crate) fn complained_within(&self, length: Duration) -> Result<bool> {
        let written = self.folder.stat(STDERR)?.filter(|stat| stat.size > 0);
        let written = written.map(|stat| Timestamp::from_unix_nanos(stat.modified));
        Ok(written.is_some_and(|at| self.engine.now() < at.plus(length)))
    }

    /// The tokens and the US dollars that it told of so far; 0 where it told of none.
    pub(crate) fn used(&self) -> (u64, f64) {
        self.used
    }
}

impl Source {
    /// When it was written to the last time.
    fn written(&self, folder: &Folder) -> Result<i128> {
        let stat = folder.os().stat(&self.file);
        Ok(stat.map_err(|e| folder.error("look at", self.name, e))?.modified)
    }

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
