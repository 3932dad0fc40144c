//! A server whose clients get nothing does nothing but tell them that it lives.

use crate::counting::{Calls, processes};
use crate::support::*;
use conductor_core::{Conductor, Options, Post, Wait};
use conductor_tests::sandbox::Sandbox;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

const CLIENTS: u64 = 100;
/// Signs of life for which the server is looked at.
const HEARTBEATS: u64 = 3;
/// Seconds between two of them.
const PAUSE: u64 = 2;

const STREAM: &str = "/api/projects/p/tasks/t/messages/stream";

fn serve(sandbox: &Sandbox, heartbeat: u64) -> Server {
    std::fs::create_dir_all(sandbox.root().join("p/t")).unwrap();
    let config = sandbox.work().join("config.yaml");
    let text = format!("api: {{auth: \"off\", sse: {{heartbeat_interval_s: {heartbeat}}}}}\n");
    std::fs::write(&config, text).unwrap();
    Server::of(sandbox, program(sandbox).arg("--config").arg(&config))
}

#[test]
fn clients_that_get_nothing_cost_a_write_for_each_sign_of_life() {
    let sandbox = Sandbox::new();
    let server = serve(&sandbox, PAUSE);
    let mut clients: Vec<Events> = (0..CLIENTS).map(|_| server.follow(STREAM, None)).collect();
    // All have had one, so that none is still being let in.
    for client in &mut clients {
        client.named("heartbeat");
    }
    let begun = Instant::now();
    let counted = Calls::during(&sandbox, &server, || {
        // One that comes now has nothing waiting for it that came before.
        let mut clock = server.follow(STREAM, None);
        clock.several("heartbeat", HEARTBEATS as usize);
    });
    let Some(counted) = counted else { return };
    let writes = counted.of(&["write", "writev", "sendto", "sendmsg"]);
    // Each client has one at the beginning at the soonest, and then one in so many seconds.
    let rounds = 1 + begun.elapsed().as_secs() / PAUSE;
    let most = rounds * (CLIENTS + 1);
    assert!(
        writes >= HEARTBEATS * CLIENTS / 2 && writes <= most + 20,
        "{writes} writes, {most} signs of life\n{counted:?}"
    );
    // Each is a write, a look whether there is more, and its share of a wake-up.
    assert!(counted.all() <= 4 * most + 200, "{counted:?}");
    let looks = counted.of(&["openat", "pread64", "read", "fstat", "statx"]);
    assert!(looks <= most + 100, "nothing is looked at for any client: {looks}\n{counted:?}");
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
    let slept: u64 =
        after.map(|(thread, count)| count.saturating_sub(*before.get(&thread).unwrap_or(&0))).sum();
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
            // It may end at any moment.
            let Ok(path) = thread.map(|thread| thread.path()) else { continue };
            let Ok(status) = std::fs::read_to_string(path.join("status")) else { continue };
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            all.insert(path, line.unwrap().trim().parse::<u64>().unwrap());
        }
    }
    all
}
