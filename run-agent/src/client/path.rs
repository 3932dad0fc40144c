//! Paths and queries, escaped: no name of a task can lead to another route.

use std::fmt::Write as _;

/// A path of the server with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    text: String,
    has_query: bool,
}

impl Url {
    /// The path of these parts.
    pub(crate) fn new(parts: &[&str]) -> Url {
        let mut text = String::new();
        for part in parts {
            text.push('/');
            escape(part, &mut text);
        }
        Url { text, has_query: false }
    }

    /// Adds a name and its value to the query.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Url {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        escape(name, &mut self.text);
        self.text.push('=');
        escape(value, &mut self.text);
        self
    }

    /// As [`with`](Url::with), where there is a value.
    #[must_use]
    pub(crate) fn with_some(self, name: &str, value: Option<&str>) -> Url {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The text of it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

fn escape(part: &str, text: &mut String) {
    // A part of dots alone would be taken for the folder above.
    let all_dots = !part.is_empty() && part.bytes().all(|byte| byte == b'.');
    for byte in part.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
        if plain || (byte == b'.' && !all_dots) {
            text.push(char::from(byte));
        } else {
            let _never_fails = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_an_address_is_escaped() {
        let url = Url::new(&["api", "a/b?c", "..", "v1.2"]).with("q", "x&y=z").with_some("r", None);
        assert_eq!(url.as_str(), "/api/a%2Fb%3Fc/%2E%2E/v1.2?q=x%26y%3Dz");
        assert_eq!(
            url.with_some("s", Some("\u{e9}")).as_str().rsplit('&').next(),
            Some("s=%C3%A9")
        );
    }
}
