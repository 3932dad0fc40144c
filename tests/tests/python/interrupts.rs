//! Ctrl-C in each waiting call of Python: what ends the wait is the signal itself.
//!
//! A clock would judge the machine. What can be counted are the waits between the signal and the end of
//! the call: their time limits, where they ran out. Whoever looks only now and then waits there.

use conductor_tests::sandbox::Sandbox;
use conductor_tests::{tools, workspace};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Each may meet the main thread while its tracer has stopped it: then another thread takes the signal.
const TRIES: usize = 8;
/// What is promised. A signal that comes right before a wait begins is found when a part of it is over, which
/// is 100 ms long.
const MOST: Duration = Duration::from_millis(200);
/// A lock that somebody holds is tried again and again, after 2 ms at most.
const PAUSE: Duration = Duration::from_millis(5);
const CALLS: &str = "trace=epoll_wait,epoll_pwait,epoll_pwait2,poll,ppoll,select,pselect6,nanosleep,\
    clock_nanosleep,futex,write,clone,clone3";

/// What happened between a signal and the end of the call.
#[derive(Debug, Default)]
struct Tale {
    /// Whether the signal ended a wait of the main thread.
    woke: bool,
    /// The waits of each thread of the program that ran out.
    ran_out: BTreeMap<String, Vec<String>>,
}

impl Tale {
    /// The longest time that a thread waited away.
    fn waited(&self) -> Duration {
        let waited = self.ran_out.values().map(|calls| calls.iter().map(|call| limit(call)).sum());
        waited.max().unwrap_or_default()
    }
}

pub(crate) fn ctrl_c_ends_each_wait_by_itself(venv: &Path) {
    let Some(strace) = tools::find("strace") else { return };
    let sandbox = Sandbox::new();
    let trace = sandbox.work().join("trace");
    let options = ["-f", "-qq", "--seccomp-bpf", "-e", CALLS, "-o"];
    let program = sandbox.program(strace).args(options).arg(&trace);
    let program = program.arg(venv.join("bin/python"));
    let program = program.arg(workspace().join("conductor-py/tests/waits.py")).arg(sandbox.root());
    let told = program.arg(TRIES.to_string()).limit(Duration::from_secs(600)).succeed().stdout;

    let text = std::fs::read_to_string(&trace).unwrap();
    let tales = tales(&text);
    let names: BTreeSet<&str> = told.lines().collect();
    assert!(names.len() > 20, "{told}");
    assert_eq!(names, tales.keys().map(String::as_str).collect(), "{tales:#?}");
    for (name, tries) in &tales {
        assert_eq!(tries.len(), TRIES, "{name}");
        for tale in tries {
            assert!(tale.waited() <= MOST, "{name}: waited after the signal: {tale:#?}");
        }
        // What works all the time is seldom met while it waits.
        let by_itself = tries.iter().any(|tale| tale.woke && tale.waited() <= PAUSE);
        assert!(
            by_itself || !name.starts_with("wait "),
            "{name}: the signal did not end the wait itself: {tries:#?}"
        );
    }
    sandbox.wait_until_empty(Duration::from_secs(60));
}

