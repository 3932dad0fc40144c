//! Following a process of another program: copying what it writes, waiting for its end.

use crate::agent::IMPORT_COMMAND;
use crate::cancel::{Cancel, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::sys::{LOOK_OFTEN, News, Poller, ProcessId, Processes, Watch, open_user_file};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many bytes are copied at a time.
const CHUNK: usize = 64 << 10;

/// A process of another program, and the files that it writes to. Only ever looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks from boot: no other process that gets its number is it.
    pub start: u64,
    /// Its process group, where all of that is followed.
    pub group: Option<u32>,
    /// The file that its standard output goes to.
    pub stdout: Option<PathBuf>,
    /// The file that its standard error goes to.
    pub stderr: Option<PathBuf>,
}

impl Imported {
    /// A process by its number and its start, written as `<pid>:<start>`.
    ///
    /// # Errors
    /// `import.pid`.
    pub fn parse(process: &str) -> Result<Imported> {
        let wrong = || {
            let what = format!("{process:?} is no process and its start");
            Error::invalid("import.pid", "process", what)
        };
        let (pid, start) = process.split_once(':').ok_or_else(wrong)?;
        let pid = pid.parse().map_err(|_| wrong())?;
        let start = start.parse().map_err(|_| wrong())?;
        Ok(Imported { pid, start, group: None, stdout: None, stderr: None })
    }

    /// The command line of `run-agent` that follows it.
    pub(super) fn command(&self) -> Vec<OsString> {
        let mut argv: Vec<OsString> = vec!["run-agent".into(), IMPORT_COMMAND.into()];
        argv.push(format!("{}:{}", self.pid, self.start).into());
        argv.extend(self.group.map(|group| format!("--group={group}").into()));
        for (option, path) in [("--stdout", &self.stdout), ("--stderr", &self.stderr)] {
            for path in path.iter() {
                argv.extend([option.into(), path.into()]);
            }
        }
        argv
    }

    /// Copies what the process wrote and writes to `out` and `err`, and returns when it has ended, and
    /// with it everything of its group where that is followed.
    ///
    /// A file that was replaced or cut is read from its beginning again. What cannot be written for lack
    /// of space is written as soon as there is some.
    ///
    /// # Errors
    /// What keeps the copies from being written, and the end of the wait.
    pub fn follow<'a>(
        &self,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        wait: &Wait,
    ) -> Result<()> {
        let failed = |e| Error::io("look at the process", Path::new("/proc"), e);
        let poller = Poller::new().map_err(failed)?;
        let news = Watch::join(&poller, 1, News::Content).map_err(failed)?;
        let mut life = Life::of(self, &poller).map_err(failed)?;
        let mut sources =
            [Source::new("stdout", &self.stdout), Source::new("stderr", &self.stderr)];
        let mut outs: [&mut dyn Write; 2] = [out, err];
        if let Some(cancel) = wait.cancel().and_then(Cancel::fd) {
            poller.add(cancel, 3).map_err(failed)?;
        }
        loop {
            news.drain();
            // Looked at first: what it wrote before its end is copied once it has ended.
            let ended = !life.goes_on(&poller).map_err(failed)?;
            let mut behind = false;
            for (source, out) in sources.iter_mut().zip(&mut outs) {
                behind |= source.copy(*out, &news)?;
            }
            if ended && !behind {
                return Ok(());
            }
            wait.check()?;
            let blind = behind || !life.is_told() || sources.iter().any(Source::is_unwatched);
            let pause = if blind { LOOK_OFTEN } else { limits::SAFETY_POLL };
            poller.wait(Some(at_most(pause, wait))).map_err(failed)?;
        }
    }
}

fn at_most(pause: Duration, wait: &Wait) -> Duration {
    wait.remaining().map_or(pause, |left| left.min(pause))
}

/// Whether the process goes on, and then whatever is left of its group.
struct Life {
    now: Option<ProcessId>,
    /// Readable once it has ended; `None` where the system has no such descriptors.
    end: Option<OwnedFd>,
    group: Option<u32>,
}

impl Life {
    fn of(imported: &Imported, poller: &Poller) -> io::Result<Life> {
        let process = ProcessId { pid: imported.pid, start: imported.start };
        let mut life = Life { now: None, end: None, group: imported.group };
        life.look_after(process, poller)?;
        Ok(life)
    }

