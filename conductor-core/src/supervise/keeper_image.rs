//! The keeper's program: a file below the root, or in memory where files there may not be executed.

use crate::error::{Error, Result};
use crate::fsx::Folder;
use crate::layout::Layout;
use crate::sys::{self, KeeperImage, Open};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::ffi::CString;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

/// The mode of the program's file.
const EXECUTABLE: u32 = 0o755;

/// Where this process starts keepers from. One per opened root.
#[derive(Debug, Default)]
pub(crate) struct KeeperProgram(Mutex<Option<Installed>>);

#[derive(Clone, Debug)]
enum Installed {
    /// Visible in `ps` under the root that it serves.
    File(CString),
    /// For roots on a file system mounted `noexec`.
    Memory(Arc<OwnedFd>),
}

impl KeeperProgram {
    /// Calls `start` with the program, in memory if its file may not be executed.
    pub(crate) fn with<T>(
        &self,
        layout: &Layout,
        mut start: impl FnMut(KeeperImage<'_>) -> io::Result<T>,
    ) -> Result<T> {
        let failed = |source: io::Error| {
            Error::new(
                crate::ErrorKind::SpawnFailed,
                "keeper.not_started",
                "the keeper of the run could not be started",
            )
            .with_source(source)
        };
        if let Installed::File(path) = self.installed(layout)? {
            match start(KeeperImage::Path(&path)) {
                // A mount that forbids it, or a file that a forked thread of the host still holds open.
                Err(error) if is_refused(&error) => {
                    let image = sys::keeper_memfd().map_err(failed)?;
                    *self.0.lock() = Some(Installed::Memory(Arc::new(image)));
                }
                // Somebody removed it, or the whole root, since this process put it there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => *self.0.lock() = None,
                answer => return answer.map_err(failed),
            }
        }
        match self.installed(layout)? {
            Installed::Memory(image) => start(KeeperImage::Memfd(image.as_fd())).map_err(failed),
            Installed::File(path) => start(KeeperImage::Path(&path)).map_err(failed),
        }
    }

    fn installed(&self, layout: &Layout) -> Result<Installed> {
        let mut known = self.0.lock();
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let found = install(&layout.ensure_bin()?)?;
        *known = Some(found.clone());
        Ok(found)
    }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::ETXTBSY))
}

/// Puts the program's file below the root, whole and under a name of its content.
fn install(bin: &Folder) -> Result<Installed> {
    let bytes = sys::keeper_bytes();
    if bytes.is_empty() {
        return Err(Error::new(
            crate::ErrorKind::Unsupported,
            "keeper.unsupported",
            "there is no keeper for this platform",
        )
        .with_hint("runs are supervised on Linux, on x86_64 and aarch64"));
    }
    let name = format!("keeper-{:08x}", crc32c::crc32c(bytes));
    // Some other content under this name is not executed: it is replaced.
    let limit = bytes.len() as u64;
    let whole = match bin.read_if_exists(&name, limit) {
        Ok(found) => found.is_some_and(|found| found == bytes),
        Err(error) if error.code() == "file.too_large" => false,
        Err(error) => return Err(error),
    };
    if !whole {
        // Several may do this at once: each writes a file of its own.
        let next = format!(".{name}.{:016x}.next", RandomState::new().build_hasher().finish());
        let fd = bin.open(&next, Open::CreateNew(EXECUTABLE))?;
        let written = bin.write_all(&fd, &next, bytes);
        drop(fd);
        let renamed = written.and_then(|()| {
            bin.os()
                .rename_at(bin.fd(), next.as_ref(), bin.fd(), name.as_ref(), true)
                .map_err(|e| bin.error("replace", &name, e))
        });
        if let Err(error) = renamed {
            let _first_error_is_told = bin.remove_file(&next);
            return Err(error);
        }
    }
    let path = bin.join(&name);
    CString::new(path.as_os_str().as_bytes())
        .map(Installed::File)
        .map_err(|source| Error::invalid("path.nul", "root", "NUL in a path").with_source(source))
}
