//! The token of an agent: from the environment, from the configuration, from a file of its own.

use super::load::LoadedConfig;
use super::model::{Agent, Config};
use super::secret::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::sys;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Readable, writable or executable by strangers.
const OTHERS: u32 = 0o007;
/// Where container runtimes mount secrets, with a mode that their user often cannot choose.
const SECRETS: &str = "/run/secrets";

impl Agent {
    /// The token that is said for it; a file is read now.
    ///
    /// # Errors
    /// `config.token_file` for one that cannot be read, is empty or holds several lines;
    /// `config.token_file_readable` for one that strangers may read, unless it is a container's secret.
    pub fn token(&self) -> Result<Option<Secret>> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Some(token.clone())),
            (None, Some(path)) => read_token(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

impl LoadedConfig {
    /// Every token that the configuration and its variables know. A token file that cannot be read is
    /// told when its agent is started.
    pub(crate) fn known_secrets(&self) -> Vec<Secret> {
        let config = self.config();
        let mut all: Vec<Secret> = self.variables().values().cloned().collect();
        all.extend(config.api.api_key.iter().chain(&config.webhook.secret).cloned());
        for agent in config.agents.values() {
            all.extend(agent.token().ok().flatten());
            let named = agent.env.iter().flatten().filter(|(name, _)| is_secret_name(name));
            all.extend(named.map(|(_, value)| value.clone()));
        }
        all
    }
}

/// Whether the name of a variable says that its value is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "APIKEY"];
    words.iter().any(|word| upper.contains(word)) || upper.ends_with("_KEY")
}

impl Config {
    /// Whether it holds a secret itself, rather than the name of a file.
    pub(super) fn holds_secrets(&self) -> bool {
        let agents = self.agents.values();
        self.api.api_key.is_some()
            || self.webhook.secret.is_some()
            || self.webhook.url.is_some()
            || agents.into_iter().any(|agent| agent.token.is_some() || agent.env.is_some())
    }
}

fn read_token(path: &Path) -> Result<Secret> {
    let (bytes, meta) = sys::read_regular_file(path, limits::TOKEN_FILE)
        .map_err(|e| Error::io("read the token file", path, e).with_field("token_file"))?;
    if meta.permissions().mode() & OTHERS != 0 && !sys::lies_in_system_folder(path, &meta, SECRETS)
    {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "config.token_file_readable",
            format!("others may read the token file {}", path.display()),
        )
        .with_path(path)
        .with_field("token_file")
        .with_hint(format!(
            "chmod 600 {}; a container's secret is mounted below {SECRETS}",
            path.display()
        )));
    }
    let wrong = |what: &str| {
        Error::invalid(
            "config.token_file",
            "token_file",
            format!("the token file {} {what}", path.display()),
        )
        .with_path(path)
        .with_hint("it holds the token alone, on one line")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not UTF-8"))?.trim();
    if text.is_empty() {
        return Err(wrong("is empty"));
    }
    if text.contains(char::is_control) {
        return Err(wrong("holds more than one line"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn agent(path: &Path) -> Agent {
        Agent { token_file: Some(path.to_owned()), ..Agent::default() }
    }

    #[test]
    fn a_token_file_holds_one_line_that_nobody_else_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let write = |text: &[u8], mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            agent(&path).token()
        };
        let token = write(b"  sk-1\n\n", 0o600).unwrap().unwrap();
        assert_eq!(token.reveal(), "sk-1");
        assert!(write(b"sk-1", 0o640).is_ok(), "the group is the owner's own choice");
        let error = write(b"sk-1", 0o644).unwrap_err();
        assert_eq!(error.code(), "config.token_file_readable");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        for text in [b" \n".as_slice(), b"a\nb\n", b"\xff"] {
            let error = write(text, 0o600).unwrap_err();
            assert_eq!((error.code(), error.path()), ("config.token_file", Some(&*path)));
        }
        let error = agent(&dir.path().join("none")).token().unwrap_err();
        assert_eq!(error.field(), Some("token_file"));
        let error = agent(dir.path()).token().unwrap_err();
        assert!(std::error::Error::source(&error).is_some(), "{error:?}");
    }

    #[test]
    fn a_secret_of_a_container_may_be_as_open_as_it_was_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("secrets");
        fs::create_dir(&folder).unwrap();
        let secret = folder.join("token");
        let open = |path: &Path, folder_mode: u32, mode: u32| {
            fs::write(&secret, "sk-1").unwrap();
            fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(folder_mode)).unwrap();
            let meta = fs::metadata(path).unwrap();
            sys::lies_in_system_folder(path, &meta, folder.to_str().unwrap())
        };
        // Only the administrator's own folder counts, which this user's is not unless he is that.
        let by_root = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&folder).unwrap()) == 0;
        assert_eq!(open(&secret, 0o755, 0o444), by_root);
        assert!(!open(&secret, 0o777, 0o444), "others may put a file there");
        assert!(!open(&secret, 0o755, 0o666), "others may change it");
        let outside = dir.path().join("token");
        fs::write(&outside, "sk-2").unwrap();
        assert!(!open(&outside, 0o755, 0o444));
        // As a cluster mounts it: a link to a file beside it.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        assert_eq!(open(&link, 0o755, 0o444), by_root);
        let way_out = folder.join("way-out");
        std::os::unix::fs::symlink(&outside, &way_out).unwrap();
        assert!(!open(&way_out, 0o755, 0o444));
    }
}
