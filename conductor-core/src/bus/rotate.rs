//! Rotation: the live file becomes an archive and a new one takes its place, without a moment in
//! which a message could be lost, doubled or written to the wrong file.
//!
//! 1. The next file is made under its own name, with the record that begins it, and synced.
//! 2. The record that ends it is appended to the live file and synced. From here it never changes.
//! 3. The live file gets its archive's name as a second name.
//! 4. The next file takes the live name over.
//!
//! A crash after step 1 leaves a file that never held a message: it is made anew. A crash later
//! leaves a live file that ends with its last record: the next writer goes on from there, and
//! adopts the next file, which a power cut may have brought back with messages in it.

use super::append;
use super::catalog;
use super::channel::Locked;
use super::failure::Failure;
use super::lock::ExclusiveLock;
use super::post::Post;
use super::record::{self, Draft, Moment, SEGMENT_END, SEGMENT_START};
use super::scan::{Found, Scanner};
use super::scope::Scope;
use super::store::{Segment, Store};
use super::tail::{self, Tail};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::FILE_MODE;
use crate::sys::Open;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// What became of a rotation that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// The messages so far are in an archive.
    Done {
        /// The archive.
        archive: PathBuf,
    },
    /// There is nothing to archive.
    Empty,
    /// An older program that would go on writing to the archive is allowed to write here, or did
    /// within 30 days.
    OlderWriter,
}

/// Rotates the locked file, of which `tail` is the end. On success the new file is locked instead.
///
/// On an error the live file is unchanged, or ends with its last record, which `tail` then shows.
pub(super) fn rotate(
    store: &Store,
    scope: &Scope,
    locked: &mut Locked<'_>,
    tail: Tail,
) -> Result<PathBuf, Failure> {
    let file = locked.lock.file.clone();
    store.folder().sync()?;
    let first = catalog::first_seq(&file)?;
    let now = Moment::of(file.os().now());
    let mut end = Vec::new();
    let mut ended = tail;
    let post = Post::new(SEGMENT_END, "the bus goes on in its next segment")
        .meta("next_first_seq", (tail.last_seq + 2).to_string());
    append::push(&file, &mut ended, &Draft::control(SEGMENT_END, &post, scope)?, now, &mut end)?;

    let next = build(store, scope, &file, (first, ended))?;
    // From here on an error must not leave the next file behind, as long as this one goes on.
    locked.take_tail();
    if let Err(failure) = append::put(&file, tail.size, &end) {
        let stray = store.folder().remove_file(store.next());
        // The first error is the one to tell; a stray is removed by the next rotation.
        drop(stray);
        return Err(failure);
    }
    locked.size = ended.size;
    file.os().sync_data(file.fd()).map_err(Failure::Unsynced)?;
    publish(store, locked, next, (first, ended.last_seq))
}

/// Goes on with the rotation of a locked file that ends with its last record.
///
/// Who wrote that record may have died before it was on the disk: it must be, before a name says that
/// the file is an archive.
pub(super) fn complete(
    store: &Store,
    scope: &Scope,
    locked: &mut Locked<'_>,
    tail: Tail,
    wait: &Wait,
) -> Result<PathBuf, Failure> {
    let file = locked.lock.file.clone();
    file.os().sync_data(file.fd()).map_err(Failure::Unsynced)?;
    let first = catalog::first_seq(&file)?;
    let next = match adopt(store, tail.last_seq + 1, wait)? {
        Some(next) => next,
        None => build(store, scope, &file, (first, tail))?,
    };
    publish(store, locked, next, (first, tail.last_seq))
}

/// Makes the file that follows `file`, which begins with the number `first` and ends as `end` says.
fn build(
    store: &Store,
    scope: &Scope,
    file: &Segment,
    (first, end): (u64, Tail),
) -> Result<ExclusiveLock, Failure> {
    let fd = match store.folder().open(store.next(), Open::CreateNew(FILE_MODE)) {
        Err(error) if error.code() == "io.already_exists" => {
            clear_stray(store)?;
            store.folder().open(store.next(), Open::CreateNew(FILE_MODE))?
        }
        fd => fd?,
    };
    drop(fd);
    // Opened again to append, as every writer does.
    let fd = store.folder().open(store.next(), Open::Append)?;
    let next = store.segment(store.next(), fd);
    let next = ExclusiveLock::take(store, next, &Wait::NONE.into())?;
    let built = write_start(scope, file, &next.file, store, (first, end));
    if let Err(failure) = built {
        let stray = store.folder().remove_file(store.next());
        // As above.
        drop(stray);
        return Err(failure);
    }
    Ok(next)
}

