//! The signals of a process that stands between a shell and a program in the terminal.
//!
//! There is no thread here: a signal that stops this process must stop the one thread that handles the
//! terminal, at once.

use crate::interrupt::failed;
use conductor_core::Result;
use rustix::process::{Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level};
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a signal means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// The program stopped or ended.
    Child,
    /// A shell lets us go on.
    Continue,
    Interrupt,
    Quit,
    HangUp,
    /// The program shall end.
    Terminate,
    /// The program shall end at once.
    Kill,
}

/// In the order in which they are heeded.
const MEANINGS: [(i32, Came); 7] = [
    (SIGCHLD, Came::Child),
    (SIGCONT, Came::Continue),
    (SIGHUP, Came::HangUp),
    (SIGINT, Came::Interrupt),
    (SIGQUIT, Came::Quit),
    (SIGTERM, Came::Terminate),
    (SIGUSR1, Came::Kill),
];

/// The signals of this process since they were listened to.
#[derive(Debug)]
pub(crate) struct JobSignals {
    flags: Vec<(Arc<AtomicBool>, Came)>,
    news: UnixStream,
}

impl JobSignals {
    /// Listens from now on, to the end of the process. What our starter has us ignore stays ignored:
    /// `nohup` means it.
    pub(crate) fn listen() -> Result<JobSignals> {
        let (news, told) = UnixStream::pair().map_err(failed)?;
        news.set_nonblocking(true).map_err(failed)?;
        let ignored = ignored_signals().map_err(failed)?;
        let mut flags = Vec::new();
        for (signal, meaning) in MEANINGS {
            if meaning != Came::Child && ignored >> (signal - 1) & 1 == 1 {
                continue;
            }
            let set = Arc::new(AtomicBool::new(false));
            // The flag first: whoever is woken finds it set.
            flag::register(signal, set.clone()).map_err(failed)?;
            low_level::pipe::register(signal, told.try_clone().map_err(failed)?).map_err(failed)?;
            flags.push((set, meaning));
        }
        Ok(JobSignals { flags, news })
    }

    /// Readable when [`take`](JobSignals::take) has something.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    /// Forgets a signal that came.
    pub(crate) fn forget(&self, meaning: Came) {
        let mine = self.flags.iter().filter(|(_, known)| *known == meaning);
        mine.for_each(|(set, _)| set.store(false, Ordering::SeqCst));
    }

    /// What came since the last look.
    pub(crate) fn take(&self) -> Vec<Came> {
        let mut heard = [0; 64];
        while (&self.news).read(&mut heard).is_ok_and(|read| read > 0) {}
        let came = self.flags.iter().filter(|(set, _)| set.swap(false, Ordering::SeqCst));
        came.map(|(_, meaning)| *meaning).collect()
    }
}

/// The signals that this process ignores, a bit for each; the first is number 1.
fn ignored_signals() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    Ok(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default())
}

/// Ends this process by a signal, so that whoever waits for it sees what the program ended by. Returns
/// where that does not work.
pub(crate) fn die_of(signal: i32) {
    // The program has left its own core, if one was wanted.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _core_is_written = setrlimit(Resource::Core, none);
    if signal == SIGKILL {
        let _returns_only_on_failure = kill_process(getpid(), Signal::KILL);
    }
    let _returns_only_on_failure = low_level::emulate_default_handler(signal);
}
