//! A list of what is to do: lines with an open box that name a task. Pure: text in, text out.
//!
//! ```text
//! - [ ] task-20260301-111500-fix-bug: the login fails with umlauts
//! - [ ] `fix-login` make the login work
//!       and whatever stands further in belongs to it
//! - [x] `old` done
//! ```

use crate::id::TaskId;

/// A line that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TodoLine {
    /// Its number; the first is 1.
    pub(super) number: usize,
    /// The task that it names first.
    pub(super) task: Option<TaskId>,
    /// What it says of it, with the lines that belong to it.
    pub(super) text: String,
}

/// The open lines of a list. What stands in a block of code is none.
pub(super) fn open_lines(text: &str) -> Vec<TodoLine> {
    let mut found: Vec<(TodoLine, usize)> = Vec::new();
    let mut goes_on = false;
    for line in lines(text) {
        let depth = line.text.len() - line.text.trim_start().len();
        if let Some(rest) = line.open() {
            let (task, said) = named(rest);
            let item = TodoLine { number: line.number, task, text: said };
            found.push((item, depth));
            goes_on = true;
        } else if let Some((item, its_depth)) = found.last_mut()
            && goes_on
            && (depth > *its_depth && !is_item(line.text) || line.text.trim().is_empty())
        {
            item.text.push('\n');
            item.text.push_str(line.text.trim());
        } else {
            goes_on = false;
        }
    }
    let trimmed = |(item, _): (TodoLine, usize)| {
        let text = item.text.trim().to_owned();
        TodoLine { text, ..item }
    };
    found.into_iter().map(trimmed).collect()
}

/// The list with every open line that names this task ticked; `None` where there is none.
pub(super) fn ticked(text: &str, task: &TaskId) -> Option<String> {
    let mut edits = Vec::new();
    for line in lines(text) {
        if let Some(rest) = line.open()
            && named(rest).0.as_ref() == Some(task)
        {
            // The blank in the box: three bytes before the rest, which follows `] `.
            let in_line = line.text.len() - rest.len();
            edits.push(line.offset + in_line - "] ".len() - 1);
        }
    }
    if edits.is_empty() {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    edits.into_iter().for_each(|at| bytes[at] = b'x');
    String::from_utf8(bytes).ok()
}

/// A line outside of blocks of code.
struct Line<'a> {
    number: usize,
    /// Where it begins in the text.
    offset: usize,
    /// Without its end.
    text: &'a str,
}

impl<'a> Line<'a> {
    /// What follows an open box, if it is an item with one.
    fn open(&self) -> Option<&'a str> {
        let item = self.text.trim_start();
        let rest = item.strip_prefix(['-', '*', '+'])?.trim_start_matches([' ', '\t']);
        rest.strip_prefix("[ ] ")
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let (mut offset, mut fence) = (0, None);
    text.split_inclusive('\n').enumerate().filter_map(move |(index, whole)| {
        let line = Line { number: index + 1, offset, text: whole.trim_end_matches(['\n', '\r']) };
        offset += whole.len();
        let start = line.text.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => return Some(line),
            _ => {}
        }
        None
    })
}

/// Whether it begins an item of its own, ticked or without a box.
fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    ["- ", "* ", "+ "].iter().any(|mark| line.starts_with(mark))
}

/// The task that a text names first, and the text without its name.
///
/// A name is an id of a task as conductor makes them, as a word of its own, or any id in back quotes.
fn named(text: &str) -> (Option<TaskId>, String) {
    let is_of_id = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else { break };
        if first == '`' {
            let quoted = rest[1..].find('`').map(|len| &rest[1..=len]);
            let Some(quoted) = quoted else { break };
            let end = at + quoted.len() + 2;
            if let Ok(task) = TaskId::new(quoted) {
                return (Some(task), without(text, at, end));
            }
            at = end;
        } else if is_of_id(first) {
            let len = rest.find(|c| !is_of_id(c)).unwrap_or(rest.len());
            let word = rest[..len].trim_end_matches('.');
            // Part of a path or an address is somebody else's name.
            let before = text[..at].chars().next_back();
            let after = text[at + len..].chars().next();
            let alone = ![before, after].iter().flatten().any(|c| "/\\@#?=&".contains(*c));
            if alone
                && is_made(word)
                && let Ok(task) = TaskId::new(word)
            {
                return (Some(task), without(text, at, at + word.len()));
            }
            at += len;
        } else {
            at += first.len_utf8();
        }
    }
    (None, text.trim().to_owned())
}

