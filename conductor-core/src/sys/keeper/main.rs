//! The keeper: the parent of one agent, and the witness of its end.
//!
//! It is a program of its own, without `std`, because there is one per run and it must cost
//! next to nothing; and a process of its own, because the run must outlive whoever started it.
//! The core's build script compiles it and embeds it; it is no module of the core.
//!
//! ```text
//! keeper-<hash> <run-id> grace=MS first_byte=MS idle=MS total=MS output=BYTES [stop_on_output=1]
//!     [scan=1] -- <program> <argv0> <args>...
//! ```
//!
//! A limit of 0 is none; `stop_on_output=1` ends the tree where it writes more than `output`, whose
//! middle is cut out of the file otherwise; `scan=1` walks all of `/proc` as on kernels that don't list children.
//! The environment is the agent's. Descriptors: 0 its stdin, 1 and 2 its output files, 3 the
//! control socket, 4 the `.keeper` file, 5 the run's lock, 6 its slot's, 7 the folder it begins in, 8 the
//! slot's of its task. 6 and 8 may be absent. 5, 6 and 8 are only held: the locks live as long as
//! this process.
//!
//! On the control socket the keeper first writes 64 bytes, filled with blanks up to a line
//! feed: `born <agent pid> <agent start> <keeper pid> <keeper start>`, or `fail <step>
//! <errno>`. `R` releases the agent; anything else, or the end of the stream, ends it unborn.
//! The answer is `ok` or `errno <n>`, a line feed, and the end of the stream.
//!
//! SIGTERM stops the tree with grace, SIGUSR1 kills it.
#![no_std]
#![no_main]
#![no_builtins]
#![allow(
    dead_code,
    reason = "record.rs is shared with the core, which uses its other half"
)]

mod agent;
mod journal;
mod life;
mod limits;
mod proc;
mod record;
mod signals;
mod start;
mod syscall;
mod tree;

use agent::{Agent, Program};
use journal::Journal;
use life::Life;
use limits::Limits;
use record::{Reason, State, Text, number};
use syscall as sys;
use tree::Tree;

const CONTROL: i32 = 3;

static mut TREE: Tree = Tree::new();

/// What the command line says.
struct Orders {
    run_id: &'static [u8],
    grace: u64,
    limits: Limits,
    scan: bool,
    program: Program,
}

fn main(given: start::Given) -> ! {
    signals::close_from(9);
    let orders = match orders(given) {
        Some(orders) => orders,
        None => fail("arguments", 22),
    };
    let signals = signals::settle().unwrap_or_else(|e| fail("signalfd", e));
    let _ = sys::setsid();
    let _ = sys::prctl(sys::PR_SET_PDEATHSIG, 0);
    if let Err(e) = sys::prctl(sys::PR_SET_CHILD_SUBREAPER, 1) {
        fail("subreaper", e);
    }
    // The starter's folder must stay free to be unmounted.
    let _ = sys::chdir(b"/\0");

    let agent = Agent::fork(&orders.program).unwrap_or_else(|e| fail("fork", e));
    sys::close(0);
    sys::close(7);
    let me = sys::getpid();
    let mut journal = match Journal::begin(me, agent.pid) {
        Ok(journal) => journal,
        Err(e) => {
            let _ = sys::kill(agent.pid, sys::SIGKILL);
            fail("record", e)
        }
    };
    let (it, keeper) = (journal.record.agent, journal.record.keeper);
    let mut line = Text::<64>::filled(b' ');
    line.str("born ").num(it.pid.into()).str(" ").num(it.start);
    line.str(" ")
        .num(keeper.pid.into())
        .str(" ")
        .num(keeper.start);
    say(&line);

    if let Err(reason) = await_release(signals, agent.pid) {
        never_started(&mut journal, agent.pid, reason);
    }
    let watch = limits::Watch::start(orders.limits);
    journal.record.released_at = Some(journal::moment());
    if let Err(errno) = agent.release() {
        journal.record.errno = Some(errno as u32);
        let _ = sys::wait(agent.pid, true);
        journal.write(State::ExecFailed);
        let mut line = Text::<32>::filled(0);
        line.str("errno ").num(errno as u64).str("\n");
        let _ = sys::send(CONTROL, line.done());
        sys::exit(0);
    }
    journal.write(State::Released);
    let _ = sys::send(CONTROL, b"ok\n");
    sys::close(CONTROL);

    let tree = &raw mut TREE;
    // SAFETY: the only use of TREE; `main` runs once and there is one thread.
    let tree = unsafe { &mut *tree };
    tree.begin(me, orders.scan);
    let Orders { run_id, grace, .. } = orders;
    Life {
        run_id,
        grace,
        agent: agent.pid,
        signals,
        watch,
        tree,
        journal: &mut journal,
    }
    .live();
    sys::exit(0)
}

