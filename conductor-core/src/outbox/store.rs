//! The files of the outbox.

use super::event::{EventKind, Notice};
use super::pace;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder, LockError};
use crate::layout::Layout;
use crate::limits;
use crate::sys::{FileKind, LockKind, Open};
use crate::time::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The longest file of an event that is read, in bytes.
const LIMIT: u64 = 64 << 10;
/// What was given up.
const DROPPED: &str = ".dropped.json";
/// Held by who gives events up.
const LOCK: &str = ".lock";
/// The part of a full outbox that goes at once, so that it is not full again at the next event.
const SHARE: usize = 16;

/// An event that waits to be told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutboxEvent {
    /// What it is known by to the receiver, the same at each try.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// When it happened.
    pub at: Timestamp,
    /// What is told: one JSON object.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
    /// It is not tried again before then.
    pub next: Option<Timestamp>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// Where it stands.
    pub path: PathBuf,
}

/// What was given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// How many events.
    pub(crate) count: u64,
    /// When the last one was.
    pub(crate) at: Option<Timestamp>,
    /// Where that stands.
    pub(crate) path: PathBuf,
}

/// The outbox of a root.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    layout: Layout,
}

/// An event that this process tells, and no other at the same time.
#[derive(Debug)]
pub(super) struct Claim {
    name: String,
    pub(super) notice: Notice,
    _lock: FileLock,
}

impl Outbox {
    pub(crate) fn of(layout: &Layout) -> Outbox {
        Outbox { layout: layout.clone() }
    }

    /// Its folder; `None` where nothing ever waited.
    pub(crate) fn folder(&self) -> Result<Option<Folder>> {
        match self.layout.outbox() {
            Err(error) if error.code() == "root.not_found" => Ok(None),
            folder => folder,
        }
    }

    /// Its folder, made where it is missing.
    #[cfg(test)]
    pub(super) fn ensure_folder(&self) -> Result<Folder> {
        self.layout.ensure_outbox()
    }

    /// Puts an event there, durably; nothing happens where it waits already.
    ///
    /// Whoever notices the same event twice holds a lock that keeps another from doing so meanwhile.
    pub(crate) fn put(&self, notice: &Notice) -> Result<()> {
        let folder = self.layout.ensure_outbox()?;
        let name = notice.file_name();
        if folder.has_file(&name)? {
            return Ok(());
        }
        self.make_room(&folder)?;
        folder.replace(&name, notice.to_line().as_bytes())
    }

