//! What a run wrote: reading it, its end, and following it while it grows.

use super::runs::Run;
use super::tasks::Tasks;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, TaskId};
use crate::layout::{OUTPUT, PROMPT, STDERR, STDOUT, TASK_PROMPT};
use crate::supervise::{cut_of, gap_note};
use crate::sys::{Fd, FileKind, KeeperCut, News, Open, Poller, Stat, Watch};
use crate::time::Timestamp;
use crate::wait::{Step, block_on};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;

/// How much is read at once when lines are counted from the end, in bytes.
const CHUNK: u64 = 64 << 10;

/// A file of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputFile {
    /// The final text: `output.md`; while there is none, what the agent printed.
    Output,
    /// What the agent printed: `agent-stdout.txt`.
    Stdout,
    /// What the agent wrote to its standard error: `agent-stderr.txt`.
    Stderr,
    /// What the agent was told: `prompt.md`.
    Prompt,
}

impl OutputFile {
    /// All of them.
    pub const ALL: &[OutputFile] =
        &[OutputFile::Output, OutputFile::Stdout, OutputFile::Stderr, OutputFile::Prompt];

    /// Its word in every surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            OutputFile::Output => "output",
            OutputFile::Stdout => "stdout",
            OutputFile::Stderr => "stderr",
            OutputFile::Prompt => "prompt",
        }
    }

    /// What a word stands for.
    ///
    /// # Errors
    /// `output.unknown_file`, naming the words that there are.
    pub fn parse(word: &str) -> Result<OutputFile> {
        OutputFile::ALL.iter().copied().find(|file| file.as_str() == word).ok_or_else(|| {
            let words: Vec<_> = OutputFile::ALL.iter().map(|file| file.as_str()).collect();
            Error::invalid("output.unknown_file", "file", format!("a run has no file {word:?}"))
                .with_hint(format!("one of {} is wanted", words.join(", ")))
        })
    }

    /// The names that it may have in the run's folder, the better one first.
    fn names(self) -> &'static [&'static str] {
        match self {
            OutputFile::Output => &[OUTPUT, STDOUT],
            OutputFile::Stdout => &[STDOUT],
            OutputFile::Stderr => &[STDERR],
            OutputFile::Prompt => &[PROMPT],
        }
    }
}

/// A file of a run, read from its beginning; from [`Run::output`]. The prompt of a task is read in the
/// same way, from [`Tasks::prompt_file`].
#[derive(Debug)]
pub struct RunOutput {
    folder: Folder,
    name: &'static str,
    fd: Fd,
    offset: u64,
    /// What stands in the place of a part that was cut out, as far as it was not given yet.
    note: Vec<u8>,
}

