//! Cursors with a name, kept in the root, for readers that come back.

use super::cursor::Cursor;
use super::scope::Scope;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder};
use crate::id::check_id;
use crate::sys::{FileKind, LockKind};
use crate::time::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// The most bytes of a cursor's file.
const FILE_MOST: u64 = 4096;
/// A cursor that was not committed for this long no longer keeps archives.
const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The place of a reader on a bus, kept under a name; one process holds it at a time.
///
/// A reader commits a place once it is done with all before it. What came after the last commit is
/// read again by the next holder of the name: each message reaches it at least once.
#[derive(Debug)]
pub struct NamedCursor {
    folder: Folder,
    file: String,
    cursor: Cursor,
    _lock: FileLock,
}

impl NamedCursor {
    /// Takes the cursor `name` of a bus, kept in `folder`; a new one stands at the start.
    ///
    /// # Errors
    /// `id.invalid` for a name that is no id; `cursor.busy` while another process or handle holds
    /// it; `cursor.corrupt` when its file says nothing that is a cursor.
    pub(super) fn take(
        folder: Folder,
        scope: &Scope,
        name: &str,
        wait: &Wait,
    ) -> Result<NamedCursor> {
        check_id("run", name).map_err(|error| {
            Error::invalid(error.code(), "cursor", format!("invalid cursor name {name:?}"))
                .with_hint(error.hint().to_owned())
        })?;
        let file = format!("{}{name}", prefix(scope));
        let lock = folder.lock(format!(".{file}.lock"), LockKind::Exclusive, wait);
        let lock = lock.map_err(|error| match error.code() {
            "lock.timeout" => Error::new(
                ErrorKind::Busy,
                "cursor.busy",
                format!("the cursor {name} is held by another reader"),
            )
            .with_path(folder.join(&file))
            .with_hint("end that reader, or use another name")
            .with_source(error),
            _ => error,
        })?;
        let cursor = match folder.read_if_exists(&file, FILE_MOST)? {
            Some(text) => parse(&folder, &file, &text)?,
            None => {
                // From here on the archives wait for it, also where it is never committed.
                folder.replace(&file, format!("{}\n", Cursor::START).as_bytes())?;
                Cursor::START
            }
        };
        Ok(NamedCursor { folder, file, cursor, _lock: lock })
    }

    /// The file that keeps it.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.file)
    }

    /// The place that was committed last.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Keeps a place, durably.
    ///
    /// # Errors
    /// Those of the file. The next holder of the name then finds the earlier place or this one: where the
    /// sync of the folder failed, the new file has its name already.
    pub fn commit(&mut self, cursor: &Cursor) -> Result<()> {
        self.folder.replace(&self.file, format!("{cursor}\n").as_bytes())?;
        self.cursor = cursor.clone();
        Ok(())
    }
}

/// The number that a named cursor goes on at, and the name of the cursor.
pub(super) type Wanted = (u64, String);

/// The lowest number that the named cursors of a bus, kept in `folder`, still have to read, and the name of
/// the cursor; `None` where none waits. Cursors that were not committed for 30 days are not heeded, and are named.
pub(super) fn oldest_wanted(
    folder: &Folder,
    scope: &Scope,
    now: Timestamp,
) -> Result<(Option<Wanted>, Vec<String>)> {
    let (mut oldest, mut idle): (Option<Wanted>, _) = (None, Vec::new());
    for entry in folder.list()? {
        let file = entry.name.to_str().filter(|_| entry.kind == FileKind::File);
        let Some(name) = file.and_then(|file| file.strip_prefix(&prefix(scope))) else { continue };
        let Some(stat) = folder.stat(&entry.name)? else { continue };
        if Timestamp::from_unix_nanos(stat.modified) < now.minus(IDLE) {
            idle.push(name.to_owned());
            continue;
        }
        let Some(text) = folder.read_if_exists(&entry.name, FILE_MOST)? else { continue };
        // A place without a number lies before all that has one.
        let next = parse(folder, &format!("{}{name}", prefix(scope)), &text)?
            .seq()
            .map_or(1, |seq| seq + 1);
        if oldest.as_ref().is_none_or(|(oldest, _)| next < *oldest) {
            oldest = Some((next, name.to_owned()));
        }
    }
    Ok((oldest, idle))
}

/// What the files of a bus's cursors begin with. No id holds the character that divides it.
fn prefix(scope: &Scope) -> String {
    let task = scope.task.as_ref().map_or("", |task| task.as_str());
    format!("{}~{task}~", scope.project)
}

fn parse(folder: &Folder, file: &str, text: &[u8]) -> Result<Cursor> {
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        let path = folder.join(file);
        Error::new(
            ErrorKind::Corrupt,
            "cursor.corrupt",
            format!("{} holds no cursor", path.display()),
        )
        .with_path(path)
        .with_hint("remove it to start again from the oldest message")
    })
}