    /// The names of all events that wait, the oldest first.
    pub(super) fn names(folder: &Folder) -> Result<Vec<String>> {
        let entries = folder.list()?.into_iter().filter(|entry| entry.kind == FileKind::File);
        let names = entries.filter_map(|entry| entry.name.into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// All events that wait, the oldest first, and what is wrong with files that are none.
    pub(crate) fn list(&self) -> Result<(Vec<OutboxEvent>, Vec<Error>)> {
        let (mut events, mut damaged) = (Vec::new(), Vec::new());
        let Some(folder) = self.folder()? else { return Ok((events, damaged)) };
        for name in Outbox::names(&folder)? {
            let path = folder.join(&name);
            // Told between the listing and this look.
            let read = folder.read_if_exists(&name, LIMIT);
            match read.and_then(|bytes| bytes.map(|bytes| Notice::parse(&bytes, &path)).transpose())
            {
                Ok(Some(notice)) => events.push(OutboxEvent::of(&notice, path)),
                Ok(None) => {}
                Err(error) => damaged.push(error),
            }
        }
        Ok((events, damaged))
    }

    /// How many events wait.
    pub(crate) fn count(&self) -> Result<u64> {
        Ok(self.folder()?.map(|folder| count(&folder)).transpose()?.unwrap_or(0) as u64)
    }

    /// What was given up so far.
    pub(crate) fn dropped(&self) -> Result<Dropped> {
        self.folder()?
            .map(|folder| read_dropped(&folder))
            .transpose()
            .map(Option::unwrap_or_default)
    }

    /// Claims an event; `None` where it is gone or another process tells it.
    pub(super) fn claim(folder: &Folder, name: &str) -> Result<Option<Claim>> {
        let at_once = Wait::from(Wait::NONE);
        let lock = match folder.lock_file(name.as_ref(), Open::Write, LockKind::Exclusive, &at_once)
        {
            Ok(lock) => lock,
            Err(LockError::Held(_)) => return Ok(None),
            Err(LockError::Other(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(LockError::Other(error)) => return Err(error),
        };
        let Some(bytes) = folder.read_if_exists(name, LIMIT)? else { return Ok(None) };
        let notice = Notice::parse(&bytes, &folder.join(name))?;
        Ok(Some(Claim { name: name.to_owned(), notice, _lock: lock }))
    }

    /// Gives up what is oldest where the outbox is full.
    fn make_room(&self, folder: &Folder) -> Result<()> {
        if count(folder)? < limits::OUTBOX_EVENTS {
            return Ok(());
        }
        let _lock = folder.lock(LOCK, LockKind::Exclusive, &limits::RECORD_LOCK.into())?;
        let names = Outbox::names(folder)?;
        if names.len() < limits::OUTBOX_EVENTS {
            return Ok(());
        }
        let beyond = names.len() - limits::OUTBOX_EVENTS;
        let going = beyond + limits::OUTBOX_EVENTS.div_ceil(SHARE);
        let now = folder.os().now();
        let mut gone = 0;
        for name in names.iter().take(going) {
            gone += u64::from(folder.remove_file(name)?);
        }
        tracing::warn!(
            name: "webhook_events_dropped", dropped = gone, waiting = names.len(),
            "the webhook's receiver takes nothing, and too many events wait for it"
        );
        note_dropped(folder, gone, now)
    }
}

impl Claim {
    /// Whether it is time to try.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.notice
            .next
            .is_none_or(|next| next <= now || next.since(now) > pace::pause(u32::MAX, 40))
    }

    /// Forgets an event that was told.
    pub(super) fn told(self, folder: &Folder) -> Result<()> {
        folder.remove_file(&self.name).map(drop)
    }

    /// Keeps an event that was not taken for later, or gives it up: then it is `false`.
    pub(super) fn failed(mut self, folder: &Folder, why: &str, now: Timestamp) -> Result<bool> {
        let notice = &mut self.notice;
        notice.attempts = notice.attempts.saturating_add(1);
        notice.error = Some(why.to_owned());
        let since = *notice.failing_since.get_or_insert(now);
        if pace::is_given_up(notice.attempts, since, now) {
            return self.give_up(folder, now).map(|()| false);
        }
        let spread = notice.id.bytes().fold(u64::from(notice.attempts), |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        notice.next = Some(now.plus(pace::pause(notice.attempts, spread)));
        // A power cut may bring the number of tries before this one back, and never the event.
        folder.replace_relaxed(&self.name, notice.to_line().as_bytes()).map(|()| true)
    }

    /// Forgets an event that nobody took for days.
    fn give_up(self, folder: &Folder, now: Timestamp) -> Result<()> {
        let _lock = folder.lock(LOCK, LockKind::Exclusive, &limits::RECORD_LOCK.into())?;
        tracing::warn!(
            name: "webhook_event_given_up", event_id = %self.notice.id, kind = self.notice.kind.as_str(),
            attempts = self.notice.attempts, error = self.notice.error.as_deref(),
            "the webhook's receiver did not take an event for days"
        );
        let gone = folder.remove_file(&self.name)?;
        note_dropped(folder, u64::from(gone), now)
    }

    pub(super) fn event(&self, folder: &Folder) -> OutboxEvent {
        OutboxEvent::of(&self.notice, folder.join(&self.name))
    }
}

impl OutboxEvent {
    fn of(notice: &Notice, path: PathBuf) -> OutboxEvent {
        OutboxEvent {
            id: notice.id.clone(),
            kind: notice.kind,
            at: notice.at,
            body: notice.body_text(),
            attempts: notice.attempts,
            next: notice.next,
            error: notice.error.clone(),
            path,
        }
    }
}

/// How many events wait; more than are allowed are not counted.
fn count(folder: &Folder) -> Result<usize> {
    let mut count = 0;
    folder.visit(&mut |name, kind| {
        let is_event = kind == FileKind::File && !name.as_encoded_bytes().starts_with(b".");
        count += usize::from(is_event);
        count <= limits::OUTBOX_EVENTS
    })?;
    Ok(count)
}

fn read_dropped(folder: &Folder) -> Result<Dropped> {
    let Some(bytes) = folder.read_if_exists(DROPPED, LIMIT)? else { return Ok(Dropped::default()) };
    let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(Dropped {
        count: document["count"].as_u64().unwrap_or(0),
        at: document["at"].as_str().and_then(|text| text.parse().ok()),
        path: folder.join(DROPPED),
    })
}

/// Notes that events were given up. The caller holds the lock.
fn note_dropped(folder: &Folder, more: u64, now: Timestamp) -> Result<()> {
    let count = read_dropped(folder)?.count.saturating_add(more);
    let document = json!({"count": count, "at": now.to_string()});
    folder.replace(DROPPED, format!("{document}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::event::event_id;
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;
    use std::time::Duration;

    fn outbox() -> (tempfile::TempDir, Outbox) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().join("root"));
        (dir, Outbox::of(&layout))
    }

    fn notice(number: u64) -> Notice {
        let at = Timestamp::UNIX_EPOCH.plus(Duration::from_secs(number));
        let id = event_id("/r".as_ref(), EventKind::RunStop, &number.to_string(), at);
        Notice::new(id, EventKind::RunStop, at, [("number", json!(number))])
    }

    #[test]
    fn an_event_waits_once_and_in_the_order_of_time() {
        let (_dir, outbox) = outbox();
        assert_eq!(outbox.count().unwrap(), 0);
        for number in [3, 1, 2, 1] {
            outbox.put(&notice(number)).unwrap();
        }
        let (events, damaged) = outbox.list().unwrap();
        assert!(damaged.is_empty());
        let ids: Vec<_> = events.iter().map(|event| event.id.clone()).collect();
        assert_eq!(ids, [notice(1).id, notice(2).id, notice(3).id]);
    }

    #[test]
    fn what_one_process_tells_no_other_tells_at_the_same_time() {
        let (_dir, outbox) = outbox();
        outbox.put(&notice(1)).unwrap();
        let folder = outbox.ensure_folder().unwrap();
        let name = notice(1).file_name();
        let claim = Outbox::claim(&folder, &name).unwrap().unwrap();
        assert!(Outbox::claim(&folder, &name).unwrap().is_none());
        let now = Timestamp::UNIX_EPOCH.plus(Duration::from_secs(100));
        assert!(claim.failed(&folder, "503", now).unwrap());
        let again = Outbox::claim(&folder, &name).unwrap().unwrap();
        assert_eq!((again.notice.attempts, again.notice.error.as_deref()), (1, Some("503")));
        assert!(!again.is_due(now));
        assert!(again.is_due(now.plus(Duration::from_secs(1))));
        assert!(
            again.is_due(Timestamp::UNIX_EPOCH.minus(Duration::from_secs(1 << 20))),
            "clock set back"
        );
        again.told(&folder).unwrap();
        assert!(Outbox::claim(&folder, &name).unwrap().is_none());
        assert_eq!(outbox.count().unwrap(), 0);
    }

    #[test]
    fn an_event_is_given_up_by_its_tries_and_not_by_its_own_age() {
        let (_dir, outbox) = outbox();
        outbox.put(&notice(1)).unwrap();
        let folder = outbox.ensure_folder().unwrap();
        let name = notice(1).file_name();
        let claim = || Outbox::claim(&folder, &name).unwrap().unwrap();
        let first = Timestamp::UNIX_EPOCH.plus(Duration::from_secs(1 << 30));
        for try_number in 1..limits::OUTBOX_TRIES {
            assert!(claim().failed(&folder, "503", first).unwrap(), "{try_number}");
        }
        assert_eq!(claim().notice.failing_since, Some(first));
        let in_time = first.plus(limits::OUTBOX_AGE);
        assert!(claim().failed(&folder, "503", in_time).unwrap(), "tried often, and not for days");
        let late = in_time.plus(Duration::from_secs(1));
        assert!(!claim().failed(&folder, "503", late).unwrap());
        assert_eq!((outbox.count().unwrap(), outbox.dropped().unwrap().count), (0, 1));
    }

    #[test]
    fn a_full_outbox_gives_up_what_is_oldest_and_says_so() {
        let (_dir, outbox) = outbox();
        let folder = outbox.ensure_folder().unwrap();
        for number in 0..limits::OUTBOX_EVENTS as u64 {
            let notice = notice(number);
            drop(folder.create(notice.file_name(), notice.to_line().as_bytes()).unwrap());
        }
        let newest = notice(1 << 20);
        outbox.put(&newest).unwrap();
        let left = limits::OUTBOX_EVENTS - limits::OUTBOX_EVENTS / SHARE + 1;
        assert_eq!(outbox.count().unwrap(), left as u64);
        assert_eq!(outbox.dropped().unwrap().count, (limits::OUTBOX_EVENTS / SHARE) as u64);
        let (events, _) = outbox.list().unwrap();
        assert_eq!(events.last().unwrap().id, newest.id);
        assert_ne!(events.first().unwrap().id, notice(0).id);
    }

    #[test]
    fn a_damaged_file_hides_no_other() {
        let (_dir, outbox) = outbox();
        outbox.put(&notice(1)).unwrap();
        let folder = outbox.ensure_folder().unwrap();
        std::fs::write(folder.join("20990101-x"), "half a li").unwrap();
        let (events, damaged) = outbox.list().unwrap();
        assert_eq!((events.len(), damaged[0].code()), (1, "outbox.corrupt"));
    }
}
