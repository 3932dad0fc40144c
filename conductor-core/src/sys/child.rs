//! A program as a child of this process, in a process group of its own, held before it runs: what a
//! shell does with a job.
//!
//! Everything else that conductor starts is nobody's child. A program that shares its starter's
//! terminal has to be one: only its parent learns that it was stopped by a key.

use super::process::{Paused, ProcessId, Processes, Signal};
use super::spawn_clone::{BlockedSignals, check, pointers};
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process_group, setpgid, waitid};
use std::ffi::{CString, OsStr, OsString, c_int};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::{mem, ptr};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChildSpec<'a> {
    /// The program, an absolute path.
    pub(crate) program: &'a OsStr,
    /// Its arguments, its name first.
    pub(crate) argv: &'a [OsString],
    /// Its whole environment.
    pub(crate) env: &'a [(OsString, OsString)],
    /// The folder that it starts in.
    pub(crate) cwd: BorrowedFd<'a>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildEnd {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Somebody else in this process waited for it, and keeps the answer.
    Unseen,
}

/// What a look at a child found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildLook {
    /// It runs.
    Runs,
    /// It was stopped since the last look.
    Stopped(Paused),
    /// It ended. It is not reaped: its number stays its own.
    Ended(ChildEnd),
}

/// A child. Dropping it before it was released ends it before it ran anything; dropping it later ends
/// nothing.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    id: ProcessId,
    /// Our end of the talk with it, until it is released.
    talk: Option<UnixStream>,
    reaped: bool,
}

impl Child {
    /// Makes the process, with the standard streams of this one, and holds it before its program.
    pub(crate) fn hold(spec: &ChildSpec<'_>) -> io::Result<Child> {
        let program = c_string(spec.program)?;
        let argv: Vec<CString> =
            spec.argv.iter().map(|word| c_string(word)).collect::<Result<_, _>>()?;
        let pair = |(name, value): &(OsString, OsString)| {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            c_string(&pair)
        };
        let env: Vec<CString> = spec.env.iter().map(pair).collect::<Result<_, _>>()?;
        let (argv, env) = (pointers(&argv), pointers(&env));
        let (ours, theirs) = UnixStream::pair()?;
        let plan = Plan {
            program: program.as_ptr(),
            argv: argv.as_ptr(),
            env: env.as_ptr(),
            cwd: spec.cwd.as_raw_fd(),
            ours: ours.as_raw_fd(),
            theirs: theirs.as_raw_fd(),
        };
        // None may be handled in the child by this program's handlers.
        let blocked = BlockedSignals::new()?;
        // SAFETY: the child calls only what is safe after a fork of a program with threads, and ends in
        // exec or _exit; all that it needs was made before.
        let pid = check(unsafe {
            match libc::fork() {
                0 => become_program(&plan),
                pid => pid,
            }
        });
        drop(blocked);
        let pid = Pid::from_raw(pid?).ok_or(io::ErrorKind::InvalidData)?;
        drop(theirs);
        let unknown = ProcessId { pid: pid.as_raw_nonzero().get().unsigned_abs(), start: 0 };
        let mut child = Child { pid, id: unknown, talk: Some(ours), reaped: false };
        // Both do it, so that it is done for whoever comes first; it fails where the child was.
        let _done_by_the_child = setpgid(Some(pid), Some(pid));
        child.id = Processes.identify(unknown.pid)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(child)
    }

    /// Who it is.
    pub(crate) fn id(&self) -> ProcessId {
        self.id
    }

    /// Its process group.
    pub(crate) fn group(&self) -> Pid {
        self.pid
    }

    /// The number of its group, as long as that is sure to be no other's: until somebody waited for it.
    pub(crate) fn own_group(&mut self) -> io::Result<Option<u32>> {
        use WaitIdOptions as O;
        if !self.reaped {
            self.ended(O::EXITED | O::NOHANG | O::NOWAIT)?;
        }
        Ok((!self.reaped).then_some(self.id.pid))
    }

