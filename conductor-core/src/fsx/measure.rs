//! How much lies in a folder, and how old it is; read only, and without leaving it.

use super::folder::Folder;
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::sys::{FileKind, Stat};
use std::ffi::{OsStr, OsString};

/// How deeply folders are looked into.
const DEEPEST: usize = 64;
/// After how many names it is asked whether the wait is over.
const PART: u32 = 256;

/// What lies in a folder, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The bytes of all files; of one with holes, what it takes up. A file with several names counts
    /// at each of them.
    pub bytes: u64,
    /// When the content of the newest file changed, in nanoseconds of Unix time; `i128::MIN` where
    /// there is none.
    pub newest: i128,
    /// Whether all of it was seen. A folder that may not be read, or that lies too deep, was not.
    pub whole: bool,
    /// Whether something else is mounted somewhere in it; nothing of that is counted.
    pub mounted: bool,
}

impl Measure {
    /// Nothing yet.
    pub const NOTHING: Measure =
        Measure { bytes: 0, newest: i128::MIN, whole: true, mounted: false };

    fn add_file(&mut self, stat: &Stat) {
        self.bytes = self.bytes.saturating_add(stat.takes());
        self.newest = self.newest.max(stat.modified);
    }
}

/// A measurement that is under way.
struct Measuring<'a> {
    sum: Measure,
    wait: &'a Wait,
    seen: u32,
}

impl Measuring<'_> {
    fn new(wait: &Wait) -> Measuring<'_> {
        Measuring { sum: Measure::NOTHING, wait, seen: 0 }
    }

    /// Counts a name that is looked at.
    fn see(&mut self) -> Result<()> {
        self.seen = self.seen.wrapping_add(1);
        if self.seen.is_multiple_of(PART) { self.wait.check() } else { Ok(()) }
    }
}

impl Folder {
    /// Adds up what lies in this folder. `chosen` is asked about each name right in it: what it
    /// refuses is left out.
    ///
    /// What goes while it is looked at is not counted. Memory does not grow with what is there.
    pub fn measure(&self, chosen: &mut dyn FnMut(&OsStr, &Stat) -> bool) -> Result<Measure> {
        self.measure_until(&Wait::FOREVER, chosen)
    }

    /// As [`Folder::measure`], until the wait is over.
    ///
    /// # Errors
    /// Also those of the wait.
    pub fn measure_until(
        &self,
        wait: &Wait,
        chosen: &mut dyn FnMut(&OsStr, &Stat) -> bool,
    ) -> Result<Measure> {
        let mut measuring = Measuring::new(wait);
        self.add_up(&mut measuring, DEEPEST, chosen)?;
        Ok(measuring.sum)
    }

    /// As [`Folder::measure_until`], for names right in this folder that were listed before.
    pub fn measure_names(
        &self,
        names: &[OsString],
        wait: &Wait,
        chosen: &mut dyn FnMut(&OsStr, &Stat) -> bool,
    ) -> Result<Measure> {
        let mut measuring = Measuring::new(wait);
        for name in names {
            self.add_one(&mut measuring, DEEPEST, name, chosen)?;
        }
        Ok(measuring.sum)
    }

    fn add_up(
        &self,
        measuring: &mut Measuring<'_>,
        depth: usize,
        chosen: &mut dyn FnMut(&OsStr, &Stat) -> bool,
    ) -> Result<()> {
        let mut failed = None;
        self.visit(&mut |name, _| {
            let added = self.add_one(measuring, depth, name, chosen);
            failed = added.err();
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn add_one(
        &self,
        measuring: &mut Measuring<'_>,
        depth: usize,
        name: &OsStr,
        chosen: &mut dyn FnMut(&OsStr, &Stat) -> bool,
    ) -> Result<()> {
        measuring.see()?;
        let stat = match self.stat(name) {
            // A folder that may be listed and not entered.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                measuring.sum.whole = false;
                return Ok(());
            }
            stat => stat?,
        };
        let Some(stat) = stat else { return Ok(()) };
        if !chosen(name, &stat) {
            return Ok(());
        }
        if stat.kind != FileKind::Folder {
            measuring.sum.add_file(&stat);
            return Ok(());
        }
        if depth == 0 {
            measuring.sum.whole = false;
            return Ok(());
        }
        match self.folder_here(name) {
            Ok(folder) => folder.add_up(measuring, depth - 1, &mut |_, _| true),
            Err(error) if error.code() == "path.mount_point" => {
                measuring.sum.mounted = true;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                measuring.sum.whole = false;
                Ok(())
            }
            // Gone, or something else by now.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::sys::RealOs;
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn files_are_added_up_and_links_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), [1; 5000]).unwrap();
        fs::write(dir.path().join("left-out"), [1; 7]).unwrap();
        fs::write(dir.path().join("top"), [1; 10]).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("a/link")).unwrap();
        let holes = fs::File::create(dir.path().join("a/holes")).unwrap();
        holes.set_len(1 << 30).unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let sum = folder.measure(&mut |name, _| name != "left-out").unwrap();
        assert!(sum.whole && !sum.mounted);
        assert_eq!(sum.bytes, 5010);
        assert!(sum.newest > 0);
    }

    #[test]
    fn it_ends_with_the_wait_in_the_middle_of_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        for number in 0..3 * PART {
            fs::write(dir.path().join("a").join(number.to_string()), "").unwrap();
        }
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let cancel = Cancel::new();
        cancel.set();
        let error = folder.measure_until(&Wait::from(&cancel), &mut |_, _| true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(folder.measure(&mut |_, _| true).unwrap().whole);
    }

    #[test]
    fn what_lies_too_deep_is_not_seen_and_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let mut deep = folder.clone();
        for _ in 0..70 {
            deep = deep.make_folder("d").unwrap();
        }
        deep.create("file", b"deep").unwrap();
        let sum = folder.measure(&mut |_, _| true).unwrap();
        assert_eq!((sum.bytes, sum.whole), (0, false));
    }
}
