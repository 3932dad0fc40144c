//! The birth of a file: durable under another name before it gets its own.
//!
//! A power cut may take the last rename back. What was acknowledged meanwhile is then found under
//! the other name, whose entry was durable first; so a file under that name is adopted, not
//! replaced.

use super::append;
use super::catalog;
use super::lock::ExclusiveLock;
use super::post::Post;
use super::record::{Draft, Moment, SEGMENT_START};
use super::scope::Scope;
use super::store::{Segment, Store};
use super::tail::{self, Tail};
use crate::cancel::Wait;
use crate::error::Result;
use crate::fsx::FILE_MODE;
use crate::sys::Open;
use std::io;

/// Makes the first file of a bus and gives it, locked; `None` where somebody else made it.
pub(super) fn first_segment(
    store: &Store,
    scope: &Scope,
    wait: &Wait,
) -> Result<Option<ExclusiveLock>> {
    let fd = store.folder().open(store.next(), Open::AppendOrCreate(FILE_MODE))?;
    let lock = ExclusiveLock::take(store, store.segment(store.next(), fd), wait)?;
    if !lock.is_named(store, store.next())? {
        return Ok(None);
    }
    let size = lock.file.stat()?.size;
    if store.stat_live()?.is_some() {
        if size == 0 {
            // Made by us a moment too late.
            store.folder().remove_file(store.next())?;
        }
        return Ok(None);
    }
    let tail = tail::inspect(store, &lock.file, size, None)?;
    if tail.last_seq == 0 {
        // Where the bus was removed but its archives were not, it goes on behind them.
        write_start(store, scope, &lock.file, tail)?;
    }
    lock.file.os().sync(lock.file.fd()).map_err(|e| lock.file.error("sync", e))?;
    store.folder().sync()?;
    let (folder, os) = (store.folder().fd(), store.os());
    match os.rename_at(folder, store.next(), folder, store.live(), false) {
        Ok(()) => {}
        // An older program made it meanwhile; the next rotation takes the stray away.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(store.folder().error("publish", store.live(), error)),
    }
    store.folder().sync()?;
    let live = lock.renamed(store, store.live());
    Ok(Some(live))
}

/// Writes the record that begins the first file.
fn write_start(store: &Store, scope: &Scope, file: &Segment, tail: Tail) -> Result<()> {
    let last_seq = catalog::last_archived_seq(store)?;
    let mut post = Post::new(SEGMENT_START, "a segment of the bus begins").meta("segment", "1");
    if last_seq > 0 {
        post = post.meta("prev_last_seq", last_seq.to_string());
    }
    let draft = Draft::control(SEGMENT_START, &post, scope)?;
    let mut bytes = Vec::new();
    let now = Moment::of(file.os().now());
    append::push(file, &mut Tail { last_seq, ..tail }, &draft, now, &mut bytes)?;
    append::put(file, tail.size, &bytes).map_err(|failure| failure.into_error(file.path(), &[]))
}