/// Whether it is `task-<8 digits>-<6 digits>-<slug>`.
fn is_made(word: &str) -> bool {
    let mut parts = word.splitn(4, '-');
    let digits = |part: Option<&str>, len| {
        part.is_some_and(|part| part.len() == len && part.bytes().all(|b| b.is_ascii_digit()))
    };
    parts.next() == Some("task")
        && digits(parts.next(), 8)
        && digits(parts.next(), 6)
        && parts.next().is_some_and(|slug| !slug.is_empty())
}

/// A text without its part from `start` to `end`, and without what joined that to the rest.
fn without(text: &str, start: usize, end: usize) -> String {
    let joins = |c: char| c.is_whitespace() || ":-–—,".contains(c);
    let (before, after) = (text[..start].trim(), text[end..].trim_start_matches(joins));
    [before, after.trim_end()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MADE: &str = "task-20260301-111500-fix-bug";

    fn found(text: &str) -> Vec<(usize, Option<String>, String)> {
        let lines = open_lines(text).into_iter();
        lines.map(|line| (line.number, line.task.map(|task| task.to_string()), line.text)).collect()
    }

    #[test]
    fn open_lines_name_their_task_and_hold_what_belongs_to_them() {
        let text = format!(
            "# To do\n\n- [ ] {MADE}: the login fails\n      with umlauts\n\n      and more\n\
             - [x] `old` done\n* [ ] make `fix-login` work\n  - [ ] `inner` deeper\n- [ ] no name\n\
             text\n- [ ]no box\n"
        );
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            found(&text),
            [
                (3, some(MADE), "the login fails\nwith umlauts\n\nand more".to_owned()),
                (8, some("fix-login"), "make work".to_owned()),
                (9, some("inner"), "deeper".to_owned()),
                (10, None, "no name".to_owned()),
            ]
        );
    }

    #[test]
    fn only_whole_names_count_and_code_is_no_list() {
        let one = |text: &str| found(&format!("- [ ] {text}")).remove(0).1;
        assert_eq!(one(&format!("see {MADE}.")), Some(MADE.to_owned()));
        assert_eq!(one(&format!("({MADE})")), Some(MADE.to_owned()));
        assert_eq!(one(&format!("sub{MADE}")), None);
        assert_eq!(one(&format!("https://x/{MADE}")), None);
        assert_eq!(one("task-2026-1115-x"), None);
        assert_eq!(one("`not an id` and `runs`"), None);
        assert_eq!(one("an `open quote"), None);
        assert_eq!(one("Ünïcode — `a`"), Some("a".to_owned()));
        let code = "```\n- [ ] `a` x\n```\n- [ ] `b` y\n~~~\n```\n- [ ] `c`\n~~~\n";
        let names: Vec<_> = found(code).into_iter().filter_map(|line| line.1).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn a_tick_changes_one_byte_of_each_line_that_names_the_task() {
        let task = TaskId::new("a").unwrap();
        let text = "- [ ] `a` x\r\n- [ ] `b` of `a`\n  *  [ ] see `a`\n- [x] `a`\n";
        let after = ticked(text, &task).unwrap();
        assert_eq!(after, "- [x] `a` x\r\n- [ ] `b` of `a`\n  *  [x] see `a`\n- [x] `a`\n");
        assert_eq!(ticked(&after, &task), None);
    }

    proptest! {
        #[test]
        fn nothing_but_boxes_ever_changes(text in "([-*+ \\[\\]x`a-c\n\r~#é]|- \\[ \\] ){0,80}") {
            let lines = open_lines(&text);
            for line in &lines {
                let Some(task) = &line.task else { continue };
                let after = ticked(&text, task).unwrap();
                prop_assert_eq!(after.len(), text.len());
                let changed = text.bytes().zip(after.bytes()).filter(|(old, new)| old != new);
                prop_assert!(changed.into_iter().all(|change| change == (b' ', b'x')));
                prop_assert!(open_lines(&after).len() < lines.len());
            }
        }
    }
}
