//! Starting a keeper: its program, what it is told, and the talk with it.
//!
//! The keeper is a freestanding program built and embedded by the build script; see
//! `keeper/main.rs` for its side. It never is a child of this process: see
//! [`super::spawn_clone`].

use std::ffi::{CStr, CString, OsStr, OsString, c_int};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::keeper_file::Identity;
use super::spawn_clone::{check, launch};

/// The keeper's program, to be written to `<root>/.conductor/bin` or a memfd. Empty where it
/// does not exist.
pub(crate) fn keeper_bytes() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/keeper"))
}

/// The keeper's program in a sealed memfd, for roots on a file system mounted `noexec`.
pub(crate) fn memfd_image() -> io::Result<OwnedFd> {
    supported()?;
    const MFD_EXEC: libc::c_uint = 0x10;
    let create = |flags| {
        // SAFETY: the name is a C string; the call makes a descriptor and touches nothing else.
        let fd = check(unsafe { libc::memfd_create(c"keeper".as_ptr(), flags) })?;
        // SAFETY: just made, and owned by nobody else.
        Ok::<_, io::Error>(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Since 6.3 the right to execute should be asked for; before, the flag is unknown.
    let fd = create(flags | MFD_EXEC).or_else(|_| create(flags))?;
    let mut file = std::fs::File::from(fd);
    io::Write::write_all(&mut file, keeper_bytes())?;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: a plain fcntl with an integer argument on a descriptor we own.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(file.into())
}

/// Where the keeper's program is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeeperImage<'a> {
    /// An executable file, absolute; visible in `ps`.
    Path(&'a CStr),
    /// The descriptor of [`memfd_image`].
    Memfd(BorrowedFd<'a>),
}

/// Limits the keeper enforces by itself. `None` is no limit; a limit of less than a
/// millisecond is one millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeeperLimits {
    /// Between SIGTERM and SIGKILL when the tree is stopped.
    pub(crate) grace: Duration,
    /// Until the first byte of output.
    pub(crate) first_byte: Option<Duration>,
    /// Without growth of the output.
    pub(crate) idle: Option<Duration>,
    /// Altogether.
    pub(crate) total: Option<Duration>,
    /// Bytes that are kept of each output file.
    pub(crate) output: Option<u64>,
    /// Whether longer output ends the tree; its middle is cut out otherwise.
    pub(crate) stop_on_output: bool,
}

impl Default for KeeperLimits {
    fn default() -> Self {
        let grace = Duration::from_secs(10);
        KeeperLimits {
            grace,
            first_byte: None,
            idle: None,
            total: None,
            output: None,
            stop_on_output: false,
        }
    }
}

/// What a keeper needs to know. The descriptors may have any numbers and flags, and stay the
/// caller's; the locks among them live until the caller's copy *and* the keeper's are closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeeperSpec<'a> {
    /// The run's id, which its environment carries as `JRUN_ID`.
    pub(crate) run_id: &'a OsStr,
    /// The prompt, opened for reading.
    pub(crate) stdin: BorrowedFd<'a>,
    /// Regular file for the agent's output.
    pub(crate) stdout: BorrowedFd<'a>,
    /// Regular file for the agent's errors.
    pub(crate) stderr: BorrowedFd<'a>,
    /// `.keeper`, prepared by [`super::keeper_file::prepare`], opened for writing.
    pub(crate) record: BorrowedFd<'a>,
    /// `.run.lock`, already locked.
    pub(crate) run_lock: BorrowedFd<'a>,
    /// The slot, already locked, if the run takes one.
    pub(crate) slot: Option<BorrowedFd<'a>>,
    /// The slot of its task, likewise.
    pub(crate) task_slot: Option<BorrowedFd<'a>>,
    /// The folder the agent begins in.
    pub(crate) cwd: BorrowedFd<'a>,
    /// Limits.
    pub(crate) limits: KeeperLimits,
    /// The agent's program, an absolute path.
    pub(crate) program: &'a OsStr,
    /// Its `argv[0]`.
    pub(crate) argv0: &'a OsStr,
    /// Its other arguments.
    pub(crate) args: &'a [OsString],
    /// Its whole environment.
    pub(crate) env: &'a [(OsString, OsString)],
}

/// The agent's process as the keeper reported it, held before its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Born {
    /// The agent.
    pub(crate) agent: Identity,
    /// The keeper.
    pub(crate) keeper: Identity,
}

/// What kept a keeper from making the agent's process.
#[derive(Debug)]
pub(super) struct Failed {
    step: String,
    source: io::Error,
}

impl Failed {
    pub(super) fn at(step: &str, errno: i32) -> io::Error {
        let source = io::Error::from_raw_os_error(errno);
        io::Error::new(source.kind(), Failed { step: step.to_owned(), source })
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "keeper: {}: {}", self.step, self.source)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The starter's end of the control socket. Dropping it before [`Control::release`] ends the
/// agent before it ran anything.
#[derive(Debug)]
pub(crate) struct Control {
    socket: UnixStream,
    keeper: c_int,
}

impl Control {
    /// The keeper's pid. It may be dead by now; whoever signals it checks its identity.
    pub(crate) fn keeper_pid(&self) -> i32 {
        self.keeper
    }

