//! Big roots, made up but plausible: the same specification gives the same bytes.

use crate::bus::{Message, append, append_legacy};
use conductor_core::Timestamp;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How big a root shall be.
#[derive(Clone, Debug)]
pub struct RootSpec {
    /// Projects.
    pub projects: usize,
    /// Tasks, spread over the projects.
    pub tasks: usize,
    /// Runs, spread over the tasks.
    pub runs: usize,
    /// Messages of each task besides those about its runs.
    pub messages: usize,
    /// Bytes of each run's standard output.
    pub output: usize,
}

impl Default for RootSpec {
    /// Four projects with 400 tasks and 20,000 runs: what a busy year leaves behind.
    fn default() -> RootSpec {
        RootSpec { projects: 4, tasks: 400, runs: 20_000, messages: 20, output: 400 }
    }
}

/// The root's first moment; one run follows the other, a minute apart.
const START: &str = "2026-03-01T08:00:00Z";
/// Each so-manieth task is as the older program left it.
const LEGACY: usize = 10;
/// Each so-manieth run failed.
const FAILED: usize = 7;

/// Makes a root at `path`, which must not exist or be empty.
///
/// One task in ten is as the older program wrote it, one run in seven failed, attempts follow each
/// other, and each task but every ninth is done. No run is alive.
///
/// # Errors
/// What the disk says; `AlreadyExists` where there is something at `path`.
pub fn make_root(path: &Path, spec: &RootSpec) -> io::Result<()> {
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("{} is not empty", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let path = &std::path::absolute(path)?;
    let start: Timestamp = START.parse().map_err(io::Error::other)?;
    let mut next_run = 0;
    let mut buses = vec![(Vec::new(), 0); spec.projects];
    for task in 0..spec.tasks {
        let at = start.plus(Duration::from_secs(60 * next_run as u64));
        let project = task % spec.projects.max(1);
        let mut writer = Task::new(path, project, task, at);
        // The rest of the division goes to the first tasks.
        let runs = spec.runs / spec.tasks + usize::from(task < spec.runs % spec.tasks);
        fs::create_dir_all(writer.folder.join("runs"))?;
        for attempt in 0..runs {
            let at = start.plus(Duration::from_secs(60 * next_run as u64));
            writer.run(next_run, attempt, at, spec.output)?;
            next_run += 1;
        }
        for number in 0..spec.messages {
            let body = format!("step {number} of the work is finished\nand checked");
            writer.post("PROGRESS", "", &body);
        }
        writer.finish(&mut buses[project])?;
    }
    for (project, (bus, _)) in buses.iter().enumerate() {
        let folder = path.join(project_name(project));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("PROJECT-MESSAGE-BUS.md"), bus)?;
    }
    Ok(())
}

fn project_name(project: usize) -> String {
    format!("project-{project:02}")
}

/// One task while it is made.
struct Task {
    number: usize,
    project: String,
    id: String,
    folder: PathBuf,
    now: Timestamp,
    bus: Vec<u8>,
    messages: u32,
    last_run: String,
}

impl Task {
    fn new(root: &Path, project: usize, number: usize, now: Timestamp) -> Task {
        let project = project_name(project);
        let id = format!("task-{}-work-{number:04}", now.compact());
        let folder = root.join(&project).join(&id);
        let (bus, last_run) = (Vec::new(), String::new());
        Task { number, project, id, folder, now, bus, messages: 0, last_run }
    }

    fn is_legacy(&self) -> bool {
        self.number % LEGACY == LEGACY - 1
    }

    fn is_done(&self) -> bool {
        self.number % 9 != 8
    }

    fn post(&mut self, kind: &str, run: &str, body: &str) {
        self.now = self.now.plus(Duration::from_millis(5));
        self.messages += 1;
        let legacy = self.is_legacy();
        let message = Message {
            at: self.now,
            pid: 10_000,
            count: self.messages,
            kind,
            project: &self.project,
            task: &self.id,
            run,
            body,
        };
        if legacy {
            append_legacy(&mut self.bus, &message);
        } else {
            append(&mut self.bus, self.messages.into(), &message);
        }
    }

