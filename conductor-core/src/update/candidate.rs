//! Whether a program may take the server's place, before a byte of it is run.
//!
//! Whoever can write the file, or exchange a folder above it, decides what the server runs. So all of
//! these belong to the server's user or to root, and nobody else may write to them.

use super::install::refused;
use crate::error::{Error, Result};
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Permission bits of those who are not the owner.
const OTHERS_WRITE: u32 = 0o022;
/// A folder in which nobody renames or removes what is another's, as `/tmp`.
const STICKY: u32 = 0o1000;
/// Any of the bits that make a file executable.
const EXECUTABLE: u32 = 0o111;

/// A candidate that may be copied.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) file: File,
    /// Its path, without symbolic links.
    pub(super) path: PathBuf,
    /// Its length in bytes.
    pub(super) size: u64,
}

impl Candidate {
    /// Opens the program at `binary` if it may be taken.
    ///
    /// # Errors
    /// `update.refused` with what is wrong, `io.not_found`.
    pub(super) fn open(binary: &Path) -> Result<Candidate> {
        if !binary.is_absolute() {
            return Err(Error::invalid(
                "update.binary",
                "binary",
                format!("the path {} of the new program is not absolute", binary.display()),
            ));
        }
        let path = fs::canonicalize(binary).map_err(|e| Error::io("find", binary, e))?;
        // From here on what was looked at is what is copied, whatever the path comes to name.
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        let found = file.metadata().map_err(|e| Error::io("look at", &path, e))?;
        if !found.is_file() {
            return Err(refused(&path, "it is no regular file"));
        }
        if found.mode() & EXECUTABLE == 0 {
            return Err(refused(&path, "it is not executable"));
        }
        refuse_others(&path, &found)?;
        for folder in path.ancestors().skip(1) {
            let found = fs::metadata(folder).map_err(|e| Error::io("look at", folder, e))?;
            refuse_others(folder, &found)?;
        }
        refuse_other_machine(&path, &file)?;
        Ok(Candidate { file, path, size: found.size() })
    }
}

fn refuse_others(path: &Path, found: &Metadata) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own && found.uid() != 0 {
        let owner = found.uid();
        return Err(refused(path, &format!("it belongs to user {owner}, not to you or to root")));
    }
    let shared = found.is_dir() && found.mode() & STICKY != 0;
    if found.mode() & OTHERS_WRITE != 0 && !shared {
        return Err(refused(path, "others than its owner may write to it")
            .with_hint("take the right to write from its group and from others (chmod go-w)"));
    }
    Ok(())
}

/// Refuses a program of another kind than the one that runs: by the class, the order of bytes and the
/// machine in the header of the ELF format.
fn refuse_other_machine(path: &Path, file: &File) -> Result<()> {
    let own = File::open("/proc/self/exe").map_err(|e| Error::io("open", "/proc/self/exe", e))?;
    let own = Header::read(&own).map_err(|e| Error::io("read", "/proc/self/exe", e))?;
    match Header::read(file).map_err(|e| Error::io("read", path, e))? {
        Some(header) if Some(header) == own => Ok(()),
        Some(_) => Err(refused(path, "it is a program for another kind of machine")),
        None => Err(refused(path, "it is no program in the ELF format")),
    }
}

/// What of an ELF header says where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    class: u8,
    order: u8,
    machine: [u8; 2],
}

impl Header {
    /// Length of the header up to and with the machine: `e_ident` of 16 bytes, `e_type`, `e_machine`.
    const LENGTH: usize = 20;

    fn read(file: &File) -> std::io::Result<Option<Header>> {
        use std::os::unix::fs::FileExt as _;
        let mut bytes = [0; Header::LENGTH];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            answer => answer.map(|()| Header::parse(&bytes)),
        }
    }

    fn parse(bytes: &[u8; Header::LENGTH]) -> Option<Header> {
        let magic = bytes.starts_with(b"\x7fELF");
        magic.then(|| Header { class: bytes[4], order: bytes[5], machine: [bytes[18], bytes[19]] })
    }
}

/// The SHA-256 of a file, as hexadecimal digits.
pub(super) fn digest_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let (mut hasher, mut buffer) = (Digest::default(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(|e| Error::io("read", path, e))? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// A SHA-256 that grows.
#[derive(Default)]
pub(super) struct Digest(sha2::Sha256);

impl Digest {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    pub(super) fn finish(self) -> String {
        sha2::Digest::finalize(self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn program(dir: &Path, bytes: &[u8], mode: u32) -> PathBuf {
        let path = dir.join("new");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn this_program_may_be_taken_and_each_flaw_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let own = fs::read("/proc/self/exe").unwrap();
        let good = program(dir.path(), &own[..64], 0o755);
        let candidate = Candidate::open(&good).unwrap();
        assert_eq!((candidate.size, candidate.path), (64, fs::canonicalize(&good).unwrap()));

        let told = |path: &Path, what: &str| {
            let error = Candidate::open(path).unwrap_err();
            assert_eq!(error.code(), "update.refused", "{error}");
            assert!(error.to_string().contains(what), "{error}");
        };
        told(dir.path(), "no regular file");
        told(&program(dir.path(), &own[..64], 0o644), "not executable");
        told(&program(dir.path(), &own[..64], 0o757), "others than its owner");
        told(&program(dir.path(), b"#!/bin/sh\nexit 0\n# long enough\n", 0o755), "no program");
        told(&program(dir.path(), b"", 0o755), "no program");
        let mut foreign = own[..64].to_vec();
        foreign[18] ^= 0xff;
        told(&program(dir.path(), &foreign, 0o755), "another kind of machine");

        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        told(&program(&open, &own[..64], 0o755), "others than its owner");
        assert_eq!(Candidate::open(Path::new("new")).unwrap_err().code(), "update.binary");
        let gone = Candidate::open(&dir.path().join("gone")).unwrap_err();
        assert_eq!(gone.kind(), crate::ErrorKind::NotFound);
    }

    #[test]
    fn a_digest_is_that_of_the_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = program(dir.path(), b"abc", 0o755);
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_of(&path).unwrap(), expected);
    }
}
