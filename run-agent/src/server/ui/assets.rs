//! The files of the dashboard.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::OnceLock;

/// A file.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its path below `ui/`.
    pub(super) name: &'static str,
    pub(super) bytes: &'static [u8],
}

// `ASSETS`, all of them, by name: made by `build.rs` from the folder.
include!(concat!(env!("OUT_DIR"), "/ui_assets.rs"));

impl Asset {
    /// What a browser takes it for.
    pub(super) fn media_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("json" | "webmanifest") => "application/json",
            _ => "text/plain; charset=utf-8",
        }
    }
}

/// The digest of all of them, short.
pub(super) fn digest() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| {
        let mut hash = Sha256::new();
        for asset in ASSETS {
            hash.update(asset.name);
            hash.update((asset.bytes.len() as u64).to_le_bytes());
            hash.update(asset.bytes);
        }
        let mut text = String::from("v-");
        for byte in &hash.finalize()[..8] {
            let _never_fails = write!(text, "{byte:02x}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_have_a_type_and_none_is_from_elsewhere() {
        assert!(ASSETS.iter().any(|asset| asset.name == "index.html"));
        for asset in ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            assert_ne!(asset.media_type(), "text/plain; charset=utf-8", "{}", asset.name);
            let elsewhere = text.lines().find(|line| {
                let line = line.replace("http://www.w3.org/2000/svg", "");
                ["http://", "https://", "@import"].iter().any(|word| line.contains(word))
                    && !line.trim_start().starts_with(['*', '/'])
            });
            assert_eq!(elsewhere, None, "{} names another host", asset.name);
        }
    }
}