    /// One attempt: its folder, its five files, its two messages.
    fn run(
        &mut self,
        number: usize,
        attempt: usize,
        at: Timestamp,
        output: usize,
    ) -> io::Result<()> {
        self.now = at;
        let fraction = at.subsec_nanos() / 100_000;
        let pid = 10_000 + number % 50_000;
        let run = format!("{}{fraction:04}-{pid}-{}", at.compact(), number + 1);
        let folder = self.folder.join("runs").join(&run);
        fs::create_dir(&folder)?;
        let dir = folder.display();
        let code = if number % FAILED == FAILED - 1 { 1 } else { 0 };
        self.post("INFO", "", &format!("starting root agent (restart #{attempt})"));
        let body = format!(
            "run started\nrun_dir: {dir}\nprompt: {dir}/prompt.md\nstdout: {dir}/agent-stdout.txt\n\
             stderr: {dir}/agent-stderr.txt\noutput: {dir}/output.md"
        );
        self.post("RUN_START", &run, &body);
        self.now = self.now.plus(Duration::from_secs(50));
        let kind = if code == 0 { "RUN_STOP" } else { "RUN_CRASH" };
        let body = format!("run stopped with code {code}\nrun_dir: {dir}\noutput: {dir}/output.md");
        self.post(kind, &run, &body);

        fs::write(folder.join("run-info.yaml"), self.record(&run, pid, at, code, &folder))?;
        fs::write(folder.join("prompt.md"), format!("Do part {attempt} of the work.\n"))?;
        fs::write(folder.join("output.md"), format!("Part {attempt} of the work is done.\n"))?;
        let line = "The work goes on, line after line.\n";
        let text: String = line.chars().cycle().take(output).collect();
        fs::write(folder.join("agent-stdout.txt"), text)?;
        fs::write(folder.join("agent-stderr.txt"), if code == 0 { "" } else { "it broke\n" })?;
        self.last_run = run;
        Ok(())
    }

    fn record(&self, run: &str, pid: usize, at: Timestamp, code: u8, folder: &Path) -> String {
        let dir = folder.display();
        let status = if code == 0 { "completed" } else { "failed" };
        let mut text = format!("version: 1\nrun_id: {run}\n");
        if !self.last_run.is_empty() {
            writeln!(text, "previous_run_id: {}", self.last_run).expect("write to a string");
        }
        write!(
            text,
            "project_id: {}\ntask_id: {}\nagent: claude\nprocess_ownership: managed\npid: {pid}\n\
             pgid: {pid}\nstart_time: {at}\nend_time: {}\nexit_code: {code}\nstatus: {status}\n\
             cwd: {}\nprompt_path: {dir}/prompt.md\noutput_path: {dir}/output.md\n\
             stdout_path: {dir}/agent-stdout.txt\nstderr_path: {dir}/agent-stderr.txt\n\
             commandline: claude -p < {dir}/prompt.md\n",
            self.project,
            self.id,
            self.now,
            self.folder.display(),
        )
        .expect("write to a string");
        if code != 0 {
            text.push_str("error_summary: agent exited with code 1\n");
        }
        if !self.is_legacy() {
            writeln!(text, "outcome: {status}").expect("write to a string");
        }
        text
    }

    /// The task's own files, and a message on the project's bus where it is done.
    fn finish(mut self, project_bus: &mut (Vec<u8>, u32)) -> io::Result<()> {
        fs::write(self.folder.join("TASK.md"), format!("Do the work number {}.\n", self.number))?;
        if self.is_done() {
            fs::write(self.folder.join("DONE"), "")?;
            let body = "task completed (DONE marker present, no active children)";
            self.post("INFO", "", body);
            let (bus, messages) = project_bus;
            *messages += 1;
            let body = format!("task {} is completed", self.id);
            let message = Message {
                at: self.now,
                pid: 10_000,
                count: *messages,
                kind: "FACT",
                project: &self.project,
                task: &self.id,
                run: "",
                body: &body,
            };
            append(bus, (*messages).into(), &message);
        }
        fs::write(self.folder.join("TASK-MESSAGE-BUS.md"), &self.bus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::snapshot;

    #[test]
    fn a_root_has_what_was_asked_for_and_is_the_same_each_time() {
        let spec = RootSpec { projects: 3, tasks: 20, runs: 47, messages: 2, output: 10 };
        let folder = tempfile::tempdir().unwrap();
        make_root(folder.path(), &spec).unwrap();
        let count = |name: &str| {
            let tree = snapshot(folder.path());
            tree.paths().filter(|path| path.file_name().is_some_and(|n| n == name)).count()
        };
        assert_eq!(count("PROJECT-MESSAGE-BUS.md"), 3);
        assert_eq!((count("TASK.md"), count("TASK-MESSAGE-BUS.md"), count("runs")), (20, 20, 20));
        for name in ["run-info.yaml", "prompt.md", "output.md", "agent-stdout.txt"] {
            assert_eq!(count(name), 47, "{name}");
        }
        assert_eq!(count("DONE"), 18);

        let bus = |root: &Path| fs::read(root.join("project-01/PROJECT-MESSAGE-BUS.md")).unwrap();
        let again = tempfile::tempdir().unwrap();
        make_root(again.path(), &spec).unwrap();
        assert_eq!(bus(folder.path()), bus(again.path()));
        let error = make_root(folder.path(), &spec).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}
