//! What the keeper holds, and what the agent begins with.

use super::*;

#[test]
fn locks_are_held_until_empty_and_not_by_the_agent() {
    let run = Run::fresh();
    let fifo = run.fifo();
    let slots = ["slot", "task-slot"].map(|name| File::create(run.dir.join(name)).unwrap());
    slots.iter().for_each(|slot| slot.lock().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As a careless host has it: without close-on-exec.
    assert_eq!(unsafe { libc::fcntl(listener.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    let script = "echo $$ >$DIR/fifo; read x <$DIR/fifo; exit 3";
    let image = KeeperImage::Path(&run.image);
    let held = slots.each_ref().map(|slot| Some(slot.as_fd()));
    let mut control = run.try_start(image, "/bin/sh", &["-c", script], held).unwrap();
    let born = control.born().unwrap();
    control.release().unwrap();
    drop(slots);
    assert_eq!(pid_of(&fifo), born.agent.pid as i32);

    let agent = fds(born.agent.pid);
    assert!(!agent.iter().any(|f| f.contains("lock") || f.contains("slot")), "{agent:?}");
    assert!(!agent.iter().any(|f| f.contains("socket") || f.contains(".keeper")), "{agent:?}");
    // What it looks for its processes with, it holds only while it looks.
    let looks = |f: &String| f.contains("\"/proc/");
    let keeper: Vec<_> = fds(born.keeper.pid).into_iter().filter(|f| !looks(f)).collect();
    assert!(!keeper.iter().any(|f| f.contains("socket") || f.contains("prompt")), "{keeper:?}");
    assert!(keeper.len() <= 7, "{keeper:?}");

    let dir = run.dir.clone();
    drop(run);
    for name in [".run.lock", "slot", "task-slot"] {
        let other = File::open(dir.join(name)).unwrap();
        assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)), "{name}");
    }
    fs::write(&fifo, "go\n").unwrap();
    wait_unlocked(&dir);
    for name in ["slot", "task-slot"] {
        File::open(dir.join(name)).unwrap().lock().unwrap();
    }
    let end = keeper_file::read(&File::open(dir.join(".keeper")).unwrap()).unwrap().unwrap();
    assert_eq!((end.state, end.ended), (State::Empty, Some(Ended::Code(3))));
}

#[test]
fn the_agent_begins_with_a_clean_slate() {
    let run = Run::fresh();
    run.go("grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; cat /proc/self/oom_score_adj; \
            ps -o pid=,pgid=,sid= -p $$; exit 0");
    let (dir, end) = run.end();
    let out = fs::read_to_string(dir.join("out")).unwrap();
    for line in out.lines().take(2) {
        assert!(line.ends_with("\t0000000000000000"), "{out}");
    }
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    assert_eq!(out.lines().nth(3), Some(&*(own + 200).min(1000).to_string()));
    let ids: Vec<&str> = out.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(ids, [end.agent.pid.to_string().as_str(); 3]);
}
