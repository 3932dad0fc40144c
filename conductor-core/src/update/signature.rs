//! Whether a candidate was signed by the key that the configuration names.
//!
//! The form is that of minisign: the signature of `run-agent` stands in `run-agent.minisig` beside it.

use super::candidate::Candidate;
use super::install::refused;
use crate::error::{Error, Result};
use minisign_verify::{PublicKey, Signature};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest signature that is read, in bytes.
const LONGEST: u64 = 8192;

/// Checks the copy of a candidate, at `copy`, against the signature beside the candidate.
///
/// # Errors
/// `update.public_key` for a key that is none, else `update.refused`.
pub(super) fn check(candidate: &Candidate, copy: &Path, key: &str) -> Result<()> {
    let key = PublicKey::from_base64(key.trim()).map_err(|source| {
        Error::invalid(
            "update.public_key",
            "update.public_key",
            "the public key is no minisign key",
        )
        .with_source(source)
        .with_hint("give the second line of the file that `minisign -G` made")
    })?;
    let path = beside(&candidate.path);
    let text = read_short(&path)?;
    let wrong = |why: &str| refused(&candidate.path, why);
    let signature = Signature::decode(&text)
        .map_err(|_| wrong(&format!("{} holds no minisign signature", path.display())))?;
    let bytes = fs::read(copy).map_err(|e| Error::io("read", copy, e))?;
    key.verify(&bytes, &signature, false)
        .map_err(|_| wrong("its signature is not by the key of the configuration"))
}

fn beside(binary: &Path) -> PathBuf {
    let mut name = binary.file_name().unwrap_or_default().to_owned();
    name.push(".minisig");
    binary.with_file_name(name)
}

fn read_short(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
        .map_err(|e| Error::io("read the signature", path, e))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    // The example of minisign's own manual: a key, and its signature of a file that holds "test".
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==
";

    #[test]
    fn only_what_the_key_signed_passes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        fs::write(&path, "test").unwrap();
        let candidate = Candidate { file: File::open(&path).unwrap(), path: path.clone(), size: 4 };
        let unsigned = check(&candidate, &path, KEY).unwrap_err();
        assert_eq!(unsigned.kind(), crate::ErrorKind::NotFound);
        fs::write(beside(&path), SIGNATURE).unwrap();
        check(&candidate, &path, KEY).unwrap();
        fs::write(&path, "Test").unwrap();
        assert_eq!(check(&candidate, &path, KEY).unwrap_err().code(), "update.refused");
        fs::write(beside(&path), "no signature").unwrap();
        assert_eq!(check(&candidate, &path, KEY).unwrap_err().code(), "update.refused");
        assert_eq!(check(&candidate, &path, "no key").unwrap_err().code(), "update.public_key");
    }
}