    fn look_after(&mut self, process: ProcessId, poller: &Poller) -> io::Result<()> {
        // Closed before the next one is opened, the old one wakes nobody any more.
        self.end = None;
        self.now = Some(process);
        self.end = Processes.watch(process)?;
        self.end.as_ref().map_or(Ok(()), |end| poller.add(end, 2))
    }

    fn goes_on(&mut self, poller: &Poller) -> io::Result<bool> {
        while let Some(now) = self.now {
            if Processes.is_alive(now)? {
                return Ok(true);
            }
            let next = self.group.map(|group| Processes.any_in_group(group)).transpose()?.flatten();
            match next {
                Some(process) => self.look_after(process, poller)?,
                None => self.now = None,
            }
        }
        Ok(false)
    }

    /// Whether its end wakes who waits.
    fn is_told(&self) -> bool {
        self.end.is_some()
    }
}

/// A file that the process writes to, and how much of it was copied.
struct Source {
    path: Option<PathBuf>,
    file: Option<File>,
    offset: u64,
    /// Read and not written yet.
    pending: Vec<u8>,
    is_watched: bool,
    /// Whether its reader was told why it is not read.
    told: bool,
}

impl Source {
    fn new(stream: &str, path: &Option<PathBuf>) -> Source {
        let pending = match path {
            Some(_) => String::new(),
            None => format!("no {stream} {NO_SOURCE}\n"),
        };
        let pending = pending.into_bytes();
        let path = path.clone();
        Source { path, file: None, offset: 0, pending, is_watched: false, told: false }
    }

    fn is_unwatched(&self) -> bool {
        self.path.is_some() && !self.is_watched
    }

    /// Copies what is new; whether something could not be written yet.
    fn copy(&mut self, out: &mut dyn Write, news: &Watch) -> Result<bool> {
        loop {
            if !self.write_out(out)? {
                return Ok(true);
            }
            if !self.read_on() && !self.open_anew(news) {
                return Ok(false);
            }
        }
    }

    /// Writes what was read; whether all of it.
    fn write_out(&mut self, out: &mut dyn Write) -> Result<bool> {
        while !self.pending.is_empty() {
            match out.write(&self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(false),
                Err(error) => {
                    let what = "what the process wrote cannot be copied";
                    return Err(Error::new(ErrorKind::Io, "import.copy", what).with_source(error));
                }
            }
        }
        Ok(true)
    }

    /// Reads a piece of what is new; whether there was something.
    fn read_on(&mut self) -> bool {
        let Some(file) = &self.file else { return false };
        let mut piece = vec![0; CHUNK];
        let read = file.metadata().and_then(|meta| {
            if meta.len() < self.offset {
                // Somebody cut it.
                self.offset = 0;
            }
            file.read_at(&mut piece, self.offset)
        });
        match read {
            Ok(count) => {
                piece.truncate(count);
                self.offset += count as u64;
                self.pending = piece;
                count > 0
            }
            Err(error) => self.tell(&error),
        }
    }

    /// Opens the file that has the name now, where it is not the one that is open; whether it was so.
    fn open_anew(&mut self, news: &Watch) -> bool {
        let Some(path) = self.path.clone() else { return false };
        if !self.is_watched {
            let folder = path.parent().unwrap_or(Path::new("/"));
            self.is_watched = news.add_names(folder).is_ok();
        }
        let same = |meta: &std::fs::Metadata, other: &std::fs::Metadata| {
            (meta.dev(), meta.ino()) == (other.dev(), other.ino())
        };
        let open = self.file.as_ref().and_then(|file| file.metadata().ok());
        let named = std::fs::metadata(&path);
        let is_new = match (&open, &named) {
            (Some(open), Ok(named)) => !same(open, named),
            (None, _) => true,
            // Away for a moment, or for good.
            (Some(_), Err(_)) => false,
        };
        if !is_new {
            return false;
        }
        // Watched before it is read, so that nothing between the two is missed.
        let watched = news.add(&path);
        match open_user_file(&path) {
            Ok(file) => {
                self.is_watched &= watched.is_ok();
                (self.file, self.offset, self.told) = (Some(file), 0, false);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => self.tell(&error),
        }
    }

    /// Says once, where its text would stand, why there is none; whether it did.
    fn tell(&mut self, error: &io::Error) -> bool {
        if std::mem::replace(&mut self.told, true) {
            return false;
        }
        let path = self.path.as_deref().unwrap_or(Path::new("")).display();
        self.pending = format!("run-agent: {path} cannot be read: {error}\n").into_bytes();
        true
    }
}

/// What stands in the place of a stream that nobody named; in the words of the older program.
const NO_SOURCE: &str =
    "source path provided for imported process; live transcript capture is unavailable";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::{Child, Command};
    use std::sync::mpsc::{Receiver, Sender, channel};

