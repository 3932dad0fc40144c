//! Processes: who one is, whether it lives, and signals that reach nobody else.

use crate::time::Timestamp;
use rustix::process::{Pid, PidfdFlags};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::Duration;

/// A process and the moment that it started, so that its number, once used again, is not mistaken
/// for it. It is that of one boot of one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// The kernel's number.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks from boot to the process's start.
    pub start: u64,
}

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug)]
struct Found {
    id: ProcessId,
    state: u8,
    parent: u32,
}

/// The signals that conductor sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks to end.
    Term,
    /// Ends at once.
    Kill,
    /// Asks a keeper to end everything at once.
    User1,
    /// Goes on, if it was stopped.
    Continue,
    /// As Ctrl-C sends it.
    Interrupt,
    /// As Ctrl-\\ sends it.
    Quit,
    /// The terminal went away.
    HangUp,
}

impl Signal {
    pub(super) fn raw(self) -> rustix::process::Signal {
        match self {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::User1 => rustix::process::Signal::USR1,
            Signal::Continue => rustix::process::Signal::CONT,
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Quit => rustix::process::Signal::QUIT,
            Signal::HangUp => rustix::process::Signal::HUP,
        }
    }
}

/// What a terminal stops a process group for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    /// A key, or somebody's wish.
    Asked,
    /// It read from the terminal without having it.
    Reads,
    /// It wrote to the terminal, or set it, without having it.
    Writes,
}

/// Clock ticks in a second, as the kernel tells times to programs on every machine.
const TICKS: u64 = 100;
/// How far the clocks by which a process and a file are dated may be apart.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// What is asked of the kernel about processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes;

impl Processes {
    /// The identity of this process.
    pub fn own(self) -> io::Result<ProcessId> {
        self.identify(std::process::id())?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// The identity of the process that has the number `pid` now; `None` when nobody has it.
    ///
    /// A zombie has ended and counts as nobody.
    pub fn identify(self, pid: u32) -> io::Result<Option<ProcessId>> {
        Ok(self.look(pid)?.map(|found| found.id))
    }

    /// Whether exactly this process is stopped (Ctrl-Z), and so does nothing.
    pub fn is_stopped(self, process: ProcessId) -> io::Result<bool> {
        let found = self.look(process.pid)?.filter(|found| found.id == process);
        Ok(found.is_some_and(|found| matches!(found.state, b'T' | b't')))
    }

    /// What the process does that has the number `pid` now, as the kernel's letter for it; `None` when
    /// nobody has it. A zombie is told of too.
    pub(crate) fn state(self, pid: u32) -> io::Result<Option<char>> {
        Ok(self.read(pid)?.map(|found| char::from(found.state)))
    }

    fn look(self, pid: u32) -> io::Result<Option<Found>> {
        Ok(self.read(pid)?.filter(|found| !matches!(found.state, b'Z' | b'X' | b'x')))
    }

    fn read(self, pid: u32) -> io::Result<Option<Found>> {
        let stat = match fs::read(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        // The name, in parentheses, may hold anything; the fields start behind the last one.
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc stat line");
        let close = stat.iter().rposition(|byte| *byte == b')').ok_or_else(malformed)?;
        let text = std::str::from_utf8(&stat[close + 1..]).map_err(|_| malformed())?;
        let mut fields = text.split_ascii_whitespace();
        let state = fields.next().and_then(|state| state.bytes().next()).ok_or_else(malformed)?;
        let parent = fields.next().and_then(|field| field.parse().ok()).ok_or_else(malformed)?;
        let start = fields.nth(17).and_then(|field| field.parse().ok()).ok_or_else(malformed)?;
        Ok(Some(Found { id: ProcessId { pid, start }, state, parent }))
    }

    /// The processes that are in this group, where there is one, or whose environment holds this variable
    /// with this value. This process is none of them.
    ///
    /// Reads all of `/proc`. Of a process of another user the group is known, the environment not.
    pub(crate) fn in_group_or_with(
        self,
        group: Option<u32>,
        variable: &[u8],
    ) -> io::Result<Vec<ProcessId>> {
        let is_one = |pid| group.is_some_and(|group| is_of_group(pid, group)) || has(pid, variable);
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if pid == std::process::id() || !is_one(pid) {
                continue;
            }
            // A number whose process changed meanwhile is looked at again.
            if let Some(process) = self.identify(pid)?
                && is_one(pid)
            {
                found.push(process);
            }
        }
        Ok(found)
    }

    /// The group of the process that has this number now; `None` when nobody has it.
    pub(crate) fn group_of(self, pid: u32) -> io::Result<Option<u32>> {
        Ok(Place::of(pid)?.map(|place| place.group))
    }

    /// One of the living processes of a group; `None` where there is none. Reads `/proc` up to it.
    pub(crate) fn any_in_group(self, group: u32) -> io::Result<Option<ProcessId>> {
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if !is_of_group(pid, group) {
                continue;
            }
            // A zombie has ended; a number whose process changed meanwhile is looked at again.
            if let Some(process) = self.identify(pid)?
                && is_of_group(pid, group)
            {
                return Ok(Some(process));
            }
        }
        Ok(None)
    }

