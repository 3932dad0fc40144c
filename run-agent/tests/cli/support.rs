//! What the tests of the commands share.

use conductor_core::{Conductor, Options};
use conductor_tests::process::{Finished, Program};
use conductor_tests::sandbox::Sandbox;
use conductor_tests::snapshot::snapshot;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The tasks of the fixture, in the order of their names.
pub(crate) const FIX_BUG: &str = "task-20260301-111500-fix-bug";
pub(crate) const CART: &str = "task-20261123-150121-lis7rv";
/// The newest run of each.
pub(crate) const FIX_BUG_RUN: &str = "20261123-1501210000-10270-1";
pub(crate) const CART_RUN: &str = "20261123-1501210000-10229-2";

/// A sandbox with a copy of the root that the older program left.
pub(crate) fn reference() -> Sandbox {
    Sandbox::with_fixture("reference-root")
}

/// `run-agent` with these arguments.
pub(crate) fn run_agent<S: AsRef<OsStr>>(
    sandbox: &Sandbox,
    args: impl IntoIterator<Item = S>,
) -> Program {
    sandbox.program(env!("CARGO_BIN_EXE_run-agent")).args(args).env("TZ", "UTC")
}

/// As [`run_agent`], with the arguments in one text.
pub(crate) fn cli(sandbox: &Sandbox, line: &str) -> Program {
    run_agent(sandbox, line.split_whitespace())
}

/// Runs it, and fails unless it exits with `code` and nothing on the disk has changed.
pub(crate) fn look(sandbox: &Sandbox, program: Program, code: i32) -> Finished {
    let before = snapshot(&sandbox.root());
    let finished = program.run().expect_code(code);
    before.assert_same(&snapshot(&sandbox.root()));
    finished
}

/// As [`look`], of a command that succeeds and has nothing to complain of; its output.
pub(crate) fn see(sandbox: &Sandbox, line: &str) -> String {
    let finished = look(sandbox, cli(sandbox, line), 0);
    assert_eq!(finished.stderr, "", "{line}");
    finished.stdout
}

/// The output of a command as JSON.
pub(crate) fn see_json(sandbox: &Sandbox, line: &str) -> serde_json::Value {
    serde_json::from_str(&see(sandbox, line)).unwrap()
}

/// Gives a file or folder a time of change that a test can know.
pub(crate) fn set_time(path: &Path, unix_seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// Writes a file below the root, its folders first.
pub(crate) fn write(sandbox: &Sandbox, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = sandbox.root().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// The record of a run of the older program.
pub(crate) fn record(status: &str, pid: u32) -> String {
    format!(
        "version: 1\nrun_id: \"\"\nproject_id: p\ntask_id: t\nagent: claude\npid: {pid}\npgid: {pid}\n\
         start_time: 2026-03-01T08:00:00Z\nend_time: 2026-03-01T08:01:15Z\nexit_code: 0\n\
         status: {status}\nagent_version: \"\"\n"
    )
}

/// The sandbox's root, opened by the library, whose agents carry the sandbox's mark.
pub(crate) fn conductor(sandbox: &Sandbox) -> Conductor {
    let mut options = Options::default();
    options.environment = Some(sandbox.environment());
    Conductor::open(sandbox.root(), options).unwrap()
}
