//! What the tests of the commands that work share: scripts, gates, and looks at what became of them.

use crate::support::{conductor, run_agent};
use conductor_core::{Event, Message, RunInfo, TaskInfo, Wait};
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use rustix::fs::{CWD, Mode, mkfifoat};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than anything here takes; it ends a hang and measures nothing.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Done with the second attempt.
pub(crate) const TWO: &str = "echo x >>\"$JRUN_TASK_FOLDER/count\"
echo \"attempt $(grep -c x \"$JRUN_TASK_FOLDER/count\")\"
[ $(grep -c x \"$JRUN_TASK_FOLDER/count\") -lt 2 ] || touch \"$JRUN_TASK_FOLDER/DONE\"";

/// As `then`, which counts its attempts in the file `count`; the first one waits at a gate before.
pub(crate) fn first_waits_at(gate: &Path, then: &str) -> String {
    format!("[ -e \"$JRUN_TASK_FOLDER/count\" ] || {{ {}; }}\n{then}", wait_at(gate))
}

/// `run-agent task p/t` with the agent `shell` and this script.
pub(crate) fn task(sandbox: &Sandbox, script: &str) -> Program {
    run_agent(sandbox, ["task", "--project", "p", "--task", "t", "--agent", "shell"]).args([
        "--restart-delay",
        "10ms",
        "--prompt",
        script,
    ])
}

/// `run-agent job p/t` with the agent `shell` and this script.
pub(crate) fn job(sandbox: &Sandbox, script: &str) -> Program {
    run_agent(sandbox, ["job", "--project", "p", "--task", "t", "--agent", "shell"])
        .args(["--prompt", script])
}

/// A named pipe that a script waits at: `read line <'GATE'`.
pub(crate) fn gate(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.work().join(name);
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    path
}

/// The words that wait at a gate.
pub(crate) fn wait_at(gate: &Path) -> String {
    format!("read line <'{}' || true", gate.display())
}

/// What is known of the task p/t.
pub(crate) fn info(sandbox: &Sandbox) -> TaskInfo {
    conductor(sandbox).tasks().info(&"p".parse().unwrap(), &"t".parse().unwrap()).unwrap()
}

/// The runs of p/t.
pub(crate) fn runs(sandbox: &Sandbox) -> Vec<RunInfo> {
    let runs = conductor(sandbox).runs().list(&"p".parse().unwrap(), &"t".parse().unwrap());
    runs.unwrap().into_iter().map(Result::unwrap).collect()
}

/// The messages of p/t; damage fails the test.
pub(crate) fn messages(sandbox: &Sandbox) -> Vec<Message> {
    let bus = conductor(sandbox).bus(("p", "t")).unwrap();
    let events = bus.read(Default::default()).unwrap();
    events
        .map(|event| match event.unwrap() {
            Event::Message(message) => message,
            other => panic!("damage: {other:?}"),
        })
        .collect()
}

/// How many messages of a type p/t has.
pub(crate) fn count(sandbox: &Sandbox, kind: &str) -> usize {
    messages(sandbox).iter().filter(|message| message.msg_type == kind).count()
}

/// Waits for a message on the bus of p/t that satisfies `wanted`.
pub(crate) fn await_message(sandbox: &Sandbox, wanted: impl Fn(&Message) -> bool) -> Message {
    let bus = conductor(sandbox).bus(("p", "t")).unwrap();
    bus.follow(&conductor_core::Cursor::START, Wait::from(LONG))
        .unwrap()
        .find_map(|event| match event.unwrap() {
            Event::Message(message) if wanted(&message) => Some(message),
            _ => None,
        })
        .expect("a message that was never posted")
}