/// What a trace tells of each call, by what the program printed when the call was over.
fn tales(trace: &str) -> BTreeMap<String, Vec<Tale>> {
    let mut found = BTreeMap::<String, Vec<Tale>>::new();
    let mut threads = BTreeSet::new();
    let (mut begun, mut last_of_main) = (BTreeMap::new(), String::new());
    let mut tale: Option<Tale> = None;
    let main = trace.split_whitespace().next().unwrap();
    threads.insert(main.to_owned());
    for line in trace.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if !threads.contains(thread) {
            continue;
        }
        if rest.starts_with("--- SIGINT") {
            // The system prefers the main thread, but not while its tracer has stopped it.
            let interrupted = last_of_main.contains("EINTR") || last_of_main.contains("ERESTART");
            let woke = thread == main && interrupted;
            tale = Some(Tale { woke, ..Tale::default() });
            continue;
        }
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(thread, start);
            continue;
        }
        let call = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => format!("{}{end}", begun.remove(thread).unwrap_or_default()),
            None => rest.to_owned(),
        };
        if call.contains("CLONE_THREAD") {
            threads.extend(call.rsplit("= ").next().map(|id| id.trim().to_owned()));
        }
        if let Some(name) = call.strip_prefix("write(1, \"").and_then(|rest| rest.split_once("\\n"))
        {
            let tale = tale.take().unwrap_or_else(|| panic!("no signal before {call}"));
            found.entry(name.0.to_owned()).or_default().push(tale);
        } else if let Some(tale) = tale.as_mut().filter(|_| ran_out(&call)) {
            tale.ran_out.entry(thread.to_owned()).or_default().push(call.clone());
        }
        if thread == main {
            last_of_main = call;
        }
    }
    found
}

/// Whether a call waited until its time was over.
fn ran_out(call: &str) -> bool {
    let (name, end) = (call.split('(').next().unwrap(), call.rsplit(" = ").next().unwrap());
    match name {
        "nanosleep" | "clock_nanosleep" => end.trim() == "0",
        "futex" => end.contains("ETIMEDOUT"),
        "write" | "clone" | "clone3" => false,
        _ => end.trim() == "0" || end.contains("Timeout"),
    }
}

/// How long a call may wait.
fn limit(call: &str) -> Duration {
    let number = |after: &str| -> Option<u64> {
        let digits = call.split(after).nth(1)?;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    if let (Some(seconds), Some(nanos)) = (number("tv_sec="), number("tv_nsec=")) {
        // Others give a moment instead of a length: it is not known how long that is.
        let is_length = !call.starts_with("futex") && !call.contains("TIMER_ABSTIME");
        return if is_length { Duration::new(seconds, nanos as u32) } else { MOST * 2 };
    }
    let arguments = call.rsplit_once(')').map_or(call, |(arguments, _)| arguments);
    let mut numbers = arguments.rsplit(", ").filter_map(|part| part.trim().parse().ok());
    // The number before the mask of signals and its size.
    let at = usize::from(call.starts_with("epoll_pwait("));
    Duration::from_millis(numbers.nth(at).unwrap_or_else(|| panic!("no time limit: {call}")))
}

#[test]
fn a_trace_is_read_as_it_was_written() {
    let trace = "7 clone3({flags=CLONE_VM|CLONE_THREAD, x=0}, 88) = 9\n\
        7 epoll_pwait2(4,  <unfinished ...>\n\
        9 poll([{fd=3}], 1, 50) = 0 (Timeout)\n\
        7 <... epoll_pwait2 resumed>[], 16, {tv_sec=0, tv_nsec=100000000}, NULL, 8) = -1 EINTR (Interrupted)\n\
        7 --- SIGINT {si_signo=SIGINT} ---\n\
        9 clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=0, tv_nsec=2000000}, NULL) = 0\n\
        8 poll([{fd=3}], 1, 9000) = 0 (Timeout)\n\
        7 epoll_wait(4, [], 16, 30) = 0\n\
        7 ppoll([{fd=3}], 1, {tv_sec=0, tv_nsec=7000000}, NULL, 0) = 0 (Timeout)\n\
        7 epoll_pwait(4, [{x}], 16, 30, NULL, 8) = 1\n\
        7 write(1, \"wait x\\n\", 7) = 7\n";
    let tales = tales(trace);
    let tale = &tales["wait x"][0];
    assert!(tale.woke);
    assert_eq!((tale.ran_out.len(), tale.waited()), (2, Duration::from_millis(37)), "{tale:?}");
    assert_eq!(limit("epoll_pwait(4, [], 16, 30, NULL, 8) = 0"), Duration::from_millis(30));
}
