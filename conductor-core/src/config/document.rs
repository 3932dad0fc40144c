//! What the table of keys gives beside the reader: the JSON Schema for editors, and a template.

use super::model::{Config, NOT_YET, WITHOUT_EFFECT};
use super::schema::{Key, Section};
use crate::yaml::{self, Value};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write as _;

impl Key {
    /// The default as JSON text.
    pub(super) fn default_json(&self) -> String {
        to_json(self.default).to_string()
    }
}

/// A value of the table, which is written in YAML, as JSON.
fn to_json(text: &str) -> Json {
    fn convert(value: &Value) -> Json {
        match value {
            Value::Null => Json::Null,
            Value::Bool(flag) => json!(flag),
            Value::Int(number) => json!(number),
            Value::Large(number) => json!(number),
            Value::Float(number) => json!(number),
            Value::List(items) => items.iter().map(convert).collect(),
            Value::Map(map) => {
                map.iter().map(|(key, value)| (key.to_owned(), convert(value))).collect()
            }
            other => json!(other.as_text()),
        }
    }
    yaml::read(text).map_or(Json::Null, |value| convert(&value))
}

/// The JSON Schema of a configuration in YAML: editors complete and check with it.
pub fn config_schema() -> String {
    let mut schema = object(Config::SCHEMA);
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("conductor configuration"));
    format!("{:#}", Json::Object(schema))
}

fn object(section: &Section) -> Map<String, Json> {
    let mut properties = Map::new();
    for key in section.keys {
        let mut schema = nullable(key.kind.schema());
        let about = &mut schema;
        about.insert("description".into(), json!(key.help));
        about.insert("examples".into(), json!([to_json(key.example)]));
        if !key.default.is_empty() {
            about.insert("default".into(), to_json(key.default));
        }
        properties.insert(key.name.to_owned(), Json::Object(schema));
    }
    for below in section.sections {
        let mut inner = object(below);
        if below.named {
            inner = nullable(json!({
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
                "additionalProperties": inner,
            }));
        }
        inner.insert("description".into(), json!(below.help));
        properties.insert(below.name.to_owned(), Json::Object(inner));
    }
    nullable(json!({
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": true},
        "additionalProperties": false,
    }))
}

/// Nothing may stand in place of every value: it says nothing.
fn nullable(schema: Json) -> Map<String, Json> {
    let Json::Object(mut schema) = schema else { return Map::new() };
    if let Some(kind) = schema.get_mut("type") {
        match kind {
            Json::Array(kinds) => kinds.push(json!("null")),
            one => *one = json!([one, "null"]),
        }
    }
    if let Some(Json::Array(words)) = schema.get_mut("enum") {
        words.push(Json::Null);
    }
    schema
}

/// A configuration of comments only, with every key: what can be said, and what holds unless it is.
pub fn config_template() -> String {
    let mut text = String::from(
        "# Configuration of conductor. Nothing here holds until the # before it is taken away.\n\
         # `run-agent validate` checks it, `run-agent config show` tells what holds.\n\
         # Keys that begin with x- are yours.\n",
    );
    for section in Config::SCHEMA.sections {
        text.push('\n');
        template(&mut text, section, 0);
    }
    text
}

/// Every key as a table in Markdown, a heading for each section: what `docs/CONFIG.md` holds.
pub fn config_reference() -> String {
    let mut text = String::new();
    for section in Config::SCHEMA.sections {
        reference(&mut text, section, section.name);
    }
    text
}

fn reference(text: &mut String, section: &Section, path: &str) {
    let path = if section.named { format!("{path}.<name>") } else { path.to_owned() };
    let mut help = section.help.to_owned();
    if let Some(first) = help.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    // Writing to a String cannot fail.
    let _infallible = write!(
        text,
        "\n### `{path}`\n\n{help}.\n\n| Key | Takes | Unless set | What it is |\n| --- | --- | --- | --- |\n"
    );
    for key in section.keys {
        let default = match key.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let takes = key.kind.wanted();
        let notes =
            [(key.kind.is_secret(), "; never shown"), (is_idle(section, key), "; no effect yet")];
        let notes: String =
            notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| *note).collect();
        let _infallible =
            writeln!(text, "| `{}` | {takes} | {default} | {}{notes} |", key.name, key.help);
    }
    for below in section.sections {
        reference(text, below, &format!("{path}.{}", below.name));
    }
}

/// Whether a key waits for the part of conductor that will honour it.
fn is_idle(section: &Section, key: &Key) -> bool {
    NOT_YET.iter().any(|(name, keys)| *name == section.name && keys.contains(&key.name))
}

fn template(text: &mut String, section: &Section, depth: usize) {
    let blanks = "  ".repeat(depth);
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "# {blanks}{}:  # {}", section.name, section.help);
    let mut inner = depth + 1;
    if section.named {
        let _infallible = writeln!(text, "# {blanks}  claude:");
        inner += 1;
    }
    let blanks = "  ".repeat(inner);
    for key in section.keys {
        if WITHOUT_EFFECT.iter().any(|(known, name, _)| (*known, *name) == (section.name, key.name))
        {
            continue;
        }
        let value = if key.default.is_empty() { key.example } else { key.default };
        let example = if key.default.is_empty() { "; an example" } else { "" };
        let _infallible =
            writeln!(text, "# {blanks}{}: {value}  # {}{example}", key.name, key.help);
    }
    for below in section.sections {
        template(text, below, inner);
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::LoadedConfig;
    use super::super::variables::Variables;
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> LoadedConfig {
        let variables = Variables::pick(Some("/home/u".into()), []);
        let loaded = LoadedConfig::parse(text.as_bytes(), Path::new("/c.yaml"), &variables);
        loaded.unwrap_or_else(|rejected| panic!("{rejected:?}"))
    }

    #[test]
    fn the_template_says_nothing_as_it_stands() {
        let template = config_template();
        assert_eq!(parse(&template).config(), &Config::default());
        assert!(template.lines().all(|line| line.is_empty() || line.starts_with('#')));
    }

    #[test]
    fn every_line_of_the_template_holds_once_its_mark_is_taken_away() {
        let template = config_template();
        let body = template.split_once("\n\n").unwrap().1;
        let lines = body.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        // Two pairs of keys exclude each other.
        let lines = lines.filter(|line| {
            let key = line.trim_start();
            !key.starts_with("token_file:") && !key.starts_with("auth_enabled:")
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let loaded = parse(&text);
        assert!(loaded.config().agents["claude"].token.is_some());
        assert_eq!(loaded.config().api.port, Some(14355));
    }

    #[test]
    fn the_schema_names_every_key_and_holds_no_other() {
        let schema: Json = serde_json::from_str(&config_schema()).unwrap();
        fn walk(section: &Section, schema: &Json) {
            let schema = if section.named { &schema["additionalProperties"] } else { schema };
            let names: Vec<&str> =
                schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, section.names().collect::<Vec<_>>());
            assert_eq!(schema["additionalProperties"], json!(false));
            for below in section.sections {
                walk(below, &schema["properties"][below.name]);
            }
        }
        walk(Config::SCHEMA, &schema);
        let port = &schema["properties"]["api"]["properties"]["port"];
        assert_eq!(port["maximum"], json!(65535));
        assert_eq!(port["default"], json!(14355));
    }
}
