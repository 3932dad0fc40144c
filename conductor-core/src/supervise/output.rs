//! `output.md`, and the end of `agent-stderr.txt` for the bus.

use crate::error::{ErrorKind, Result};
use crate::fsx::{FILE_MODE, Folder};
use crate::layout::{OUTPUT, STDERR, STDOUT};
use crate::sys::{Fd, FileKind, Open};
use std::ffi::OsStr;

/// How much of `agent-stderr.txt` is looked at for its last lines, in bytes.
const STDERR_WINDOW: u64 = 64 << 10;
/// The lines of `agent-stderr.txt` that a crash message holds.
const STDERR_LINES: usize = 50;
/// How much is copied at once.
const CHUNK: usize = 256 << 10;

/// Makes `output.md` from what the agent printed, unless the agent wrote one itself.
pub(crate) fn ensure_output(run: &Folder) -> Result<()> {
    if run.stat(OUTPUT)?.is_some() {
        return Ok(());
    }
    let Some(stdout) = opened(run, STDOUT)? else { return Ok(()) };
    // A copy that a crash cut short must not pass for the output.
    let next = OsStr::new(".output.md.next");
    run.clear(next)?;
    let copy = run.open(next, Open::CreateNew(FILE_MODE))?;
    let copied = copy_all(run, &stdout, &copy)
        .and_then(|()| run.os().sync_data(&copy).map_err(|e| run.error("sync", OUTPUT, e)));
    if let Err(error) = copied {
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

/// Opens what the agent wrote to; `None` where that is gone or is no plain file any more.
fn opened(run: &Folder, name: &str) -> Result<Option<Fd>> {
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

fn copy_all(run: &Folder, from: &Fd, to: &Fd) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let read = run
            .os()
            .read_at(from, &mut buffer, offset)
            .map_err(|e| run.error("read", STDOUT, e))?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let written = run.os().write(to, rest).map_err(|e| run.error("write", OUTPUT, e))?;
            rest = &rest[written..];
        }
        offset += read as u64;
    }
}

/// The last lines of `agent-stderr.txt`; empty where it is empty or missing.
pub(crate) fn last_stderr_lines(run: &Folder) -> Result<String> {
    let Some(stderr) = opened(run, STDERR)? else { return Ok(String::new()) };
    let size = run.os().stat(&stderr).map_err(|e| run.error("look at", STDERR, e))?.size;
    let start = size.saturating_sub(STDERR_WINDOW);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        let read = run
            .os()
            .read_at(&stderr, &mut bytes[filled..], start + filled as u64)
            .map_err(|e| run.error("read", STDERR, e))?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    bytes.truncate(filled);
    // A body holds no NUL, and the agent's bytes need not be UTF-8.
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    let lines: Vec<&str> = text.trim_end().lines().collect();
    Ok(lines[lines.len().saturating_sub(STDERR_LINES)..].join("\n"))
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
        ensure_output(&folder).unwrap();
        assert!(!dir.path().join("output.md").exists(), "nothing ran");
        std::fs::write(dir.path().join(STDOUT), vec![b'x'; CHUNK + 1]).unwrap();
        ensure_output(&folder).unwrap();
        assert_eq!(std::fs::read(dir.path().join(OUTPUT)).unwrap().len(), CHUNK + 1);
        std::fs::write(dir.path().join(OUTPUT), "mine").unwrap();
        ensure_output(&folder).unwrap();
        assert_eq!(std::fs::read(dir.path().join(OUTPUT)).unwrap(), b"mine");
        assert_eq!(folder.list().unwrap().len(), 2);
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
