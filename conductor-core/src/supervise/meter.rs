//! What a run's agent tells while it runs: what it has used so far, that its turn is over, that it waits
//! for a usage limit to end.
//!
//! It sleeps while the agent prints nothing, and looks at most once a second while it does, each time at what
//! is new. A look comes a second after the news: an agent that tells what it used because it is
//! done has ended by then.

use super::engine::Engine;
use super::evidence::known;
use super::output::{opened, stream_kind};
use super::seen::Seen;
use super::session::own_usage;
use crate::agent::stream::{StreamParser, Waits, Zone};
use crate::error::Result;
use crate::fsx::Folder;
use crate::layout::{STDERR, STDOUT};
use crate::run::RunRecord;
use crate::sys::{Fd, News, Poller, Stat, Watch};
use crate::time::Timestamp;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// The most that one look reads, in bytes.
const MOST: u64 = 8 << 20;
/// How often it is tried to see how long both files are at one moment, while the agent writes.
const TRIES: usize = 8;
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
    /// The length and the time of standard error, as they were when its turn ended.
    errors: Option<(u64, i128)>,
    /// What was known of limits when it was judged last, and how much of standard output was read by then.
    waits: Waits,
    judged: u64,
    limit: Option<LimitNews>,
    /// What an earlier driver saw and told, until that is read.
    seen: Option<Seen>,
    /// What is to be noted once the news of a limit is told.
    to_note: Option<Seen>,
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
        let seen = if parser.tells_of_limits() { Seen::noted(&folder)? } else { None };
        let errors = errors_in(&folder)?;
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
            errors,
            waits: Waits::default(),
            judged: 0,
            limit: None,
            seen,
            to_note: None,
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
        let mut left = MOST;
        // Before all is read, what is read of a limit may be over for hours.
        if self.read_seen(&mut left)? && self.read_new(&mut left)? {
            self.look_for_limits();
        }
        let new = left < MOST;
        if new {
            self.news = Instant::now();
            if self.parser.turn_end().is_some() {
                self.errors = errors_in(&self.folder)?;
            }
        }
        if new && self.wanted.use_so_far {
            let (usage, cost) = self.parser.used();
            let own = own_usage(&self.engine, &self.record, usage);
            self.used = (own.map_or(0, |usage| usage.total()), cost.unwrap_or(0.0));
        }
        Ok(new)
    }

    /// Reads what an earlier driver saw, and knows what that one knew; whether all of it is read.
    fn read_seen(&mut self, left: &mut u64) -> Result<bool> {
        let Some(seen) = self.seen else { return Ok(true) };
        if !self.read_to([seen.stdout, seen.stderr], left)? {
            return Ok(false);
        }
        if seen.over {
            self.parser.limits_are_over();
        }
        // It was told then.
        (self.waits, self.judged) = (self.parser.waits(), seen.stdout);
        self.seen = None;
        Ok(true)
    }

    /// Reads what is there now; whether all of it is read.
    fn read_new(&mut self, left: &mut u64) -> Result<bool> {
        let (ends, stdout_is_last) = self.ends()?;
        if !self.read_to(ends, left)? {
            return Ok(false);
        }
        // Where both have something new, nothing else tells which of it came last.
        let is_new = self.stdout.as_ref().is_some_and(|stdout| stdout.read > self.judged);
        if is_new && stdout_is_last && self.parser.is_at_work() {
            self.parser.limits_are_over();
        }
        Ok(true)
    }

    /// How long the two files are at one moment, and whether standard output was written to last.
    fn ends(&self) -> Result<([u64; 2], bool)> {
        let (Some(stdout), Some(stderr)) = (&self.stdout, &self.stderr) else {
            return Ok(([u64::MAX; 2], false));
        };
        let mut said = stdout.stat(&self.folder)?;
        let mut complained = stderr.stat(&self.folder)?;
        for _ in 0..TRIES {
            let before = said.size;
            said = stdout.stat(&self.folder)?;
            if said.size == before {
                // So long it was when the other one was looked at.
                break;
            }
            complained = stderr.stat(&self.folder)?;
        }
        Ok(([said.size, complained.size], said.modified > complained.modified))
    }

    /// Reads the two files up to these ends, standard output first, and no more than `left`; whether all of
    /// that is read.
    fn read_to(&mut self, ends: [u64; 2], left: &mut u64) -> Result<bool> {
        let Meter { folder, parser, stdout, stderr, .. } = self;
        let mut all = true;
        if let Some(source) = stdout {
            all &= source.read_to(folder, ends[0], left, |bytes| parser.push(bytes))?;
        }
        if let Some(source) = stderr {
            all &= source.read_to(folder, ends[1], left, |bytes| parser.push_stderr(bytes))?;
        }
        Ok(all)
    }

    /// Whether a limit was met since the last look, or work went on.
    fn look_for_limits(&mut self) {
        let read = |source: &Option<Source>| source.as_ref().map_or(0, |source| source.read);
        let (stdout, stderr) = (read(&self.stdout), read(&self.stderr));
        let (before, now) = (self.waits, self.parser.waits());
        (self.waits, self.judged) = (now, stdout);
        let over = now.over == now.told;
        if !over && now.told > before.told {
            let reset = self.parser.limit_reset(self.engine.now(), &Zone::local());
            self.limit = Some(LimitNews::Met(reset));
        } else if now.over > before.over {
            self.limit = Some(LimitNews::Over);
        } else {
            return;
        }
        self.to_note = Some(Seen { stdout, stderr, over });
    }

    /// Notes what became of a usage limit once that is told: whoever takes over, and whoever writes the end
    /// down, goes by it.
    pub(crate) fn note_limit(&mut self) -> Result<()> {
        self.to_note.take().map_or(Ok(()), |seen| seen.note(&self.folder))
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

    /// Whether the agent wrote anything to standard error, which need not be read here, since its turn
    /// ended or this was asked last. No clock is asked when that was: it may have been set since.
    pub(crate) fn complained(&mut self) -> Result<bool> {
        let now = errors_in(&self.folder)?;
        Ok(std::mem::replace(&mut self.errors, now) != now)
    }

    /// The tokens and the US dollars that it told of so far; 0 where it told of none.
    pub(crate) fn used(&self) -> (u64, f64) {
        self.used
    }
}

