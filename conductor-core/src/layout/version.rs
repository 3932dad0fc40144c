//! The version of a root's form, which its settings may tell.

use super::names::{CONDUCTOR, ROOT_SETTINGS};
use super::tree::Layout;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::limits;
use crate::yaml::parse_mapping;

/// The version of the form that is written and read here; a root that tells none has it.
const ROOT_VERSION: u64 = 1;
/// The key of [`ROOT_SETTINGS`] that tells it.
const KEY: &str = "version";

/// Why nothing may be written to a root: what is written there by rules that do not know its form may harm it.
///
/// `None` for a root that is known here, and for one that does not exist.
///
/// # Errors
/// `root.setting_invalid` for a version that is no number; what keeps the settings from being read, as
/// `yaml.corrupt`: what is written into a root whose version nobody can tell may harm it too. Each names [`KEY`].
pub(super) fn refusal(layout: &Layout) -> Result<Option<Refusal>> {
    // Whoever needs a root that cannot be opened is told so: nobody gets into it.
    let Ok(root) = layout.root() else { return Ok(None) };
    let folder = root.folder_if_exists(CONDUCTOR).map_err(|error| error.with_field(KEY))?;
    let Some(folder) = folder else { return Ok(None) };
    let path = folder.join(ROOT_SETTINGS);
    let untold = |error: Error| {
        error.with_path(&path).with_field(KEY).with_hint(format!(
            "it tells the root's version: repair it, or where no newer conductor uses the root, let it say \
             `{KEY}: {ROOT_VERSION}`; nothing was changed"
        ))
    };
    let bytes = folder.read_if_exists(ROOT_SETTINGS, limits::YAML_FILE).map_err(untold)?;
    let Some(bytes) = bytes else { return Ok(None) };
    let settings = parse_mapping(&bytes, &path).map_err(untold)?;
    let Some(value) = settings.get(KEY) else { return Ok(None) };
    let told = value.as_text();
    match told.as_deref().and_then(|text| text.parse::<u64>().ok()) {
        Some(version) if version <= ROOT_VERSION => Ok(None),
        Some(version) => Ok(Some(Refusal {
            kind: ErrorKind::TooNew,
            code: "root.too_new",
            message: format!(
                "the root {} has version {version}, and {ROOT_VERSION} is known here: {}",
                layout.path().display(),
                path.display()
            ),
            path,
            field: KEY,
            hint: "use a newer conductor to change it; reading works, and nothing was changed"
                .to_owned(),
        })),
        None => Err(Error::invalid(
            "root.setting_invalid",
            KEY,
            format!("{}: {KEY} is not a number", path.display()),
        )
        .with_path(path)
        .with_hint(format!("write `{KEY}: {ROOT_VERSION}`, or take the line out"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    /// Opens the root and asks to write there.
    fn check(root: &Path) -> Result<()> {
        Layout::open(Arc::new(RealOs), root.to_owned())?.check_writable()
    }

    #[test]
    fn a_newer_form_is_not_written_to_nor_one_that_nobody_can_tell() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        check(&root).unwrap();
        let folder = root.join(".conductor");
        fs::create_dir_all(&folder).unwrap();
        check(&root).unwrap();
        for (text, code) in [
            ("allow_legacy_writers: true\n", None),
            ("version: 1\n", None),
            ("not yaml: [", Some("yaml.corrupt")),
            ("version: 1\nversion: 2\n", Some("yaml.corrupt")),
            ("- version: 1\n", Some("yaml.corrupt")),
            ("version: 1\n\0", Some("yaml.corrupt")),
            ("", Some("yaml.empty")),
            ("version: 2\nnew: {thing: 1}\n", Some("root.too_new")),
            ("version: two\n", Some("root.setting_invalid")),
            ("version: [1]\n", Some("root.setting_invalid")),
        ] {
            fs::write(folder.join(ROOT_SETTINGS), text).unwrap();
            let error = check(&root).err();
            assert_eq!(error.as_ref().map(Error::code), code, "{text}");
            let Some(error) = error else { continue };
            assert_eq!(error.field(), Some(KEY), "{text}");
            assert_eq!(error.path(), Some(folder.join(ROOT_SETTINGS).as_path()), "{text}");
            assert!(error.to_string().contains("/.conductor/root.yaml"), "{text}: {error}");
            assert!(error.specific_hint().is_some(), "{text}");
        }
    }

    #[test]
    fn a_root_whose_settings_cannot_be_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, settings) = (dir.path().join(".conductor"), ".conductor/root.yaml");
        let refused = |what: &str| {
            let error = check(dir.path()).unwrap_err();
            assert_eq!(error.field(), Some(KEY), "{what}: {error}");
            assert!(error.to_string().contains("/.conductor"), "{what}: {error}");
            error.code()
        };
        fs::create_dir(&folder).unwrap();
        let settings = dir.path().join(settings);
        fs::write(&settings, vec![b'#'; limits::YAML_FILE as usize + 1]).unwrap();
        assert_eq!(refused("too long"), "file.too_large");
        fs::remove_file(&settings).unwrap();
        std::os::unix::fs::symlink("elsewhere.yaml", &settings).unwrap();
        assert_eq!(refused("a link"), "path.symlink");
        fs::remove_file(&settings).unwrap();
        fs::create_dir(&settings).unwrap();
        assert_eq!(refused("a folder"), "path.not_a_file");
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        assert_eq!(refused("no folder"), "path.not_a_folder");
    }
}
