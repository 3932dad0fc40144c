//! A whole bus, archives and all, as the checker reads it.

use super::checker::{Read, crc32c, read_segment};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads all segments of a bus, oldest first, and checks that they hang together: numbers dense
/// from 1, ids in order, each segment but the last sealed.
/// Archives may lie in several folders; the bus is in the last.
pub(crate) fn read_bus(folders: &[&Path], name: &str) -> Vec<Read> {
    let mut segments = archives(folders);
    segments.push(folders.last().unwrap().join(name));
    let mut all = Vec::new();
    let last = segments.len() - 1;
    for (at, path) in segments.iter().enumerate() {
        let records = read_segment(&fs::read(path).unwrap(), path);
        assert_eq!(records[0].kind, "BUS_SEGMENT_START", "{}", path.display());
        let sealed = records.last().unwrap().kind == "BUS_SEGMENT_END";
        assert!(sealed || at == last, "{} is not sealed", path.display());
        all.extend(records);
    }
    for (at, record) in all.iter().enumerate() {
        assert_eq!(record.seq, at as u64 + 1, "a number is missing or doubled");
        assert!(at == 0 || all[at - 1].id[..29] < record.id[..29], "ids are out of order");
    }
    all
}

/// The archives in some folders, oldest first; each once, whatever folders it lies in.
fn archives(folders: &[&Path]) -> Vec<PathBuf> {
    let paths = folders.iter().flat_map(|folder| super::kit::archives(folder));
    let by_name: BTreeMap<_, _> =
        paths.map(|path| (path.file_name().unwrap().to_owned(), path)).collect();
    by_name.into_values().collect()
}

/// The archives as they were first seen, by name: none may ever change.
#[derive(Default)]
pub(crate) struct Seals(HashMap<OsString, (u64, u32)>);

impl Seals {
    /// Looks at the archives again; with `whole` at all their bytes.
    pub(crate) fn look(&mut self, folders: &[&Path], whole: bool) {
        let mut seen = 0;
        for path in archives(folders) {
            let name = path.file_name().unwrap().to_owned();
            // It may be removed meanwhile, and is then in another folder.
            let Ok(length) = fs::metadata(&path).map(|meta| meta.len()) else { continue };
            seen += 1;
            let known = match self.0.get(&name) {
                Some(known) if !whole => *known,
                known => {
                    let Ok(bytes) = fs::read(&path) else { continue };
                    let sum = crc32c(bytes.iter().copied());
                    let known = known.copied().unwrap_or((length, sum));
                    assert_eq!(known.1, sum, "{} changed", path.display());
                    self.0.insert(name, known);
                    known
                }
            };
            assert_eq!(known.0, length, "{} changed", path.display());
        }
        assert!(!whole || seen == self.0.len(), "an archive is gone");
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
