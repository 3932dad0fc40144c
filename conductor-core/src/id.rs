//! Identifiers: parsing is validating.
//!
//! An id is one path component, checked here and nowhere else, before anything is joined to a path:
//! `[A-Za-z0-9][A-Za-z0-9._-]{0,127}` without a trailing dot. What an older program wrote and this
//! rule refuses is listed as foreign and never followed.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest id, in bytes.
pub(crate) const MAX_LEN: usize = 128;

/// A name that would collide with a folder of the layout.
const RESERVED: &str = "runs";

fn check(field: &'static str, text: &str) -> Result<()> {
    let refuse = |why: String| {
        let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
        Err(Error::invalid("id.invalid", field, format!("invalid {field} id \"{shown}\": {why}"))
            .with_hint(
                "an id is 1 to 128 of the letters A-Z a-z 0-9 . _ - and starts with a letter or digit",
            ))
    };
    if text.is_empty() {
        return refuse("it is empty".into());
    }
    if text.len() > MAX_LEN {
        return refuse(format!("it has {} bytes, more than {MAX_LEN}", text.len()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // The answer is hardly ever no, so that looking at all of them at once is faster.
    if !text.bytes().fold(true, |all, byte| all & plain(byte)) {
        let at = text.bytes().position(|byte| !plain(byte)).unwrap_or_default();
        // All before it is ASCII, so a character begins there.
        let bad = text[at..].chars().next().unwrap_or_default();
        return refuse(format!("the character {bad:?} is not allowed"));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("it does not start with a letter or digit".into());
    }
    if text.ends_with('.') {
        return refuse("it ends with a dot".into());
    }
    if text == RESERVED {
        return refuse("this name is reserved".into());
    }
    Ok(())
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes an id of it.
            ///
            /// # Errors
            /// `id.invalid` with the reason and the rule.
            pub fn new(text: impl AsRef<str>) -> Result<$name> {
                check($field, text.as_ref())?;
                Ok($name(text.as_ref().into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<$name> {
                $name::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<std::path::Path> for $name {
            fn as_ref(&self) -> &std::path::Path {
                std::path::Path::new(&*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id_type!(
    /// The id of a project: the first folder below the root.
    ProjectId, "project"
);
id_type!(
    /// The id of a task: the second folder below the root.
    TaskId, "task"
);
id_type!(
    /// The id of a run: `<YYYYMMDD>-<HHMMSS><4 digits of fraction>-<pid>-<seq>`, UTC.
    ///
    /// Ids of one process sort in the order of their creation as long as `seq` has the same number
    /// of digits; [`RunId::sort_key`] sorts in the order of creation whatever its length.
    RunId, "run"
);
id_type!(
    /// The id of a message on a bus: `MSG-<date>-<time>-<9 digits of ns>-PID<pid>-<counter>`.
    MessageId, "message"
);

/// Checks `text` as the id of a `noun`: `project`, `task`, `run` or `message`.
///
/// # Errors
/// `id.invalid` as from the type's own `new`, `id.unknown_noun` for another noun.
pub fn check_id(noun: &str, text: &str) -> Result<()> {
    match ["project", "task", "run", "message"].into_iter().find(|known| *known == noun) {
        Some(field) => check(field, text),
        None => Err(Error::invalid("id.unknown_noun", "noun", format!("nothing is a {noun:?}"))
            .with_hint("ids are those of a project, task, run or message")),
    }
}

impl RunId {
    /// A key in the order of creation: the time, then pid and sequence number as numbers.
    ///
    /// An id of another shape sorts by its text alone.
    pub fn sort_key(&self) -> (&str, u64, u64, &str) {
        let text = self.as_str();
        let mut parts = text.splitn(4, '-');
        let (date, time) = (parts.next(), parts.next());
        let (pid, seq) = (parts.next(), parts.next());
        let (Some(date), Some(time), Some(pid), Some(seq)) = (date, time, pid, seq) else {
            return (text, 0, 0, text);
        };
        let stamp = &text[..date.len() + 1 + time.len()];
        let digits = seq.split('-').next().unwrap_or(seq);
        match (pid.parse(), digits.parse()) {
            (Ok(pid), Ok(seq)) => (stamp, pid, seq, text),
            _ => (text, 0, 0, text),
        }
    }
}

impl TaskId {
    /// A task id made from the moment `stamp` (`YYYYMMDD-HHMMSS`) and the first words of a prompt.
    pub fn generate(stamp: &str, prompt: &str) -> TaskId {
        let slug = slug(prompt);
        let text = if slug.is_empty() {
            format!("task-{stamp}-untitled")
        } else {
            format!("task-{stamp}-{slug}")
        };
        TaskId(text.into())
    }

    /// The same id with `-<n>` behind it, for when it is taken.
    pub fn numbered(&self, n: u32) -> TaskId {
        TaskId(format!("{}-{n}", self.0).into())
    }
}

/// At most 40 lower-case characters from the first words of `text`, joined by dashes.
fn slug(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut slug = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let dash = usize::from(!slug.is_empty());
        if slug.len() + dash + word.len() > LONGEST {
            if slug.is_empty() {
                slug.push_str(&word[..LONGEST].to_ascii_lowercase());
            }
            break;
        }
        if dash == 1 {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_ids_are_accepted() {
        for id in ["a", "shop", "task-001", "A.b_c-9", &"x".repeat(128), "MSG-1", "20261123-1"] {
            assert_eq!(ProjectId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn what_is_not_one_path_component_is_refused_with_the_field_named() {
        for id in [
            "",
            ".",
            "..",
            "...",
            "a/b",
            "/a",
            "a\\b",
            "a\0b",
            "a\nb",
            "-a",
            ".a",
            "_a",
            "a.",
            "\u{e9}",
            "a b",
            "runs",
            &"x".repeat(129),
            "a\u{202e}b",
        ] {
            let error = TaskId::new(id).unwrap_err();
            assert_eq!(error.code(), "id.invalid", "{id:?}");
            assert_eq!(error.field(), Some("task"));
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn an_id_is_checked_by_the_name_of_its_noun() {
        for noun in ["project", "task", "run", "message"] {
            assert!(check_id(noun, "a").is_ok());
            assert_eq!(check_id(noun, "a/b").unwrap_err().field(), Some(noun));
        }
        assert_eq!(check_id("bus", "a").unwrap_err().code(), "id.unknown_noun");
    }

    #[test]
    fn run_ids_sort_by_creation_not_by_text() {
        let mut ids: Vec<_> = ["20260101-0101010000-9-10", "20260101-0101010000-9-2"]
            .map(|id| RunId::new(id).unwrap())
            .into();
        ids.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        assert_eq!(ids[0].as_str(), "20260101-0101010000-9-2");
    }

    #[test]
    fn task_ids_are_generated_from_the_first_words() {
        let id = TaskId::generate("20260301-111500", "Fix the login bug, please!\nSecond line");
        assert_eq!(id.as_str(), "task-20260301-111500-fix-the-login-bug-please-second-line");
        assert_eq!(
            TaskId::generate("20260301-111500", "?!").as_str(),
            "task-20260301-111500-untitled"
        );
        assert_eq!(id.numbered(2).as_str(), format!("{id}-2"));
    }

    proptest! {
        #[test]
        fn accepted_ids_never_escape_their_folder(text in "\\PC{0,20}") {
            if let Ok(id) = TaskId::new(&text) {
                let joined = std::path::Path::new("/root").join(&id);
                prop_assert_eq!(joined.parent(), Some(std::path::Path::new("/root")));
                prop_assert_eq!(joined.components().count(), 3);
            }
        }

        #[test]
        fn generated_ids_are_valid(prompt in "\\PC{0,200}") {
            let id = TaskId::generate("20260301-111500", &prompt);
            prop_assert!(TaskId::new(id.as_str()).is_ok());
        }
    }
}