fn errors_in(run: &Folder) -> Result<Option<(u64, i128)>> {
    Ok(run.stat(STDERR)?.map(|stat| (stat.size, stat.modified)))
}

impl Source {
    fn stat(&self, folder: &Folder) -> Result<Stat> {
        folder.os().stat(&self.file).map_err(|e| folder.error("look at", self.name, e))
    }

    /// Reads on up to `end`, or to the file's own, and no more than `left`; whether all of that is read.
    fn read_to(
        &mut self,
        folder: &Folder,
        end: u64,
        left: &mut u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool> {
        let mut buffer = Vec::new();
        while self.read < end && *left > 0 {
            let most = (end - self.read).min(*left);
            buffer.resize(usize::try_from(most).map_or(CHUNK, |most| most.min(CHUNK)), 0);
            let read = folder.os().read_at(&self.file, &mut buffer, self.read);
            let read = read.map_err(|e| folder.error("read", self.name, e))?;
            if read == 0 {
                return Ok(true);
            }
            take(&buffer[..read]);
            self.read += read as u64;
            *left -= read as u64;
        }
        Ok(self.read >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::store;
    use crate::sys::RealOs;
    use std::fs::{self, File, FileTimes};
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::SystemTime;

    const QUOTA: &str = "Attempt 1 failed: You exceeded your current quota. Retrying after 5s...\n";
    const PIECE: &str =
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"x\",\"delta\":true}\n";

    /// The folder of a run whose output is written by the test.
    struct Written {
        _dir: tempfile::TempDir,
        engine: Engine,
        run: PathBuf,
    }

    impl Written {
        fn by(agent: &str) -> Written {
            let dir = tempfile::tempdir().unwrap();
            let engine = Engine::bare(dir.path().join("root"));
            let run = dir.path().join("root/p/t/runs/r");
            fs::create_dir_all(&run).unwrap();
            let folder = Folder::open_root(Arc::new(RealOs), &run).unwrap();
            let ids = ("p".parse().unwrap(), "t".parse().unwrap(), "r".parse().unwrap());
            let mut record = RunRecord::new(&ids.0, &ids.1, &ids.2);
            record.agent = agent.to_owned();
            store::create(&folder, &record).unwrap();
            let written = Written { _dir: dir, engine, run };
            written.add(STDOUT, "", 0);
            written.add(STDERR, "", 0);
            written
        }

        /// Adds to a file, as if at this second.
        fn add(&self, name: &str, text: &str, second: u64) {
            let mut file =
                File::options().create(true).append(true).open(self.run.join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }

        fn meter(&self) -> Meter {
            let wanted = Wanted { turn_end: true, ..Wanted::default() };
            let folder = Folder::open_root(Arc::new(RealOs), &self.run).unwrap();
            Meter::of_run(&self.engine, folder, wanted).unwrap().unwrap()
        }
    }

    impl Meter {
        /// What it told of limits while it read all that is there; each is noted.
        fn tells(&mut self) -> Vec<LimitNews> {
            let mut all = Vec::new();
            while self.read().unwrap() {
                if let Some(news) = self.take_limit_news() {
                    self.note_limit().unwrap();
                    all.push(news);
                }
            }
            all
        }
    }

    #[test]
    fn what_one_file_gets_alone_came_behind_all_that_is_known() {
        let run = Written::by("gemini");
        let mut meter = run.meter();
        run.add(STDOUT, PIECE, 1);
        assert_eq!(meter.tells(), []);
        // Whatever the times say.
        for second in [9, 8] {
            run.add(STDERR, QUOTA, second);
            assert_eq!(meter.tells(), [LimitNews::Met(None)]);
            run.add(STDOUT, PIECE, second - 5);
            assert_eq!(meter.tells(), [LimitNews::Over]);
            run.add(STDOUT, PIECE, 20);
            assert_eq!(meter.tells(), [], "it is said once");
        }
    }

    #[test]
    fn of_what_both_got_the_last_is_told_by_their_times() {
        let run = Written::by("gemini");
        let mut meter = run.meter();
        let mut both = |stdout: (&str, u64), stderr: (&str, u64)| {
            run.add(STDOUT, stdout.0, stdout.1);
            run.add(STDERR, stderr.0, stderr.1);
            meter.tells()
        };
        assert_eq!(both((PIECE, 1), (QUOTA, 2)), [LimitNews::Met(None)]);
        assert_eq!(both((PIECE, 4), (QUOTA, 3)), [LimitNews::Over]);
        assert_eq!(both((PIECE, 5), (QUOTA, 5)), [LimitNews::Met(None)], "at once");
        let failed = "{\"type\":\"result\",\"status\":\"error\"}\n";
        let worked = format!("{PIECE}{failed}");
        // Its last line is no work, and that of the work before it is not known.
        assert_eq!(both((&worked, 7), (QUOTA, 6)), [LimitNews::Met(None)]);
    }

    #[test]
    fn a_long_history_is_read_before_it_is_judged() {
        let run = Written::by("gemini");
        let many = usize::try_from(MOST).unwrap() / PIECE.len() + 1;
        run.add(STDOUT, &PIECE.repeat(2 * many), 1);
        run.add(STDERR, QUOTA, 2);
        let mut meter = run.meter();
        assert_eq!(meter.tells(), [LimitNews::Met(None)]);
        assert!(meter.stdout.as_ref().unwrap().read > 2 * MOST);
    }

    #[test]
    fn who_takes_over_knows_what_was_seen_and_goes_on_from_there() {
        let run = Written::by("gemini");
        run.add(STDOUT, PIECE, 1);
        run.add(STDERR, QUOTA, 2);
        assert_eq!(run.meter().tells(), [LimitNews::Met(None)]);
        // Times that say otherwise, and nothing new.
        run.add(STDOUT, "", 3);
        let mut second = run.meter();
        assert_eq!(second.tells(), [], "it was told then");
        run.add(STDOUT, PIECE, 1);
        assert_eq!(second.tells(), [LimitNews::Over]);
        // It says something else on standard error.
        run.add(STDERR, "Error: read ECONNRESET\n", 9);
        let mut third = run.meter();
        assert_eq!(third.tells(), []);
        run.add(STDERR, QUOTA, 9);
        assert_eq!(third.tells(), [LimitNews::Met(None)]);
        // What came while nobody watched.
        run.add(STDOUT, PIECE, 1);
        assert_eq!(run.meter().tells(), [LimitNews::Over]);
    }

    #[test]
    fn what_comes_on_standard_error_is_news_whatever_the_clocks_show() {
        let run = Written::by("claude");
        run.add(STDERR, "a warning\n", 9_000_000_000);
        let mut meter = run.meter();
        run.add(STDOUT, "{\"type\":\"result\",\"is_error\":false,\"result\":\"x\"}\n", 1);
        assert!(meter.read().unwrap() && meter.silent_since().is_some());
        assert!(!meter.complained().unwrap(), "it was there before");
        run.add(STDERR, "another one\n", 1);
        assert!(meter.complained().unwrap());
        assert!(!meter.complained().unwrap(), "it is news once");
    }

    #[test]
    fn a_note_of_nobody_and_a_file_that_was_cut_off_keep_nothing_from_being_read() {
        let run = Written::by("gemini");
        run.add(STDERR, QUOTA, 2);
        fs::write(run.run.join(".limit"), "stdout: 1000\nstderr: 1000\nover: false\n").unwrap();
        assert_eq!(run.meter().tells(), [], "it was told then");
        fs::write(run.run.join(".limit"), "what is this").unwrap();
        assert_eq!(run.meter().tells(), [LimitNews::Met(None)]);
        fs::remove_file(run.run.join(".limit")).unwrap();
        fs::create_dir(run.run.join(".limit")).unwrap();
        let mut meter = run.meter();
        while meter.read().unwrap() {}
        assert_eq!(meter.take_limit_news(), Some(LimitNews::Met(None)));
    }
}