fn orders(given: start::Given) -> Option<Orders> {
    let run_id = given.arg(1)?;
    const NAMES: [&[u8]; 7] = [
        b"grace",
        b"first_byte",
        b"idle",
        b"total",
        b"output",
        b"stop_on_output",
        b"scan",
    ];
    let mut values = [10_000, 0, 0, 0, 0, 0, 0];
    let mut n = 2;
    loop {
        let arg = given.arg(n)?;
        n += 1;
        if arg == b"--" {
            break;
        }
        let at = arg.iter().position(|b| *b == b'=')?;
        let which = NAMES.iter().position(|name| Some(*name) == arg.get(..at))?;
        *values.get_mut(which)? = number(arg.get(at + 1..)?)?;
    }
    let [grace, first_byte, idle, total, output, stop, scan] = values;
    let limits = Limits {
        first_byte,
        idle,
        total,
        output,
        stop_on_output: stop != 0,
    };
    let path = given.arg(n)?.as_ptr();
    given.arg(n + 1)?;
    let program = Program {
        path,
        argv: given.argv_from(n + 1),
        envp: given.envp(),
    };
    Some(Orders {
        run_id,
        grace,
        limits,
        scan: scan != 0,
        program,
    })
}

/// Waits for the starter's word; what to record if it does not come.
fn await_release(signals: i32, agent: i32) -> Result<(), Reason> {
    loop {
        let mut fds = [signals, CONTROL].map(|fd| sys::PollFd {
            fd,
            events: sys::POLLIN,
            revents: 0,
        });
        let _ = sys::poll(&mut fds, None);
        let [_, control] = fds;
        let asked = signals::take(signals);
        if asked.stop || asked.kill {
            return Err(Reason::Stopped);
        }
        if control.revents != 0 {
            let mut byte = [0u8; 1];
            return match sys::receive(CONTROL, &mut byte) {
                Ok(1) if byte == *b"R" => Ok(()),
                _ => Err(Reason::StarterDied),
            };
        }
        if !matches!(sys::wait(agent, false), Ok(None)) {
            return Err(Reason::Exit);
        }
    }
}

fn never_started(journal: &mut Journal, agent: i32, reason: Reason) -> ! {
    // Not reaped yet, or gone already: the number cannot be anybody else's before `wait`.
    if reason != Reason::Exit {
        let _ = sys::kill(agent, sys::SIGKILL);
        let _ = sys::wait(agent, true);
    }
    journal.record.reason = Some(reason);
    journal.record.exited_at = Some(journal::moment());
    journal.write(State::NeverStarted);
    sys::exit(0)
}

/// Writes a 64-byte line to the starter.
fn say(line: &Text<64>) {
    let mut whole = *line.whole();
    if let Some(last) = whole.last_mut() {
        *last = b'\n';
    }
    // A starter that is gone is noticed by the end of the stream.
    let _ = sys::send(CONTROL, &whole);
}

fn fail(step: &str, errno: i32) -> ! {
    let mut line = Text::<64>::filled(b' ');
    line.str("fail ").str(step).str(" ").num(errno as u64);
    say(&line);
    sys::exit(71)
}
