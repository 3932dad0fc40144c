//! A seal on what a page was shown and may send back: that this server made it, and nobody else.
//!
//! A page of a stranger can neither read what was shown nor make a seal, also where no token is wanted.

use conductor_core::{Error, ErrorKind, Result};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// What seals are made with; another one after each start of the server.
#[derive(Clone)]
pub(crate) struct Seal([u8; 32]);

impl Seal {
    /// A new one.
    ///
    /// # Errors
    /// `server.no_random`.
    pub(crate) fn new() -> Result<Seal> {
        let mut key = [0; 32];
        let filled = getrandom(&mut key, GetRandomFlags::empty());
        match filled {
            Ok(32) => Ok(Seal(key)),
            other => {
                let source = other.err().map_or_else(
                    || std::io::Error::from(std::io::ErrorKind::UnexpectedEof),
                    std::io::Error::from,
                );
                let message = "the kernel gives no random bytes";
                Err(Error::new(ErrorKind::Io, "server.no_random", message).with_source(source))
            }
        }
    }

    /// The text with its seal in front.
    pub(crate) fn put_on(&self, text: &str) -> String {
        let mut sealed = String::with_capacity(text.len() + 65);
        for byte in self.of(text) {
            let _never_fails = write!(sealed, "{byte:02x}");
        }
        sealed.push('.');
        sealed.push_str(text);
        sealed
    }

    /// The text behind a seal of this server; `None` for any other.
    pub(crate) fn open<'a>(&self, sealed: &'a str) -> Option<&'a str> {
        let (_, text) = sealed.split_once('.')?;
        let right = self.put_on(text);
        bool::from(right.as_bytes().ct_eq(sealed.as_bytes())).then_some(text)
    }

    /// Hashed twice, so that nothing can be added to the text.
    fn of(&self, text: &str) -> [u8; 32] {
        let inner = Sha256::new().chain_update(self.0).chain_update(text).finalize();
        Sha256::new().chain_update(self.0).chain_update(inner).finalize().into()
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_seals_open() {
        let seal = Seal::new().unwrap();
        let sealed = seal.put_on("gc1 a.b");
        assert_eq!(seal.open(&sealed), Some("gc1 a.b"));
        assert_eq!(seal.open(&format!("{sealed}x")), None);
        assert_eq!(seal.open(&sealed[1..]), None);
        assert_eq!(seal.open("gc1"), None);
        assert_eq!(Seal::new().unwrap().open(&sealed), None);
    }
}