impl RunOutput {
    /// Opens the first of `names` that exists.
    fn open(folder: &Folder, names: &'static [&'static str]) -> Result<Option<RunOutput>> {
        for name in names {
            if let Some(fd) = folder.open_if_exists(name, Open::Read)? {
                let (folder, note) = (folder.clone(), Vec::new());
                return Ok(Some(RunOutput { folder, name, fd, offset: 0, note }));
            }
        }
        Ok(None)
    }

    /// The file's path.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// Where the next bytes come from, counted from the beginning of the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The file's name in its folder.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// When it last changed.
    pub fn modified(&self) -> Result<Timestamp> {
        Ok(Timestamp::from_unix_nanos(self.stat()?.modified))
    }

    /// Goes to this place, counted from the beginning of the file; to its end where it is shorter.
    pub fn seek(&mut self, offset: u64) -> Result<()> {
        self.offset = self.size()?.min(offset);
        Ok(())
    }

    /// Goes to the beginning of the last `lines` lines. Costs what it passes over, from the end.
    pub fn tail(&mut self, lines: usize) -> Result<()> {
        let size = self.size()?;
        self.offset = if lines == 0 { size } else { self.line_from_end(size, lines)? };
        Ok(())
    }

    fn line_from_end(&self, size: u64, lines: usize) -> Result<u64> {
        let mut left = lines;
        let mut end = size;
        let mut chunk = vec![0; usize::try_from(CHUNK.min(size)).unwrap_or(0)];
        let mut cut = cut_of(&self.folder, self.name)?.filter(|cut| cut.to <= size);
        while end > 0 {
            if let Some(KeeperCut { from, to }) = cut.filter(|cut| end == cut.to) {
                // The note about it is a line of its own.
                for begin in [to, from] {
                    left -= 1;
                    if left == 0 {
                        return Ok(begin);
                    }
                }
                (end, cut) = (from, None);
            }
            let start = end.saturating_sub(CHUNK).max(cut.map_or(0, |cut| cut.to));
            let chunk = &mut chunk[..usize::try_from(end - start).unwrap_or(0)];
            self.read_exactly(chunk, start)?;
            for (index, byte) in chunk.iter().enumerate().rev() {
                let at = start + index as u64;
                // The line feed at the very end ends the last line and begins none.
                if *byte == b'\n' && at + 1 != size {
                    left -= 1;
                    if left == 0 {
                        return Ok(at + 1);
                    }
                }
            }
            end = start;
        }
        Ok(0)
    }

    /// Fills the buffer; a file that shrank meanwhile leaves zeros.
    fn read_exactly(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let os = self.folder.os();
        os.read_at(&self.fd, buffer, offset).map_err(|e| self.folder.error("read", self.name, e))
    }

    /// Its present length, in bytes.
    pub fn size(&self) -> Result<u64> {
        Ok(self.stat()?.size)
    }

    fn stat(&self) -> Result<Stat> {
        let stat = self.folder.os().stat(&self.fd);
        stat.map_err(|e| self.folder.error("look at", self.name, e))
    }

    /// Reads on; 0 at the present end of the file. One line stands for what was cut out of it.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.note.is_empty() {
            let mut read = self.read_at(buffer, self.offset)?;
            // Looked at after the read: what became zeros meanwhile is not taken for output.
            let hole = cut_of(&self.folder, self.name)?
                .filter(|cut| self.offset < cut.to && self.offset + read as u64 > cut.from);
            match hole {
                Some(cut) if read > 0 && self.offset >= cut.from => {
                    self.note = gap_note(cut.to - self.offset).into_bytes();
                    self.offset = cut.to;
                }
                hole => {
                    let before = hole.and_then(|cut| usize::try_from(cut.from - self.offset).ok());
                    read = before.map_or(read, |before| before.min(read));
                    self.offset += read as u64;
                    return Ok(read);
                }
            }
        }
        let given = self.note.len().min(buffer.len());
        buffer[..given].copy_from_slice(&self.note[..given]);
        self.note.drain(..given);
        Ok(given)
    }

    /// The rest of the file as text, unreadable bytes replaced.
    pub fn read_to_string(&mut self) -> Result<String> {
        let end = self.size()?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; usize::try_from(CHUNK).unwrap_or(0)];
        // What is written meanwhile is for another reader.
        while self.offset < end || !self.note.is_empty() {
            match self.read(&mut chunk)? {
                0 => break,
                read => bytes.extend_from_slice(&chunk[..read]),
            }
        }
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

/// Where following begins.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// So many bytes behind the beginning.
    Offset(u64),
    /// So many lines before the end.
    Tail(usize),
}

/// A file of a run, read while it grows; from [`Run::follow_output`].
///
/// Ends when the run is over and everything was read. Nothing is written by it, not even the end of
/// a run that nobody wrote down.
#[derive(Debug)]
pub struct OutputFollower {
    run: Run,
    folder: Folder,
    file: OutputFile,
    open: Option<RunOutput>,
    start: Start,
    poller: Poller,
    news: Watch,
    over: bool,
}

impl OutputFollower {
    pub(super) fn new(run: Run, folder: Folder, file: OutputFile) -> Result<Self> {
        let failed = |e| folder.error("watch", "", e);
        let poller = Poller::new().map_err(failed)?;
        let news = Watch::join(&poller, 1, News::Content).map_err(failed)?;
        news.add_names(folder.path()).map_err(failed)?;
        poller.add(run.fd(), 2).map_err(failed)?;
        let over = run.is_over()?;
        let start = Start::Offset(0);
        Ok(OutputFollower { run, folder, file, open: None, start, poller, news, over })
    }

    /// Begins at this place, counted from the beginning of the file; at the end of a file that is
    /// shorter at the first look.
    #[must_use]
    pub fn from(mut self, offset: u64) -> Self {
        self.start = Start::Offset(offset);
        self
    }

    /// Begins with the last `lines` lines of what there is at the first look.
    #[must_use]
    pub fn tail(mut self, lines: usize) -> Self {
        self.start = Start::Tail(lines);
        self
    }

    /// The file's path, once there is a file.
    pub fn path(&self) -> Option<PathBuf> {
        self.open.as_ref().map(RunOutput::path)
    }

    /// Where the next bytes come from, counted from the beginning of the file.
    pub fn offset(&self) -> u64 {
        self.open.as_ref().map_or(0, RunOutput::offset)
    }

    /// A descriptor that becomes readable when there may be news.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }

