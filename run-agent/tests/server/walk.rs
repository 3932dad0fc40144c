//! The README's walk through the server, word for word.

use crate::support::*;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::workspace;
use std::fs;

#[test]
fn the_readmes_walk_leads_where_it_says() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let (_, walk) = readme.split_once("<!-- tested: curl -->\n```sh\n").unwrap();
    let (walk, _) = walk.split_once("\n```\n").unwrap();
    let sandbox = Sandbox::new();
    // The end of the reader is noticed with the next sign of life.
    let config = sandbox.home().join("config.yaml");
    fs::write(&config, "api: {sse: {heartbeat_interval_s: 1}}\n").unwrap();
    let server = Server::of(&sandbox, program(&sandbox).arg("--config").arg(&config));
    // A slow machine may take longer than the walk waits for what is said on the bus.
    let mut script = String::from(
        "set -eu
curl() {
    case \"$*\" in
    *--max-time*)
        until command curl -sS \"$server/api/projects/demo/tasks/hello\" | grep -q '\"state\":\"done\"'; do
            sleep 0.05
        done
        command curl \"$@\" --max-time 60 | sed /RUN_STOP/q ;;
    *) command curl \"$@\" ;;
    esac
}
",
    );
    // Only where the server is, and where its root, is this test's own.
    script.push_str(
        &walk
            .replace("http://127.0.0.1:14355", &server.url(""))
            .replace("~/run-agent/", &format!("{}/", sandbox.root().display())),
    );
    let walked = sandbox.program("/bin/sh").args(["-c", &script]).succeed();
    for told in [
        "\"active_runs_count\":0",
        "\"task_id\":\"hello\"",
        // On a slow machine it is done by then.
        "\"task_id\":\"hello\",\"run_id\":\"",
        "event: message\ndata: {\"msg_id\":\"MSG-",
        "RUN_START",
        "\"state\":\"done\"",
        "\"openapi\":\"3.1",
    ] {
        assert!(walked.stdout.contains(told), "{told}\n{}\n{}", walked.stdout, walked.stderr);
    }
    // So short a task may be done by the time that its start is answered.
    let status = |word: &str| walked.stdout.contains(&format!("\"status\":\"{word}\""));
    assert!(status("started") || status("done"), "{}", walked.stdout);
}