    const LONG: Duration = Duration::from_secs(60);

    /// Passes on what is written.
    struct Told(Sender<Vec<u8>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // As a file may: not all of it.
            let some = &bytes[..bytes.len().min(7)];
            self.0.send(some.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Waits for exactly this text.
    fn expect(told: &Receiver<Vec<u8>>, text: &str) {
        let mut came = Vec::new();
        while came.len() < text.len() {
            came.extend(told.recv_timeout(LONG).unwrap());
        }
        assert_eq!(String::from_utf8(came).unwrap(), text);
    }

    fn of(child: &Child, stdout: Option<PathBuf>) -> Imported {
        let ProcessId { pid, start } = Processes.identify(child.id()).unwrap().unwrap();
        Imported { pid, start, group: None, stdout, stderr: None }
    }

    #[test]
    fn a_file_is_copied_as_it_grows_is_cut_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let imported = of(&child, Some(path.clone()));
        let (out, told) = channel();
        let (err, told_err) = channel();
        let follower = std::thread::spawn(move || {
            imported.follow(&mut Told(out), &mut Told(err), &Wait::from(LONG))
        });
        let none = "no stderr source path provided for imported process; live transcript capture is \
                    unavailable\n";
        expect(&told_err, none);
        // It comes later than its reader, and is whole lines never.
        fs::write(&path, "one").unwrap();
        expect(&told, "one");
        let add = |text: &str| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        add(" and two\n");
        expect(&told, " and two\n");
        fs::File::create(&path).unwrap();
        add("cut\n");
        expect(&told, "cut\n");
        fs::rename(&path, dir.path().join("log.1")).unwrap();
        fs::write(&path, "replaced by something longer\n").unwrap();
        expect(&told, "replaced by something longer\n");
        // What it wrote before its end is copied whatever comes first.
        add("last\n");
        child.kill().unwrap();
        child.wait().unwrap();
        expect(&told, "last\n");
        follower.join().unwrap().unwrap();
        assert!(told.recv().is_err() && told_err.recv().is_err(), "nothing twice");
    }

    #[test]
    fn a_group_is_followed_to_the_end_of_its_last_process() {
        use std::os::unix::process::CommandExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (gate, path) = (dir.path().join("gate"), dir.path().join("log"));
        let script = format!(
            "(echo $$ >>'{0}'; until [ -e '{1}' ]; do sleep 0.01; done; echo child >>'{0}') &",
            path.display(),
            gate.display()
        );
        let mut child = Command::new("sh").args(["-c", &script]).process_group(0).spawn().unwrap();
        let group = Some(child.id());
        let started = Processes.identify(child.id()).unwrap();
        // The leader may be gone already: then its start is nobody's, as it would be later.
        let start = started.map_or(1, |process| process.start);
        let (pid, stdout) = (child.id(), Some(path.clone()));
        let imported = Imported { pid, start, group, stdout, stderr: None };
        child.wait().unwrap();
        let (out, told) = channel();
        let follower = std::thread::spawn(move || {
            imported.follow(&mut Told(out), &mut io::sink(), &Wait::from(LONG))
        });
        expect(&told, &format!("{}\n", child.id()));
        assert!(!follower.is_finished());
        fs::write(gate, "").unwrap();
        expect(&told, "child\n");
        follower.join().unwrap().unwrap();
    }

    #[test]
    fn another_process_with_its_number_is_not_followed_and_a_wait_ends() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let imported = of(&child, Some("/nowhere/at/all".into()));
        let follow = |imported: &Imported, wait: Wait| {
            imported.follow(&mut io::sink(), &mut io::sink(), &wait)
        };
        let over = follow(&imported, Wait::from(Duration::ZERO)).unwrap_err();
        assert_eq!(over.kind(), ErrorKind::Timeout);
        let other = Imported { start: imported.start + 1, ..imported.clone() };
        follow(&other, Wait::from(LONG)).unwrap();
        let command = imported.command();
        let argument = command[2].to_str().unwrap();
        let parsed = Imported::parse(argument).unwrap();
        assert_eq!((parsed.pid, parsed.start), (imported.pid, imported.start));
        for wrong in ["", "1", "x:1", "1:", ":1", "-1:5"] {
            assert_eq!(Imported::parse(wrong).unwrap_err().code(), "import.pid", "{wrong}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
