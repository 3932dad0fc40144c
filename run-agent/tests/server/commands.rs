//! The commands that ask a server: what they print, and how they end.

use crate::support::*;
use conductor_tests::process::Finished;
use conductor_tests::sandbox::Sandbox;
use serde_json::{Value, json};

/// `run-agent server ...` against a server, with the token that stands in the root.
struct Asker<'a> {
    sandbox: &'a Sandbox,
    url: String,
}

impl Asker<'_> {
    fn run(&self, line: &str, more: &[&str]) -> Finished {
        let program = self.sandbox.program(env!("CARGO_BIN_EXE_run-agent")).env("TZ", "UTC");
        let words = line.split_whitespace();
        program.env("CONDUCTOR_SERVER", &self.url).arg("server").args(words).args(more).run()
    }

    #[track_caller]
    fn says(&self, line: &str) -> String {
        let done = self.run(line, &[]).expect_code(0);
        assert_eq!(done.stderr, "", "{line}");
        done.stdout
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.says(line)).unwrap()
    }
}

fn asker<'a>(sandbox: &'a Sandbox, server: &Server) -> Asker<'a> {
    Asker { sandbox, url: server.url("") }
}

#[test]
fn a_job_is_submitted_followed_and_looked_at() {
    let sandbox = Sandbox::new();
    let server = Server::with_token(&sandbox);
    let ask = asker(&sandbox, &server);
    assert_eq!(ask.json("health")["status"], "ok");
    assert_eq!(ask.json("health --ready"), json!({"status": "ok"}));
    assert_eq!(ask.says("job list"), "No tasks found.\n");
    let prompt = ["--prompt", DONE];
    let done = ask.run("job submit --project p --agent shell --task t --follow", &prompt);
    let done = done.expect_code(0);
    assert!(done.stdout.starts_with("Task created: t, run_id: "), "{}", done.stdout);
    assert!(done.stdout.ends_with("working\n"), "{}", done.stdout);
    let fails = ["--prompt", "echo oh; touch \"$JRUN_TASK_FOLDER/DONE\"; exit 3"];
    let failed = ask.run("job submit --project p --agent shell --task f --wait", &fails);
    let failed = failed.expect_code(1);
    assert!(failed.stdout.contains("status=failed exit_code=3"), "{}", failed.stdout);
    let _told = ask.run("watch --project p --task t --interval 100ms", &[]).expect_code(0);
    let status = ask.says("task status t");
    assert!(status.starts_with("Task:           p/t\nStatus:         all_finished\n"), "{status}");
    assert!(status.contains("RUN ID"), "{status}");
    assert_eq!(ask.json("task status t --json")["status"], "all_finished");
    let list = ask.says("task list --project p --limit 1");
    assert!(list.contains("(showing 1 of 2 tasks; use --limit to see more)"), "{list}");
    assert_eq!(ask.says("task logs t --project p"), "working\n");
    assert_eq!(ask.says("task logs t --project p --follow"), "working\n");
    assert_eq!(ask.says("task logs f --project p --tail 1"), "oh\n");
    let runs = ask.says("task runs f --project p");
    assert!(runs.contains("failed") && runs.contains(" 3 "), "{runs}");
    assert!(ask.says("job list").contains("all_finished"));
    assert!(ask.says("status").starts_with("Version:            0."));
    assert_eq!(ask.json("status --json")["active_runs_count"], 0);
    let watched = ask.json("watch --project p --json");
    assert_eq!(watched["completed"], true);
    until_nothing_is_driven(&sandbox);
    assert_eq!(ask.says("task resume t --project p"), "Task p/t resumed (DONE file removed)\n");
    assert_eq!(
        ask.json("task delete t --project p --json"),
        json!({"task_id": "t", "deleted": true})
    );
    assert_eq!(ask.run("task status t", &[]).expect_code(10).stdout, "");
}

