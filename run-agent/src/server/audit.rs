//! Notes of what was changed: who asked for it, what was said, without secrets.

use super::app::App;
use axum::http::Method;
use conductor_core::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest text of a payload that is noted, in characters.
const LONGEST: usize = 4096;
/// What stands in place of a secret.
const MASK: &str = "[REDACTED]";
/// Parts of names whose values are secrets.
const SECRET_NAMES: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "session",
    "private_key",
    "ssh_key",
    "access_key",
    "refresh_token",
    "credential",
];
/// How words begin that are secrets, wherever they stand.
const SECRET_WORDS: &[&str] = &[
    "sk-",
    "sk_",
    "rk_",
    "pk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxa-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "eyJ",
    "AKIA",
    "AIza",
];
/// The fewest characters of such a word.
const SHORTEST_WORD: usize = 12;

/// What is known of a change that was made.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) request_id: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The path as the route has it, with names in place of ids.
    pub(crate) route: String,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) asked: bytes::Bytes,
    pub(crate) answered: bytes::Bytes,
}

#[derive(Serialize)]
struct Entry<'a> {
    timestamp: String,
    request_id: &'a str,
    correlation_id: &'a str,
    method: &'a str,
    path: &'a str,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote_addr: Option<String>,
    #[serde(flatten)]
    ids: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
}

impl Change {
    /// Notes the change in the root's log. One that cannot be noted was made all the same.
    pub(crate) async fn note(self, app: &App) {
        let line = self.line();
        let noted = app.call(move |conductor| conductor.audit(&line)).await;
        if let Err(failure) = noted {
            let (code, error) = (failure.code(), failure.message());
            tracing::warn!(subsystem = "api", code, error, "audit_write_failed");
        }
    }

    fn line(&self) -> String {
        let asked: Option<Value> = serde_json::from_slice(&self.asked).ok();
        let answered: Option<Value> = serde_json::from_slice(&self.answered).ok();
        let mut ids = Map::new();
        for (name, id) in in_path(&self.route, &self.path) {
            ids.insert(name, id.into());
        }
        for value in [&asked, &answered] {
            for (name, key) in [
                ("project_id", "project_id"),
                ("task_id", "task_id"),
                ("run_id", "run_id"),
                ("message_id", "msg_id"),
            ] {
                let id = value.as_ref().and_then(|value| value[key].as_str());
                if let Some(id) = id.filter(|id| !id.is_empty() && !ids.contains_key(name)) {
                    ids.insert(name.to_owned(), cut(id).into());
                }
            }
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let entry = Entry {
            timestamp: Timestamp::UNIX_EPOCH.plus(since).to_string(),
            request_id: &self.request_id,
            correlation_id: &self.request_id,
            method: self.method.as_str(),
            path: &self.path,
            // As the older program names the ids.
            endpoint: format!("{} {}", self.method, self.route.replace('}', "_id}")),
            remote_addr: self.peer.map(|peer| peer.to_string()),
            ids,
            payload: asked.map(redact),
        };
        // Texts, numbers and lists always have a JSON form, which is one line.
        serde_json::to_string(&entry).unwrap_or_default()
    }
}

/// The ids in a path, by the names of its route: `{task}` is `task_id`.
fn in_path(route: &str, path: &str) -> Vec<(String, String)> {
    let parts = route.split('/').zip(path.split('/'));
    let named = parts.filter_map(|(name, id)| {
        let name = name.strip_prefix('{')?.strip_suffix('}')?;
        Some((format!("{name}_id"), id.to_owned()))
    });
    named.collect()
}

/// A payload without secrets, its names in order and its texts not too long.
fn redact(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            let masked = fields.into_iter().map(|(name, value)| {
                let value = match &value {
                    // Variables of an agent's environment: nobody knows which are secrets.
                    Value::Object(variables) if name == "config" => Value::Object(
                        variables.keys().map(|name| (name.clone(), MASK.into())).collect(),
                    ),
                    _ if is_secret(&name) => MASK.into(),
                    _ => redact(value),
                };
                (name, value)
            });
            Value::Object(masked.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(redact).collect()),
        Value::String(text) => Value::String(cut(&mask_words(&text))),
        other => other,
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Masks words that look like secrets, and what follows the word `Bearer`.
fn mask_words(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut bearer = false;
    let part_of_word =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/');
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !part_of_word(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let secret =
            word.len() >= SHORTEST_WORD && SECRET_WORDS.iter().any(|begin| word.starts_with(begin));
        if secret || (bearer && !word.is_empty()) {
            masked.push_str(MASK);
        } else {
            masked.push_str(word);
        }
        if !word.is_empty() {
            bearer = word.eq_ignore_ascii_case("bearer");
        }
        let mut behind = behind.chars();
        masked.extend(behind.next());
        rest = behind.as_str();
    }
    masked
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...[TRUNCATED]", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_not_noted() {
        let payload = json!({
            "prompt": "use sk-abcdefghijklmnop and Bearer abc.def, not sk-8",
            "config": {"PLAIN": "value"},
            "Api-Key": "x",
            "list": [{"password": "y"}],
            "body": "x".repeat(5000),
        });
        let noted = redact(payload);
        assert_eq!(noted["prompt"], "use [REDACTED] and Bearer [REDACTED], not sk-8");
        assert_eq!(noted["config"], json!({"PLAIN": MASK}));
        assert_eq!(
            (&noted["Api-Key"], &noted["list"][0]["password"]),
            (&json!(MASK), &json!(MASK))
        );
        assert!(noted["body"].as_str().unwrap().ends_with("...[TRUNCATED]"));
        let names: Vec<&String> = noted.as_object().unwrap().keys().collect();
        assert_eq!(names, ["Api-Key", "body", "config", "list", "prompt"]);
    }

    #[test]
    fn an_entry_says_what_was_asked_and_what_came_of_it() {
        let change = Change {
            request_id: "req-1".into(),
            method: Method::POST,
            path: "/api/projects/p/tasks/t/messages".into(),
            route: "/api/projects/{project}/tasks/{task}/messages".into(),
            peer: Some("127.0.0.1:9".parse().unwrap()),
            asked: r#"{"body":"x"}"#.into(),
            answered: r#"{"msg_id":"MSG-1"}"#.into(),
        };
        let entry: Value = serde_json::from_str(&change.line()).unwrap();
        for (name, value) in [
            ("endpoint", "POST /api/projects/{project_id}/tasks/{task_id}/messages"),
            ("project_id", "p"),
            ("task_id", "t"),
            ("message_id", "MSG-1"),
            ("remote_addr", "127.0.0.1:9"),
            ("correlation_id", "req-1"),
        ] {
            assert_eq!(entry[name], value, "{name}");
        }
        assert_eq!(entry["payload"], json!({"body": "x"}));
    }
}
