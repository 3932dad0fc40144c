//! Changing a file of a person's own, as a whole: a shell's settings, a list of what is to do.
//!
//! It may be a link into somebody's collection of settings, have rights of its own, and be open in an
//! editor. What stands there afterwards is the old content or the new one, in the file that the link
//! leads to, with its rights, its owner and its attributes; and what somebody else wrote meanwhile is
//! never undone.

use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The largest file that is changed, in bytes.
const LIMIT: u64 = 4 << 20;
/// The mode of a file that is made, before the umask.
const MODE: u32 = 0o644;
/// The pause between two tries for the lock of a file.
const PAUSE: Duration = Duration::from_millis(2);

/// Reads a file of a person's; `None` where there is none.
pub(crate) fn read_user_text(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(target) = target_of(path)? else { return Ok(None) };
    let (mut file, meta) = open(path, &target)?;
    read(path, &mut file, &meta).map(Some)
}

/// Gives a file of a person's the content that `change` makes of the one that it has, `None` standing for
/// no file. Gives whether it changed; a change that makes `None` leaves the file alone.
///
/// `change` is called again where somebody else changed the file meanwhile.
///
/// # Errors
/// `file.not_plain`, `file.read_only` and `file.hard_linked` for what is left alone; `lock.timeout`.
pub(crate) fn change_user_file(
    path: &Path,
    wait: &Wait,
    change: impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>>,
) -> Result<bool> {
    loop {
        let done = match target_of(path)? {
            Some(target) => replace(path, &target, wait, &change)?,
            None => create(path, &change)?,
        };
        if let Some(changed) = done {
            return Ok(changed);
        }
        wait.check()?;
    }
}

/// The file that a path leads to; `None` where there is none.
fn target_of(path: &Path) -> Result<Option<PathBuf>> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(_) => Err(Error::io("follow the link", path, error)
                .with_hint("it leads to no file; make that, or remove the link")),
            Err(_) => Ok(None),
        },
        Err(error) => Err(Error::io("find", path, error)),
    }
}

fn open(path: &Path, target: &Path) -> Result<(File, Metadata)> {
    let failed = |e| Error::io("open", path, e);
    // Not blocking: a pipe of that name must not be waited for.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(target).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(refused("file.not_plain", path, "is no plain file", "name a file"));
    }
    Ok((file, meta))
}

fn read(path: &Path, file: &mut File, meta: &Metadata) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    if meta.len() > LIMIT || bytes.len() as u64 > LIMIT {
        return Err(refused("file.too_large", path, "has more than 4 MiB", "name another file"));
    }
    Ok(bytes)
}

fn refused(code: &'static str, path: &Path, what: &str, hint: &str) -> Error {
    let error = Error::new(ErrorKind::InvalidInput, code, format!("{} {what}", path.display()));
    error.with_path(path).with_hint(hint)
}

/// Makes the file; `None` where it has come meanwhile.
fn create(
    path: &Path,
    change: &impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>>,
) -> Result<Option<bool>> {
    let Some(bytes) = change(None)? else { return Ok(Some(false)) };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|e| Error::io("make the folder", folder, e))?;
    }
    let failed = |e| Error::io("make", path, e);
    let next = Next::make(path, None).map_err(failed)?;
    next.fill(&bytes).map_err(failed)?;
    match renameat_with(CWD, &next.path, CWD, path, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Ok(None),
        done => {
            done.map_err(|e| failed(e.into()))?;
            sync_folder(path).map_err(failed)?;
            Ok(Some(true))
        }
    }
}

