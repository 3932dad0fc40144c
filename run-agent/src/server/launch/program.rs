//! The server's own program.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// What the kernel puts behind the path of a program that stands there no more.
const GONE: &[u8] = b" (deleted)";

/// Where the program of this process stands.
///
/// A server that was killed during an update may have put another program into its place since this process
/// began: that one is the server's program now.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe().map(standing)
}

fn standing(told: PathBuf) -> PathBuf {
    match told.as_os_str().as_bytes().strip_suffix(GONE) {
        Some(path) if !told.exists() => OsStr::from_bytes(path).into(),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_exchanged_is_known_by_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (place, odd) = (dir.path().join("run-agent"), dir.path().join("run-agent (deleted)"));
        assert_eq!(standing(place.clone()), place);
        assert_eq!(standing(odd.clone()), place);
        std::fs::write(&odd, "").unwrap();
        assert_eq!(standing(odd.clone()), odd, "it is called so");
    }
}
