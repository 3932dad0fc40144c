//! What was changed through the server, line by line, for whoever has to know later.

use super::conductor::Conductor;
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::fsx::Folder;
use crate::layout::{AUDIT, AUDIT_LOCK, AUDIT_LOG};
use crate::limits;
use crate::sys::{LockKind, Open};
use std::ffi::OsStr;

/// The length from which a new file is begun, in bytes.
const LONGEST: u64 = 16 << 20;
/// How many full files are kept.
const KEPT: u32 = 4;
/// The mode of the files: those of the owner's group may read.
const MODE: u32 = 0o640;

impl Conductor {
    /// Adds a line to the audit log of the root.
    ///
    /// The log is bounded: once the file is full it becomes `form-submissions.jsonl.1`, and of those
    /// the oldest goes. A line survives the death of any process, but not every power cut.
    ///
    /// # Errors
    /// `audit.line` for a text that is not one line.
    pub fn audit(&self, line: &str) -> Result<()> {
        if line.contains('\n') {
            return Err(Error::invalid("audit.line", "line", "an entry is one line"));
        }
        let folder = self.engine.layout().ensure_root()?.ensure_folder(AUDIT)?;
        let wait = Wait::from(limits::RECORD_LOCK);
        let _one_at_a_time = folder.lock(AUDIT_LOCK, LockKind::Exclusive, &wait)?;
        if folder.stat(AUDIT_LOG)?.is_some_and(|stat| stat.size >= LONGEST) {
            rotate(&folder)?;
        }
        let file = folder.open(AUDIT_LOG, Open::AppendOrCreate(MODE))?;
        folder.write_all(&file, AUDIT_LOG, format!("{line}\n").as_bytes())
    }
}

fn rotate(folder: &Folder) -> Result<()> {
    let name = |number: u32| match number {
        0 => AUDIT_LOG.to_owned(),
        number => format!("{AUDIT_LOG}.{number}"),
    };
    for number in (0..KEPT).rev() {
        let (from, to) = (name(number), name(number + 1));
        if folder.stat(&from)?.is_some() {
            let (from, to) = (OsStr::new(&from), OsStr::new(&to));
            folder
                .os()
                .rename_at(folder.fd(), from, folder.fd(), to, true)
                .map_err(|e| folder.error("rotate", from, e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use std::fs;

    #[test]
    fn the_log_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Conductor::open(dir.path().join("root"), Options::default()).unwrap();
        let log = dir.path().join("root/_audit/form-submissions.jsonl");
        conductor.audit("{\"number\":0}").unwrap();
        conductor.audit("{\"number\":1}").unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "{\"number\":0}\n{\"number\":1}\n");
        for number in 2..8 {
            fs::File::options().write(true).open(&log).unwrap().set_len(LONGEST).unwrap();
            conductor.audit(&format!("{{\"number\":{number}}}")).unwrap();
            assert_eq!(fs::read_to_string(&log).unwrap(), format!("{{\"number\":{number}}}\n"));
        }
        let names = fs::read_dir(log.parent().unwrap()).unwrap();
        let full = names.filter(|name| {
            name.as_ref().unwrap().file_name().to_string_lossy().contains(".jsonl.")
        });
        assert_eq!(full.count(), KEPT as usize);
        assert_eq!(conductor.audit("two\nlines").unwrap_err().code(), "audit.line");
    }
}
