//! All that the agent started: ended with it, and nobody else.

use super::*;

#[test]
fn a_stubborn_grandchild_is_killed_after_the_grace() {
    let run = Run::fresh().limited(|l| l.grace = Duration::from_millis(300));
    let fifo = run.fifo();
    let born = run
        .go("trap '' TERM; setsid sh -c 'echo $$ >$DIR/fifo; while :; do sleep 100; done' & \
         while :; do wait; done");
    let grandchild = pid_of(&fifo);
    signal(&born, libc::SIGTERM);
    let (_, end) = run.end();
    assert_eq!((end.ended, end.reason), (Some(Ended::Signal(9)), Some(Reason::Stopped)));
    assert!(end.killed >= 2, "{end:?}");
    assert!(!alive(grandchild));
}

#[test]
fn leftovers_of_a_finished_agent_are_ended() {
    // One that goes when asked, one that does not; both without their parent, one holding
    // stdout open: waiting must be on processes.
    // It is ready, its traps set, before the agent ends.
    for (traps, sleep, killed) in
        [("HUP", "exec sleep 1000", 0), ("HUP TERM", "sleep 1000; sleep 1000", 1)]
    {
        let begun = Instant::now();
        loop {
            let run = Run::fresh();
            run.fifo();
            run.go(&format!(
                "setsid sh -c 'trap \"\" {traps}; echo $$ >$DIR/fifo; {sleep}' & read x <$DIR/fifo; \
                 echo $x; exit 4",
            ));
            let (dir, end) = run.end();
            assert_eq!(
                (end.state, end.ended, end.reason),
                (State::Empty, Some(Ended::Code(4)), Some(Reason::Exit))
            );
            assert!(!alive(pid_of(&dir.join("out"))));
            if (end.killed > 0) == (killed > 0) {
                break;
            }
            // One that goes when asked was not let run for all the two seconds that it has: it is not known
            // whether it would have gone.
            let had = |m: Option<keeper_file::Moment>| {
                m.map(|m| m.secs * 1000 + u64::from(m.nanos / 1_000_000))
            };
            assert!(had(end.empty_at) >= had(end.exited_at).map(|at| at + 1_990), "{end:?}");
            assert!(begun.elapsed() < Duration::from_secs(60), "{end:?}");
        }
    }
}

#[test]
fn sigusr1_kills_at_once() {
    let run = Run::fresh().limited(|l| l.grace = Duration::from_secs(3600));
    let fifo = run.fifo();
    let born = run.go("trap '' TERM; echo up >$DIR/fifo; while :; do sleep 100; done");
    lines(&fifo, 1);
    signal(&born, libc::SIGTERM);
    signal(&born, libc::SIGUSR1);
    let (_, end) = run.end();
    assert_eq!((end.ended, end.reason), (Some(Ended::Signal(9)), Some(Reason::Stopped)));
}

#[test]
fn a_stop_within_grace_kills_nobody_and_is_sent_once() {
    let run = Run::fresh();
    let fifo = run.fifo();
    let born = run.go(
        // The child speaks up after its exec: between fork and exec it would have the trap as well.
        "trap 'echo term; kill %1 2>/dev/null; exit 9' TERM; \
         sh -c 'echo up >$DIR/fifo; exec sleep 1000' & wait; wait",
    );
    lines(&fifo, 1);
    signal(&born, libc::SIGTERM);
    let (dir, end) = run.end();
    assert_eq!(
        (end.ended, end.reason, end.killed),
        (Some(Ended::Code(9)), Some(Reason::Stopped), 0)
    );
    assert_eq!(fs::read_to_string(dir.join("out")).unwrap(), "term\n");
}

#[test]
fn a_stopped_process_gets_its_grace() {
    let run = Run::fresh();
    let fifo = run.fifo();
    let born = run.go("trap 'exit 6' TERM; echo up >$DIR/fifo; kill -STOP $$; wait; exit 1");
    lines(&fifo, 1);
    let stat = format!("/proc/{}/stat", born.agent.pid);
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        std::thread::yield_now();
    }
    signal(&born, libc::SIGTERM);
    assert_eq!(run.end().1.ended, Some(Ended::Code(6)));
}

/// A shell that the kernel shows as the program of a keeper.
fn keeper_shell(run: &Run) {
    let shell = run.dir.join("keeper-0123abcd");
    install(Path::new("/bin/sh"), &shell);
}

