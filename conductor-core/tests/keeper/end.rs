//! The end of a run, and starts that come to nothing.

use super::*;

#[test]
fn exit_code_and_order_are_kept() {
    let run = Run::fresh();
    let born = run.go("cat; pwd; echo oops >&2; exit 7");
    let (dir, end) = run.end();
    assert_eq!(
        (end.state, end.ended, end.reason),
        (State::Empty, Some(Ended::Code(7)), Some(Reason::Exit))
    );
    assert_eq!((end.agent, end.keeper, end.killed), (born.agent, born.keeper, 0));
    let at = |m: Option<keeper_file::Moment>| m.map(|m| (m.secs, m.nanos)).unwrap();
    assert!(
        at(Some(end.born_at)) <= at(end.released_at) && at(end.released_at) <= at(end.exited_at)
    );
    assert!(at(end.exited_at) <= at(end.empty_at));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(str::from_utf8(&end.boot_id).unwrap(), boot.trim());
    let ns = fs::read_link("/proc/self/ns/pid").unwrap();
    assert_eq!(ns.to_str().unwrap(), format!("pid:[{}]", end.pid_ns));
    assert_eq!(
        fs::read_to_string(dir.join("out")).unwrap(),
        format!("the prompt\n{}\n", dir.display())
    );
    assert_eq!(fs::read_to_string(dir.join("err")).unwrap(), "oops\n");
    assert_eq!(fs::metadata(dir.join(".keeper")).unwrap().len(), 4096);
}

#[test]
fn signal_death_is_kept() {
    let run = Run::fresh();
    run.go("kill -KILL $$");
    let (_, end) = run.end();
    assert_eq!((end.ended, end.reason), (Some(Ended::Signal(9)), Some(Reason::Exit)));
}

#[test]
fn exec_failure_gives_its_errno() {
    let run = Run::fresh();
    let mut control = run.start_program(KeeperImage::Path(&run.image), "/no/such/program", &[]);
    control.born().unwrap();
    let error = control.release().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let (_, end) = run.end();
    assert_eq!((end.state, end.errno, end.ended), (State::ExecFailed, Some(2), None));
}

#[test]
fn nothing_runs_where_the_keeper_cannot_write_its_record() {
    let mut run = Run::fresh();
    run.files[3] = File::open(run.dir.join(".keeper")).unwrap();
    let mut control = run.hold("touch $DIR/ran");
    let error = control.born().unwrap_err();
    assert!(error.to_string().contains("record"), "{error}");
    let Run { dir, files, .. } = run;
    drop(files);
    wait_unlocked(&dir);
    assert!(!dir.join("ran").exists());
}

#[test]
fn missing_keeper_and_bad_descriptor_are_errors_of_the_start() {
    let run = Run::fresh();
    let image = KeeperImage::Path(c"/no/such/keeper");
    let error = run.try_start(image, "/bin/true", &[], [None; 2]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let bad = unsafe { BorrowedFd::borrow_raw(999_999) };
    let image = KeeperImage::Path(&run.image);
    let error = run.try_start(image, "/bin/true", &[], [Some(bad), None]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    let error = run.try_start(image, "/bin/t\0rue", &[], [None; 2]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn works_from_a_memfd() {
    let image = sys::spawn::memfd_image().unwrap();
    let run = Run::fresh();
    let image = KeeperImage::Memfd(image.as_fd());
    let mut control = run.start_program(image, "/bin/sh", &["-c", "exit 5"]);
    control.born().unwrap();
    control.release().unwrap();
    assert_eq!(run.end().1.ended, Some(Ended::Code(5)));
}

#[test]
fn end_of_file_or_nonsense_before_release_is_never_started() {
    for nonsense in [false, true] {
        let run = Run::fresh();
        let mut control = run.hold("echo ran >$DIR/ran");
        let born = control.born().unwrap();
        if nonsense {
            let fd = control.as_fd().as_raw_fd();
            assert_eq!(unsafe { libc::send(fd, b"x".as_ptr().cast(), 1, 0) }, 1);
            assert_eq!(control.answer().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        } else {
            drop(control);
        }
        let (dir, end) = run.end();
        assert_eq!((end.state, end.reason), (State::NeverStarted, Some(Reason::StarterDied)));
        assert!(!dir.join("ran").exists());
        assert!(!alive(born.agent.pid as i32));
    }
}

#[test]
fn stop_before_release_is_never_started() {
    let run = Run::fresh();
    let mut control = run.hold("echo ran >$DIR/ran");
    control.born().unwrap();
    signal(&run.record(), libc::SIGTERM);
    assert!(control.release().is_err());
    let (dir, end) = run.end();
    assert_eq!((end.state, end.reason), (State::NeverStarted, Some(Reason::Stopped)));
    assert!(!dir.join("ran").exists());
}
