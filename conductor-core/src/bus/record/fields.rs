//! The lines of a header that say something to a reader of today.

/// What such a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Ts,
    Type,
    ProjectId,
    TaskId,
    RunId,
    IssueId,
    Parents,
    Links,
    Meta,
}

impl Key {
    fn of(name: &str) -> Option<Key> {
        Some(match name {
            "ts" => Key::Ts,
            "type" => Key::Type,
            "project_id" => Key::ProjectId,
            "task_id" => Key::TaskId,
            "run_id" => Key::RunId,
            "issue_id" => Key::IssueId,
            "parents" => Key::Parents,
            "links" => Key::Links,
            "meta" => Key::Meta,
            _ => return None,
        })
    }
}

/// The keys of header lines with their values as they are written, in their order.
///
/// `id`, numbers and checksum were looked at before, and a key of a newer writer is not ours to judge:
/// they are passed over.
pub(super) struct Fields<'a> {
    rest: &'a str,
    seen: u16,
}

/// The fields of `lines`, each of which ends with a line feed.
pub(super) fn fields(lines: &str) -> Fields<'_> {
    Fields { rest: lines, seen: 0 }
}

impl<'a> Iterator for Fields<'a> {
    /// `None` where a key stands twice: readers that take the first and readers that take the last
    /// would tell two messages.
    type Item = Option<(Key, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(end) = memchr::memchr(b'\n', self.rest.as_bytes()) {
            let line = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            // No key holds a colon, so the first one ends it.
            let Some(colon) = memchr::memchr(b':', line.as_bytes()) else { continue };
            let (Some(key), Some(value)) =
                (Key::of(&line[..colon]), line[colon..].strip_prefix(": "))
            else {
                continue;
            };
            let bit = 1 << key as u16;
            let again = self.seen & bit != 0;
            self.seen |= bit;
            return Some((!again).then_some((key, value)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &str) -> Vec<Option<(Key, &str)>> {
        fields(lines).collect()
    }

    #[test]
    fn keys_of_others_and_what_is_no_field_are_passed_over() {
        let lines =
            "seq: 1\nts: now\ncolour: blue\ntype:FACT\ntype: \nno field\n\nmeta: {}\nrun_id";
        let expected = [(Key::Ts, "now"), (Key::Type, ""), (Key::Meta, "{}")];
        assert_eq!(all(lines), expected.map(Some));
    }

    #[test]
    fn a_key_stands_once() {
        assert_eq!(all("type: A\nts: x\ntype: A\n")[2], None);
        assert_eq!(all("colour: blue\ncolour: red\n"), []);
    }
}
