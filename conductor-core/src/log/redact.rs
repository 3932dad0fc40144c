//! Masking of secrets, by the name of their field and by what they look like. Pure.

use std::borrow::Cow;

/// What stands in place of a secret.
const MASK: &str = "[REDACTED]";

/// Words in the name of a field whose text is a secret.
const KEYS: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "api_key",
    "apikey",
    "authorization",
    "auth",
    "cookie",
    "session",
    "private_key",
    "ssh_key",
    "access_key",
    "refresh_token",
];

/// Words after which a text says a secret: `password: x`.
const SAID: &[&str] =
    &["token", "secret", "password", "passwd", "api_key", "api-key", "apikey", "authorization"];

/// What keys of services begin with.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "rk_",
    "pk_",
    "xoxb_",
    "xoxa_",
    "xoxp_",
    "xoxr_",
    "xoxs_",
    "xoxb-",
    "xoxa-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "AIza",
    "AKIA",
    "xai-",
    "pplx-",
    "hf_",
];

/// The shortest rest of a key behind its prefix.
const SHORTEST: usize = 8;
/// The shortest part of a JSON web token.
const SHORTEST_PART: usize = 10;

/// Whether the text of a field of this name is a secret, whatever it looks like.
pub(super) fn is_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    KEYS.iter().any(|word| lower.contains(word))
}

/// The text with everything masked that looks like a secret: bearer tokens, keys of known services, JSON web
/// tokens, passwords in addresses, and what stands behind `token=`, `password:` and their like.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut safe = String::new();
    let (mut copied, mut at) = (0, 0);
    while at < text.len() {
        if let Some((keep, end)) = secret_at(text, at) {
            safe.push_str(&text[copied..keep]);
            safe.push_str(MASK);
            (copied, at) = (end, end);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    safe.push_str(&text[copied..]);
    Cow::Owned(safe)
}

/// The secret that a text holds behind `at`: where it begins and where it ends.
fn secret_at(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at..];
    if rest.starts_with("://") {
        return user_in_address(text, at + 3);
    }
    let first = rest.as_bytes()[0];
    if !first.is_ascii_alphabetic() || !is_boundary(text, at) {
        return None;
    }
    if starts_with(rest, "bearer") {
        let start = at + 6 + blanks(&rest[6..]);
        let end =
            start + run(&text[start..], |c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c));
        if start > at + 6 && end > start {
            return Some((start, end));
        }
    }
    if let Some(prefix) = PREFIXES.iter().find(|prefix| rest.starts_with(**prefix)) {
        let start = at + prefix.len();
        let length = run(&text[start..], is_of_key);
        if length >= SHORTEST {
            return Some((at, start + length));
        }
    }
    if rest.starts_with("eyJ")
        && let Some(end) = web_token(rest)
    {
        return Some((at, at + end));
    }
    let word = SAID.iter().filter(|word| starts_with(rest, word)).max_by_key(|word| word.len())?;
    said(text, at + word.len())
}

/// What is said behind a word that ends at `at`: a sign, and a value.
fn said(text: &str, at: usize) -> Option<(usize, usize)> {
    // `"password": "x"` as well.
    let mut at = at + run(&text[at..], |c| c == '"' || c == '\'');
    at += blanks(&text[at..]);
    if !text[at..].starts_with([':', '=']) {
        return None;
    }
    at += 1;
    at += blanks(&text[at..]);
    at += run(&text[at..], |c| c == '"' || c == '\'');
    let is_value = |c: char| !c.is_whitespace() && !",\"';&".contains(c);
    // The scheme of an authorization is no secret, and what follows it is.
    for scheme in ["basic", "bearer", "digest"] {
        if starts_with(&text[at..], scheme) {
            let behind = at + scheme.len();
            let blank = blanks(&text[behind..]);
            if blank > 0 {
                at = behind + blank;
            }
        }
    }
    let length = run(&text[at..], is_value);
    // Already masked: nothing is gained by doing it again.
    (length > 0 && !text[at..].starts_with(MASK)).then_some((at, at + length))
}

/// The name and password of an address whose host part begins at `at`.
fn user_in_address(text: &str, at: usize) -> Option<(usize, usize)> {
    let length = run(&text[at..], |c| !c.is_whitespace() && !"/?#@\"'".contains(c));
    let end = at + length;
    (text[end..].starts_with('@') && text[at..end].contains(':')).then_some((at, end))
}

/// The length of a JSON web token at the beginning of a text.
fn web_token(text: &str) -> Option<usize> {
    let mut end = 0;
    for part in 0..3 {
        if part > 0 {
            if !text[end..].starts_with('.') {
                return None;
            }
            end += 1;
        }
        let length = run(&text[end..], is_of_key);
        if length < SHORTEST_PART {
            return None;
        }
        end += length;
    }
    Some(end)
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// Whether a word may begin at `at`.
fn is_boundary(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn starts_with(text: &str, word: &str) -> bool {
    text.as_bytes()
        .get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// The length of the characters at the beginning of a text that are of a kind, in bytes.
fn run(text: &str, of_kind: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of_kind(c)).unwrap_or(text.len())
}

fn blanks(text: &str) -> usize {
    run(text, char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_like_a_secret_is_masked_and_nothing_else() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4";
        for (text, expected) in [
            ("Authorization: Bearer abc.def~g+/h==", "Authorization: Bearer [REDACTED]"),
            ("sent bearer\tAbCd1 twice", "sent bearer\t[REDACTED] twice"),
            ("key sk-ant-api03-abcDEF_12, done", "key [REDACTED], done"),
            ("sk_live_12345678 ghp_abcdefgh1 AIzaSyA1234567", "[REDACTED] [REDACTED] [REDACTED]"),
            ("github_pat_11ABCDEFG0 xoxb-1234-5678-abcd", "[REDACTED] [REDACTED]"),
            (jwt, "[REDACTED]"),
            ("password=hunter2&user=me", "password=[REDACTED]&user=me"),
            ("{\"api_key\": \"abc\", \"x\": 1}", "{\"api_key\": \"[REDACTED]\", \"x\": 1}"),
            ("API-KEY : abc;", "API-KEY : [REDACTED];"),
            ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [REDACTED]"),
            ("https://me:hunter2@example.org/x", "https://[REDACTED]@example.org/x"),
            // No secrets.
            ("https://example.org:8080/a@b", "https://example.org:8080/a@b"),
            ("task-skeleton sk-short risk-1234567890", "task-skeleton sk-short risk-1234567890"),
            ("the token was read, tokens: many", "the token was read, tokens: many"),
            ("eyJ is how they begin", "eyJ is how they begin"),
            ("bearer of bad news", "bearer [REDACTED] bad news"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_that_name_secrets_are_known_in_any_case() {
        for key in ["token", "API_KEY", "proxy_authorization", "sessionCookie", "auth_enabled"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["run_id", "path", "error", "keeper_pid"] {
            assert!(!is_secret(key), "{key}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_twice_is_as_once(text in "\\PC{0,60}") {
            let once = redacted(&text).into_owned();
            prop_assert_eq!(redacted(&once).into_owned(), once);
        }

        #[test]
        fn a_key_of_a_service_is_masked_wherever_it_stands(
            before in "[ \\n:=\"'(]{0,4}",
            prefix in prop::sample::select(PREFIXES),
            key in "[A-Za-z0-9]{8,40}",
            after in "( .{0,10})?",
        ) {
            let safe = redacted(&format!("{before}{prefix}{key}{after}")).into_owned();
            prop_assert!(!safe.contains(&key) || after.contains(&key), "{}", safe);
        }
    }
}