/// Replaces the file; `None` where it has changed meanwhile.
fn replace(
    path: &Path,
    target: &Path,
    wait: &Wait,
    change: &impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>>,
) -> Result<Option<bool>> {
    let failed = |e| Error::io("change", path, e);
    let (mut file, _) = open(path, target)?;
    lock(path, &file, wait)?;
    // What it is now: who held the lock before may have replaced it.
    let meta = file.metadata().map_err(failed)?;
    if !is_same(target, &meta) {
        return Ok(None);
    }
    let before = read(path, &mut file, &meta)?;
    let Some(after) = change(Some(&before))?.filter(|after| *after != before) else {
        return Ok(Some(false));
    };
    if meta.mode() & 0o222 == 0 {
        let hint = "chmod u+w makes it writable; where a program manages it, change it there";
        return Err(refused("file.read_only", path, "is read-only", hint));
    }
    if meta.nlink() > 1 {
        let hint = "replacing it would part the names; change it by hand, or use a symbolic link";
        return Err(refused("file.hard_linked", path, "has several names", hint));
    }
    let next = Next::make(target, Some(meta.mode() & 0o7777)).map_err(failed)?;
    next.resemble(&file, &meta).and_then(|()| next.fill(&after)).map_err(failed)?;
    // The old file gets the other name, and is looked at before it goes.
    match renameat_with(CWD, &next.path, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) if is_same(&next.path, &meta) => {}
        Ok(()) => {
            let back = renameat_with(CWD, &next.path, CWD, target, RenameFlags::EXCHANGE);
            back.map_err(|e| failed(e.into()))?;
            return Ok(None);
        }
        Err(Errno::INVAL | Errno::NOSYS) => {
            // A file system that cannot do that.
            if !is_same(target, &meta) {
                return Ok(None);
            }
            fs::rename(&next.path, target).map_err(failed)?;
        }
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    }
    drop(next);
    sync_folder(target).map_err(failed)?;
    Ok(Some(true))
}

/// Whether a path names this very file with this very content.
fn is_same(path: &Path, meta: &Metadata) -> bool {
    let of =
        |meta: &Metadata| (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    fs::symlink_metadata(path).is_ok_and(|now| of(&now) == of(meta))
}

/// Locks a file against others of this program; editors know nothing of it.
fn lock(path: &Path, file: &File, wait: &Wait) -> Result<()> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            // A file system without locks: what changes meanwhile is noticed all the same.
            Err(Errno::OPNOTSUPP | Errno::NOLCK | Errno::NOSYS) => return Ok(()),
            done => return done.map_err(|e| Error::io("lock", path, e.into())),
        }
        wait.check().map_err(|over| match over.kind() {
            ErrorKind::Timeout => {
                let what = format!("{} is locked", path.display());
                Error::new(ErrorKind::Busy, "lock.timeout", what).with_path(path)
            }
            _ => over,
        })?;
        std::thread::sleep(wait.remaining().map_or(PAUSE, |left| left.min(PAUSE)));
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The file that is to take the other's place; gone when it is dropped.
struct Next {
    path: PathBuf,
    file: File,
    /// The mode that it gets once it is whole, where it was made with another.
    mode: Option<u32>,
}

impl Next {
    /// With the mode of the file that it is to replace; without one, as any new file.
    fn make(target: &Path, mode: Option<u32>) -> io::Result<Next> {
        static SEQUENCE: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = SEQUENCE.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(".");
            name.push(target.file_name().unwrap_or(OsStr::new("file")));
            name.push(format!(".{}-{number}.next", std::process::id()));
            let path = target.with_file_name(name);
            // Nobody else may read it before it has the other's rights.
            let first = if mode.is_some() { 0o600 } else { MODE };
            let made = OpenOptions::new().write(true).create_new(true).mode(first).open(&path);
            match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return Ok(Next { path, file: file?, mode }),
            }
        }
    }

    /// Takes owner and attributes of the file that it is to replace.
    fn resemble(&self, other: &File, meta: &Metadata) -> io::Result<()> {
        let mine = self.file.metadata()?;
        if (mine.uid(), mine.gid()) != (meta.uid(), meta.gid()) {
            std::os::unix::fs::fchown(&self.file, Some(meta.uid()), Some(meta.gid()))?;
        }
        copy_attributes(other, &self.file)
    }

    fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        if let Some(mode) = self.mode {
            self.file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        self.file.sync_all()
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        // It has the other name by now, or holds what must not stay.
        let _gone = fs::remove_file(&self.path);
    }
}

