//! The token of the server of a root: who may read it may change what the root holds.

use super::conductor::Conductor;
use crate::cancel::Wait;
use crate::config::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::{CONDUCTOR, SERVER_LOCK, SERVER_TOKEN};
use crate::limits;
use crate::sys::{self, LockKind, Open};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

/// The token's length in bytes; it is written in hexadecimal digits.
const BYTES: usize = 32;
/// The mode of the token's file.
const MODE: u32 = 0o600;
/// The bits of a mode that let others read or write.
const OTHERS: u32 = 0o077;
/// The name under which a new token is written first.
const NEXT: &str = ".server.token.next";

impl Conductor {
    /// The token of the root's server; `None` where none was made yet. Reads only.
    ///
    /// # Errors
    /// `server.token_readable` for a file that others may read; `server.token_damaged`.
    pub fn server_token(&self) -> Result<Option<Secret>> {
        let root = match self.engine.layout().root() {
            Err(error) if error.code() == "root.not_found" => return Ok(None),
            root => root?,
        };
        match root.folder_if_exists(Path::new(CONDUCTOR))? {
            Some(folder) => read(&folder),
            None => Ok(None),
        }
    }

    /// The token of the root's server, made where there is none: 256 bits from the kernel, in a file
    /// that only its owner may read.
    ///
    /// # Errors
    /// As [`server_token`](Conductor::server_token), and what keeps it from being written.
    pub fn ensure_server_token(&self) -> Result<Secret> {
        let folder = self.engine.layout().ensure_root()?.ensure_folder(CONDUCTOR)?;
        let wait = Wait::from(limits::RECORD_LOCK);
        let _one_at_a_time = folder.lock(SERVER_LOCK, LockKind::Exclusive, &wait)?;
        if let Some(token) = read(&folder)? {
            return Ok(token);
        }
        let mut bytes = [0; BYTES];
        sys::random(&mut bytes).map_err(|source| {
            Error::new(ErrorKind::Io, "server.no_randomness", "the kernel gave no random bytes")
                .with_source(source)
        })?;
        let mut token = String::with_capacity(2 * BYTES);
        for byte in bytes {
            let _never_fails = write!(token, "{byte:02x}");
        }
        // Whole or not there, and never readable by others, not even for a moment.
        folder.remove_file(NEXT)?;
        let file = folder.open(NEXT, Open::CreateNew(MODE))?;
        folder.write_all(&file, NEXT, format!("{token}\n").as_bytes())?;
        folder.os().sync_data(&file).map_err(|e| folder.error("sync", NEXT, e))?;
        let (from, to) = (OsStr::new(NEXT), OsStr::new(SERVER_TOKEN));
        folder
            .os()
            .rename_at(folder.fd(), from, folder.fd(), to, false)
            .map_err(|e| folder.error("make", SERVER_TOKEN, e))?;
        folder.sync()?;
        Ok(Secret::new(token))
    }
}

fn read(folder: &Folder) -> Result<Option<Secret>> {
    let Some(bytes) = folder.read_if_exists(SERVER_TOKEN, limits::TOKEN_FILE)? else {
        return Ok(None);
    };
    let path = folder.join(SERVER_TOKEN);
    if folder.stat(SERVER_TOKEN)?.is_some_and(|stat| stat.mode & OTHERS != 0) {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "server.token_readable",
            format!("others may read the token {}", path.display()),
        )
        .with_hint(format!("remove it, so that a new one is made: rm {}", path.display()))
        .with_path(path));
    }
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "server.token_damaged",
            format!("{} holds no token", path.display()),
        )
        .with_hint("remove it, so that a new one is made")
        .with_path(path));
    }
    Ok(Some(Secret::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_token_is_made_once_and_is_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Conductor::open(dir.path().join("root"), Options::default()).unwrap();
        assert_eq!(conductor.server_token().unwrap(), None);
        let token = conductor.ensure_server_token().unwrap();
        assert_eq!(token.reveal().len(), 64);
        assert_eq!(conductor.ensure_server_token().unwrap(), token);
        assert_eq!(conductor.server_token().unwrap(), Some(token));
        let path = dir.path().join("root/.conductor/server.token");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(conductor.server_token().unwrap_err().code(), "server.token_readable");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "two words\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(conductor.ensure_server_token().unwrap_err().code(), "server.token_damaged");
    }
}