    /// Stops the process group of this process, itself among it, as its terminal would. Returns when
    /// somebody let it go on, where this is the program's first thread.
    pub(crate) fn stop_own_group(self, why: Paused) -> io::Result<()> {
        let signal = match why {
            Paused::Asked => rustix::process::Signal::TSTP,
            Paused::Reads => rustix::process::Signal::TTIN,
            Paused::Writes => rustix::process::Signal::TTOU,
        };
        Ok(rustix::process::kill_current_process_group(signal)?)
    }

    /// Whether nobody looks after the process group of this process: no parent of one of its members
    /// is in another group of the same session. The kernel stops no such group by a key, as nobody would
    /// let it go on.
    ///
    /// Members are looked for among the ancestors of this process only.
    pub(crate) fn own_group_is_orphaned(self) -> io::Result<bool> {
        let Some(me) = Place::of(std::process::id())? else { return Ok(true) };
        let mut member = me;
        loop {
            // A parent out of sight is one of another session.
            let Some(parent) = Place::of(member.parent)? else { return Ok(true) };
            if parent.session != me.session {
                return Ok(true);
            }
            if parent.group != me.group {
                return Ok(false);
            }
            member = parent;
        }
    }

    /// Whether the process that has the number `pid` now was there already at the moment `then`, seen from
    /// a moment `now` that is `since_boot` after the machine's boot. In doubt it was.
    pub(crate) fn was_there(
        self,
        pid: u32,
        then: Timestamp,
        now: Timestamp,
        since_boot: Duration,
    ) -> io::Result<bool> {
        let Some(process) = self.identify(pid)? else { return Ok(false) };
        let started = Duration::from_secs(process.start / TICKS);
        let age = since_boot.saturating_sub(started);
        // Clocks of files and of processes tick on their own.
        Ok(now.minus(age.saturating_add(CLOCKS_APART)) <= then.plus(CLOCKS_APART))
    }

    /// Whether exactly this process still runs.
    pub fn is_alive(self, process: ProcessId) -> io::Result<bool> {
        Ok(self.identify(process.pid)? == Some(process))
    }