/// Copies extended attributes: access lists, security labels, what a person attached.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let len = match rustix::fs::flistxattr(from, &mut names[..]) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        len => len?,
    };
    let mut value = vec![0; 64 << 10];
    for name in names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let len = match rustix::fs::fgetxattr(from, name, &mut value[..]) {
            Err(Errno::NODATA | Errno::ACCESS | Errno::PERM) => continue,
            len => len?,
        };
        match rustix::fs::fsetxattr(to, name, &value[..len], rustix::fs::XattrFlags::empty()) {
            // Attributes that only the system sets are set by it.
            Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn appended(path: &Path, text: &str) -> Result<bool> {
        change_user_file(path, &Wait::from(Duration::from_secs(60)), |before| {
            let mut after = before.unwrap_or_default().to_vec();
            after.extend_from_slice(text.as_bytes());
            Ok(Some(after))
        })
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn rights_links_and_attributes_stay() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("settings/rc");
        fs::create_dir(dir.path().join("settings")).unwrap();
        fs::write(&real, "one\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        let name = "user.test";
        let flags = rustix::fs::XattrFlags::empty();
        let has_attributes = rustix::fs::setxattr(&real, name, b"kept", flags).is_ok();
        let link = dir.path().join("rc");
        symlink("settings/rc", &link).unwrap();
        assert!(appended(&link, "two\n").unwrap());
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("settings/rc"));
        assert_eq!(fs::read_to_string(&real).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
        if has_attributes {
            let mut value = [0; 16];
            let len = rustix::fs::getxattr(&real, name, &mut value[..]).unwrap();
            assert_eq!(&value[..len], b"kept");
        }
        assert_eq!((names(dir.path()), names(&dir.path().join("settings"))), (2, 1));
    }

    #[test]
    fn a_file_is_made_with_its_folder_and_left_alone_where_nothing_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/rc");
        let wait = Wait::from(Duration::from_secs(60));
        assert!(!change_user_file(&path, &wait, |_| Ok(None)).unwrap());
        assert!(!dir.path().join("a").exists());
        assert!(appended(&path, "x").unwrap());
        let inode = fs::metadata(&path).unwrap().ino();
        assert!(!appended(&path, "").unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    }

    #[test]
    fn what_must_not_be_replaced_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("twice"), "x").unwrap();
        fs::hard_link(path("twice"), path("other")).unwrap();
        fs::write(path("fixed"), "x").unwrap();
        fs::set_permissions(path("fixed"), fs::Permissions::from_mode(0o444)).unwrap();
        fs::create_dir(path("folder")).unwrap();
        rustix::fs::mkfifoat(CWD, path("pipe"), rustix::fs::Mode::RUSR).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        let code = |name: &str| appended(&path(name), "y").unwrap_err().code();
        assert_eq!(code("twice"), "file.hard_linked");
        assert_eq!(code("fixed"), "file.read_only");
        assert_eq!((code("folder"), code("pipe")), ("file.not_plain", "file.not_plain"));
        assert_eq!(code("dangling"), "io.not_found");
        assert_eq!(fs::read(path("twice")).unwrap(), b"x");
        assert_eq!(names(dir.path()), 6);
    }

    #[test]
    fn what_somebody_wrote_meanwhile_is_not_undone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("todo");
        fs::write(&path, "old\n").unwrap();
        // An editor saves between our look and our change, once by replacing and once in place.
        for (round, in_place) in [(1, false), (2, true)] {
            let called = std::cell::Cell::new(0);
            let wait = Wait::from(Duration::from_secs(60));
            change_user_file(&path, &wait, |before| {
                called.set(called.get() + 1);
                if called.get() == 1 {
                    let saved = format!("saved {round}, and longer\n");
                    if !in_place {
                        fs::remove_file(&path).unwrap();
                    }
                    fs::write(&path, saved).unwrap();
                }
                Ok(Some([before.unwrap(), b"mine\n"].concat()))
            })
            .unwrap();
            assert_eq!(called.get(), 2);
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text, format!("saved {round}, and longer\nmine\n"));
        }
        assert_eq!(names(dir.path()), 1);
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("todo");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for m in 0..5 {
                        appended(path, &format!("{n}-{m}\n")).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 40);
        assert_eq!(names(dir.path()), 1);
    }
}