    /// Bounds each wait of `born` and `answer`; past it they fail with `WouldBlock`.
    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    /// Waits until the agent's process exists and `.keeper` says so durably. Once.
    pub(crate) fn born(&mut self) -> io::Result<Born> {
        let mut line = [0; 64];
        self.socket.read_exact(&mut line)?;
        let text = str::from_utf8(&line).map_err(|_| malformed())?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let id = |pid: &str, start: &str| {
            let pid = pid.parse().map_err(|_| malformed())?;
            Ok::<_, io::Error>(Identity { pid, start: start.parse().map_err(|_| malformed())? })
        };
        match *words {
            ["born", agent, agent_start, keeper, keeper_start] => {
                Ok(Born { agent: id(agent, agent_start)?, keeper: id(keeper, keeper_start)? })
            }
            ["fail", step, errno] => {
                let errno = errno.parse().map_err(|_| malformed())?;
                Err(Failed::at(step, errno))
            }
            _ => Err(malformed()),
        }
    }

    /// Lets the agent run and waits until its program was executed and `.keeper` says so. The
    /// error of a failed exec is that of exec.
    pub(crate) fn release(mut self) -> io::Result<()> {
        self.send_release()?;
        self.answer()?
    }

    /// The first half of [`Control::release`]. From here on the agent runs even if this process
    /// dies.
    pub(crate) fn send_release(&mut self) -> io::Result<()> {
        // SAFETY: one byte from a live array. The flag, because a host without std's settings
        // must not die of SIGPIPE.
        let sent = unsafe {
            libc::send(self.socket.as_raw_fd(), b"R".as_ptr().cast(), 1, libc::MSG_NOSIGNAL)
        };
        if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The second half of [`Control::release`]: how exec went. An error of its own is a keeper that
    /// did not answer, which says nothing about the agent.
    pub(crate) fn answer(mut self) -> io::Result<io::Result<()>> {
        let mut text = String::new();
        self.socket.read_to_string(&mut text)?;
        match text.strip_suffix('\n') {
            Some("ok") => Ok(Ok(())),
            Some(line) => {
                let errno = line.strip_prefix("errno ").and_then(|n| n.parse().ok());
                errno.map(|errno| Err(io::Error::from_raw_os_error(errno))).ok_or_else(malformed)
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl AsFd for Control {
    /// Readable when `born` or `answer` will not block for long.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Starts a keeper. It prepares the agent's process and holds it: see [`Control`].
pub(crate) fn start_keeper(image: KeeperImage<'_>, spec: &KeeperSpec<'_>) -> io::Result<Control> {
    supported()?;
    let (ours, theirs) = UnixStream::pair()?;
    let strings = Strings::new(image, spec)?;
    let fds = [
        Some(spec.stdin),
        Some(spec.stdout),
        Some(spec.stderr),
        Some(theirs.as_fd()),
        Some(spec.record),
        Some(spec.run_lock),
        spec.slot,
        Some(spec.cwd),
        spec.task_slot,
    ];
    let keeper = launch(image, fds, &strings.args, &strings.env)?;
    Ok(Control { socket: ours, keeper })
}

fn supported() -> io::Result<()> {
    if cfg!(keeper_embedded) {
        return Ok(());
    }
    let why = "agents can be started on Linux on x86_64 and aarch64 only";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the keeper's answer makes no sense")
}

/// The keeper's argv and envp.
struct Strings {
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Strings {
    fn new(image: KeeperImage<'_>, spec: &KeeperSpec<'_>) -> io::Result<Strings> {
        let name = match image {
            KeeperImage::Path(path) => path.to_bytes().rsplit(|b| *b == b'/').next(),
            KeeperImage::Memfd(_) => None,
        };
        let ms = |limit: Option<Duration>| limit.map_or(0, |d| d.as_millis().max(1));
        let limits = &spec.limits;
        let options = [
            format!("grace={}", limits.grace.as_millis()),
            format!("first_byte={}", ms(limits.first_byte)),
            format!("idle={}", ms(limits.idle)),
            format!("total={}", ms(limits.total)),
            format!("output={}", limits.output.unwrap_or(0)),
            format!("stop_on_output={}", u8::from(limits.stop_on_output)),
            "--".to_owned(),
        ];
        let mut args =
            vec![c_string(name.unwrap_or(b"keeper"))?, c_string(spec.run_id.as_bytes())?];
        for option in &options {
            args.push(c_string(option.as_bytes())?);
        }
        for arg in [spec.program, spec.argv0].into_iter().chain(spec.args.iter().map(|a| &**a)) {
            args.push(c_string(arg.as_bytes())?);
        }
        let env = spec
            .env
            .iter()
            .map(|(key, value)| c_string(&[key.as_bytes(), b"=", value.as_bytes()].concat()));
        Ok(Strings { args, env: env.collect::<io::Result<_>>()? })
    }
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "NUL in argument"))
}
