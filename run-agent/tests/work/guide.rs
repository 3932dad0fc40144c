//! `docs/GUIDE.md`: every command in it is run, in its order, and what it shows is what comes.

use crate::workshop::LONG;
use conductor_tests::agents::put;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::workspace;
use std::fs;

/// Stands in for Claude Code: what it does depends on what it is told.
const CLAUDE: &str = r#"#!/bin/bash
[ "$1" != --version ] || { echo "2.0.0 (stand-in)"; exit; }
prompt=$(cat)
case "$prompt" in
*"Make the login work"*)
    run-agent bus post --type PROGRESS --body "working on the login" >/dev/null
    # The first DONE does not stand up to its check.
    [ ! -e "$JRUN_TASK_FOLDER/DONE.rejected-1" ] || touch fixed
    ;;
*"Take your time"*) exec sleep 1000 ;;
*"Split the work"*)
    for part in one two; do
        run-agent job --quiet --agent shell --prompt "echo part $part" >/dev/null
    done
    ;;
esac
touch "$JRUN_TASK_FOLDER/DONE"
echo '{"type":"result","subtype":"success","is_error":false,"result":"Finished."}'
"#;

/// A block of the guide: commands, and lines that they print, in order; `None` for one that shows none.
struct Example {
    line: usize,
    commands: String,
    shown: Vec<String>,
}

fn examples(guide: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut lines = guide.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let body: Vec<String> = lines
            .by_ref()
            .map(|(line, _)| line.to_owned())
            .take_while(|line| line != "```")
            .collect();
        match kind {
            "sh" => {
                examples.push(Example { line: number, commands: body.join("\n"), shown: vec![] });
            }
            "text" => examples.last_mut().unwrap().shown = body,
            other => panic!("docs/GUIDE.md:{number}: a block of {other:?} is not tested"),
        }
    }
    examples
}

#[test]
fn every_command_of_the_guide_works_and_shows_what_it_says() {
    let guide = fs::read_to_string(workspace().join("docs/GUIDE.md")).unwrap();
    let sandbox = Sandbox::new();
    let bin = sandbox.folder("bin");
    put(&bin.join("claude"), CLAUDE);
    put(
        &bin.join("run-agent"),
        format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_run-agent")),
    );
    let examples = examples(&guide);
    let showing = examples.iter().filter(|example| !example.shown.is_empty()).count();
    assert!(showing >= 5, "only {showing} blocks show something");
    let mut tried = 0;
    for Example { line, commands, shown } in examples {
        let script = format!("set -euo pipefail\n{commands}\n");
        let bash = sandbox.program("/bin/bash").args(["-c", &script]).path_first(&bin);
        let finished = bash.env("TZ", "UTC").run();
        assert!(finished.status.success(), "docs/GUIDE.md:{line}: {finished:?}");
        let mut rest = &*finished.stdout;
        for wanted in &shown {
            let at = rest.find(wanted.trim()).unwrap_or_else(|| {
                panic!("docs/GUIDE.md:{line} does not show {wanted:?} there:\n{}", finished.stdout)
            });
            rest = &rest[at + wanted.trim().len()..];
        }
        tried += commands.lines().filter(|line| line.starts_with("run-agent ")).count();
    }
    assert!(tried >= 25, "only {tried} commands were found");
    // Nothing is left running; a driver may still be about to end.
    sandbox.wait_until_empty(LONG);
}