    /// A descriptor of exactly this process, readable once it has ended; `None` when it has.
    pub fn open(self, process: ProcessId) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The descriptor is of whoever has the number now; only a look after the open proves who.
        Ok(self.is_alive(process)?.then_some(fd))
    }

    /// As [`open`](Processes::open), to be waited on; `None` also where the system gives no such
    /// descriptors (a filter of system calls, valgrind). Who waits then has to look again.
    pub fn watch(self, process: ProcessId) -> io::Result<Option<OwnedFd>> {
        match self.open(process) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOSYS.raw_os_error()) => {
                Ok(None)
            }
            opened => opened,
        }
    }

    /// Sends a signal to exactly this process; `false` when it has ended already.
    pub fn signal(self, process: ProcessId, signal: Signal) -> io::Result<bool> {
        let Some(fd) = self.open(process)? else { return Ok(false) };
        match rustix::process::pidfd_send_signal(&fd, signal.raw()) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The living processes whose environment says all of `marks`, each a `NAME=value`, and those below
    /// them. One whose environment says something else of the first name is left out with all below it,
    /// and so are this process and those that it descends from.
    pub fn marked(self, marks: &[&[u8]]) -> io::Result<Vec<ProcessId>> {
        let all = self.with_environment(|environment| says(environment, marks))?;
        let mut marked: Vec<ProcessId> = Vec::new();
        loop {
            let before = marked.len();
            for (found, said) in &all {
                let below = marked.iter().any(|parent| parent.pid == found.parent);
                let ours = *said == Said::This || (below && *said == Said::Nothing);
                if ours && !marked.contains(&found.id) {
                    marked.push(found.id);
                }
            }
            if marked.len() == before {
                return Ok(marked);
            }
        }
    }

    /// The living processes whose environment gives values to both of these variables, with the values.
    /// This process and those that it descends from are left out.
    pub fn naming(self, names: [&str; 2]) -> io::Result<Vec<(ProcessId, [Vec<u8>; 2])>> {
        let all = self.with_environment(|environment| {
            let value = |name: &str| {
                let mut assignments = environment.split(|byte| *byte == 0);
                assignments.find_map(|one| one.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            };
            Some([value(names[0])?.to_vec(), value(names[1])?.to_vec()])
        })?;
        Ok(all.into_iter().filter_map(|(found, values)| Some((found.id, values?))).collect())
    }

    /// What `look` makes of the environment of each living process but this one and those that it descends
    /// from. Of a process of another user the environment is empty.
    fn with_environment<T>(self, look: impl Fn(&[u8]) -> T) -> io::Result<Vec<(Found, T)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // Gone since it was listed, or nobody of ours.
            let Ok(Some(found)) = self.look(pid) else { continue };
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            all.push((found, look(&environment)));
        }
        let mut above = vec![std::process::id()];
        while let Some((found, _)) =
            above.last().and_then(|pid| all.iter().find(|(found, _)| found.id.pid == *pid))
            && !above.contains(&found.parent)
        {
            above.push(found.parent);
        }
        all.retain(|(found, _)| !above.contains(&found.id.pid));
        Ok(all)
    }

    /// The id of this boot of the machine.
    pub fn boot_id(self) -> io::Result<&'static str> {
        static BOOT_ID: OnceLock<String> = OnceLock::new();
        if let Some(known) = BOOT_ID.get() {
            return Ok(known);
        }
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(BOOT_ID.get_or_init(|| text.trim().to_owned()))
    }

    /// The number of this process's pid namespace; pids of another one mean nothing here.
    pub fn pid_namespace(self) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(fs::metadata("/proc/self/ns/pid")?.ino())
    }
}

/// Where a process stands among the others, in numbers of this pid namespace; 0 for what is outside.
#[derive(Clone, Copy, Debug)]
struct Place {
    parent: u32,
    group: u32,
    session: u32,
}

impl Place {
    /// The place of the process that has this number now; `None` when nobody has it.
    fn of(pid: u32) -> io::Result<Option<Place>> {
        let stat = match fs::read(format!("/proc/{pid}/stat")) {
            Err(error) if is_gone(&error) => return Ok(None),
            stat => stat?,
        };
        // Behind the name: the state, the parent, the group, the session.
        let close = stat.iter().rposition(|byte| *byte == b')').map_or(0, |close| close + 1);
        let text = String::from_utf8_lossy(&stat[close..]);
        let mut numbers = text.split_ascii_whitespace().skip(1).map(|field| field.parse().ok());
        let mut next = || numbers.next().flatten().unwrap_or_default();
        Ok(Some(Place { parent: next(), group: next(), session: next() }))
    }
}

/// Whether a process is in a group.
fn is_of_group(pid: u32, group: u32) -> bool {
    Place::of(pid).is_ok_and(|place| place.is_some_and(|place| place.group == group))
}

