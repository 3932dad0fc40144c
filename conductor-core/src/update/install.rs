//! The exchange of one program for another in its folder.
//!
//! Copy beside it, sync, second name for the old one, rename over it, sync of the folder: at every
//! moment the program's name stands for the old program or for the new one, whole.

use super::candidate::{Candidate, Digest, digest_of};
use crate::error::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The names that one exchange uses in the program's folder.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) target: PathBuf,
    /// The copy of the candidate.
    pub(super) next: PathBuf,
    /// The second name of the old program, until the new one has answered.
    pub(super) old: PathBuf,
    /// The backup that stays.
    kept: PathBuf,
}

impl Names {
    pub(super) fn new(target: &Path, mark: &str) -> Names {
        let name = target.file_name().unwrap_or_default();
        let with = |before: &str, after: &str| {
            let mut text = OsString::from(before);
            text.push(name);
            text.push(after);
            target.with_file_name(text)
        };
        Names {
            target: target.to_owned(),
            next: with(".", &format!(".{mark}.next")),
            old: with(".", &format!(".{mark}.old")),
            kept: with("", ".prev"),
        }
    }

    /// Copies the candidate beside the program, durably; the SHA-256 of the copy.
    pub(super) fn stage(&self, candidate: &mut Candidate) -> Result<String> {
        remove(&self.next)?;
        let mode = fs::metadata(&self.target).map_err(|e| io("look at", &self.target, e))?.mode();
        let mut copy = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(&self.next)
            .map_err(|e| io("make", &self.next, e))?;
        let digest = copy_all(candidate, &mut copy, &self.next)?;
        copy.set_permissions(fs::Permissions::from_mode(mode & 0o7777))
            .and_then(|()| copy.sync_all())
            .map_err(|e| io("finish", &self.next, e))?;
        Ok(digest)
    }

    /// Puts the copy into the program's place; the old one keeps a second name.
    pub(super) fn exchange(&self) -> Result<()> {
        remove(&self.old)?;
        fs::hard_link(&self.target, &self.old).map_err(|e| io("keep", &self.target, e))?;
        self.sync()?;
        fs::rename(&self.next, &self.target).map_err(|e| io("replace", &self.target, e))?;
        self.sync()
    }

    /// Gives the old program its place back, if the new one stands there.
    pub(super) fn put_back(&self) -> Result<()> {
        match fs::rename(&self.old, &self.target) {
            // It was put back before, or never left its place.
            Err(error) if error.kind() == IoErrorKind::NotFound => {}
            answer => answer.map_err(|e| io("put back", &self.target, e))?,
        }
        self.sync()
    }

    /// Keeps the old program as the one backup: the new one serves.
    pub(super) fn keep_backup(&self) -> Result<()> {
        match fs::rename(&self.old, &self.kept) {
            Err(error) if error.kind() == IoErrorKind::NotFound => Ok(()),
            answer => answer.map_err(|e| io("keep", &self.old, e)),
        }
    }

    /// Removes what an exchange that went no further has left.
    pub(super) fn clear(&self) -> Result<()> {
        remove(&self.next)?;
        remove(&self.old)
    }

    /// Whether the program at its place has this SHA-256.
    pub(super) fn is_installed(&self, digest: &str) -> Result<bool> {
        Ok(digest_of(&self.target)? == digest)
    }

    fn sync(&self) -> Result<()> {
        let folder = self.target.parent().unwrap_or(&self.target);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| io("sync", folder, e))
    }
}

fn copy_all(candidate: &mut Candidate, copy: &mut File, to: &Path) -> Result<String> {
    let (mut digest, mut buffer, mut copied) = (Digest::default(), vec![0; 1 << 16], 0);
    loop {
        let length =
            candidate.file.read(&mut buffer).map_err(|e| io("read", &candidate.path, e))?;
        if length == 0 {
            break;
        }
        copied += length as u64;
        digest.update(&buffer[..length]);
        copy.write_all(&buffer[..length]).map_err(|e| io("write", to, e))?;
    }
    if copied != candidate.size {
        return Err(refused(&candidate.path, "it changed while it was copied"));
    }
    Ok(digest.finish())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == IoErrorKind::NotFound => Ok(()),
        answer => answer.map_err(|e| io("remove", path, e)),
    }
}

fn io(what: &str, path: &Path, source: std::io::Error) -> Error {
    Error::io(what, path, source)
}

/// The error about a program that may not take the server's place.
pub(super) fn refused(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::UpdateRefused,
        "update.refused",
        format!("{} cannot become the server's program: {why}", path.display()),
    )
    .with_path(path)
    .with_field("binary")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a program `old`, and a candidate `new` beside it.
    fn workshop() -> (tempfile::TempDir, Names, Candidate) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("run-agent"), "old").unwrap();
        fs::set_permissions(dir.path().join("run-agent"), fs::Permissions::from_mode(0o750))
            .unwrap();
        fs::write(dir.path().join("new"), "new").unwrap();
        let path = dir.path().join("new");
        let file = File::open(&path).unwrap();
        let names = Names::new(&dir.path().join("run-agent"), "00c0ffee");
        (dir, names, Candidate { file, path, size: 3 })
    }

    fn listed(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_exchange_keeps_the_mode_and_one_backup() {
        let (dir, names, mut candidate) = workshop();
        let digest = names.stage(&mut candidate).unwrap();
        assert!(!names.is_installed(&digest).unwrap());
        names.exchange().unwrap();
        assert!(names.is_installed(&digest).unwrap());
        assert_eq!(fs::metadata(&names.target).unwrap().mode() & 0o777, 0o750);
        names.keep_backup().unwrap();
        names.clear().unwrap();
        assert_eq!(listed(dir.path()), ["new", "run-agent", "run-agent.prev"]);
        assert_eq!(fs::read_to_string(dir.path().join("run-agent.prev")).unwrap(), "old");
    }

    #[test]
    fn the_old_program_comes_back_from_every_moment() {
        let steps: [fn(&Names, &mut Candidate); 3] = [
            |_, _| {},
            |names, candidate| drop(names.stage(candidate).unwrap()),
            |names, candidate| {
                names.stage(candidate).unwrap();
                names.exchange().unwrap();
            },
        ];
        for step in steps {
            let (dir, names, mut candidate) = workshop();
            step(&names, &mut candidate);
            for _twice in 0..2 {
                names.put_back().unwrap();
                names.clear().unwrap();
                assert_eq!(fs::read_to_string(&names.target).unwrap(), "old");
            }
            assert_eq!(listed(dir.path()), ["new", "run-agent"]);
        }
    }

    #[test]
    fn a_candidate_that_grows_meanwhile_is_refused() {
        let (_dir, names, mut candidate) = workshop();
        candidate.size = 2;
        assert_eq!(names.stage(&mut candidate).unwrap_err().code(), "update.refused");
    }
}
