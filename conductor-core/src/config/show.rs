//! The effective values, one a line, each with where it is from.

use super::load::{LoadedConfig, Origin};
use super::model::Config;
use super::problem::dotted;
use super::schema::{Section, Settings};
use crate::yaml::Step;

/// The most that is read to find places, in bytes.
const AFFORDABLE: usize = 4 << 20;

/// A key with the value that holds for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConfigValue {
    /// The key with its sections: `agents.claude.model`.
    pub key: String,
    /// The value as text; secrets are masked.
    pub text: String,
    /// The value as JSON, in JSON's own text; secrets are masked.
    pub json: String,
    /// Where it is from.
    pub origin: Origin,
}

impl LoadedConfig {
    /// Every key that has a value, in the order of the documentation. Of agents those that are named.
    ///
    /// The place of each value is looked up in the file, which costs reading it once for each. Of a file
    /// that is so large, or says so much, that this would take long, the places are left out.
    pub fn values(&self) -> Vec<ConfigValue> {
        let mut values = Vec::new();
        self.collect(&self.config, Config::SCHEMA, &mut Vec::new(), &mut values);
        let said = values.iter().filter(|(_, origin)| origin.is_some()).count();
        let find = self.places.cost() * said <= AFFORDABLE;
        values
            .into_iter()
            .map(|(value, path)| match path {
                Some(path) => ConfigValue { origin: self.origin(&path, find), ..value },
                None => value,
            })
            .collect()
    }

    fn collect(
        &self,
        settings: &dyn Settings,
        section: &'static Section,
        path: &mut Vec<Step>,
        values: &mut Vec<(ConfigValue, Option<Vec<Step>>)>,
    ) {
        for key in section.keys {
            path.push(key.name.into());
            if let Some(given) = settings.get(key.name) {
                let value = ConfigValue {
                    key: dotted(path),
                    text: given.shown(),
                    json: given.to_json().to_string(),
                    origin: Origin::File(None),
                };
                values.push((value, Some(path.clone())));
            } else if !key.default.is_empty() {
                let value = ConfigValue {
                    key: dotted(path),
                    text: key.default.to_owned(),
                    json: key.default_json(),
                    origin: Origin::Default,
                };
                values.push((value, None));
            }
            path.pop();
        }
        for below in section.sections {
            path.push(below.name.into());
            if let Some(settings) = settings.section(below.name) {
                self.collect(settings, below, path, values);
            }
            for (name, entry) in settings.entries(below.name) {
                path.push(name.into());
                self.collect(entry, below, path, values);
                path.pop();
            }
            path.pop();
        }
    }
}