fn nested_survives(stop: bool) {
    let run = Run::fresh();
    let fifo = run.fifo();
    mkfifo(&run.dir.join("ready"));
    keeper_shell(&run);
    // Reparented to the keeper, in another session, with a child that cleared its environment.
    let born =
        run.go("JRUN_ID=another setsid $DIR/keeper-0123abcd -c 'env -i sleep 1000 & echo $$ $! >$DIR/nested.new; \
         mv $DIR/nested.new $DIR/nested; echo up >$DIR/ready; wait' & \
         read x <$DIR/ready; echo up >$DIR/fifo; read x <$DIR/fifo; exit 0");
    lines(&fifo, 1);
    if stop {
        signal(&born, libc::SIGTERM);
    } else {
        fs::write(&fifo, "end\n").unwrap();
    }
    let (dir, end) = run.end();
    assert_eq!((end.state, end.killed), (State::Empty, 0));
    let nested = lines(&dir.join("nested"), 1).remove(0);
    for pid in nested.split(' ').map(|p| p.parse().unwrap()) {
        assert!(alive(pid), "stop={stop} {pid}");
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

#[test]
fn an_agent_hides_nothing_by_naming_another_run() {
    let run = Run::fresh();
    run.fifo();
    run.go("JRUN_ID=another setsid sh -c 'echo $$ >$DIR/fifo; exec sleep 1000' & \
         read x <$DIR/fifo; echo $x; exit 0");
    let (dir, end) = run.end();
    assert_eq!(end.state, State::Empty);
    assert!(!alive(pid_of(&dir.join("out"))));
}

#[test]
fn a_nested_run_survives_the_end() {
    nested_survives(false);
}

#[test]
fn a_nested_run_survives_a_stop() {
    nested_survives(true);
}

#[test]
fn a_fork_storm_is_ended() {
    let run = Run::fresh().limited(|l| l.grace = Duration::from_millis(50));
    let fifo = run.fifo();
    let born = run.go(
        "trap '' TERM; f() { while :; do (sleep 0.01; setsid sh -c : &) & sleep 0.005; done; }; \
         f & f & f & echo up >$DIR/fifo; wait",
    );
    lines(&fifo, 1);
    signal(&born, libc::SIGTERM);
    let (dir, end) = run.end();
    assert_eq!((end.state, end.ended), (State::Empty, Some(Ended::Signal(9))));
    let mark = format!("DIR={}\0", dir.display()).into_bytes();
    for entry in fs::read_dir("/proc").unwrap() {
        let env = fs::read(entry.unwrap().path().join("environ")).unwrap_or_default();
        assert!(!env.windows(mark.len()).any(|w| w == mark), "one survived");
    }
}

#[test]
fn the_walk_without_children_files_finds_the_same() {
    // The option is not one of the starter's, so a wrapper puts it on the command line.
    let run = Run::fresh().limited(|l| l.grace = Duration::from_millis(200));
    let fifo = run.fifo();
    let link = run.dir.join("keeper-scan");
    fs::hard_link(run.image.to_str().unwrap(), &link).unwrap();
    let wrapper = run.dir.join("wrapper");
    let text = format!("#!/bin/sh\nid=$1; shift\nexec {} $id scan=1 \"$@\"\n", link.display());
    fs::write(run.dir.join("w"), text).unwrap();
    install(&run.dir.join("w"), &wrapper);
    let image = CString::new(wrapper.as_os_str().as_bytes()).unwrap();
    keeper_shell(&run);
    let script = "JRUN_ID=other setsid $DIR/keeper-0123abcd -c 'sleep 1000; :' & echo $! >>$DIR/nested; \
        trap '' TERM; (setsid sh -c 'echo up >$DIR/fifo; sleep 1000; :' & sleep 1000) & wait; wait";
    let mut control = run.start_program(KeeperImage::Path(&image), "/bin/sh", &["-c", script]);
    control.born().unwrap();
    control.release().unwrap();
    lines(&fifo, 1);
    let nested = pid_of(&run.dir.join("nested"));
    let exe = format!("/proc/{nested}/exe");
    while !fs::read_link(&exe).unwrap().ends_with("keeper-0123abcd") {
        std::thread::yield_now();
    }
    signal(&run.record(), libc::SIGTERM);
    let (_, end) = run.end();
    assert!(end.killed >= 3, "{end:?}");
    assert!(alive(nested));
    unsafe { libc::kill(nested, libc::SIGKILL) };
}
