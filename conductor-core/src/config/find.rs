//! Which file is the configuration.
//!
//! Never one in the current folder: a cloned repository must not say which commands are run.

use std::path::{Path, PathBuf};

/// The names that are looked for in the configuration's folder, the first one first.
const NAMES: [&str; 3] = ["config.yaml", "config.yml", "config.hcl"];
/// Where the older program keeps its configuration, below the home.
const OLDER: &str = ".run-agent/conductor-loop.hcl";
/// What the older program would take from the current folder.
const IN_CURRENT_FOLDER: [&str; 2] = ["config.yaml", "config.yml"];

/// Everything that can name the configuration, gathered by the caller: this layer looks at no
/// environment.
#[derive(Clone, Debug, Default)]
pub struct ConfigSources {
    /// Named by the caller itself (`--config`).
    pub explicit: Option<PathBuf>,
    /// `CONDUCTOR_CONFIG`.
    pub environment: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The current folder: nothing is taken from it, but what is ignored there is told.
    pub current: Option<PathBuf>,
}

/// How a place is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOrigin {
    /// By the caller.
    Explicit,
    /// By `CONDUCTOR_CONFIG`.
    Environment,
    /// It is the usual place.
    Usual,
    /// It is the place of the older program.
    OlderProgram,
    /// It lies in the current folder.
    CurrentFolder,
}

/// What becomes of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigUse {
    /// This file is the configuration.
    Used,
    /// The file is there, and one before it is used.
    Shadowed,
    /// There is no file.
    Missing,
    /// The file is there, and is never looked at.
    Ignored,
}

impl ConfigUse {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            ConfigUse::Used => "used",
            ConfigUse::Shadowed => "shadowed",
            ConfigUse::Missing => "missing",
            ConfigUse::Ignored => "ignored",
        }
    }
}

/// A place where the configuration may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPlace {
    /// The file.
    pub path: PathBuf,
    /// How it is named.
    pub origin: ConfigOrigin,
    /// What becomes of it.
    pub usage: ConfigUse,
}

impl ConfigSources {
    /// Every place, in the order that they are looked at, with what becomes of it.
    ///
    /// A place that is named must be there: it is used whether the file `exists` or not, so that its
    /// absence is an error and not another configuration.
    pub fn places(&self, exists: impl Fn(&Path) -> bool) -> Vec<ConfigPlace> {
        let set = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let named = [
            (set(&self.explicit), ConfigOrigin::Explicit),
            (set(&self.environment), ConfigOrigin::Environment),
        ];
        let named = named.into_iter().filter_map(|(path, origin)| Some((path?, origin)));
        let usual = self
            .folder()
            .into_iter()
            .flat_map(|folder| NAMES.map(|name| (folder.join(name), ConfigOrigin::Usual)));
        let older = set(&self.home).map(|home| (home.join(OLDER), ConfigOrigin::OlderProgram));
        let mut used = false;
        let mut places = Vec::new();
        for (path, origin) in named.chain(usual).chain(older) {
            let named = matches!(origin, ConfigOrigin::Explicit | ConfigOrigin::Environment);
            let usage = match (used, named || exists(&path)) {
                (false, true) => ConfigUse::Used,
                (true, _) if exists(&path) => ConfigUse::Shadowed,
                _ => ConfigUse::Missing,
            };
            used |= usage == ConfigUse::Used;
            places.push(ConfigPlace { path, origin, usage });
        }
        for name in IN_CURRENT_FOLDER {
            let Some(path) = set(&self.current).map(|folder| folder.join(name)) else { continue };
            if exists(&path) && !places.iter().any(|place| place.path == path) {
                let origin = ConfigOrigin::CurrentFolder;
                places.push(ConfigPlace { path, origin, usage: ConfigUse::Ignored });
            }
        }
        places
    }

    /// The folder of the usual places.
    fn folder(&self) -> Option<PathBuf> {
        let absolute = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
        // As the rule for these folders has it, a relative one is passed over.
        let home = || absolute(&self.home).map(|home| home.join(".config"));
        Some(absolute(&self.config_home).or_else(home)?.join("conductor"))
    }

    /// The usual place of a new configuration.
    pub fn usual_path(&self) -> Option<PathBuf> {
        Some(self.folder()?.join(NAMES[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn sources() -> ConfigSources {
        ConfigSources {
            home: Some("/h".into()),
            current: Some("/work".into()),
            ..ConfigSources::default()
        }
    }

    fn looked_at(sources: &ConfigSources, there: &[&str]) -> Vec<(String, &'static str)> {
        let there: HashSet<&Path> = there.iter().map(Path::new).collect();
        let places = sources.places(|path| there.contains(path));
        places.into_iter().map(|p| (p.path.display().to_string(), p.usage.name())).collect()
    }

    #[test]
    fn the_first_file_that_is_there_is_used_and_the_others_are_told() {
        let there = ["/h/.config/conductor/config.yml", "/h/.run-agent/conductor-loop.hcl"];
        assert_eq!(
            looked_at(&sources(), &there),
            [
                ("/h/.config/conductor/config.yaml".to_owned(), "missing"),
                ("/h/.config/conductor/config.yml".to_owned(), "used"),
                ("/h/.config/conductor/config.hcl".to_owned(), "missing"),
                ("/h/.run-agent/conductor-loop.hcl".to_owned(), "shadowed"),
            ]
        );
    }

    #[test]
    fn a_named_file_is_used_even_where_it_is_missing() {
        let named = ConfigSources { environment: Some("/gone".into()), ..sources() };
        let looked = looked_at(&named, &["/h/.config/conductor/config.yaml"]);
        assert_eq!(looked[0], ("/gone".to_owned(), "used"));
        assert_eq!(looked[1].1, "shadowed");
        let both = ConfigSources { explicit: Some("/x.yaml".into()), ..named };
        let looked = looked_at(&both, &["/gone"]);
        assert_eq!((looked[0].1, looked[1].1), ("used", "shadowed"));
    }

    #[test]
    fn the_current_folder_names_no_commands() {
        let looked = looked_at(&sources(), &["/work/config.yaml"]);
        assert_eq!(looked.last().unwrap(), &("/work/config.yaml".to_owned(), "ignored"));
        assert!(looked.iter().all(|(_, usage)| *usage != "used"));
        let named = ConfigSources { explicit: Some("/work/config.yaml".into()), ..sources() };
        let looked = looked_at(&named, &["/work/config.yaml"]);
        assert_eq!(looked.iter().filter(|(path, _)| path.starts_with("/work")).count(), 1);
    }

    #[test]
    fn the_folder_is_that_of_the_desktop_rule() {
        let folder = |config_home: &str| {
            ConfigSources { config_home: Some(config_home.into()), ..sources() }.usual_path()
        };
        assert_eq!(folder("/c").unwrap(), Path::new("/c/conductor/config.yaml"));
        assert_eq!(folder("c").unwrap(), Path::new("/h/.config/conductor/config.yaml"));
        assert_eq!(ConfigSources::default().usual_path(), None);
    }
}