    /// Lets it run its program. The inner error is that of exec.
    pub(crate) fn release(&mut self) -> io::Result<io::Result<()>> {
        let Some(mut talk) = self.talk.take() else { return Ok(Ok(())) };
        // SAFETY: one byte from a live array. The flag, because a host may not ignore SIGPIPE.
        let sent =
            unsafe { libc::send(talk.as_raw_fd(), c"R".as_ptr().cast(), 1, libc::MSG_NOSIGNAL) };
        if sent != 1 {
            return Err(io::Error::last_os_error());
        }
        // Its end closes when its program is executed.
        let mut errno = Vec::new();
        talk.read_to_end(&mut errno)?;
        Ok(match <[u8; 4]>::try_from(&*errno) {
            Ok(errno) => Err(io::Error::from_raw_os_error(c_int::from_ne_bytes(errno))),
            Err(_) => Ok(()),
        })
    }

    /// Looks at it without waiting.
    pub(crate) fn look(&mut self) -> io::Result<ChildLook> {
        use WaitIdOptions as O;
        loop {
            if let Some(end) = self.ended(O::EXITED | O::NOHANG | O::NOWAIT)? {
                return Ok(ChildLook::Ended(end));
            }
            let stopped = match waitid(WaitId::Pid(self.pid), O::STOPPED | O::NOHANG) {
                // It ended since the look before.
                Err(rustix::io::Errno::CHILD) => continue,
                stopped => stopped?,
            };
            return Ok(match stopped.and_then(|status| status.stopping_signal()) {
                None => ChildLook::Runs,
                Some(libc::SIGTTIN) => ChildLook::Stopped(Paused::Reads),
                Some(libc::SIGTTOU) => ChildLook::Stopped(Paused::Writes),
                Some(_) => ChildLook::Stopped(Paused::Asked),
            });
        }
    }

