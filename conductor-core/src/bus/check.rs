//! Looking at every byte of a bus, and saying what is not as it should be.

use super::catalog;
use super::record::{self, SEGMENT_END, SEGMENT_START, SEQ_JUMP};
use super::scan::{Found, Scanner};
use super::store::{Segment, Store};
use super::walk::header_of_legacy;
use crate::error::Result;
use crate::sys::Open;
use std::ffi::OsStr;
use std::path::PathBuf;

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
    /// A file that waits to be published and continues nothing.
    Stray,
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
            FindingKind::Stray => "stray",
            FindingKind::KeptAside => "kept_aside",
            FindingKind::Linked => "linked",
        }
    }

    /// Whether messages are lost or hidden by it.
    pub fn is_damage(self) -> bool {
        matches!(self, FindingKind::Corrupt | FindingKind::Gap | FindingKind::Straggler)
    }
}

/// A message of an older program that came to an archive after it was one.
#[derive(Debug)]
pub(super) struct Straggler {
    pub(super) message: super::Message,
    pub(super) archive: String,
}

#[derive(Debug, Default)]
struct Check {
    report: CheckReport,
    stragglers: Vec<Straggler>,
    /// Whether the last file ended with its last record.
    sealed: bool,
}

/// Looks at every file of a bus. Changes nothing.
pub(super) fn check(store: &Store) -> Result<(CheckReport, Vec<Straggler>)> {
    let mut check = Check::default();
    for archive in catalog::archives(store)? {
        if let Some(file) = store.open(&archive.name, Open::Read)? {
            check.file(&file, true)?;
        }
    }
    if let Some(file) = store.open(store.live(), Open::Read)? {
        // While no writer is at work nothing is half done; one that does not end is waited for
        // by who needs to write, not by a check.
        let lock = super::lock::SharedLock::try_new(&file)?;
        check.file(&file, false)?;
        drop(lock);
        let stat = file.stat()?;
        if stat.links > 1 && !check.sealed {
            check.find(&file, FindingKind::Linked, (0, 0), "the file has another name too");
        }
    }
    if let Some(next) = store.open(store.next(), Open::Read)? {
        check.next(&next)?;
    }
    check.kept_aside(store, &store.torn())?;
    Ok((check.report, check.stragglers))
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
        loop {
            let found = scanner.look(file)?;
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
            self.stragglers.push(Straggler { message, archive });
        }
    }

    /// The file that waits to be published.
    fn next(&mut self, next: &Segment) -> Result<()> {
        let first = catalog::first_seq(next)?;
        if first == self.report.last_seq + 1 && (self.sealed || self.report.files == 0) {
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
        let text = match messages {
            0 => "left by a rotation that was cut short; the next one removes it".to_owned(),
            count => format!("holds {count} messages and continues no file"),
        };
        let size = next.stat()?.size;
        self.find(next, FindingKind::Stray, (0, size), text);
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
}
