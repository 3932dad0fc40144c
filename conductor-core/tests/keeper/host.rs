//! Hosts that die, and hosts that must see nothing.

use super::*;

/// What this binary does when it is run again as a host.
#[test]
#[ignore = "run by other tests"]
fn act_as_host() {
    let Some(dir) = std::env::var_os("KEEPER_TEST_DIR") else {
        return;
    };
    let run = Run::new(dir.into());
    let mut control = run.hold("read x <$DIR/fifo; exit 42");
    control.born().unwrap();
    if std::env::var_os("KEEPER_TEST_RELEASE").is_some() {
        control.release().unwrap();
        say("released");
    } else {
        say("born");
    }
    // Until we are killed.
    let _ = io::stdin().read(&mut [0]);
    unreachable!("killed before");
}

fn say(word: &str) {
    let mut out = io::stderr();
    out.write_all(format!("{word}\n").as_bytes()).unwrap();
}

fn host(test: &str, dir: &Path, release: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("KEEPER_TEST_DIR", dir);
    if release {
        command.env("KEEPER_TEST_RELEASE", "1");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn kill_host(release: bool) -> (PathBuf, Record) {
    let dir = base().join(format!("host-{release}"));
    fs::create_dir_all(&dir).unwrap();
    let fifo = dir.join("fifo");
    mkfifo(&fifo);
    let mut child = host("host::act_as_host", &dir, release);
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, if release { "released\n" } else { "born\n" });
    child.kill().unwrap();
    child.wait().unwrap();
    if release {
        fs::write(&fifo, "go on\n").unwrap();
    }
    wait_unlocked(&dir);
    let record = keeper_file::read(&File::open(dir.join(".keeper")).unwrap()).unwrap().unwrap();
    (dir, record)
}

#[test]
fn a_run_outlives_its_killed_host_and_its_code_is_kept() {
    let (_, end) = kill_host(true);
    assert_eq!((end.state, end.ended), (State::Empty, Some(Ended::Code(42))));
}

#[test]
fn a_host_killed_before_release_leaves_nothing() {
    let (_, end) = kill_host(false);
    assert_eq!((end.state, end.reason), (State::NeverStarted, Some(Reason::StarterDied)));
    assert!(!alive(end.agent.pid as i32));
}

extern "C" fn count_sigchld(_: i32) {
    SIGCHLDS.fetch_add(1, Ordering::Relaxed);
}

/// In a process of its own, which has no children of other tests: 200 starts while another
/// thread waits for any child and a handler counts SIGCHLD.
#[test]
#[ignore = "run by another test"]
fn act_as_strict_host() {
    let Some(dir) = std::env::var_os("KEEPER_TEST_DIR") else {
        return;
    };
    let dir = PathBuf::from(dir);
    Run::new(dir.join("warm")); // makes the image, with a child of its own
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(-1, &mut status, 0) }, -1);
    let handler = count_sigchld as extern "C" fn(i32);
    unsafe { libc::signal(libc::SIGCHLD, handler as usize) };
    let stop = std::sync::Arc::new(AtomicU32::new(0));
    let watcher = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let mut seen = 0;
            while stop.load(Ordering::Relaxed) == 0 {
                let got = unsafe { libc::waitpid(-1, ptr(), 0) };
                let echild = io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD);
                seen += u32::from(got != -1 || !echild);
                std::thread::yield_now();
            }
            seen
        }
    });
    let before = fds(std::process::id());
    let mut ids = Vec::new();
    for n in 0..200 {
        let run = Run::new(dir.join(format!("run-{n}")));
        ids.push(run.go("exit 0"));
        if n % 2 == 0 {
            run.end();
        }
    }
    for n in 0..200 {
        wait_unlocked(&dir.join(format!("run-{n}")));
    }
    assert_eq!(fds(std::process::id()), before);
    stop.store(1, Ordering::Relaxed);
    assert_eq!(watcher.join().unwrap(), 0);
    assert_eq!(SIGCHLDS.load(Ordering::Relaxed), 0);
    let tids = fs::read_dir("/proc/self/task").unwrap();
    for tid in tids {
        let children = fs::read_to_string(tid.unwrap().path().join("children"));
        assert_eq!(children.unwrap_or_default(), "");
    }
    // Zombies are the new parent's to reap, which is not instant, but must come.
    for record in ids {
        for process in [record.keeper, record.agent] {
            let begun = Instant::now();
            while start_of(process.pid) == Some(process.start) {
                assert!(begun.elapsed() < Duration::from_secs(60), "{process:?} is left");
                std::thread::yield_now();
            }
        }
    }
    say("done");
}

#[test]
fn the_host_sees_no_child_in_two_hundred_starts() {
    let child = host("host::act_as_strict_host", &base().join("strict"), false);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("done"), "{text}");
}
