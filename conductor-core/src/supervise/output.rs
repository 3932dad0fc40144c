//! What an agent printed: `output.md`, what its stream says, and the end of its errors for the bus.

use super::evidence::keeper_record;
use super::seen::Seen;
use crate::agent::AgentKind;
use crate::agent::stream::{StreamKind, StreamParser, StreamSummary, Zone};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FILE_MODE, Folder};
use crate::layout::{OUTPUT, STDERR, STDOUT};
use crate::run::RunRecord;
use crate::size::format_size;
use crate::sys::{Fd, FileKind, KeeperCut, Open};
use crate::time::Timestamp;
use std::ffi::OsStr;

/// How much of a file is looked at for its last lines, in bytes.
const WINDOW: u64 = 64 << 10;
/// The lines of `agent-stderr.txt` that a crash message holds.
const STDERR_LINES: usize = 50;
/// How much is copied at once.
const CHUNK: usize = 256 << 10;

/// What the run's own stream said, the run having ended at `ended`; `None` for an agent whose stream
/// is not understood.
///
/// The files are read in pieces: memory does not grow with them. They are as the agent left them, also
/// where the middle of one was cut out.
pub(crate) fn read_stream(
    run: &Folder,
    record: &RunRecord,
    ended: Timestamp,
) -> Result<Option<StreamSummary>> {
    let Some(kind) = stream_kind(record) else { return Ok(None) };
    let mut parser = StreamParser::new(kind);
    let piece_of = |name, wanted| if wanted { Pieces::open(run, name) } else { Ok(None) };
    let mut stdout = piece_of(STDOUT, parser.wants_stdout())?;
    let mut stderr = piece_of(STDERR, parser.wants_stderr())?;
    // What stands before a gap and what stands behind it are no line together.
    let gap = |_| "\n".to_owned();
    let mut read_to = |parser: &mut StreamParser, ends: [u64; 2]| {
        if let Some(stdout) = &mut stdout {
            stdout.read_to(ends[0], gap, |bytes| {
                parser.push(bytes);
                Ok(())
            })?;
        }
        if let Some(stderr) = &mut stderr {
            stderr.read_to(ends[1], gap, |bytes| {
                parser.push_stderr(bytes);
                Ok(())
            })?;
        }
        Ok::<(), Error>(())
    };
    let seen = if parser.tells_of_limits() { Seen::noted(run)? } else { None };
    if let Some(seen) = seen {
        read_to(&mut parser, [seen.stdout, seen.stderr])?;
        if seen.over {
            parser.limits_are_over();
        }
    }
    read_to(&mut parser, [u64::MAX; 2])?;
    let written = |name| Ok::<_, Error>(run.stat(name)?.map(|stat| stat.modified));
    let is_new = stdout.is_some_and(|file| file.offset > seen.map_or(0, |seen| seen.stdout));
    if is_new && parser.is_at_work() && written(STDOUT)? > written(STDERR)? {
        parser.limits_are_over();
    }
    let said = last_written(run, record, ended)?;
    Ok(Some(parser.finish(said, &Zone::local())))
}

/// When the agent said the last that it said: its process may have hung on for hours.
fn last_written(run: &Folder, record: &RunRecord, ended: Timestamp) -> Result<Timestamp> {
    let mut last = None;
    for name in [STDOUT, STDERR] {
        let written = run.stat(name)?.filter(|stat| stat.kind == FileKind::File && stat.size > 0);
        last = last.max(written.map(|stat| Timestamp::from_unix_nanos(stat.modified)));
    }
    // The agent can set its files' times as it likes.
    Ok(last.unwrap_or(ended).max(record.start_time).min(ended))
}

/// The form of what the run's agent printed; `None` where it is plain text.
pub(super) fn stream_kind(record: &RunRecord) -> Option<StreamKind> {
    match &record.parser {
        Some(parser) => StreamKind::parse(parser),
        None => AgentKind::parse(&record.agent).ok().and_then(AgentKind::stream),
    }
}

/// What a Gemini CLI says that is too old for the stream that it is asked for.
const REFUSALS: [&str; 5] =
    ["unknown flag", "unrecognized option", "output-format", "stream-json", "invalid flag"];

/// Whether the run's agent did not take the option that makes it tell its stream: only Gemini CLI may
/// do so and exit with 0.
pub(crate) fn refused_format(
    run: &Folder,
    record: &RunRecord,
    stream: Option<&StreamSummary>,
) -> Result<bool> {
    let gemini = AgentKind::parse(&record.agent).ok() == Some(AgentKind::Gemini);
    if !gemini || record.parser.is_some() || stream.is_none_or(|stream| stream.events > 0) {
        return Ok(false);
    }
    let said = last_lines(run, STDERR, STDERR_LINES)?.to_lowercase();
    Ok(REFUSALS.iter().any(|words| said.contains(words)))
}

