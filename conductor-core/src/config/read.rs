//! From a document to the model, with everything that is wrong in it.

use super::model::{Config, Limits};
use super::problem::{Problem, dotted};
use super::schema::{Section, Settings};
use super::take::{Bases, is_free, section_of};
use crate::nearest::nearest;
use crate::yaml::{Mapping, Part, Place, Step, Value, locate};
use std::collections::BTreeMap;

/// Problems that are told at most: whoever repairs these will ask again.
const MOST: usize = 50;
/// The longest name of an agent, in bytes.
const LONGEST_NAME: usize = 64;

/// Where the values of a document stand.
#[derive(Clone, Debug)]
pub(super) enum Places {
    /// A YAML text, which is read again for each place.
    Yaml(String),
    /// The places of keys and values of another one.
    Known(BTreeMap<Vec<Step>, (Place, Place)>),
}

impl Places {
    /// Where a key, or what stands under it, begins.
    pub(super) fn find(&self, path: &[Step], part: Part) -> Option<Place> {
        match self {
            Places::Yaml(text) => locate(text, path, part),
            Places::Known(places) => places.get(path).map(|(key, value)| match part {
                Part::Key => *key,
                Part::Value => *value,
            }),
        }
    }

    /// What finding one place costs: the bytes that are read.
    pub(super) fn cost(&self) -> usize {
        match self {
            Places::Yaml(text) => text.len(),
            Places::Known(_) => 0,
        }
    }

    /// The place of the nearest thing on the way to `path` that has one.
    pub(super) fn find_near(&self, path: &[Step], part: Part) -> Option<Place> {
        self.find(path, part).or_else(|| {
            let outer = &path[..path.len().checked_sub(1)?];
            self.find_near(outer, Part::Key)
        })
    }
}

