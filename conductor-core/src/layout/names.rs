//! The names of the files and folders of a root. `docs/FORMAT.md` describes each.

/// Bus of a project, in the project's folder.
pub const PROJECT_BUS: &str = "PROJECT-MESSAGE-BUS.md";
/// Link from a project to its source folder (YAML in spite of its name).
pub const HOME_FOLDERS: &str = "home-folders.md";
/// The older program's link from a project to its source folder: its path on one line.
pub const PROJECT_ROOT: &str = "PROJECT-ROOT.txt";

/// Held by the monitor of a project's tasks.
pub const MONITOR_LOCK: &str = ".monitor.lock";

/// The prompt of a task; written once.
pub const TASK_PROMPT: &str = "TASK.md";
/// Bus of a task.
pub const TASK_BUS: &str = "TASK-MESSAGE-BUS.md";
/// Dependencies, limits and the completion check of a task.
pub const TASK_CONFIG: &str = "TASK-CONFIG.yaml";
/// The message that a task was started to answer.
pub const THREAD_LINK: &str = "TASK-THREAD-LINK.yaml";
/// An empty file with which the agent says that the task is finished.
pub const DONE: &str = "DONE";
/// The wish of a person or program that the task's loop ends.
pub const STOP_REQUESTED: &str = "STOP-REQUESTED";
/// The note that a task was cancelled.
pub const CANCELLED: &str = "CANCELLED";
/// What was told to the project's bus about the end of the task.
pub const PROPAGATION: &str = "TASK-COMPLETE-FACT-PROPAGATION.yaml";
/// The lock of [`PROPAGATION`], shared with the older program.
pub const PROPAGATION_LOCK: &str = "TASK-COMPLETE-FACT-PROPAGATION.lock";
/// The task loop's parameters and state.
pub const LOOP: &str = ".loop.yaml";
/// The lease of the task's loop: whoever holds it drives.
pub const LOOP_LOCK: &str = ".loop.lock";
/// Guards the task's folder: starters share it, who deletes holds it alone.
pub const TASK_LOCK: &str = ".task.lock";
/// What is left of runs when their folders are gone: a line of JSON for each.
pub const RECEIPTS: &str = ".receipts.jsonl";
/// The folder of a task's runs.
pub const RUNS: &str = "runs";

/// The record of a run.
pub const RUN_INFO: &str = "run-info.yaml";
/// The prompt as the agent got it.
pub const PROMPT: &str = "prompt.md";
/// The final text of a run.
pub const OUTPUT: &str = "output.md";
/// What the agent wrote to its standard output.
pub const STDOUT: &str = "agent-stdout.txt";
/// What the agent wrote to its standard error.
pub const STDERR: &str = "agent-stderr.txt";
/// The keeper's own record of the run's processes.
pub const KEEPER: &str = ".keeper";
/// Stands in the folder of a run that shares the terminal of whoever started it.
pub const ATTACHED: &str = ".attached";
/// Held by the keeper while anything of the run lives, then by who finishes the run.
pub const RUN_LOCK: &str = ".run.lock";

/// Space that is set aside for the end of a run, in the run's folder.
pub const RESERVE: &str = ".reserve";

/// The files of one check of a run's work, in the run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFiles {
    /// What the check printed.
    pub output: String,
    /// Its keeper's record.
    pub record: String,
    /// Held by its keeper while anything of it lives.
    pub lock: String,
}

/// The files of the check of this number; the first is 1.
pub fn check_files(number: u32) -> CheckFiles {
    CheckFiles {
        output: format!("verify-{number}.txt"),
        record: format!(".verify-{number}"),
        lock: format!(".verify-{number}.lock"),
    }
}

/// State of the root as a whole.
pub const CONDUCTOR: &str = ".conductor";
/// What holds for the root, whoever opens it, below [`CONDUCTOR`]; written by its owner alone.
pub const ROOT_SETTINGS: &str = "root.yaml";
/// One entry for each run that is not finished, below [`CONDUCTOR`].
pub const OPEN: &str = "open";
/// Accounts that are left alone for now, below [`CONDUCTOR`].
pub const HOLDS: &str = "holds";
/// Held while an agent's children are counted and one more is started, below [`CONDUCTOR`].
pub const FAMILY_LOCK: &str = ".family.lock";
/// Who runs, below [`CONDUCTOR`]: as many locks as may run at a time, in a folder for each pool.
pub const SLOTS: &str = "slots";
/// Who waits to run, below [`CONDUCTOR`]: a locked ticket for each, in a folder for each pool.
pub const QUEUE: &str = "queue";
/// What is being deleted, below [`CONDUCTOR`].
pub const TRASH: &str = "trash";
/// Places of readers that come back, below [`CONDUCTOR`].
pub const CURSORS: &str = "cursors";
/// What programs of agents said of themselves, a folder for each, below [`CONDUCTOR`].
pub const PROBES: &str = "probes";
/// Whose turn it is among the agents that share the work, and its lock, below [`CONDUCTOR`].
pub const ROTATION: &str = "rotation.yaml";
/// The lock of [`ROTATION`].
pub const ROTATION_LOCK: &str = "rotation.lock";
/// What the last garbage collection knew of the clock, below [`CONDUCTOR`].
pub const GC: &str = "gc.yaml";
/// Where the update of the server's program stands, below [`CONDUCTOR`].
pub const UPDATE: &str = "self-update.yaml";
/// Held by the one who can carry an update out, below [`CONDUCTOR`].
pub const UPDATE_LOCK: &str = "self-update.lock";
/// Shared by who starts a root run, held alone by who changes the state of an update, below
/// [`CONDUCTOR`].
pub const ADMISSION_LOCK: &str = "admission.lock";
/// The keeper's program, below [`CONDUCTOR`].
pub const BIN: &str = "bin";
/// Events that wait to be told to the webhook, below [`CONDUCTOR`].
pub const OUTBOX: &str = "outbox";
/// The token of the server, below [`CONDUCTOR`]; for its owner's eyes only.
pub const SERVER_TOKEN: &str = "server.token";
/// Held by who makes the token of the server, below [`CONDUCTOR`].
pub const SERVER_LOCK: &str = "server.lock";
/// One entry for each task that a server drives, below [`CONDUCTOR`].
pub const SERVED: &str = "served";
/// What was changed through the server, in the root.
pub const AUDIT: &str = "_audit";
/// The newest entries, below [`AUDIT`].
pub const AUDIT_LOG: &str = "form-submissions.jsonl";
/// Held while an entry is added, below [`AUDIT`].
pub const AUDIT_LOCK: &str = ".lock";
