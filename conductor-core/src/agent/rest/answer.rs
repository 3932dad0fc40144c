//! What a service answers: pieces of text, sources, tokens, or that it failed.

use crate::usage::Usage;
use serde::Deserialize;

/// The longest answer that is taken, in bytes.
const LONGEST: usize = 64 << 20;
/// The longest message of a failure that is repeated, in bytes.
const LONGEST_MESSAGE: usize = 8 << 10;

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is not what the service's documentation says; what is wrong.
    Malformed(String),
    /// The service says that it failed; its words.
    Failed(String),
    /// It is longer than anybody can want.
    TooLong,
}

/// The answer so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What was handed on of a text that is repeated whole in each piece.
    whole: String,
    /// How many bytes were handed on.
    length: usize,
    /// Whether it said that it is complete.
    pub(super) complete: bool,
    pub(super) model: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) cost_usd: Option<f64>,
    citations: Vec<String>,
    results: Vec<String>,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    error: Option<Failure>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    citations: Vec<String>,
    #[serde(default)]
    search_results: Vec<Source>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Failure {
    Message(String),
    Object {
        #[serde(default)]
        message: String,
    },
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    delta: Option<Text>,
    #[serde(default)]
    message: Option<Text>,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
    #[serde(default)]
    cost: Option<Cost>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Cost {
    #[serde(default)]
    total_cost: Option<f64>,
}

impl Answer {
    /// Whether any text was handed on.
    pub(super) fn has_text(&self) -> bool {
        self.length > 0
    }

    /// Takes one event of a stream; its new text.
    pub(super) fn event(&mut self, data: &[u8]) -> Result<String, Unusable> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(String::new());
        }
        if data == b"[DONE]" {
            self.complete = true;
            return Ok(String::new());
        }
        self.piece(data)
    }

    /// Takes an answer that comes as one document; its text.
    pub(super) fn document(&mut self, body: &[u8]) -> Result<String, Unusable> {
        let text = self.piece(body)?;
        self.complete = true;
        match text.is_empty() {
            true => Err(Unusable::Malformed("the answer has no text".to_owned())),
            false => Ok(text),
        }
    }

    fn piece(&mut self, data: &[u8]) -> Result<String, Unusable> {
        let text = String::from_utf8_lossy(data);
        let piece: Piece = serde_json::from_str(&text)
            .map_err(|error| Unusable::Malformed(format!("an event is no answer: {error}")))?;
        if let Some(failure) = piece.error {
            return Err(Unusable::Failed(shortened(match &failure {
                Failure::Message(message) | Failure::Object { message } => message,
            })));
        }
        self.model = piece.model.or(self.model.take());
        self.take_usage(piece.usage);
        self.citations.extend(piece.citations);
        self.results.extend(piece.search_results.into_iter().filter_map(|source| source.url));
        let Some(choice) = piece.choices.into_iter().next() else { return Ok(String::new()) };
        match choice.finish_reason.as_deref() {
            Some("error") => {
                return Err(Unusable::Failed("it gave up in the middle of its answer".into()));
            }
            Some(_) => self.complete = true,
            None => {}
        }
        let delta = choice.delta.and_then(|delta| delta.content).filter(|text| !text.is_empty());
        let new = match (delta, choice.message.and_then(|message| message.content)) {
            (Some(delta), _) => delta,
            // Some pieces repeat everything that was said, and go on.
            (None, Some(whole)) => self.rest_of(whole),
            (None, None) => choice.text.unwrap_or_default(),
        };
        self.length += new.len();
        if self.length > LONGEST { Err(Unusable::TooLong) } else { Ok(new) }
    }

    /// What a text has to add that may repeat all that was said.
    fn rest_of(&mut self, text: String) -> String {
        if self.length > 0 && self.whole.is_empty() {
            // The pieces were given one by one; their repetition at the end adds nothing.
            return String::new();
        }
        let rest = match text.strip_prefix(self.whole.as_str()) {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        self.whole.push_str(&rest);
        rest
    }

    fn take_usage(&mut self, tokens: Option<Tokens>) {
        let Some(tokens) = tokens else { return };
        if let (Some(input), Some(output)) = (tokens.prompt_tokens, tokens.completion_tokens) {
            let cached =
                tokens.prompt_tokens_details.and_then(|d| d.cached_tokens).unwrap_or(0).min(input);
            self.usage = Some(Usage {
                input_tokens: input - cached,
                output_tokens: output,
                cache_read_tokens: cached,
                cache_creation_tokens: 0,
            });
        }
        let cost = tokens.cost.and_then(|cost| cost.total_cost);
        self.cost_usd = cost.filter(|cost| cost.is_finite() && *cost > 0.0).or(self.cost_usd);
    }

    /// The list of sources, each once; empty where there are none.
    pub(super) fn sources(&self) -> String {
        let named = if self.citations.is_empty() { &self.results } else { &self.citations };
        let mut seen = std::collections::HashSet::new();
        let mut text = String::new();
        for url in named.iter().filter(|url| seen.insert(url.as_str())) {
            text.push_str(if text.is_empty() { "\n\nSources:" } else { "" });
            text.push_str(&format!("\n[{}] {url}", seen_so_far(&text)));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

/// The number of the next line of a list that begins with a heading behind two line ends.
fn seen_so_far(text: &str) -> usize {
    text.matches("\n[").count() + 1
}

/// A message of a service, bounded and on one line.
pub(super) fn shortened(message: &str) -> String {
    let mut end = message.len().min(LONGEST_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    message[..end].trim().chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(events: &[serde_json::Value]) -> (String, Answer) {
        let mut answer = Answer::default();
        let mut text = String::new();
        for event in events {
            text.push_str(&answer.event(event.to_string().as_bytes()).unwrap());
        }
        (text, answer)
    }

    #[test]
    fn pieces_add_up_and_repetitions_do_not() {
        let delta = |text: &str| json!({"choices": [{"delta": {"content": text}}]});
        assert_eq!(all(&[delta("1"), delta("10"), delta("\n")]).0, "110\n");
        let both = |text: &str, whole: &str| json!({"choices": [{"delta": {"content": text}, "message": {"content": whole}}]});
        assert_eq!(all(&[both("a", "a"), both("b", "ab"), both("", "ab")]).0, "ab");
        let whole = |text: &str| json!({"choices": [{"message": {"content": text}}]});
        assert_eq!(all(&[whole("a"), whole("ab"), whole("abc")]).0, "abc");
    }

    #[test]
    fn sources_stand_once_each_behind_the_text() {
        let (_, answer) = all(&[
            json!({"citations": ["u1", "u2"], "search_results": [{"url": "u9"}]}),
            json!({"citations": ["u1"]}),
        ]);
        assert_eq!(answer.sources(), "\n\nSources:\n[1] u1\n[2] u2\n");
        let (_, answer) = all(&[json!({"search_results": [{"url": "u9"}, {"title": "x"}]})]);
        assert_eq!(answer.sources(), "\n\nSources:\n[1] u9\n");
        assert_eq!(all(&[json!({})]).1.sources(), "");
    }

    #[test]
    fn tokens_of_the_cache_are_not_counted_twice() {
        let (_, answer) = all(&[json!({"model": "m", "usage": {"prompt_tokens": 10,
            "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3},
            "cost": {"total_cost": 0.5}}})]);
        let usage = answer.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.cache_read_tokens, usage.output_tokens), (7, 3, 4));
        assert_eq!((answer.model.as_deref(), answer.cost_usd), (Some("m"), Some(0.5)));
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let event = |text: &str| Answer::default().event(text.as_bytes());
        assert!(matches!(event("{\"choices\": 7}"), Err(Unusable::Malformed(_))));
        assert!(matches!(event("<html>"), Err(Unusable::Malformed(_))));
        let failed = Unusable::Failed("no\n more".replace('\n', " "));
        assert_eq!(event("{\"error\": {\"message\": \"no\\n more\"}}"), Err(failed.clone()));
        assert_eq!(event("{\"error\": \"no\\n more\"}"), Err(failed));
        assert!(matches!(
            event("{\"choices\": [{\"finish_reason\": \"error\"}]}"),
            Err(Unusable::Failed(_))
        ));
        assert_eq!(event("[DONE]"), Ok(String::new()));
        assert!(matches!(Answer::default().document(b"{}"), Err(Unusable::Malformed(_))));
    }
}
