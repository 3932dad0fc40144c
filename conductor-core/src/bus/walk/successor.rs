//! From the end of one file of a bus to the file that continues it.

use super::{Here, Walk};
use crate::bus::catalog::{self, Archive};
use crate::bus::message::Event;
use crate::bus::place;
use crate::bus::scan::Found;
use crate::error::Result;

impl Walk {
    /// Looks for what comes after the end of the present file; `false` where nothing does yet.
    pub(super) fn go_on(&mut self) -> Result<bool> {
        let Some(here) = &self.here else { return Ok(false) };
        if !here.is_over() {
            // It may be read before it is published, and be published between two looks.
            let names = [self.store.live(), self.store.next(), self.store.live()];
            for name in names {
                let named = self.store.folder().stat(name)?;
                if named.is_some_and(|named| named.same_file(&here.stat)) {
                    return Ok(false);
                }
            }
            // The path changed. What was written before that is still to be read here.
            let found = self.scanner.look(&here.file.clone())?;
            if !matches!(found, Found::End | Found::Short { .. }) {
                return Ok(true);
            }
            self.scanner.forget();
        }
        let next = self.successor()?;
        Ok(self.enter(next))
    }

    /// The archive that begins where the present file ends, without listing them all once more.
    fn listed_successor(&mut self) -> Result<Option<Here>> {
        let want = self.last_seq() + 1;
        while self
            .listed
            .front()
            .is_some_and(|archive| archive.last.is_some_and(|last| last < want))
        {
            self.listed.pop_front();
        }
        match self.listed.pop_front_if(|archive| archive.first == want && archive.last.is_some()) {
            Some(archive) => self.open_archive(archive),
            None => Ok(None),
        }
    }

    /// The file that continues the present one.
    fn successor(&mut self) -> Result<Option<Here>> {
        if let Some(next) = self.listed_successor()? {
            return Ok(Some(next));
        }
        // Archives are named before the file that follows them is published, so what is there now
        // is found if the live file is opened first and the archives are listed then.
        let live = self.open_live()?;
        let Some(here) = &self.here else { return Ok(None) };
        let want = self.last_seq() + 1;
        let seen = match &live {
            Some(live) => Some((live.first()?, live.stat.same_file(&here.stat))),
            None => None,
        };
        match next_step(here.first()?, here.is_over(), want, seen) {
            Next::Live => Ok(live),
            Next::Unpublished => self.open_unpublished(),
            Next::Replaced => match self.later_archive(u64::MAX)? {
                Some(archive) => self.archive_or_again(archive),
                None => live.map(|live| self.replaced(live)).transpose(),
            },
            Next::Archive => {
                let limit =
                    seen.map_or(u64::MAX, |(first, _)| if first == 0 { u64::MAX } else { first });
                match self.later_archive(limit)? {
                    Some(archive) => self.archive_or_again(archive),
                    None if live.is_some() => Ok(live),
                    None => self.open_unpublished(),
                }
            }
        }
    }

    /// Opens an archive that was just listed. Where it was removed meanwhile another file continues
    /// the present one.
    fn archive_or_again(&mut self, archive: Archive) -> Result<Option<Here>> {
        match self.open_archive(archive)? {
            Some(archive) => Ok(Some(archive)),
            None => self.successor(),
        }
    }

    /// The oldest archive behind the present file and before a live one that begins at `limit`.
    fn later_archive(&mut self, limit: u64) -> Result<Option<Archive>> {
        let Some(here) = &self.here else { return Ok(None) };
        let archives = catalog::archives(&self.store)?;
        let mut place = None;
        for (at, archive) in archives.iter().enumerate() {
            let same = match &here.archive {
                Some(name) => *name == archive.name,
                None => {
                    let named = self.store.folder().stat(&archive.name)?;
                    named.is_some_and(|named| named.same_file(&here.stat))
                }
            };
            if same {
                place = Some(at);
            }
        }
        let want = self.last_seq() + 1;
        self.listed = archives.into_iter().skip(place.map_or(0, |at| at + 1)).collect();
        let next = self.listed.iter().position(|archive| {
            let continues = match archive.last {
                Some(last) => last >= want,
                // What an older program archived after the present file, or what begins later.
                None => place.is_some() || archive.first >= want,
            };
            continues && archive.first < limit
        });
        Ok(next.and_then(|next| self.listed.drain(..=next).next_back()))
    }

    /// Goes into a file that took the place of the present one: behind the last record that was
    /// read where it holds that too, else to its start.
    fn replaced(&mut self, live: Here) -> Result<Here> {
        let last_seq = self.last_seq();
        self.ready.push_back(Event::Replaced { path: self.store.path(), last_seq });
        let known = place::around_seq(live.file(), live.size(), last_seq)?.at;
        match known.filter(|spot| spot.id.as_str().as_bytes() == self.last_id) {
            Some(spot) => self.resume_at = spot.end,
            None => self.last_seq = Some(0),
        }
        Ok(live)
    }
}

/// Where a walk goes from the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Into the live file.
    Live,
    /// Into the oldest archive behind this file; else into the live file.
    Archive,
    /// Into the file that waits to be published, if it continues this one; else nowhere yet.
    Unpublished,
    /// The live file does not continue this one, unless an older program archived it.
    Replaced,
}

/// Decides where to go from the end of a file that begins with the number `first`, and is `over` or
/// no longer the live one, to the number `want`. Of the live file: the number of its first record
/// (0 for none), and whether it is this very file.
fn next_step(first: u64, over: bool, want: u64, live: Option<(u64, bool)>) -> Next {
    match live {
        None => Next::Archive,
        Some((_, true)) => Next::Unpublished,
        // The sealed file itself, under its old name: inodes are used again, numbers are not.
        Some((live, false)) if over && live == first && first > 0 => Next::Unpublished,
        // Older programs archive without numbers: another file may lie between.
        Some((live, false)) if live == want && first > 0 => Next::Live,
        Some((live, false)) if live >= want => Next::Archive,
        Some((0, false)) if over => Next::Archive,
        Some(_) => Next::Replaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_follow_each_other_by_number_alone() {
        let other = |first| Some((first, false));
        for (first, over, want, live, next) in [
            // Sealed at 10, from 1.
            (1, true, 11, other(11), Next::Live),
            (1, true, 11, Some((1, true)), Next::Unpublished),
            // The sealed file's number stands at the live path under another inode.
            (1, true, 11, other(1), Next::Unpublished),
            (1, true, 11, other(31), Next::Archive),
            (1, true, 11, None, Next::Archive),
            // An older program's fresh file behind our archive.
            (1, true, 11, other(0), Next::Archive),
            (11, true, 21, other(1), Next::Replaced),
            // The live path changed without a seal.
            (1, false, 11, other(11), Next::Live),
            (1, false, 11, other(12), Next::Archive),
            (1, false, 11, other(1), Next::Replaced),
            (1, false, 11, other(0), Next::Replaced),
            // Older records only.
            (0, false, 1, other(1), Next::Archive),
            (0, true, 1, other(0), Next::Archive),
            (0, false, 1, other(0), Next::Replaced),
        ] {
            assert_eq!(next_step(first, over, want, live), next, "{first} {over} {want} {live:?}");
        }
    }
}
