//! The shape of the configuration: what the reader, the JSON Schema, the template and `config show`
//! all walk.

use super::given::Given;
use super::kind::Kind;

/// A key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What holds where nothing is said, as it would be written in YAML; empty for nothing.
    pub(super) default: &'static str,
    /// A value that is taken, as it would be written in YAML.
    pub(super) example: &'static str,
    /// What it does, in a few words.
    pub(super) help: &'static str,
}

/// A group of keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) keys: &'static [Key],
    pub(super) sections: &'static [&'static Section],
    /// Whether what stands below are entries with names of the user's choice, each with these keys.
    pub(super) named: bool,
}

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn section(&self, name: &str) -> Option<&'static Section> {
        self.sections.iter().find(|section| section.name == name).copied()
    }

    /// Whether a key of this name stands anywhere in it.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.key(name).is_some() || self.sections.iter().any(|section| section.holds(name))
    }

    /// Whether values of a key of this name are never shown, in any place that it may stand in.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| key.kind.is_secret())
            || self.sections.iter().any(|section| section.is_secret(name))
    }

    /// The names of everything that may stand in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let sections = self.sections.iter().map(|section| section.name);
        self.keys.iter().map(|key| key.name).chain(sections)
    }
}

/// What a section's values are kept in.
pub(super) trait Settings {
    fn schema(&self) -> &'static Section;
    /// Keeps a value; `false` if the section has no such key of this type.
    fn set(&mut self, _key: &str, _given: Given) -> bool {
        false
    }
    fn get(&self, _key: &str) -> Option<Given> {
        None
    }
    fn section(&self, _name: &str) -> Option<&dyn Settings> {
        None
    }
    fn section_mut(&mut self, _name: &str) -> Option<&mut dyn Settings> {
        None
    }
    /// The entries below a section whose entries have names of the user's choice.
    fn entries(&self, _section: &str) -> Vec<(&str, &dyn Settings)> {
        Vec::new()
    }
    /// The entry of this name, made if it is not there; `None` if the section has no such entries.
    fn entry_mut(&mut self, _section: &str, _name: &str) -> Option<&mut dyn Settings> {
        None
    }
}

/// Defines a section: the struct that keeps its values, and its shape.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident $key:literal $help:literal
        $({ $($field:ident: $type:ty = $kind:expr, $default:literal $example:literal $about:literal;)* })?
        $(entries { $($map:ident: $entry:ident $maphelp:literal;)* })?
        $(sections { $($sub:ident: $subtype:ident $subhelp:literal;)* })?
        $(named $named:literal)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(
                #[doc = concat!("The ", $about, ".")]
                pub $field: Option<$type>,
            )*)?
            $($(
                #[doc = concat!("The section `", stringify!($map), "`: ", $maphelp, ", by name.")]
                pub $map: BTreeMap<String, $entry>,
            )*)?
            $($(
                #[doc = concat!("The section `", stringify!($sub), "`: ", $subhelp, ".")]
                pub $sub: $subtype,
            )*)?
        }

        impl $name {
            pub(in crate::config) const SCHEMA: &'static Section = &Section {
                name: $key,
                help: $help,
                keys: &[$($(Key {
                    name: section!(@name $field),
                    kind: $kind,
                    default: $default,
                    example: $example,
                    help: $about,
                }),*)?],
                sections: &[$($($entry::SCHEMA,)*)? $($($subtype::SCHEMA),*)?],
                named: false $(|| $named)?,
            };
        }

        impl Settings for $name {
            fn schema(&self) -> &'static Section {
                Self::SCHEMA
            }

            $(
                fn set(&mut self, key: &str, given: Given) -> bool {
                    match key {
                        $(section!(@name $field) => {
                            let value = Setting::take(given);
                            let taken = value.is_some();
                            self.$field = value;
                            taken
                        })*
                        _ => false,
                    }
                }

                fn get(&self, key: &str) -> Option<Given> {
                    match key {
                        $(section!(@name $field) => self.$field.as_ref().map(Setting::give),)*
                        _ => None,
                    }
                }
            )?

            $(
                fn section(&self, name: &str) -> Option<&dyn Settings> {
                    match name {
                        $(stringify!($sub) => Some(&self.$sub),)*
                        _ => None,
                    }
                }

                fn section_mut(&mut self, name: &str) -> Option<&mut dyn Settings> {
                    match name {
                        $(stringify!($sub) => Some(&mut self.$sub),)*
                        _ => None,
                    }
                }
            )?

            $(
                fn entries(&self, section: &str) -> Vec<(&str, &dyn Settings)> {
                    match section {
                        $(stringify!($map) => {
                            let each = self.$map.iter();
                            each.map(|(name, entry)| (name.as_str(), entry as _)).collect()
                        })*
                        _ => Vec::new(),
                    }
                }

                fn entry_mut(&mut self, section: &str, name: &str) -> Option<&mut dyn Settings> {
                    match section {
                        $(stringify!($map) => {
                            Some(self.$map.entry(name.to_owned()).or_default())
                        })*
                        _ => None,
                    }
                }
            )?
        }
    };
    // The one name that is a word of the language.
    (@name kind) => { "type" };
    (@name $field:ident) => { stringify!($field) };
}
pub(super) use section;