/// Whether the environment that a process was started with holds this assignment.
fn has(pid: u32, variable: &[u8]) -> bool {
    // Gone, or somebody else's.
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|entry| entry == variable)
}

/// What an environment says of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    This,
    Other,
    Nothing,
}

fn says(environment: &[u8], marks: &[&[u8]]) -> Said {
    let mut this = true;
    for (number, mark) in marks.iter().enumerate() {
        let name = mark.iter().position(|byte| *byte == b'=').map_or(0, |at| at + 1);
        // The first one counts, as it does for getenv.
        let value = environment.split(|byte| *byte == 0).find(|one| one.starts_with(&mark[..name]));
        match value {
            Some(value) if value == *mark => {}
            None if number == 0 => return Said::Nothing,
            Some(_) if number == 0 => return Said::Other,
            _ => this = false,
        }
    }
    if this { Said::This } else { Said::Other }
}

/// Whether reading below `/proc/<pid>` failed because the process is gone.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_known_by_its_start_and_a_zombie_is_dead() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let id = Processes.identify(child.id()).unwrap().unwrap();
        assert!(Processes.is_alive(id).unwrap());
        let stranger = ProcessId { start: id.start + 1, ..id };
        assert!(!Processes.is_alive(stranger).unwrap());
        assert!(!Processes.signal(stranger, Signal::Kill).unwrap(), "a stranger is not signalled");
        assert!(child.try_wait().unwrap().is_none());

        let ended = Processes.open(id).unwrap().unwrap();
        assert!(Processes.signal(id, Signal::Kill).unwrap());
        let poller = super::super::Poller::new().unwrap();
        poller.add(&ended, 1).unwrap();
        assert!(poller.wait(None).unwrap().has(1));
        assert!(!Processes.is_alive(id).unwrap(), "a zombie has ended");
        child.wait().unwrap();
        assert!(Processes.open(id).unwrap().is_none());
    }

    #[test]
    fn marked_processes_are_found_with_those_below_and_none_that_look_alike() {
        let mark = format!("MARK_OF_A_TEST=m{}", std::process::id());
        let place = "PLACE_OF_A_TEST=/a";
        let start = |mark: &str, place: &str, script: &str| {
            let mut command = Command::new("sh");
            for set in [mark, place] {
                let (name, value) = set.split_once('=').unwrap();
                command.env(name, value);
            }
            command.args(["-c", script]).stdout(std::process::Stdio::piped()).spawn().unwrap()
        };
        let line = |child: &mut std::process::Child| -> u32 {
            use std::io::BufRead as _;
            let mut line = String::new();
            std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            line.trim().parse().unwrap()
        };
        let below = "env -i sleep 600 & echo $!; wait";
        let mut ours = start(&mark, place, below);
        let mut alike = start(&format!("{mark}0"), place, below);
        let mut elsewhere = start(&mark, "PLACE_OF_A_TEST=/b", below);
        let pids = [line(&mut ours), line(&mut alike), line(&mut elsewhere)];
        let marks = [mark.as_bytes(), place.as_bytes()];
        let found = Processes.marked(&marks).unwrap();
        let has = |pid: u32| found.iter().any(|found| found.pid == pid);
        assert!(has(ours.id()) && has(pids[0]), "{found:?}");
        assert_eq!(found.len(), 2, "{found:?}");
        for process in &found {
            assert!(Processes.signal(*process, Signal::Kill).unwrap());
        }
        assert!(Processes.identify(pids[1]).unwrap().is_some());
        for (child, pid) in [(&mut ours, pids[0]), (&mut alike, pids[1]), (&mut elsewhere, pids[2])]
        {
            if let Some(left) = Processes.identify(pid).unwrap() {
                Processes.signal(left, Signal::Kill).unwrap();
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn this_process_and_boot_are_known() {
        assert_eq!(Processes.own().unwrap().pid, std::process::id());
        assert_eq!(Processes.boot_id().unwrap().len(), 36);
        assert!(Processes.pid_namespace().unwrap() > 0);
    }
}