fn write_start(
    scope: &Scope,
    file: &Segment,
    next: &Segment,
    store: &Store,
    (first, end): (u64, Tail),
) -> Result<(), Failure> {
    let archive = catalog::archive_name(store, first, end.last_seq, 0);
    let post = Post::new(SEGMENT_START, "a segment of the bus begins")
        .meta("segment", (segment_number(file)? + 1).to_string())
        .meta("prev_segment", archive.to_string_lossy())
        .meta("prev_first_seq", first.to_string())
        .meta("prev_last_seq", end.last_seq.to_string())
        .meta("prev_len", end.size.to_string());
    let draft = Draft::control(SEGMENT_START, &post, scope)?;
    let mut tail = Tail { last_seq: end.last_seq, last_time: end.last_time, ..Tail::EMPTY };
    let mut bytes = Vec::new();
    append::push(next, &mut tail, &draft, Moment::of(next.os().now()), &mut bytes)?;
    append::put(next, 0, &bytes)?;
    next.os().sync(next.fd()).map_err(Failure::NotWritten)
}

/// The number of a segment as its first record tells, from 1; 1 where it does not.
fn segment_number(file: &Segment) -> Result<u64> {
    let mut scanner = Scanner::new();
    let Found::Record { start, head } = scanner.look(file)? else { return Ok(1) };
    let message = record::decode(scanner.bytes(start, head.total()), &head);
    let number = message.and_then(|message| message.meta("segment")?.parse().ok());
    Ok(number.unwrap_or(1))
}

/// Locks the next file if it is the rightful one, which begins with the number `seq`.
fn adopt(store: &Store, seq: u64, wait: &Wait) -> Result<Option<ExclusiveLock>, Failure> {
    let Some(next) = store.open(store.next(), Open::Append)? else { return Ok(None) };
    let next = ExclusiveLock::take(store, next, wait)?;
    if !next.is_named(store, store.next())? || catalog::first_seq(&next.file)? != seq {
        return Ok(None);
    }
    // It may hold messages, and may have been torn.
    let size = next.file.stat()?.size;
    tail::inspect(store, &next.file, size, None)?;
    next.file.os().sync(next.file.fd()).map_err(Failure::NotWritten)?;
    Ok(Some(next))
}

/// Removes a next file that never held a message.
fn clear_stray(store: &Store) -> Result<()> {
    let Some(stray) = store.open(store.next(), Open::Read)? else { return Ok(()) };
    let mut scanner = Scanner::new();
    loop {
        let (start, head) = match scanner.look(&stray)? {
            Found::End | Found::Short { .. } => break,
            Found::Record { start, head } => (start, head),
            _ => return Err(in_the_way(store)),
        };
        let message = record::decode(scanner.bytes(start, head.total()), &head);
        if message.is_none_or(|message| message.msg_type != SEGMENT_START) {
            return Err(in_the_way(store));
        }
        scanner.accept(start + head.total() as u64);
    }
    store.folder().remove_file(store.next()).map(drop)
}

fn in_the_way(store: &Store) -> Error {
    let path = store.folder().join(store.next());
    Error::new(
        ErrorKind::Conflict,
        "bus.next_in_the_way",
        format!("{} holds messages and continues no file", path.display()),
    )
    .with_path(path)
    .with_hint("`run-agent bus check` shows them; move the file away to let the bus rotate")
}

/// Names the locked file as an archive and puts the next one in its place.
fn publish(
    store: &Store,
    locked: &mut Locked<'_>,
    next: ExclusiveLock,
    (first, last): (u64, u64),
) -> Result<PathBuf, Failure> {
    let (folder, os) = (store.folder(), store.os());
    let archive = name_archive(store, &locked.lock.file, first, last)?;
    // Makes the name of the next file durable too, before it is published.
    folder.sync()?;
    os.rename_at(folder.fd(), store.next(), folder.fd(), store.live(), true)
        .map_err(|e| folder.error("publish", store.live(), e))?;
    let next = next.renamed(store, store.live());
    // The old lock goes as the new one comes: who waited for it finds that the path changed.
    locked.switch(next)?;
    folder.sync()?;
    Ok(folder.join(archive))
}

/// Gives the file its archive's name as a second name.
fn name_archive(store: &Store, file: &Segment, first: u64, last: u64) -> Result<OsString> {
    let folder = store.folder();
    let this = file.stat()?;
    let mut taken = 0;
    loop {
        let name = catalog::archive_name(store, first, last, taken);
        match store.os().link_at(folder.fd(), store.live(), folder.fd(), &name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A crash may have come after the name was given.
                if folder.stat(&name)?.is_some_and(|named| named.same_file(&this)) {
                    return Ok(name);
                }
                taken += 1;
            }
            Err(error) => return Err(folder.error("archive", &name, error)),
        }
    }
}
