//! Many at once in one task: nothing is lost, nothing is given twice, nobody fails.

use crate::workshop::*;
use conductor_core::Outcome;
use conductor_tests::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Stdio};

const MANY: usize = 200;

#[test]
fn two_hundred_jobs_at_once_are_two_hundred_runs() {
    let sandbox = Sandbox::new();
    let folder = sandbox.folder("complaints");
    let start = |number: usize| {
        let complaints = File::create(folder.join(number.to_string())).unwrap();
        Command::new(env!("CARGO_BIN_EXE_run-agent"))
            .args(["job", "-q", "--project", "p", "--task", "t", "--agent", "shell"])
            .args(["--prompt", "echo done"])
            .env_clear()
            .envs(sandbox.environment())
            .env("CONDUCTOR_ROOT", sandbox.root())
            .current_dir(sandbox.work())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints)
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..MANY).map(start).collect();
    for (number, mut child) in children.into_iter().enumerate() {
        let status = child.wait().unwrap();
        let said = std::fs::read_to_string(folder.join(number.to_string())).unwrap();
        // Whoever starts a run also closes others that are over; where one of them is in the hands of a
        // process that gets no turn for seconds, that is told, and whoever waits for that run closes it.
        let in_hand = |line: &str| {
            line.contains("a run that is over cannot be closed") && line.contains("is locked by")
        };
        let well = status.success() && said.lines().all(in_hand);
        assert!(well, "job {number}: {status}\n{said}");
    }
    let runs = runs(&sandbox);
    let ids: BTreeSet<_> = runs.iter().map(|run| run.id.clone()).collect();
    assert_eq!((runs.len(), ids.len()), (MANY, MANY));
    assert!(runs.iter().all(|run| run.outcome() == Some(Outcome::Completed)));
    for kind in ["RUN_START", "RUN_STOP"] {
        let of: Vec<_> =
            messages(&sandbox).into_iter().filter(|message| message.msg_type == kind).collect();
        let told: BTreeSet<_> = of.iter().map(|message| message.run_id.clone()).collect();
        assert_eq!((of.len(), told.len()), (MANY, MANY), "{kind}");
    }
    assert_eq!(messages(&sandbox).len(), 2 * MANY);
    let open = std::fs::read_dir(sandbox.root().join(".conductor/open")).unwrap();
    assert_eq!(open.count(), 0, "nothing is left open");
}
