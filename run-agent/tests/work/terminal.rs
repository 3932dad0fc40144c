//! A terminal of its own for a program: keys are pressed, the screen is read, the line hangs up.

use conductor_tests::process::LIMIT;
use conductor_tests::sandbox::Sandbox;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

/// `run-agent` in front of a terminal.
pub(crate) struct Terminal {
    screen: Option<File>,
    child: Child,
    text: Vec<u8>,
    deadline: Instant,
}

impl Terminal {
    /// Starts `run-agent` as the leader of a session whose terminal this is.
    pub(crate) fn start<S: AsRef<OsStr>>(
        sandbox: &Sandbox,
        args: impl IntoIterator<Item = S>,
    ) -> Terminal {
        Terminal::of(sandbox, env!("CARGO_BIN_EXE_run-agent"), args)
    }

    /// Starts a shell that a person types into; `$RA` is `run-agent` there.
    pub(crate) fn shell(sandbox: &Sandbox) -> Terminal {
        let mut shell = Terminal::of(sandbox, "bash", ["--norc", "--noprofile", "-i"]);
        shell.wait_for("a prompt", |text| text.contains("ready> "));
        shell
    }

    /// Starts a program as the leader of a session whose terminal this is.
    pub(crate) fn of<S: AsRef<OsStr>>(
        sandbox: &Sandbox,
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(&*name, flags, Mode::empty()).unwrap();
        let end = || slave.try_clone().unwrap();
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(program)
            .args(args)
            .env_clear()
            .envs(sandbox.environment())
            .env("CONDUCTOR_ROOT", sandbox.root())
            .env("TERM", "xterm")
            .env("TZ", "UTC")
            .env("RA", env!("CARGO_BIN_EXE_run-agent"))
            .env("PS1", "ready> ")
            .current_dir(sandbox.work())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let screen = Some(File::from(master));
        Terminal { screen, child, text: Vec::new(), deadline: Instant::now() + LIMIT }
    }

    /// The process in front of it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.screen.as_mut().unwrap().write_all(keys).unwrap();
    }

    /// Types a line, and waits until the screen shows an answer, which the line itself does not hold.
    pub(crate) fn answer(&mut self, line: &str, answer: &str) -> String {
        assert!(!line.contains(answer), "the echo of {line:?} would pass for its answer");
        let keys = [line.as_bytes(), b"\r"].concat();
        self.press_for(&keys, answer)
    }

    /// Presses keys, and waits until the screen shows an answer to them.
    pub(crate) fn press_for(&mut self, keys: &[u8], answer: &str) -> String {
        let before = self.text.len();
        self.press(keys);
        loop {
            let fresh = String::from_utf8_lossy(&self.text[before..]).into_owned();
            if fresh.contains(answer) {
                return fresh;
            }
            let text = self.text();
            assert!(self.pump(), "it ended without {answer:?}\n{text}");
        }
    }

    /// Gives the window another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(self.screen.as_ref().unwrap(), size).unwrap();
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Closes the terminal, as a window is closed or a line is cut.
    pub(crate) fn hang_up(&mut self) {
        self.screen = None;
    }

    /// Reads on until the screen satisfies `ready`.
    pub(crate) fn wait_for(&mut self, what: &str, ready: impl Fn(&str) -> bool) -> String {
        loop {
            let text = self.text();
            if ready(&text) {
                return text;
            }
            assert!(self.pump(), "it ended without {what}\n{text}");
        }
    }

    /// Waits for the end of the program.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        while self.pump() {}
        let status = self.child.wait().unwrap();
        (status, self.text())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// Reads what comes next; false when nobody holds the other end any more.
    fn pump(&mut self) -> bool {
        let Some(screen) = &mut self.screen else { return false };
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let mut fds = [PollFd::new(screen, PollFlags::IN)];
        let ready = poll(&mut fds, Some(&left)).unwrap();
        assert!(ready > 0, "it did not end in time\n{}", String::from_utf8_lossy(&self.text));
        let mut chunk = [0; 4096];
        match screen.read(&mut chunk) {
            Ok(read) if read > 0 => {
                self.text.extend_from_slice(&chunk[..read]);
                true
            }
            // EIO: the last one who had it open is gone.
            _ => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _dead_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

/// Waits for the end of a process that is no child of ours.
pub(crate) fn await_end(process: &OwnedFd) {
    let left = Timespec::try_from(LIMIT).unwrap();
    let ready = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)).unwrap();
    assert!(ready > 0, "the process did not end");
}
