//! The block between two marks in a file of settings. Pure: bytes in, bytes out.

use super::Shell;

/// The marks, which the older program wrote too.
const BEGIN: &str = "# >>> conductor-loop shell aliases (managed by run-agent shell-setup) >>>";
const END: &str = "# <<< conductor-loop shell aliases (managed by run-agent shell-setup) <<<";

/// The block of a shell, marks and last line feed included.
///
/// The aliases are made only where the program is there, so that an agent can be called by name when it
/// is gone, and only for a person: fish would give them to scripts too.
pub(super) fn text(shell: Shell, run_agent: &str, agents: &[&str]) -> String {
    let (when, done) = match shell {
        Shell::Bash | Shell::Zsh => {
            (format!("if command -v {run_agent} >/dev/null 2>&1; then"), "fi")
        }
        Shell::Fish => (format!("if status is-interactive; and type -q {run_agent}"), "end"),
    };
    let aliases = agents
        .iter()
        .map(|agent| format!("    alias {agent}='{run_agent} wrap --agent {agent} --'\n"));
    let aliases: String = aliases.collect();
    format!(
        "{BEGIN}\n# Remove with: run-agent shell-setup uninstall\n{when}\n{aliases}{done}\n{END}\n"
    )
}

/// The text with the block in it: in place of an earlier one, else at its end behind a blank line.
pub(super) fn put(before: &[u8], block: &str) -> Result<Vec<u8>, &'static str> {
    let block = block.as_bytes();
    if let Some((start, end)) = find(before)? {
        return Ok([&before[..start], block, &before[end..]].concat());
    }
    let gap: &[u8] = match before {
        [] => b"",
        [.., b'\n'] => b"\n",
        _ => b"\n\n",
    };
    Ok([before, gap, block].concat())
}

/// The text without the block, and without the blank line that was put before it.
pub(super) fn take(before: &[u8]) -> Result<Vec<u8>, &'static str> {
    let Some((start, end)) = find(before)? else { return Ok(before.to_vec()) };
    let head = match &before[..start] {
        head @ [.., b'\n', b'\n'] => &head[..head.len() - 1],
        head => head,
    };
    Ok([head, &before[end..]].concat())
}

/// Where the block stands, from the first byte of its first line to behind its last line feed.
fn find(text: &[u8]) -> Result<Option<(usize, usize)>, &'static str> {
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    let mut offset = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let next = offset + line.len();
        let line = line.trim_ascii();
        if line == BEGIN.as_bytes() {
            begins.push(offset);
        } else if line == END.as_bytes() {
            ends.push(next);
        }
        offset = next;
    }
    match (&begins[..], &ends[..]) {
        ([], []) => Ok(None),
        ([begin], [end]) if begin < end => Ok(Some((*begin, *end))),
        ([_], []) => Err("the block of aliases has no end mark"),
        ([], [_]) => Err("the block of aliases has no begin mark"),
        _ => Err("the marks of the block of aliases stand more than once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> String {
        text(Shell::Bash, "run-agent", &["claude"])
    }

    #[test]
    fn a_block_is_put_once_replaced_in_place_and_taken_away() {
        let mine = block();
        let put = |before: &str| String::from_utf8(put(before.as_bytes(), &mine).unwrap()).unwrap();
        let take = |before: &str| String::from_utf8(take(before.as_bytes()).unwrap()).unwrap();
        assert_eq!(put(""), mine);
        assert_eq!(put("a\n"), format!("a\n\n{mine}"));
        assert_eq!(put("a"), format!("a\n\n{mine}"));
        let older = format!("a\n\n{BEGIN}\nalias claude='x'\n{END}\nb\n");
        assert_eq!(put(&older), format!("a\n\n{mine}b\n"));
        assert_eq!(take(&older), "a\nb\n");
        assert_eq!(take("a\n"), "a\n");
        // Edited on another system, and at the end of a file without a last line feed.
        let dos = format!("{BEGIN}\r\nx\r\n{END}");
        assert_eq!(put(&dos), mine);
        assert_eq!(take(&dos), "");
    }

    #[test]
    fn what_is_not_one_whole_block_is_left_alone() {
        for damaged in [
            format!("{BEGIN}\nalias\n"),
            format!("alias\n{END}\n"),
            format!("{END}\n{BEGIN}\n"),
            format!("{BEGIN}\n{END}\n{BEGIN}\n{END}\n"),
            format!("{BEGIN}\n{BEGIN}\n{END}\n"),
        ] {
            assert!(put(damaged.as_bytes(), &block()).is_err(), "{damaged}");
            assert!(take(damaged.as_bytes()).is_err(), "{damaged}");
        }
        // A comment that only speaks of it is no mark.
        let speaks = format!("echo '{BEGIN}'\n");
        assert_eq!(take(speaks.as_bytes()).unwrap(), speaks.as_bytes());
    }

    proptest! {
        #[test]
        fn putting_twice_is_putting_once_and_taking_gives_back(text in "[a-z# \n\r]{0,40}") {
            let once = put(text.as_bytes(), &block()).unwrap();
            prop_assert_eq!(&put(&once, &block()).unwrap(), &once);
            let mut back = text.into_bytes();
            if !back.is_empty() && !back.ends_with(b"\n") {
                back.push(b'\n');
            }
            prop_assert_eq!(take(&once).unwrap(), back);
        }
    }
}
