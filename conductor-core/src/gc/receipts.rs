//! What the runs of a task used up outlives the task: its receipts go to the project.

use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::{FILE_MODE, Folder};
use crate::layout::RECEIPTS;
use crate::limits;
use crate::sys::{LockKind, Open};

/// How much is copied at once, in bytes.
const CHUNK: usize = 64 << 10;

/// Appends a task's receipts to those of its project, durably. The task may then go.
///
/// A crash between this and the end of the task lets the next collection append them again: a reader
/// counts the receipts of a run once.
pub(super) fn hand_over(task: &Folder, project: &Folder) -> Result<()> {
    let receipts = match task.open(RECEIPTS, Open::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        receipts => receipts?,
    };
    let lock = format!("{RECEIPTS}.lock");
    let wait = Wait::from(limits::RECORD_LOCK);
    let _alone = project.lock(&lock, LockKind::Exclusive, &wait)?;
    let all = project.open(RECEIPTS, Open::AppendOrCreate(FILE_MODE))?;
    let os = project.os();
    let failed = |e| project.error("write", RECEIPTS, e);
    let start = os.stat(&all).map_err(failed)?.size;
    let copied = copy(task, project, &receipts, &all, start);
    if copied.is_err() {
        // A part of a line would join the next one.
        os.truncate(&all, start).map_err(failed)?;
    }
    copied?;
    os.sync(&all).map_err(failed)?;
    project.sync()
}

fn copy(
    task: &Folder,
    project: &Folder,
    from: &crate::sys::Fd,
    to: &crate::sys::Fd,
    start: u64,
) -> Result<()> {
    let os = project.os();
    let failed = |e| project.error("write", RECEIPTS, e);
    let write = |mut bytes: &[u8]| {
        while !bytes.is_empty() {
            let written = os.write(to, bytes).map_err(failed)?;
            bytes = &bytes[written..];
        }
        Ok(())
    };
    let mut last = b'\n';
    if start > 0 {
        let mut byte = [0];
        os.read_at(to, &mut byte, start - 1).map_err(failed)?;
        last = byte[0];
    }
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let read = os.read_at(from, &mut buffer, offset);
        let read = read.map_err(|e| task.error("read", RECEIPTS, e))?;
        if read == 0 {
            break;
        }
        if last != b'\n' && offset == 0 {
            // The last line was torn by a crash: the next one begins on its own.
            write(b"\n")?;
        }
        write(&buffer[..read])?;
        last = buffer[read - 1];
        offset += read as u64;
    }
    if offset > 0 && last != b'\n' { write(b"\n") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn receipts_of_a_task_follow_those_of_its_project() {
        let dir = tempfile::tempdir().unwrap();
        let project = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let task = project.make_folder("t").unwrap();
        hand_over(&task, &project).unwrap();
        assert!(!dir.path().join(RECEIPTS).exists());
        fs::write(dir.path().join("t").join(RECEIPTS), "{\"run\":1}\n{\"run\":2}").unwrap();
        fs::write(dir.path().join(RECEIPTS), "{\"run\":0}\n{\"to").unwrap();
        hand_over(&task, &project).unwrap();
        let all = fs::read_to_string(dir.path().join(RECEIPTS)).unwrap();
        assert_eq!(all, "{\"run\":0}\n{\"to\n{\"run\":1}\n{\"run\":2}\n");
    }

    #[test]
    fn a_link_in_place_of_receipts_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let project = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let task = project.make_folder("t").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("t").join(RECEIPTS)).unwrap();
        assert_eq!(hand_over(&task, &project).unwrap_err().code(), "path.symlink");
    }
}
