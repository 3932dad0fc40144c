//! The files that a bus has become over time: archives by their range of numbers, then the live one.

use super::record::Head;
use super::scan::{Found, Scanner};
use super::store::{Segment, Store};
use super::tail;
use crate::error::Result;
use crate::sys::{FileKind, Open};
use std::ffi::OsString;

/// Digits of a number in an archive's name.
const DIGITS: usize = 20;

/// A file that is no longer appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archive {
    pub(crate) name: OsString,
    /// The number of its first record; 0 where that has none, or for an older program's archive of
    /// older records.
    pub(crate) first: u64,
    /// The number of its last record; `None` where only reading it tells.
    pub(crate) last: Option<u64>,
}

/// The archives of a bus, oldest first.
pub(crate) fn archives(store: &Store) -> Result<Vec<Archive>> {
    let prefix = format!("{}.", store.live().to_string_lossy());
    let mut found = Vec::new();
    for entry in store.folder().list()? {
        let Some(name) = entry.name.to_str().filter(|_| entry.kind == FileKind::File) else {
            continue;
        };
        let Some(middle) = name.strip_prefix(&prefix).and_then(|n| n.strip_suffix(".archived"))
        else {
            continue;
        };
        if let Some((first, last)) = range(middle) {
            found.push(Archive { name: entry.name, first, last: Some(last) });
        } else if is_date(middle)
            && let Some(file) = store.open(&entry.name, Open::Read)?
        {
            // An older program archived it. It may hold records of ours all the same.
            let first = first_seq(&file)?;
            found.push(Archive { name: entry.name, first, last: None });
        }
    }
    // Dates order what an older program archived: without a number it follows the one before it.
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let mut before = 0;
    let mut keyed: Vec<(u64, Archive)> = Vec::with_capacity(found.len());
    for archive in found {
        let key = if archive.last.is_none() && archive.first == 0 { before } else { archive.first };
        if archive.last.is_none() {
            before = key;
        }
        keyed.push((key, archive));
    }
    keyed.sort_by(|(a, x), (b, y)| (a, &x.name).cmp(&(b, &y.name)));
    Ok(keyed.into_iter().map(|(_, archive)| archive).collect())
}

/// The name for an archive of these numbers; `taken` counts the names that were had.
pub(crate) fn archive_name(store: &Store, first: u64, last: u64, taken: u32) -> OsString {
    let mut name = store.live().to_owned();
    name.push(format!(".s{first:0DIGITS$}-{last:0DIGITS$}"));
    if taken > 0 {
        name.push(format!("-{}", taken + 1));
    }
    name.push(".archived");
    name
}

/// The numbers in `s<first>-<last>`, with or without `-<n>` behind.
fn range(middle: &str) -> Option<(u64, u64)> {
    let mut parts = middle.strip_prefix('s')?.split('-');
    let (first, last) = (parts.next()?, parts.next()?);
    let good = |text: &str| text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    if !good(first) || !good(last) || parts.count() > 1 {
        return None;
    }
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Whether it looks like `YYYYMMDD-HHMMSS`.
fn is_date(middle: &str) -> bool {
    middle.len() == 15
        && middle
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 8 { b == b'-' } else { b.is_ascii_digit() })
}

/// The number of the first record of a file; 0 where that has none.
pub(crate) fn first_seq(file: &Segment) -> Result<u64> {
    Ok(first_record(file)?.map_or(0, |head| head.seq))
}

/// The first record of a file, where it is one of ours.
fn first_record(file: &Segment) -> Result<Option<Head>> {
    match Scanner::new().look(file)? {
        Found::Record { head, .. } => Ok(Some(head)),
        _ => Ok(None),
    }
}

/// The highest number in the archives; 0 where there is none.
pub(crate) fn last_archived_seq(store: &Store) -> Result<u64> {
    let mut last = 0;
    for archive in archives(store)? {
        last = last.max(match archive.last {
            Some(last) => last,
            None => match store.open(&archive.name, Open::Read)? {
                Some(file) => tail::last_seq(&file)?,
                None => 0,
            },
        });
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_archives_are_told_from_other_names() {
        let ours = "s00000000000000000001-00000000000000000010";
        assert_eq!(range(ours), Some((1, 10)));
        assert_eq!(range(&format!("{ours}-2")), Some((1, 10)));
        for name in ["", "s1-2", "s00000000000000000001", &format!("{ours}-2-3"), "20260101-010101"]
        {
            assert_eq!(range(name), None, "{name}");
        }
        assert!(is_date("20260101-010101"));
        assert!(!is_date("2026010a-010101") && !is_date(ours));
    }
}