    fn ended(&mut self, options: WaitIdOptions) -> io::Result<Option<ChildEnd>> {
        let status = loop {
            match waitid(WaitId::Pid(self.pid), options) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CHILD) => {
                    // Its number may be somebody else's by now.
                    self.reaped = true;
                    return Ok(Some(ChildEnd::Unseen));
                }
                status => break status?,
            }
        };
        Ok(status.and_then(|status| {
            let code = status.exit_status().map(ChildEnd::Code);
            code.or_else(|| status.terminating_signal().map(ChildEnd::Signal))
        }))
    }

    /// Signals its group; `false` when nobody of it is left, or it was [reaped](Child::reap).
    pub(crate) fn signal_group(&self, signal: Signal) -> io::Result<bool> {
        if self.reaped {
            // Its number may be somebody else's by now.
            return Ok(false);
        }
        match kill_process_group(self.pid, signal.raw()) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives its number back to the system, once it has ended.
    pub(crate) fn reap(&mut self) -> io::Result<()> {
        if !self.reaped {
            self.ended(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
            self.reaped = true;
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.talk.take().is_some() {
            // It sees us gone and ends at once.
            let _ends_by_itself = self.ended(WaitIdOptions::EXITED);
        }
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    let nul = || io::Error::new(io::ErrorKind::InvalidInput, "NUL in an argument or variable");
    CString::new(text.as_bytes()).map_err(|_| nul())
}

/// All that the child needs, made before the fork.
struct Plan {
    program: *const libc::c_char,
    argv: *const *const libc::c_char,
    env: *const *const libc::c_char,
    cwd: c_int,
    ours: c_int,
    theirs: c_int,
}

/// The child's side: waits for its release and executes the program.
///
/// # Safety
/// For a new child only; the pointers of the plan must live.
unsafe fn become_program(plan: &Plan) -> c_int {
    // SAFETY: all of these are safe in the child of a fork; sets and actions are plain data, which are
    // written before they are read; pointers are those of the plan.
    unsafe {
        libc::setpgid(0, 0);
        // The other end in this process would keep us from seeing our starter gone.
        libc::close(plan.ours);
        default_signals();
        let mut word = 0u8;
        let read = loop {
            let read = libc::read(plan.theirs, (&raw mut word).cast(), 1);
            if read >= 0 || *libc::__errno_location() != libc::EINTR {
                break read;
            }
        };
        if read == 1 {
            if libc::fchdir(plan.cwd) == 0 {
                libc::execve(plan.program, plan.argv, plan.env);
            }
            let errno = (*libc::__errno_location()).to_ne_bytes();
            libc::send(plan.theirs, errno.as_ptr().cast(), errno.len(), libc::MSG_NOSIGNAL);
        }
        libc::_exit(127)
    }
}

/// Undoes what the host did to signals: handlers would run this program's code in the child. What is
/// ignored stays so, as with every exec, but for SIGPIPE, which the Rust runtime ignores.
///
/// # Safety
/// For a new child only.
unsafe fn default_signals() {
    // SAFETY: as in `become_program`.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            let mut action: libc::sigaction = mem::zeroed();
            if libc::sigaction(signal, ptr::null(), &raw mut action) != 0 {
                continue;
            }
            if action.sa_sigaction != libc::SIG_IGN || signal == libc::SIGPIPE {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Poller, open_working_folder};
    use std::os::fd::AsFd as _;
    use std::path::Path;

    fn child(script: &str) -> io::Result<Child> {
        let cwd = open_working_folder(Path::new("/"))?;
        let argv: Vec<OsString> = ["sh", "-c", script].iter().map(Into::into).collect();
        let env = [("A".into(), "b".into())];
        let program = OsStr::new("/bin/sh");
        Child::hold(&ChildSpec { program, argv: &argv, env: &env, cwd: cwd.as_fd() })
    }

    fn await_end(child: &Child) {
        let poller = Poller::new().unwrap();
        if let Some(fd) = Processes.watch(child.id()).unwrap() {
            poller.add(&fd, 1).unwrap();
            poller.wait(None).unwrap();
        }
    }

    #[test]
    fn a_child_is_held_and_its_end_is_known_until_it_is_reaped() {
        let mut child = child("[ \"$A\" = b ] && [ \"$PWD\" = / ] && exit 7").unwrap();
        assert_eq!(child.look().unwrap(), ChildLook::Runs);
        child.release().unwrap().unwrap();
        await_end(&child);
        for _ in 0..2 {
            assert_eq!(child.look().unwrap(), ChildLook::Ended(ChildEnd::Code(7)));
        }
        child.reap().unwrap();
        assert!(!child.signal_group(Signal::Kill).unwrap());
    }

    #[test]
    fn a_child_that_was_never_released_ran_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let proof = dir.path().join("ran");
        let id = {
            let child = child(&format!("touch {}", proof.display())).unwrap();
            child.id()
        };
        assert!(!Processes.is_alive(id).unwrap());
        assert!(!proof.exists());
    }

    #[test]
    fn a_stop_is_told_once_and_a_signal_reaches_the_group() {
        let mut child = child("kill -STOP $$; sleep 1000").unwrap();
        child.release().unwrap().unwrap();
        let stopped = loop {
            match child.look().unwrap() {
                ChildLook::Runs => std::thread::yield_now(),
                other => break other,
            }
        };
        assert_eq!(stopped, ChildLook::Stopped(Paused::Asked));
        assert_eq!(child.look().unwrap(), ChildLook::Runs, "told once");
        assert!(child.signal_group(Signal::Kill).unwrap());
        await_end(&child);
        assert_eq!(child.look().unwrap(), ChildLook::Ended(ChildEnd::Signal(libc::SIGKILL)));
        child.reap().unwrap();
    }

    #[test]
    fn the_error_of_exec_is_told() {
        let cwd = open_working_folder(Path::new("/")).unwrap();
        let spec = ChildSpec {
            program: OsStr::new("/nonexistent"),
            argv: &["x".into()],
            env: &[],
            cwd: cwd.as_fd(),
        };
        let mut child = Child::hold(&spec).unwrap();
        let error = child.release().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        await_end(&child);
        child.reap().unwrap();
    }
}
