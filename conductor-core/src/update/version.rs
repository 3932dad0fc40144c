//! Versions, and which of two is the older.

use super::install::refused;
use crate::error::{Error, Result};
use semver::Version;
use std::path::Path;

/// The version of this program.
pub(super) const OWN: &str = env!("CARGO_PKG_VERSION");

/// The version in what a program says to `--version`: the last word of its first line.
pub(super) fn version_in(said: &str) -> Option<Version> {
    Version::parse(said.lines().next()?.split_whitespace().next_back()?).ok()
}

/// Refuses a version older than `own`.
pub(super) fn refuse_downgrade(own: &str, offered: &Version, path: &Path) -> Result<()> {
    match Version::parse(own) {
        Ok(own) if *offered < own => {
            let why = format!("its version {offered} is older than {own}");
            let error: Error = refused(path, &why);
            Err(error.with_hint("allow a downgrade if you mean it"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_last_word_of_the_first_line() {
        let version = |said: &str| version_in(said).map(|version| version.to_string());
        assert_eq!(version("run-agent 1.2.3\nmore 4\n").as_deref(), Some("1.2.3"));
        assert_eq!(version("1.2.3-rc.1+linux").as_deref(), Some("1.2.3-rc.1+linux"));
        assert_eq!(version("run-agent of today"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn an_older_version_is_refused_and_the_same_is_not() {
        let path = Path::new("/new");
        let check = |offered: &str| refuse_downgrade("1.2.3", &offered.parse().unwrap(), path);
        assert!(check("1.2.3").is_ok() && check("1.10.0").is_ok());
        for older in ["1.2.2", "1.2.3-rc.1", "0.99.0"] {
            assert_eq!(check(older).unwrap_err().code(), "update.refused");
        }
        assert!(Version::parse(OWN).is_ok());
    }
}
