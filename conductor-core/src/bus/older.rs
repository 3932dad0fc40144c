//! Programs that may write to a bus and do not look for a rotation, as older versions do.

use super::options::BusOptions;
use super::record;
use super::rotate::Rotation;
use super::scan::{Found, Scanner};
use super::store::Segment;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{Layout, ROOT_SETTINGS};
use crate::limits;
use crate::time::Timestamp;
use crate::yaml::{Value, parse_mapping};
use std::time::Duration;

/// As long as an older program wrote within this time, it may write again.
const OLDER_WRITER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The key of [`ROOT_SETTINGS`] that says that such programs may write anywhere in the root.
const ALLOW: &str = "allow_legacy_writers";

/// What keeps the bus in `file` from being rotated: an older program is allowed to write here, or did.
pub(super) fn refuses_rotation(
    options: &BusOptions,
    file: &Segment,
    now: Timestamp,
) -> Result<Option<Rotation>> {
    let allowed =
        options.allow_legacy_writers || options.root.as_ref().map_or(Ok(false), are_allowed_in)?;
    Ok((allowed || has_written(file, now)?).then_some(Rotation::OlderWriter))
}

/// Whether the root's settings allow them. Asked at each rotation, so that a process that lives long
/// heeds a change.
fn are_allowed_in(root: &Layout) -> Result<bool> {
    let bytes = match root.conductor() {
        Ok(None) => return Ok(false),
        Ok(Some(folder)) => match folder.read(ROOT_SETTINGS, limits::YAML_FILE) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            bytes => (folder.path().join(ROOT_SETTINGS), bytes?),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let (path, bytes) = bytes;
    match parse_mapping(&bytes, &path)?.get(ALLOW) {
        None => Ok(false),
        Some(Value::Bool(allowed)) => Ok(*allowed),
        Some(_) => Err(Error::invalid(
            "root.setting_invalid",
            ALLOW,
            format!("{}: {ALLOW} is neither true nor false", path.display()),
        )
        .with_path(path)
        .with_hint("write `allow_legacy_writers: true` while programs older than conductor write to this root")),
    }
}

/// Whether somebody who does not look at the path before writing may be writing here.
fn has_written(file: &Segment, now: Timestamp) -> Result<bool> {
    let mut scanner = Scanner::new();
    let mut newest = None;
    loop {
        let end = match scanner.look(file)? {
            Found::End | Found::Short { .. } => break,
            Found::Legacy { start, body, end, .. } => {
                let length = usize::try_from(end - start).unwrap_or(usize::MAX);
                let bytes = scanner.bytes(start, length);
                let header = super::walk::header_of_legacy(&bytes[..body]);
                let message = record::decode_legacy(header, &[], 0, start);
                newest = newest.max(message.map(|message| message.time));
                end
            }
            Found::Record { start, head } => start + head.total() as u64,
            Found::Line { end, .. } | Found::Damage { end, .. } => end,
        };
        scanner.accept(end);
    }
    Ok(newest.is_some_and(|time: Timestamp| time.is_zero() || time > now.minus(OLDER_WRITER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Bus, Post, Scope};
    use crate::cancel::Wait;
    use crate::fsx::Folder;
    use crate::sys::RealOs;
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn the_roots_settings_are_heeded_at_each_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let root = Layout::new(Arc::new(RealOs), dir.path().to_owned());
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let scope = Scope::try_from(("shop", "fix")).unwrap();
        let options = BusOptions { root: Some(root.clone()), ..BusOptions::default() };
        let bus = Bus::open(folder, "BUS.md", scope, options).unwrap();
        let settings = root.ensure_conductor().unwrap().path().join(ROOT_SETTINGS);
        let rotation = || {
            bus.post(Post::new("FACT", "one"), Wait::FOREVER).unwrap();
            bus.rotate(Wait::FOREVER)
        };
        fs::write(&settings, "allow_legacy_writers: true\nlater: {key: of a newer version}\n")
            .unwrap();
        assert_eq!(rotation().unwrap(), Rotation::OlderWriter);
        for refused in ["allow_legacy_writers: yes please\n", "allow_legacy_writers\n", ""] {
            fs::write(&settings, refused).unwrap();
            let error = rotation().unwrap_err();
            assert_eq!(error.path(), Some(settings.as_path()), "{error}");
        }
        fs::write(&settings, "allow_legacy_writers: false\n").unwrap();
        assert!(matches!(rotation().unwrap(), Rotation::Done { .. }));
        fs::remove_file(&settings).unwrap();
        assert!(matches!(rotation().unwrap(), Rotation::Done { .. }));
    }
}
