//! The birth of a file: durable under another name before it gets its own.
//!
//! A power cut may take the last rename back. What was acknowledged meanwhile is then found under
//! the other name, whose entry was durable first; so a file under that name is adopted, not
//! replaced.

use super::lock::ExclusiveLock;
use super::post::Post;
use super::record::{Draft, Moment, SEGMENT_START, Stamp};
use super::scope::Scope;
use super::store::{Segment, Store};
use super::tail;
use crate::cancel::Wait;
use crate::error::{Error, Result};
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
        let meta = [("segment", "1".to_owned())];
        write_start(&lock.file, scope, 1, tail.lead(), &meta)?;
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

/// Writes the record that begins a file.
fn write_start(
    file: &Segment,
    scope: &Scope,
    seq: u64,
    lead: usize,
    meta: &[(&str, String)],
) -> Result<()> {
    let mut post = Post::new(SEGMENT_START, "a segment of the bus begins");
    for (name, value) in meta {
        post = post.meta(*name, value);
    }
    let now = Moment::of(file.os().now());
    let process = file.os().process_id();
    let stamp = Stamp { seq, id_time: now, time: now, process, counter: 0 };
    let mut bytes = b"\n\n"[..lead].to_vec();
    Draft::control(SEGMENT_START, &post, scope)?.push(&stamp, &mut bytes);
    let written = file.os().write(file.fd(), &bytes).map_err(|e| not_born(file, e))?;
    if written != bytes.len() {
        return Err(not_born(file, io::ErrorKind::WriteZero.into()));
    }
    Ok(())
}

fn not_born(file: &Segment, source: io::Error) -> Error {
    file.error("begin", source)
}
