//! What an agent used up, as it said itself.

use serde::{Deserialize, Serialize};

/// The tokens of a run.
///
/// The parts do not overlap: what was read from a cache is not counted among `input_tokens`, whatever
/// the agent's own way of counting, so that runs of different agents can be added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens that the model read anew.
    pub input_tokens: u64,
    /// Tokens that the model wrote, its reasoning among them.
    pub output_tokens: u64,
    /// Tokens that came from a cache.
    pub cache_read_tokens: u64,
    /// Tokens that were put into a cache.
    pub cache_creation_tokens: u64,
}

impl Usage {
    /// The parts with their names, in the order that they are written in.
    pub fn parts(&self) -> [(&'static str, u64); 4] {
        [
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("cache_read_tokens", self.cache_read_tokens),
            ("cache_creation_tokens", self.cache_creation_tokens),
        ]
    }

    /// All tokens together.
    pub fn total(&self) -> u64 {
        self.parts().iter().fold(0, |sum, (_, tokens)| sum.saturating_add(*tokens))
    }

    /// Adds what somebody else used.
    pub fn add(&mut self, other: &Usage) {
        for (mine, theirs) in [
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cache_read_tokens, other.cache_read_tokens),
            (&mut self.cache_creation_tokens, other.cache_creation_tokens),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// What kept an agent from its work, as far as its own records tell: never read from its prose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The account may ask for nothing more for now.
    UsageLimit,
    /// The service was overloaded, out of order or out of reach; the same again may succeed.
    Transient,
    /// The account is unknown, or may not do this.
    BadCredentials,
    /// The service refuses what it is asked: a model or an option that it does not know, a prompt that it
    /// does not take. The same again cannot succeed.
    BadRequest,
    /// The agent says that it failed, and nothing more that is known.
    Other,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [ErrorClass; 5] = [
        ErrorClass::UsageLimit,
        ErrorClass::Transient,
        ErrorClass::BadCredentials,
        ErrorClass::BadRequest,
        ErrorClass::Other,
    ];

    /// Its word on disk and in every surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorClass::UsageLimit => "usage_limit",
            ErrorClass::Transient => "transient",
            ErrorClass::BadCredentials => "bad_credentials",
            ErrorClass::BadRequest => "bad_request",
            ErrorClass::Other => "other",
        }
    }

    /// What a word stands for; `None` for a word of somebody else.
    pub fn parse(word: &str) -> Option<ErrorClass> {
        ErrorClass::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// What an HTTP status and words of a failure say together: services call an unknown account or a used up
    /// quota a bad request, too.
    pub(crate) fn of_both(
        status: Option<ErrorClass>,
        words: impl FnOnce() -> Option<ErrorClass>,
    ) -> Option<ErrorClass> {
        match status {
            Some(ErrorClass::BadRequest) | None => words().or(status),
            status => status,
        }
    }

    /// What an HTTP status of a model's service says; `None` where it tells nothing.
    pub(crate) fn of_status(status: u64) -> Option<ErrorClass> {
        match status {
            401 | 403 => Some(ErrorClass::BadCredentials),
            402 | 429 => Some(ErrorClass::UsageLimit),
            408 | 500..=599 => Some(ErrorClass::Transient),
            400 | 404 | 405 | 410 | 413..=415 | 422 => Some(ErrorClass::BadRequest),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for class in ErrorClass::ALL {
            assert_eq!(ErrorClass::parse(class.as_str()), Some(class));
        }
        assert_eq!(ErrorClass::parse("nice"), None);
    }

    #[test]
    fn sums_do_not_overflow() {
        let mut sum = Usage { input_tokens: u64::MAX, output_tokens: 1, ..Usage::default() };
        sum.add(&Usage { input_tokens: 2, output_tokens: 3, ..Usage::default() });
        assert_eq!((sum.input_tokens, sum.output_tokens, sum.total()), (u64::MAX, 4, u64::MAX));
    }
}
