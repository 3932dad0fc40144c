//! What a call tells about itself on standard error, in a line that the run's finisher reads.
//!
//! The line is made by `run-agent` alone. Nothing that a service answers can begin a line there: its
//! words are put on one line, behind others.

use crate::time::Timestamp;
use crate::usage::{ErrorClass, Usage};
use serde_json::{Value, json};

/// How the line begins.
pub(crate) const MARK: &str = "rest: ";

/// What is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) error_class: Option<ErrorClass>,
    pub(crate) limit_reset: Option<Timestamp>,
}

impl Told {
    /// The line, without its end.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only a call tells"))]
    pub(crate) fn line(&self) -> String {
        let usage = self.usage.map(|usage| {
            usage.parts().into_iter().map(|(name, n)| (name.to_owned(), n.into())).collect()
        });
        let usage: Option<serde_json::Map<String, Value>> = usage;
        let told = json!({
            "model": self.model,
            "usage": usage,
            "cost_usd": self.cost_usd,
            "error_class": self.error_class.map(ErrorClass::as_str),
            "limit_reset": self.limit_reset.map(|at| at.to_string()),
        });
        format!("{MARK}{told}")
    }
}

/// Reads such a line; `None` where it is none.
pub(crate) fn told(line: &str) -> Option<Told> {
    let value: Value = serde_json::from_str(line.strip_prefix(MARK)?).ok()?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let usage = value.get("usage").filter(|usage| usage.is_object()).map(|usage| {
        let count = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
        Usage {
            input_tokens: count("input_tokens"),
            output_tokens: count("output_tokens"),
            cache_read_tokens: count("cache_read_tokens"),
            cache_creation_tokens: count("cache_creation_tokens"),
        }
    });
    Some(Told {
        model: text("model").map(str::to_owned),
        usage,
        cost_usd: value.get("cost_usd").and_then(Value::as_f64),
        error_class: text("error_class").and_then(ErrorClass::parse),
        limit_reset: text("limit_reset").and_then(|at| at.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_comes_back() {
        let all = Told {
            model: Some("grok \"4\"".into()),
            usage: Some(Usage {
                input_tokens: 1,
                output_tokens: 2,
                cache_read_tokens: 3,
                cache_creation_tokens: 4,
            }),
            cost_usd: Some(0.125),
            error_class: Some(ErrorClass::UsageLimit),
            limit_reset: Some("2026-11-27T10:00:00Z".parse().unwrap()),
        };
        assert_eq!(told(&all.line()), Some(all));
        assert_eq!(told(&Told::default().line()), Some(Told::default()));
        assert_eq!(told("rest: x"), None);
        assert_eq!(told("{}"), None);
    }
}