#[test]
fn projects_and_messages_are_asked_for() {
    let sandbox = Sandbox::with_fixture("reference-root");
    let server = Server::with_token(&sandbox);
    let ask = asker(&sandbox, &server);
    assert!(ask.says("project list").contains("shop"));
    assert!(ask.says("project stats --project shop").starts_with("Project:     shop\n"));
    let posted = ask.run("bus post --project shop --type fact", &["--body", "two\nlines"]);
    assert!(posted.expect_code(0).stdout.starts_with("msg_id: MSG-"));
    let read = ask.says("bus read --project shop --tail 1");
    assert!(read.starts_with("[20") && read.contains("] FACT         two\nlines\n"), "{read}");
    let all = ask.says("bus read --project shop --json");
    let last: Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    assert_eq!(last["body"], "two\nlines");
    assert!(
        ask.says("project gc --project shop --older-than 0s --dry-run")
            .starts_with("DRY RUN: would delete ")
    );
    assert!(ask.says("project delete shop").starts_with("Project shop deleted (2 tasks, "));
}

#[test]
fn what_cannot_be_asked_is_said() {
    let sandbox = Sandbox::new();
    let server = Server::with_token(&sandbox);
    let ask = asker(&sandbox, &server);
    let unknown = ask.run("task stop ../x", &[]).expect_code(2);
    assert!(unknown.stderr.contains("server returned 400"), "{}", unknown.stderr);
    // Another root knows nothing of this one's token.
    let elsewhere = sandbox.folder("elsewhere");
    let foreign = ["--root", elsewhere.to_str().unwrap()];
    let refused = ask.run("project delete p", &foreign).expect_code(22);
    assert!(refused.stderr.contains("server.token"), "{}", refused.stderr);
    let wrong = ask.run("project delete p --api-key wrong", &[]).expect_code(22);
    assert!(wrong.stderr.contains("valid API key required"), "{}", wrong.stderr);
    drop(server);
    // Nobody listens there, and nobody else gets the port: one that a server had could soon be another's.
    let (_held, url) = silent_port();
    let ask = Asker { url: url.clone(), ..ask };
    let gone = ask.run("status", &[]).expect_code(24);
    assert!(gone.stderr.contains(&format!("cannot reach the server at {url}")), "{}", gone.stderr);
    let _told = ask.run("health", &[]).expect_code(1);
    let _told = ask.run("status --server https://example.org", &[]).expect_code(2);
}

/// A port of this machine on which nobody listens as long as it is held.
fn silent_port() -> (std::os::fd::OwnedFd, String) {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
    use std::net::{Ipv4Addr, SocketAddr};
    let held = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&held, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = SocketAddr::try_from(getsockname(&held).unwrap()).unwrap();
    (held, format!("http://{address}"))
}

#[test]
fn conductor_serves_and_asks() {
    let sandbox = Sandbox::new();
    let conductor = || sandbox.program(env!("CARGO_BIN_EXE_conductor"));
    let server = Server::of(&sandbox, conductor().args(["--port", "0"]));
    let status = conductor().args(["status", "--server", &server.url("")]).succeed();
    assert!(status.stdout.starts_with("Version:"), "{}", status.stdout);
    let posted = conductor()
        .args(["job", "submit", "--project", "p", "--agent", "shell", "--prompt", DONE, "--wait"])
        .env("CONDUCTOR_SERVER", server.url(""))
        .succeed();
    assert!(posted.stdout.contains("status=completed exit_code=0"), "{}", posted.stdout);
}

#[test]
fn a_path_that_cannot_be_sent_is_refused_by_its_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::new();
    let program = sandbox.program(env!("CARGO_BIN_EXE_run-agent"));
    let binary = std::ffi::OsStr::from_bytes(b"/opt/caf\xe9/run-agent");
    // Nobody is asked: there is no server.
    let refused = program.args(["server", "update", "start", "--binary"]).arg(binary).exits(2);
    assert!(
        refused.stderr.contains("/opt/caf\u{fffd}/run-agent is not UTF-8"),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.stderr.matches("Error: ").count(), 1, "{}", refused.stderr);
}
