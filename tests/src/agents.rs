//! Fake agents: scripts called `claude`, `codex` or anything, which do what a test wrote down.

use crate::{artifacts, fixture, tools};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// One thing that a fake agent does. It does them in order and then exits with 0.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes a recorded session of `agent-streams`, as `claude-text`, to both its outputs.
    Emit(String),
    /// Writes a line to standard output.
    Print(String),
    /// Writes a line to standard error.
    Complain(String),
    /// Writes this many bytes to standard output.
    Fill(u64),
    /// Reads standard input to its end and saves it.
    SaveInput(PathBuf),
    /// Saves its arguments, one a line.
    SaveArguments(PathBuf),
    /// Saves its environment, one variable a line, sorted.
    SaveEnvironment(PathBuf),
    /// Makes an empty file.
    Touch(PathBuf),
    /// Makes an empty file in the folder that a variable names, as `DONE` in `JRUN_TASK_FOLDER`.
    TouchIn(&'static str, &'static str),
    /// Sleeps.
    Sleep(Duration),
    /// Waits until the test opens this named pipe for writing, with [`FakeAgents::gate`] made.
    WaitAt(PathBuf),
    /// Starts a child that holds the outputs open and sleeps; goes on at once.
    Linger(Duration),
    /// Starts a process that leaves the session and has no parent here; saves its id; goes on.
    Daemon(Duration, PathBuf),
    /// Kills itself with this signal.
    Die(i32),
    /// Exits with this code.
    Exit(u8),
}

/// A folder of fake agents, to be put first on the PATH.
#[derive(Debug)]
pub struct FakeAgents {
    folder: PathBuf,
    program: PathBuf,
}

impl FakeAgents {
    /// Fake agents in `folder`, which is made where it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> FakeAgents {
        let folder = folder.into();
        fs::create_dir_all(&folder).expect("a folder for fake agents");
        FakeAgents { folder, program: artifacts::binary("conductor-tests", "fake-agent") }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the agent `name` do `steps`. Asked for its `--version`, or for `--help`, it answers,
    /// whatever they are.
    pub fn add(&self, name: &str, steps: &[Step]) -> PathBuf {
        self.write(name, "", steps)
    }

    /// The same, but SIGTERM does not end it, nor what it starts.
    pub fn add_stubborn(&self, name: &str, steps: &[Step]) -> PathBuf {
        self.write(name, "trap '' TERM\n", steps)
    }

    /// A named pipe for [`Step::WaitAt`]; the agent goes on once [`open_gate`] was called.
    pub fn gate(&self, name: &str) -> PathBuf {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.folder.join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a named pipe");
        path
    }

    fn write(&self, name: &str, before: &str, steps: &[Step]) -> PathBuf {
        let mut script = format!("#!/bin/sh\n{before}exec ");
        script.push_str(&quoted(self.program.as_os_str().as_bytes()));
        for word in steps.iter().flat_map(words) {
            write!(script, " {}", quoted(word.as_bytes())).expect("write to a string");
        }
        script.push_str(" -- \"$@\"\n");
        let path = self.folder.join(name);
        put(&path, script);
        path
    }
}

/// Puts an executable script at its place. A process of its own writes it: a child that another thread starts
/// at this moment could hold it open a moment longer, and what is open for writing cannot be executed.
pub fn put(path: &Path, script: impl AsRef<[u8]>) {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    fs::write(&draft, script).expect("write a script");
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).expect("make it executable");
    tools::check(Command::new("cp").arg("-p").arg(&draft).arg(path));
    fs::remove_file(draft).expect("remove what was copied");
}

/// Lets the agent that waits at this gate go on; waits until it is there.
pub fn open_gate(gate: &Path) {
    fs::OpenOptions::new().write(true).open(gate).expect("open a gate");
}

/// A word that the shell takes as it is.
fn quoted(word: &[u8]) -> String {
    format!("'{}'", String::from_utf8_lossy(word).replace('\'', "'\\''"))
}

/// A step as arguments of `fake-agent`.
fn words(step: &Step) -> Vec<OsString> {
    let millis = |time: &Duration| OsString::from(time.as_millis().to_string());
    let word = |name: &str, value: OsString| vec![OsString::from(name), value];
    match step {
        Step::Emit(name) => {
            let stream = fixture(&format!("agent-streams/{name}.stdout"));
            word("emit", stream.with_extension("").into())
        }
        Step::Print(line) => word("print", line.into()),
        Step::Complain(line) => word("complain", line.into()),
        Step::Fill(bytes) => word("fill", bytes.to_string().into()),
        Step::SaveInput(path) => word("save-input", path.into()),
        Step::SaveArguments(path) => word("save-arguments", path.into()),
        Step::SaveEnvironment(path) => word("save-environment", path.into()),
        Step::Touch(path) => word("touch", path.into()),
        Step::TouchIn(variable, name) => {
            vec!["touch-in".into(), (*variable).into(), (*name).into()]
        }
        Step::Sleep(time) => word("sleep", millis(time)),
        Step::WaitAt(path) => word("wait-at", path.into()),
        Step::Linger(time) => word("linger", millis(time)),
        Step::Daemon(time, path) => vec!["daemon".into(), millis(time), path.into()],
        Step::Die(signal) => word("die", signal.to_string().into()),
        Step::Exit(code) => word("exit", code.to_string().into()),
    }
}
