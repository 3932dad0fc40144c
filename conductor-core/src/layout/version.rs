//! The version of a root's form, which its settings may tell.

use super::names::ROOT_SETTINGS;
use super::tree::Layout;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::yaml::parse_mapping;

/// The version of the form that is written and read here; a root that tells none has it.
const ROOT_VERSION: u64 = 1;
/// The key of [`ROOT_SETTINGS`] that tells it.
const KEY: &str = "version";

impl Layout {
    /// Refuses a root of a newer form: what is written there by rules that do not know it may harm it.
    ///
    /// Settings that cannot be read are told by whoever needs them.
    ///
    /// # Errors
    /// `root.too_new`; `root.setting_invalid` for a version that is no number.
    pub(crate) fn check_version(&self) -> Result<()> {
        let Ok(Some(folder)) = self.conductor() else { return Ok(()) };
        let path = folder.path().join(ROOT_SETTINGS);
        let Ok(Some(bytes)) = folder.read_if_exists(ROOT_SETTINGS, limits::YAML_FILE) else {
            return Ok(());
        };
        let Ok(settings) = parse_mapping(&bytes, &path) else { return Ok(()) };
        let Some(value) = settings.get(KEY) else { return Ok(()) };
        let told = value.as_text();
        match told.as_deref().and_then(|text| text.parse::<u64>().ok()) {
            Some(version) if version <= ROOT_VERSION => Ok(()),
            Some(version) => Err(Error::new(
                ErrorKind::TooNew,
                "root.too_new",
                format!(
                    "the root {} has version {version}, and {ROOT_VERSION} is known here",
                    self.path().display()
                ),
            )
            .with_path(path)
            .with_field(KEY)
            .with_hint("use a newer conductor; nothing was changed")),
            None => Err(Error::invalid(
                "root.setting_invalid",
                KEY,
                format!("{}: {KEY} is not a number", path.display()),
            )
            .with_path(path)
            .with_hint(format!("write `{KEY}: {ROOT_VERSION}`, or take the line out"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn a_newer_form_is_refused_and_an_unknown_one_too() {
        let dir = tempfile::tempdir().unwrap();
        let root = Layout::new(Arc::new(RealOs), dir.path().join("root"));
        root.check_version().unwrap();
        let folder = dir.path().join("root/.conductor");
        fs::create_dir_all(&folder).unwrap();
        root.check_version().unwrap();
        for (text, code) in [
            ("allow_legacy_writers: true\n", None),
            ("version: 1\n", None),
            ("not yaml: [", None),
            ("version: 2\nnew: {thing: 1}\n", Some("root.too_new")),
            ("version: two\n", Some("root.setting_invalid")),
            ("version: [1]\n", Some("root.setting_invalid")),
        ] {
            fs::write(folder.join(ROOT_SETTINGS), text).unwrap();
            let error = root.check_version().err();
            assert_eq!(error.as_ref().map(Error::code), code, "{text}");
            assert!(error.is_none_or(|error| error.field() == Some(KEY)), "{text}");
        }
    }
}
