//! A server whose clients get nothing does nothing but tell them that it lives.

use crate::support::*;
use conductor_core::{Conductor, Options, Post, Wait};
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::tools;
use rustix::process::Signal;
use std::collections::HashMap;
use std::path::PathBuf;

const CLIENTS: u64 = 100;
/// Signs of life for which the server is looked at.
const HEARTBEATS: u64 = 3;

const STREAM: &str = "/api/projects/p/tasks/t/messages/stream";

fn serve(sandbox: &Sandbox, heartbeat: u64) -> Server {
    std::fs::create_dir_all(sandbox.root().join("p/t")).unwrap();
    let config = sandbox.work().join("config.yaml");
    let text = format!("api: {{auth: \"off\", sse: {{heartbeat_interval_s: {heartbeat}}}}}\n");
    std::fs::write(&config, text).unwrap();
    Server::of(sandbox, program(sandbox).arg("--config").arg(&config))
}

/// The server's processes: the one that was started, and those that it started.
fn processes(server: &Server) -> Vec<u32> {
    let own = server.running.id();
    let mut processes = vec![own];
    for thread in std::fs::read_dir(format!("/proc/{own}/task")).unwrap() {
        let children = std::fs::read_to_string(thread.unwrap().path().join("children"));
        let children = children.unwrap_or_default();
        processes.extend(children.split_whitespace().map(|id| id.parse::<u32>().unwrap()));
    }
    processes
}

#[test]
fn clients_that_get_nothing_cost_a_write_for_each_sign_of_life() {
    let Some(strace) = tools::find("strace") else { return };
    let sandbox = Sandbox::new();
    let server = serve(&sandbox, 2);
    let mut clients: Vec<Events> = (0..CLIENTS).map(|_| server.follow(STREAM, None)).collect();
    // All have had one, so that none is still being let in.
    for client in &mut clients {
        client.named("heartbeat");
    }
    let report = sandbox.work().join("calls");
    let counter = format!(
        "exec {} -f -c -U name,calls -o '{}' \"$@\" 2>&1",
        strace.display(),
        report.display()
    );
    let mut counter = Program::new(std::path::Path::new("/bin/sh")).args(["-c", &counter, "sh"]);
    for process in processes(&server) {
        counter = counter.arg("-p").arg(process.to_string());
    }
    let mut counter = counter.start();
    counter.wait_for("the counting", |text| text.contains("attached"));
    // One that comes now has nothing waiting for it that came before.
    let mut clock = server.follow(STREAM, None);
    clock.several("heartbeat", HEARTBEATS as usize);
    counter.signal(Signal::INT);
    let _counted = counter.finish();
    let report = std::fs::read_to_string(report).unwrap();
    let calls = |wanted: &dyn Fn(&str) -> bool| -> u64 {
        let lines = report.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        let lines = lines.filter(|(name, _)| wanted(name));
        lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
    };
    let writes = calls(&|name| ["write", "writev", "sendto", "sendmsg"].contains(&name));
    // The first and the last of the others' may fall just inside.
    let most = (HEARTBEATS + 2) * CLIENTS;
    assert!(
        writes >= HEARTBEATS * CLIENTS / 2 && writes <= most + 20,
        "{writes} writes, {most} signs of life\n{report}"
    );
    // Each is a write, a look whether there is more, and its share of a wake-up.
    let all = calls(&|name| name != "total");
    assert!(all <= 4 * most + 200, "{all} calls\n{report}");
    let looks = calls(&|name| ["openat", "pread64", "read", "fstat", "statx"].contains(&name));
    assert!(looks <= most + 100, "nothing is looked at for any client: {looks}\n{report}");
}

#[test]
fn between_two_signs_of_life_the_server_sleeps() {
    let sandbox = Sandbox::new();
    let server = serve(&sandbox, 3600);
    let mut clients: Vec<Events> = (0..CLIENTS).map(|_| server.follow(STREAM, None)).collect();
    let bus = Conductor::open(sandbox.root(), Options::default()).unwrap().bus(("p", "t")).unwrap();
    let post = |text: &str| bus.post(Post::new("FACT", text), Wait::FOREVER).unwrap();
    post("all are there");
    for client in &mut clients {
        client.named("message");
    }
    let before = switches(&server);
    // Long enough for anything that is done again and again; what is counted does not depend on it.
    std::thread::sleep(std::time::Duration::from_secs(3));
    // A thread that is gone by then slept once more.
    let after = switches(&server).into_iter();
    let slept: u64 = after.map(|(thread, count)| count - before.get(&thread).unwrap_or(&0)).sum();
    assert!(slept < CLIENTS, "{slept} wake-ups in 3 s with {CLIENTS} clients");
    // Awake at once when there is something.
    post("news");
    for client in &mut clients {
        assert_eq!(client.named("message").json()["body"], "news");
    }
}

/// How often each of the server's threads went to sleep.
fn switches(server: &Server) -> HashMap<PathBuf, u64> {
    let mut all = HashMap::new();
    for process in processes(server) {
        for thread in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
            let path = thread.unwrap().path();
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            all.insert(path, line.map_or(0, |count| count.trim().parse::<u64>().unwrap()));
        }
    }
    all
}
