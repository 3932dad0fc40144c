//! `docs/CLI.md` is what the commands say of themselves.
//!
//! After a change, `WRITE_DOCS=1 cargo test -p run-agent --test cli reference` writes it anew.

use crate::support::*;
use conductor_core::KINDS;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::workspace;
use std::fmt::Write as _;
use std::fs;

const COMMANDS: &str = "## Commands\n";
const KIND_ROWS: &str = "| code | kind | what to do |\n| --- | --- | --- |\n";

/// The help of a command, and of those below it.
fn describe(sandbox: &Sandbox, command: &[&str], text: &mut String) {
    let args = command.iter().copied().chain(["--help"]);
    let program = run_agent(sandbox, args).env("COLUMNS", "90").env("NO_COLOR", "1");
    let help = program.succeed().stdout;
    let title = if command.is_empty() { "run-agent".to_owned() } else { command.join(" ") };
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(text, "\n### {title}\n\n```text\n{}\n```", help.join("\n").trim_end()).unwrap();
    let below = help.iter().skip_while(|line| **line != "Commands:").skip(1);
    let names = below.take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        // A line that goes on is indented further.
        if name.starts_with(' ') { None } else { name.split_whitespace().next() }
    });
    for name in names.filter(|name| *name != "help") {
        describe(sandbox, &[command, &[name]].concat(), text);
    }
}

fn kind_rows() -> String {
    let mut kinds: Vec<_> = KINDS.iter().collect();
    kinds.sort_by_key(|row| row.exit_code);
    let mut text = KIND_ROWS.to_owned();
    for row in kinds {
        writeln!(text, "| {} | `{}` | {} |", row.exit_code, row.name, row.advice).unwrap();
    }
    text
}

#[test]
fn the_reference_says_what_the_commands_say() {
    let sandbox = Sandbox::new();
    let path = workspace().join("docs/CLI.md");
    let document = fs::read_to_string(&path).unwrap();
    let (prose, _) = document.split_once(COMMANDS).unwrap();
    let (before, rest) = prose.split_once(KIND_ROWS).unwrap();
    let rows = rest.split_inclusive('\n').take_while(|line| line.starts_with('|'));
    let after = &rest[rows.map(str::len).sum()..];
    let mut wanted = format!("{before}{}{after}{COMMANDS}", kind_rows());
    describe(&sandbox, &[], &mut wanted);
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let document = fs::read_to_string(&path).unwrap();
    let differs = document.lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
    assert!(
        document == wanted,
        "docs/CLI.md is not what the commands say (first at {differs:?}): write it with \
         WRITE_DOCS=1 cargo test -p run-agent --test cli reference"
    );
}
