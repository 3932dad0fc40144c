//! What the server asks the system for, counted.

use crate::support::*;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::tools;
use rustix::process::Signal;
use std::collections::BTreeMap;

/// System calls, by name.
#[derive(Debug)]
pub(crate) struct Calls(BTreeMap<String, u64>);

impl Calls {
    /// Those that the server makes while something is done; `None` where there is no strace.
    pub(crate) fn during(sandbox: &Sandbox, server: &Server, what: impl FnOnce()) -> Option<Calls> {
        let strace = tools::find("strace")?;
        let report = sandbox.work().join("calls");
        let counter = format!(
            "exec {} -f -c -U name,calls -o '{}' \"$@\" 2>&1",
            strace.display(),
            report.display()
        );
        let shell = std::path::Path::new("/bin/sh");
        let mut counter = Program::new(shell).args(["-c", &counter, "sh"]);
        let processes = processes(server);
        for process in &processes {
            counter = counter.arg("-p").arg(process.to_string());
        }
        let mut counter = counter.start();
        // A line for each, also for one that is gone by then.
        let lines = |text: &str| text.lines().filter(|line| line.contains("attach")).count();
        counter.wait_for("the counting", |text| {
            text.ends_with('\n') && lines(text) >= processes.len()
        });
        what();
        counter.signal(Signal::INT);
        let _counted = counter.finish();
        let report = std::fs::read_to_string(report).unwrap();
        let lines = report.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        let counts = lines.filter_map(|(name, count)| {
            Some((name.to_owned(), count.trim().parse().ok()?)).filter(|(name, _)| name != "total")
        });
        Some(Calls(counts.collect()))
    }

    /// How many there were of these.
    pub(crate) fn of(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.0.get(*name)).sum()
    }

    pub(crate) fn all(&self) -> u64 {
        self.0.values().sum()
    }

    /// How many files and folders were opened.
    pub(crate) fn opened(&self) -> u64 {
        self.of(&["open", "openat", "openat2"])
    }
}

/// The server's processes: the one that was started, and those that it started.
pub(crate) fn processes(server: &Server) -> Vec<u32> {
    let own = server.running.id();
    // The launcher has one thread.
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    let children = children.split_whitespace().map(|id| id.parse::<u32>().unwrap());
    std::iter::once(own).chain(children).collect()
}
