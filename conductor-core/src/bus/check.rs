//! Looking at every byte of a bus, and saying what is not as it should be.

use super::catalog::{self, Archive};
use super::lock::SharedLock;
use super::post::ONCE_KEY;
use super::record::{self, SEGMENT_END, SEGMENT_START, SEQ_JUMP};
use super::scan::{Found, Scanner};
use super::store::{Segment, Store};
use super::walk::header_of_legacy;
use crate::error::Result;
use crate::sys::{Open, Stat};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

/// What the key begins with under which a straggler is posted again.
const ADOPTED: &str = "adopted:";
/// How long a check waits in all for a moment at which no writer is at work.
const PATIENCE: Duration = Duration::from_millis(100);
/// The rest between two looks for such a moment.
const PAUSE: Duration = Duration::from_micros(200);

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Messages that were read, of this format and older ones.
    pub messages: u64,
    /// Files that were read, archives and the live one.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// The number of the last record; 0 where there is none.
    pub last_seq: u64,
    /// What is not as it should be, in the order of the bus.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether messages are lost or hidden.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind.is_damage())
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The file.
    pub path: PathBuf,
    /// Its place in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes; 0 where it has none.
    pub len: u64,
    /// What to know of it, for a person.
    pub text: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// Bytes that were a record and are none any more.
    Corrupt,
    /// Text without the form of a message.
    Foreign,
    /// Numbers are missing.
    Gap,
    /// The beginning of a record at the end; the next writer moves it aside.
    Torn,
    /// An older program appended to an archive, where followers do not look any more.
    Straggler,
    /// Such a message that was posted again since.
    Adopted,
    /// A file that a rotation left half made; the next one removes it.
    Stray,
    /// A file with messages that waits to be published and continues nothing: nobody reads them.
    Hidden,
    /// Torn records that were moved aside.
    KeptAside,
    /// The live file has another name too, as after a backup by hard links.
    Linked,
}

impl FindingKind {
    /// Its word in every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::Corrupt => "corrupt",
            FindingKind::Foreign => "foreign",
            FindingKind::Gap => "gap",
            FindingKind::Torn => "torn",
            FindingKind::Straggler => "straggler",
            FindingKind::Adopted => "adopted",
            FindingKind::Stray => "stray",
            FindingKind::Hidden => "hidden",
            FindingKind::KeptAside => "kept_aside",
            FindingKind::Linked => "linked",
        }
    }

    /// Whether messages are lost or hidden by it.
    pub fn is_damage(self) -> bool {
        match self {
            FindingKind::Corrupt
            | FindingKind::Gap
            | FindingKind::Straggler
            | FindingKind::Hidden => true,
            FindingKind::Foreign
            | FindingKind::Torn
            | FindingKind::Adopted
            | FindingKind::Stray
            | FindingKind::KeptAside
            | FindingKind::Linked => false,
        }
    }
}

/// A message of an older program that came to an archive after it was one.
#[derive(Debug)]
pub(super) struct Straggler {
    pub(super) message: super::Message,
    pub(super) archive: String,
    /// Its place among the findings.
    finding: usize,
}

impl Straggler {
    /// The key under which it is posted again, once.
    pub(super) fn key(&self) -> String {
        format!("{ADOPTED}{}:{}", self.archive, self.message.cursor)
    }
}

/// The live file as it was opened.
#[derive(Debug)]
struct Live {
    file: Segment,
    stat: Stat,
}

#[derive(Debug, Default)]
struct Check {
    report: CheckReport,
    stragglers: Vec<Straggler>,
    /// The keys under which stragglers were posted again.
    adopted: HashSet<String>,
    /// Whether the last file ended with its last record.
    sealed: bool,
}

/// Looks at every file of a bus, and gives the stragglers that were not posted again. Changes nothing.
///
/// Others may write and rotate meanwhile: what is told is how the bus stood at some moment between the
/// call and its answer.
pub(super) fn check(store: &Store) -> Result<(CheckReport, Vec<Straggler>)> {
    let mut check = Check::default();
    let (archives, live) = files(store)?;
    for archive in archives {
        if let Some(file) = store.open(&archive.name, Open::Read)? {
            check.file(&file, true)?;
        }
    }
    if let Some(Live { file, stat }) = &live {
        check.file(file, false)?;
        if stat.links > 1 && !check.sealed {
            check.find(file, FindingKind::Linked, (0, 0), "the file has another name too");
        }
    }
    check.unpublished(store, live.as_ref())?;
    check.kept_aside(store, &store.torn())?;
    Ok(check.finish())
}