/// Makes `output.md`, unless the agent wrote one itself: from the final text of its stream where that
/// is known, else from all that it printed.
pub(crate) fn ensure_output(run: &Folder, stream: Option<&StreamSummary>) -> Result<()> {
    if run.stat(OUTPUT)?.is_some() || opened(run, STDOUT)?.is_none() {
        return Ok(());
    }
    // A copy that a crash cut short must not pass for the output.
    let next = OsStr::new(".output.md.next");
    run.clear(next)?;
    let copy = run.open(next, Open::CreateNew(FILE_MODE))?;
    if let Err(error) = fill_output(run, &copy, stream) {
        // On a full disk half a copy would keep the end from being written down.
        let _first_error_is_told = run.remove_file(next);
        return Err(error);
    }
    let renamed = run.os().rename_at(run.fd(), next, run.fd(), OsStr::new(OUTPUT), false);
    match renamed {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            run.remove_file(next).map(drop)
        }
        renamed => renamed.map_err(|e| run.error("make", OUTPUT, e)),
    }
}

fn fill_output(run: &Folder, copy: &Fd, stream: Option<&StreamSummary>) -> Result<()> {
    match stream.and_then(|stream| Some((stream.text.as_deref()?, stream.text_omitted))) {
        Some((text, omitted)) => {
            if omitted > 0 {
                let note = format!("({omitted} bytes of earlier text are in {STDOUT} alone)\n\n");
                run.write_all(copy, OUTPUT, note.as_bytes())?;
            }
            run.write_all(copy, OUTPUT, text.as_bytes())?;
        }
        None => each_piece(run, STDOUT, gap_note, |bytes| run.write_all(copy, OUTPUT, bytes))?,
    }
    run.os().sync_data(copy).map_err(|e| run.error("sync", OUTPUT, e))
}

/// Opens what the agent wrote to; `None` where that is gone or is no plain file any more.
pub(super) fn opened(run: &Folder, name: &str) -> Result<Option<Fd>> {
    match run.open_if_exists(name, Open::Read) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(None),
        fd => fd,
    }
}

/// The files of the agent's output that something else stands in place of, so that they were not read.
pub(crate) fn misplaced(run: &Folder) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    for name in [STDOUT, STDERR] {
        if run.stat(name)?.is_some_and(|stat| stat.kind != FileKind::File) {
            names.push(name);
        }
    }
    Ok(names)
}

/// What the keeper cut out of a file of the agent's output: zeros stand there. Nothing where the file is
/// shorter: its agent made it anew, or wrote what a keeper would not.
pub(crate) fn cut_of(run: &Folder, name: &str) -> Result<Option<KeeperCut>> {
    let index = match name {
        STDOUT => 0,
        STDERR => 1,
        _ => return Ok(None),
    };
    let cut = keeper_record(run)?.and_then(|keeper| keeper.cuts[index]);
    let Some(cut) = cut.filter(|cut| cut.from < cut.to) else { return Ok(None) };
    Ok(run.stat(name)?.filter(|stat| cut.to <= stat.size).map(|_| cut))
}

/// What a reader sees in the place of so many bytes that were cut out.
pub(crate) fn gap_note(bytes: u64) -> String {
    format!("\n[{} cut out here: the output was longer than its limit]\n", format_size(bytes))
}

/// Hands a file on, piece by piece; one that is missing has none. In the place of what was cut out comes
/// what `gap` makes of its length.
fn each_piece(
    run: &Folder,
    name: &'static str,
    gap: impl Fn(u64) -> String,
    take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    match Pieces::open(run, name)? {
        Some(mut pieces) => pieces.read_to(u64::MAX, gap, take),
        None => Ok(()),
    }
}

/// A file of the agent's output that is read piece by piece.
struct Pieces<'a> {
    run: &'a Folder,
    name: &'static str,
    file: Fd,
    offset: u64,
    /// What was cut out, unless that is read.
    cut: Option<KeeperCut>,
}

impl Pieces<'_> {
    /// `None` where the file is gone or is no plain file any more.
    fn open<'a>(run: &'a Folder, name: &'static str) -> Result<Option<Pieces<'a>>> {
        let Some(file) = opened(run, name)? else { return Ok(None) };
        Ok(Some(Pieces { run, name, file, offset: 0, cut: cut_of(run, name)? }))
    }

    /// Reads on up to `end`, or up to the file's own. In the place of what was cut out comes what `gap`
    /// makes of its length.
    fn read_to(
        &mut self,
        end: u64,
        gap: impl Fn(u64) -> String,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = vec![0; CHUNK];
        while self.offset < end {
            let mut next = end;
            if let Some(KeeperCut { from, to }) = self.cut {
                if self.offset == from {
                    take(gap(to - from).as_bytes())?;
                    (self.offset, self.cut) = (to, None);
                    continue;
                }
                next = next.min(from);
            }
            let wanted = usize::try_from(next - self.offset).map_or(CHUNK, |left| left.min(CHUNK));
            let read = self.run.os().read_at(&self.file, &mut buffer[..wanted], self.offset);
            let read = read.map_err(|e| self.run.error("read", self.name, e))?;
            if read == 0 {
                break;
            }
            take(&buffer[..read])?;
            self.offset += read as u64;
        }
        Ok(())
    }
}