    /// Reads what there is: `Ready(0)` at the end of it all.
    ///
    /// # Errors
    /// `output.not_found` when the run is over and never had such a file.
    pub fn step(&mut self, buffer: &mut [u8]) -> Result<Step<usize>> {
        loop {
            // Told news are forgotten before the look, so that none between the two is lost.
            self.news.drain();
            self.ensure_open()?;
            if let Some(open) = &mut self.open {
                match open.read(buffer)? {
                    0 => {}
                    read => return Ok(Step::Ready(read)),
                }
            }
            if self.over {
                return match self.open {
                    Some(_) => Ok(Step::Ready(0)),
                    None => Err(not_found(&self.folder, self.file)),
                };
            }
            if !self.run.is_over()? {
                return Ok(Step::Pending);
            }
            // What was written between the last read and the end is read before the end is told.
            self.over = true;
        }
    }

    fn ensure_open(&mut self) -> Result<()> {
        if self.open.is_some() {
            return Ok(());
        }
        let names = match self.file {
            // The final text comes at the end; until then it is made.
            OutputFile::Output if !self.over => OutputFile::Stdout.names(),
            file => file.names(),
        };
        let Some(mut open) = RunOutput::open(&self.folder, names)? else { return Ok(()) };
        self.news.add(&open.path()).map_err(|e| self.folder.error("watch", open.name, e))?;
        match self.start {
            Start::Offset(0) => {}
            Start::Offset(offset) => open.seek(offset)?,
            Start::Tail(lines) => open.tail(lines)?,
        }
        self.open = Some(open);
        Ok(())
    }

    /// Waits for more and reads it; 0 at the end of it all.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] and [`ErrorKind::Cancelled`] when the wait is over first;
    /// `output.not_found`.
    pub fn read(&mut self, buffer: &mut [u8], wait: impl Into<Wait>) -> Result<usize> {
        let fd = self.poller.as_fd().try_clone_to_owned().map_err(|source| {
            Error::new(ErrorKind::Io, "wait.failed", "cannot make a wait").with_source(source)
        })?;
        block_on(fd.as_fd(), &wait.into(), || self.step(buffer))
    }
}

fn not_found(folder: &Folder, file: OutputFile) -> Error {
    let (first, others) = match file.names() {
        [first, others @ ..] => (*first, others),
        [] => (file.as_str(), &[][..]),
    };
    let also = match others {
        [] => String::new(),
        others => format!(" (and no {})", others.join(", ")),
    };
    let path = folder.join(first);
    Error::new(
        ErrorKind::NotFound,
        "output.not_found",
        format!("there is no {}{also}", path.display()),
    )
    .with_path(path)
    .with_field("file")
}

impl Tasks<'_> {
    /// Opens the prompt of a task; `None` where it has none.
    ///
    /// # Errors
    /// `task.not_found`.
    pub fn prompt_file(&self, project: &ProjectId, task: &TaskId) -> Result<Option<RunOutput>> {
        RunOutput::open(&self.0.engine.layout().task(project, task)?, &[TASK_PROMPT])
    }
}

impl Run {
    /// The files that the run has, each with its length in bytes.
    pub fn files(&self) -> Result<Vec<(OutputFile, u64)>> {
        let folder = self.open_folder()?;
        let mut files = Vec::new();
        for (file, name) in [
            (OutputFile::Output, OUTPUT),
            (OutputFile::Stdout, STDOUT),
            (OutputFile::Stderr, STDERR),
            (OutputFile::Prompt, PROMPT),
        ] {
            if let Some(stat) = folder.stat(name)?.filter(|stat| stat.kind == FileKind::File) {
                files.push((file, stat.size));
            }
        }
        Ok(files)
    }

    /// Opens a file of the run as it stands now.
    ///
    /// # Errors
    /// `output.not_found`.
    pub fn output(&self, file: OutputFile) -> Result<RunOutput> {
        let folder = self.open_folder()?;
        RunOutput::open(&folder, file.names())?.ok_or_else(|| not_found(&folder, file))
    }

    /// Follows a file of the run while it grows, until the run is over. While it lives,
    /// [`OutputFile::Output`] is what the agent prints.
    pub fn follow_output(&self, file: OutputFile) -> Result<OutputFollower> {
        OutputFollower::new(self.clone(), self.open_folder()?, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::{Conductor, Options};
    use crate::{ProjectId, RunId, TaskId};
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;
    use std::time::Duration;

    fn run_with(record: &str) -> (tempfile::TempDir, PathBuf, Run) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("p/t/runs/r1");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("run-info.yaml"), record).unwrap();
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let ids = ("p".parse::<ProjectId>(), "t".parse::<TaskId>(), "r1".parse::<RunId>());
        let run = conductor.runs().get(&ids.0.unwrap(), &ids.1.unwrap(), &ids.2.unwrap()).unwrap();
        (dir, folder, run)
    }