/// The archives of one moment, oldest first, and the live file that followed them.
fn files(store: &Store) -> Result<(Vec<Archive>, Option<Live>)> {
    loop {
        // Opened before archives are listed: where it is archived in between, it is among them.
        let live = store.open(store.live(), Open::Read)?;
        let mut archives = catalog::archives(store)?;
        let Some(file) = live else {
            if store.stat_live()?.is_none() {
                return Ok((archives, None));
            }
            continue;
        };
        let stat = file.stat()?;
        for (at, archive) in archives.iter().enumerate() {
            // It has its archive's name already, beside its own or alone; what follows came later.
            if store.folder().stat(&archive.name)?.is_some_and(|named| named.same_file(&stat)) {
                archives.truncate(at);
                return Ok((archives, Some(Live { file, stat })));
            }
        }
        if store.stat_live()?.is_some_and(|named| named.same_file(&stat)) {
            return Ok((archives, Some(Live { file, stat })));
        }
    }
}

/// Waits a little for a moment at which no writer is at work in a file.
fn without_writers<'a>(
    file: &'a Segment,
    patience: &mut Duration,
) -> Result<Option<SharedLock<'a>>> {
    loop {
        let lock = SharedLock::try_new(file)?;
        if lock.is_some() || patience.is_zero() {
            return Ok(lock);
        }
        file.os().sleep(PAUSE);
        *patience = patience.saturating_sub(PAUSE);
    }
}

impl Check {
    fn find(
        &mut self,
        file: &Segment,
        kind: FindingKind,
        (start, end): (u64, u64),
        text: impl Into<String>,
    ) {
        let (path, len) = (file.path().to_owned(), end - start);
        self.report.findings.push(Finding { kind, path, offset: start, len, text: text.into() });
    }

    fn file(&mut self, file: &Segment, is_archive: bool) -> Result<()> {
        self.report.files += 1;
        self.report.bytes += file.stat()?.size;
        self.sealed = false;
        let mut scanner = Scanner::new();
        let (mut lock, mut patience) = (None, PATIENCE);
        loop {
            let mut found = scanner.look(file)?;
            let unfinished = found.is_doubtful() || matches!(found, Found::Short { .. });
            if unfinished && !is_archive && lock.is_none() {
                // A writer in the middle of its work could have made it look so. From here on none
                // is, unless one was stopped.
                lock = without_writers(file, &mut patience)?;
                scanner.forget();
                found = scanner.look(file)?;
            }
            let end = match found {
                Found::End => return Ok(()),
                Found::Short { start } => {
                    let end = file.stat()?.size.max(start);
                    self.find(file, FindingKind::Torn, (start, end), "a record that was cut off");
                    return Ok(());
                }
                Found::Record { start, ref head } => {
                    let end = start + head.total() as u64;
                    let message = record::decode(scanner.bytes(start, head.total()), head);
                    self.record(file, (start, end), message);
                    end
                }
                Found::Legacy { start, body, end, .. } => {
                    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                    let bytes = scanner.bytes(start, length);
                    let header = header_of_legacy(&bytes[..body]);
                    let message = record::decode_legacy(header, &bytes[body..], 0, start);
                    self.older(file, (start, end), message, is_archive);
                    end
                }
                Found::Line { start, end, number } => {
                    let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                    let message =
                        record::decode_line(scanner.bytes(start, length), number, 0, start);
                    self.older(file, (start, end), message, false);
                    end
                }
                Found::Damage { start, end, foreign: true, .. } => {
                    self.find(file, FindingKind::Foreign, (start, end), "text that is no message");
                    end
                }
                Found::Damage { start, end, .. } => {
                    self.find(file, FindingKind::Corrupt, (start, end), "bytes that are no record");
                    end
                }
            };
            scanner.accept(end);
        }
    }