/// The last lines of `agent-stderr.txt`; empty where it is empty or missing.
pub(crate) fn last_stderr_lines(run: &Folder) -> Result<String> {
    last_lines(run, STDERR, STDERR_LINES)
}

/// The last lines of a file of text; empty where it is empty or missing.
pub(crate) fn last_lines(folder: &Folder, name: &str, count: usize) -> Result<String> {
    let Some(file) = opened(folder, name)? else { return Ok(String::new()) };
    let size = folder.os().stat(&file).map_err(|e| folder.error("look at", name, e))?.size;
    let behind = cut_of(folder, name)?.map_or(0, |cut| cut.to.min(size));
    let start = size.saturating_sub(WINDOW).max(behind);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        let read = folder
            .os()
            .read_at(&file, &mut bytes[filled..], start + filled as u64)
            .map_err(|e| folder.error("read", name, e))?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    bytes.truncate(filled);
    // A body holds no NUL, and the agent's bytes need not be UTF-8.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    let lines: Vec<&str> = text.trim_end().lines().collect();
    Ok(lines[lines.len().saturating_sub(count)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn the_agents_own_output_is_kept_and_otherwise_what_it_printed() {
        let (dir, folder) = folder();
        ensure_output(&folder, None).unwrap();
        assert!(!dir.path().join("output.md").exists(), "nothing ran");
        std::fs::write(dir.path().join(STDOUT), vec![b'x'; CHUNK + 1]).unwrap();
        ensure_output(&folder, None).unwrap();
        assert_eq!(std::fs::read(dir.path().join(OUTPUT)).unwrap().len(), CHUNK + 1);
        std::fs::write(dir.path().join(OUTPUT), "mine").unwrap();
        ensure_output(&folder, None).unwrap();
        assert_eq!(std::fs::read(dir.path().join(OUTPUT)).unwrap(), b"mine");
        assert_eq!(folder.list().unwrap().len(), 2);
    }

    #[test]
    fn what_no_keeper_would_have_cut_out_hides_nothing() {
        let (dir, folder) = folder();
        std::fs::write(dir.path().join(STDOUT), "all of it").unwrap();
        let id = crate::sys::KeeperIdentity { pid: 1, start: 1 };
        for (from, to) in [(4, u64::MAX), (4, 10), (4, 2), (4, 4)] {
            let record = crate::sys::KeeperRecord {
                keeper: id,
                agent: id,
                boot_id: [b'0'; 36],
                pid_ns: 1,
                state: crate::sys::KeeperState::Empty,
                ended: None,
                errno: None,
                reason: None,
                born_at: crate::sys::keeper_moment(),
                released_at: None,
                exited_at: None,
                empty_at: None,
                slept: None,
                killed: 0,
                cuts: [Some(KeeperCut { from, to }), None],
            };
            let file = std::fs::File::create(dir.path().join(crate::layout::KEEPER)).unwrap();
            crate::sys::KeeperJournal::new(file, record)
                .write(crate::sys::KeeperState::Empty)
                .unwrap();
            ensure_output(&folder, None).unwrap();
            let output = dir.path().join(OUTPUT);
            assert_eq!(std::fs::read(&output).unwrap(), b"all of it", "{from} {to}");
            assert_eq!(last_lines(&folder, STDOUT, 9).unwrap(), "all of it", "{from} {to}");
            std::fs::remove_file(output).unwrap();
        }
    }

    #[test]
    fn the_last_lines_are_bounded_and_hold_no_nul() {
        let (dir, folder) = folder();
        assert_eq!(last_stderr_lines(&folder).unwrap(), "");
        let many: String = (0..60).map(|n| format!("line {n}\n")).collect();
        std::fs::write(dir.path().join(STDERR), many).unwrap();
        let lines = last_stderr_lines(&folder).unwrap();
        assert!(lines.starts_with("line 10\n") && lines.ends_with("line 59"));
        std::fs::write(dir.path().join(STDERR), b"a\0b\xff").unwrap();
        assert_eq!(last_stderr_lines(&folder).unwrap(), "a\u{fffd}b\u{fffd}");
    }
}