    const ENDED: &str = "run_id: r1\nstatus: completed\n";

    /// A run of the older program whose process is this one: it lives as long as the test.
    fn alive() -> String {
        format!("run_id: r1\nstatus: running\npid: {}\npgid: 0\n", std::process::id())
    }

    fn read_all(output: &mut RunOutput) -> String {
        output.read_to_string().unwrap()
    }

    #[test]
    fn the_final_text_comes_before_what_was_printed() {
        let (_dir, folder, run) = run_with(ENDED);
        let error = run.output(OutputFile::Output).unwrap_err();
        assert_eq!((error.code(), error.kind()), ("output.not_found", ErrorKind::NotFound));
        assert!(error.to_string().contains("output.md (and no agent-stdout.txt)"), "{error}");
        fs::write(folder.join("agent-stdout.txt"), "printed").unwrap();
        let mut output = run.output(OutputFile::Output).unwrap();
        assert_eq!(read_all(&mut output), "printed");
        fs::write(folder.join("output.md"), b"final\xff").unwrap();
        let mut output = run.output(OutputFile::Output).unwrap();
        assert_eq!(read_all(&mut output), "final\u{fffd}");
        assert_eq!(run.output(OutputFile::Stderr).unwrap_err().code(), "output.not_found");
        assert_eq!(OutputFile::parse("err").unwrap_err().code(), "output.unknown_file");
    }

    #[test]
    fn a_tail_is_the_last_lines_whatever_their_length() {
        let (_dir, folder, run) = run_with(ENDED);
        let long = "x".repeat(3 * usize::try_from(CHUNK).unwrap());
        for (text, lines, tail) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\nc\n", 9, "a\nb\nc\n"),
            ("a\n\n\n", 2, "\n\n"),
            ("", 2, ""),
            ("a\nb", 0, ""),
        ] {
            fs::write(folder.join("output.md"), text).unwrap();
            let mut output = run.output(OutputFile::Output).unwrap();
            output.tail(lines).unwrap();
            assert_eq!(read_all(&mut output), tail, "{text:?} {lines}");
        }
        fs::write(folder.join("output.md"), format!("a\n{long}\nb\n")).unwrap();
        let mut output = run.output(OutputFile::Output).unwrap();
        output.tail(2).unwrap();
        assert_eq!(output.offset(), 2);
    }

    fn next(follower: &mut OutputFollower, wait: Duration) -> Result<String> {
        let mut buffer = [0; 64];
        let read = follower.read(&mut buffer, wait)?;
        Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_follower_gives_what_comes_and_ends_with_the_run() {
        const LONG: Duration = Duration::from_secs(60);
        let (_dir, folder, run) = run_with(&alive());
        let mut follower = run.follow_output(OutputFile::Output).unwrap();
        let error = next(&mut follower, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "neither file nor end: {error:?}");

        let stdout = folder.join("agent-stdout.txt");
        append(&stdout, "one\n");
        assert_eq!(next(&mut follower, LONG).unwrap(), "one\n");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let two = next(&mut follower, LONG).unwrap();
                (two, next(&mut follower, LONG).unwrap(), next(&mut follower, LONG).unwrap())
            });
            append(&stdout, "two\n");
            // The record's end comes last, as a new file in the place of the old one.
            append(&stdout, "last\n");
            fs::write(folder.join("next"), ENDED).unwrap();
            fs::rename(folder.join("next"), folder.join("run-info.yaml")).unwrap();
            let (two, rest, end) = waiting.join().unwrap();
            let all = two + &rest + &end;
            assert_eq!(all, "two\nlast\n");
        });
        let before = fs::read_to_string(folder.join("run-info.yaml")).unwrap();
        assert_eq!(before, ENDED, "a follower writes nothing");
    }

    #[test]
    fn following_a_run_that_is_over_gives_its_output_and_ends() {
        let (_dir, folder, run) = run_with(ENDED);
        fs::write(folder.join("output.md"), "a\nb\n").unwrap();
        let mut follower = run.follow_output(OutputFile::Output).unwrap().tail(1);
        assert_eq!(next(&mut follower, Duration::ZERO).unwrap(), "b\n");
        assert_eq!(next(&mut follower, Duration::ZERO).unwrap(), "");
        let mut follower = run.follow_output(OutputFile::Stderr).unwrap();
        assert_eq!(next(&mut follower, Duration::ZERO).unwrap_err().code(), "output.not_found");
    }
}