/// Reads a document into the model.
pub(super) struct Reader<'a> {
    pub(super) bases: Bases<'a>,
    pub(super) places: &'a Places,
    pub(super) problems: Vec<Problem>,
    /// The ways to everything that was said.
    pub(super) said: Vec<Vec<Step>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bases: Bases<'a>, places: &'a Places) -> Reader<'a> {
        Reader { bases, places, problems: Vec::new(), said: Vec::new() }
    }

    /// Reads the whole document.
    pub(super) fn config(&mut self, document: &Value) -> Config {
        let mut config = Config::default();
        match section_of(document) {
            Ok(Some(map)) => self.section(&mut config, map, &mut Vec::new()),
            Ok(None) => {}
            Err(found) => {
                let message = format!("expected sections, found {found}");
                let hint = format!("the sections are {}", list(Config::SCHEMA));
                self.tell(
                    Problem::error("config.wrong_type", message).hint(hint),
                    &[],
                    Part::Value,
                );
            }
        }
        config
    }

    /// Reads the bounds that a document holds under `limits`; what else stands in it is not looked at.
    pub(super) fn limits(&mut self, document: &Value) -> Limits {
        let mut limits = Limits::default();
        let Value::Map(map) = document else { return limits };
        let path = vec![Step::from(Limits::SCHEMA.name)];
        match map.get(Limits::SCHEMA.name).map(section_of) {
            Some(Ok(Some(map))) => self.section(&mut limits, map, &mut path.clone()),
            Some(Err(found)) => self.no_section(Limits::SCHEMA, &found, &path),
            None | Some(Ok(None)) => {}
        }
        limits
    }

    /// Adds a problem at the end of `path`.
    pub(super) fn tell(&mut self, problem: Problem, path: &[Step], part: Part) {
        if self.problems.len() < MOST {
            let place = self.places.find_near(path, part);
            self.problems.push(problem.field(path).place(place));
        }
    }

    /// Whether something is wrong with what stands at `path`, or in it.
    pub(super) fn told_of(&self, path: &[Step]) -> bool {
        let field = dotted(path);
        self.problems.iter().filter_map(|problem| problem.field.as_deref()).any(|told| {
            told.strip_prefix(&field)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn section(&mut self, settings: &mut dyn Settings, map: &Mapping, path: &mut Vec<Step>) {
        let schema = settings.schema();
        for (name, value) in map.iter() {
            path.push(name.into());
            if let Some(key) = schema.key(name) {
                match key.kind.read(value, self.bases) {
                    Ok(None) => {}
                    Ok(Some(given)) => {
                        self.said.push(path.clone());
                        if !settings.set(name, given) {
                            let message = "the table of keys contradicts itself";
                            self.tell(Problem::internal(message), path, Part::Key);
                        }
                    }
                    Err(wrong) => {
                        let mut at = path.clone();
                        at.extend(wrong.at.iter().cloned());
                        self.tell(Problem::wrong(&wrong), &at, Part::Value);
                    }
                }
            } else if let Some(below) = schema.section(name) {
                self.below(settings, below, value, path);
            } else if !is_free(name) {
                let problem = unknown_key(schema, name);
                self.tell(problem, path, Part::Key);
            }
            path.pop();
        }
    }

    fn below(
        &mut self,
        settings: &mut dyn Settings,
        section: &'static Section,
        value: &Value,
        path: &mut Vec<Step>,
    ) {
        let map = match section_of(value) {
            Ok(Some(map)) => map,
            Ok(None) => return,
            Err(found) => return self.no_section(section, &found, path),
        };
        if !section.named {
            if let Some(below) = settings.section_mut(section.name) {
                self.section(below, map, path);
            }
            return;
        }
        for (name, value) in map.iter() {
            path.push(name.into());
            let entry = match section_of(value) {
                _ if !is_name(name) => {
                    let message = format!("{name:?} is no name for an entry of {}", section.name);
                    let hint = "a name is made of letters, digits, `.`, `_` and `-`".to_owned();
                    self.tell(
                        Problem::error("config.invalid_name", message).hint(hint),
                        path,
                        Part::Key,
                    );
                    None
                }
                Ok(map) => settings.entry_mut(section.name, name).map(|entry| (entry, map)),
                Err(found) => {
                    self.no_section(section, &found, path);
                    None
                }
            };
            if let Some((entry, Some(map))) = entry {
                self.section(entry, map, path);
            }
            path.pop();
        }
    }

    fn no_section(&mut self, section: &Section, found: &str, path: &[Step]) {
        let wanted = match section.named && path.len() == 1 {
            true => "names with a group of keys each".to_owned(),
            false => format!("a group of keys ({})", list(section)),
        };
        let message = format!("expected {wanted}, found {found}");
        self.tell(Problem::error("config.wrong_type", message), path, Part::Value);
    }
}

/// Whether a person may call an entry so: the name becomes part of a variable's name and of messages.
fn is_name(name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(part)
}

fn unknown_key(schema: &'static Section, name: &str) -> Problem {
    let message = format!("unknown key {:?}", shortened(name));
    let hint = match nearest(name, schema.names()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => match home_of(name) {
            Some(section) => format!("it belongs to the section {section:?}"),
            None => format!("known here: {}; a key of your own begins with x-", list(schema)),
        },
    };
    Problem::error("config.unknown_key", message).hint(hint)
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// The one section that has a key of this name.
fn home_of(name: &str) -> Option<&'static str> {
    fn collect(section: &'static Section, name: &str, homes: &mut Vec<&'static str>) {
        for below in section.sections {
            if below.names().any(|known| known == name) {
                homes.push(below.name);
            }
            collect(below, name, homes);
        }
    }
    let mut homes = Vec::new();
    collect(Config::SCHEMA, name, &mut homes);
    match homes[..] {
        [home] => Some(home),
        _ => None,
    }
}

fn list(section: &Section) -> String {
    section.names().collect::<Vec<_>>().join(", ")
}