    fn record(&mut self, file: &Segment, place: (u64, u64), message: Option<super::Message>) {
        let last = self.report.last_seq;
        let message = message.and_then(|message| Some((message.seq?, message)));
        let Some((seq, message)) = message.filter(|(seq, _)| *seq > last && seq - last <= SEQ_JUMP)
        else {
            let text = "a record whose number or header does not fit in its place";
            return self.find(file, FindingKind::Corrupt, place, text);
        };
        if seq > last + 1 {
            let text = format!("the numbers {} to {} are missing", last + 1, seq - 1);
            self.find(file, FindingKind::Gap, (place.0, place.0), text);
        }
        self.report.last_seq = seq;
        self.sealed = message.msg_type == SEGMENT_END;
        if let Some(key) = message.meta(ONCE_KEY).filter(|key| key.starts_with(ADOPTED)) {
            self.adopted.insert(key.to_owned());
        }
        if !record::is_control(&message.msg_type) {
            self.report.messages += 1;
        }
    }

    fn older(
        &mut self,
        file: &Segment,
        place: (u64, u64),
        message: Option<super::Message>,
        is_archive: bool,
    ) {
        let Some(message) = message else {
            return self.find(file, FindingKind::Foreign, place, "text that is no message");
        };
        self.report.messages += 1;
        if is_archive && self.sealed {
            let text = format!("{} was appended after the file was archived", message.msg_id);
            self.find(file, FindingKind::Straggler, place, text);
            let name = file.path().file_name().unwrap_or(OsStr::new(""));
            let archive = name.to_string_lossy().into_owned();
            let finding = self.report.findings.len() - 1;
            self.stragglers.push(Straggler { message, archive, finding });
        }
    }

    /// The file that waits to be published, where it stands behind the live one that was read.
    fn unpublished(&mut self, store: &Store, live: Option<&Live>) -> Result<()> {
        // While no writer is at work there is no rotation either.
        let mut patience = PATIENCE;
        let _lock = match live {
            Some(live) => without_writers(&live.file, &mut patience)?,
            None => None,
        };
        let next = store.open(store.next(), Open::Read)?;
        let stands = match (live, store.stat_live()?) {
            (Some(read), Some(named)) => named.same_file(&read.stat),
            (None, None) => true,
            _ => false,
        };
        match next {
            Some(next) if stands => self.next(&next, live.is_none()),
            _ => Ok(()),
        }
    }

    fn next(&mut self, next: &Segment, is_first: bool) -> Result<()> {
        let first = catalog::first_seq(next)?;
        if first == self.report.last_seq + 1 && (self.sealed || is_first) {
            return self.file(next, false);
        }
        let mut scanner = Scanner::new();
        let mut messages = 0;
        loop {
            let end = match scanner.look(next)? {
                Found::End | Found::Short { .. } => break,
                Found::Record { start, head } => {
                    let message = record::decode(scanner.bytes(start, head.total()), &head);
                    messages += u64::from(message.is_none_or(|m| m.msg_type != SEGMENT_START));
                    start + head.total() as u64
                }
                Found::Legacy { end, .. } | Found::Line { end, .. } | Found::Damage { end, .. } => {
                    messages += 1;
                    end
                }
            };
            scanner.accept(end);
        }
        let (kind, text) = match messages {
            0 => {
                let text = "left by a rotation that was cut short; the next one removes it";
                (FindingKind::Stray, text.to_owned())
            }
            count => (FindingKind::Hidden, format!("holds {count} messages and continues no file")),
        };
        let size = next.stat()?.size;
        self.find(next, kind, (0, size), text);
        Ok(())
    }

    fn kept_aside(&mut self, store: &Store, name: &OsStr) -> Result<()> {
        if let Some(file) = store.open(name, Open::Read)? {
            let text = "torn records of crashed writers; none was acknowledged";
            let size = file.stat()?.size;
            self.find(&file, FindingKind::KeptAside, (0, size), text);
        }
        Ok(())
    }

    /// What was found, and the stragglers that were not posted again.
    fn finish(self) -> (CheckReport, Vec<Straggler>) {
        let Check { mut report, mut stragglers, adopted, .. } = self;
        stragglers.retain(|straggler| {
            let again = adopted.contains(&straggler.key());
            if again && let Some(finding) = report.findings.get_mut(straggler.finding) {
                finding.kind = FindingKind::Adopted;
                finding.text.push_str(", and posted again since");
            }
            !again
        });
        (report, stragglers)
    }
}
