//! Whether a run may start now: free space, the hold of its account, a slot.

use super::engine::Engine;
use super::family::Place;
use super::hold::{Held, Hold};
use super::slots::{Pool, Ticket};
use super::start::RunPlan;
use super::task_slot::OwnSlot;
use super::turns::Turns;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder, found};
use crate::id::{ProjectId, TaskId};
use crate::layout::{CONDUCTOR, HOLDS};
use crate::limits;
use crate::size::format_size;
use crate::sys::{News, Poller, TimerFd, Watch};
use crate::time::Timestamp;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How soon to look again where notification may miss what is waited for.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What a run wants that may be short.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demand {
    /// The account that it works with.
    pub(crate) account: Option<String>,
    /// Whether it takes a slot: one whose parent is a living run stays within that one's.
    pub(crate) slot: bool,
    /// What it is, for people.
    pub(crate) who: String,
}

impl Demand {
    /// What a run wants that stands there.
    pub(super) fn of(plan: &RunPlan, place: &Place) -> Demand {
        let who = waiter(&plan.project, &plan.task);
        // What runs already is not kept from running.
        let slot = place.is_root && plan.external.is_none();
        Demand { account: plan.account.clone(), slot, who }
    }
}

/// How the words begin for a wait for a slot.
const A_SLOT: &str = "a slot: ";

/// Whether these words, of [`Gate::words`], are of a wait for a slot.
pub(crate) fn is_wait_for_slot(words: &str) -> bool {
    words.starts_with(A_SLOT)
}

/// Who waits, as it stands on a ticket.
pub(crate) fn waiter(project: &ProjectId, task: &TaskId) -> String {
    format!("{project}/{task}")
}

/// What keeps a run from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The disk is nearly full; the bytes that are free.
    Space(u64),
    /// Its account's usage limit is reached.
    Hold(Hold),
    /// As many run as may.
    Slot { pool: Pool, size: u64 },
}

/// What is known when a run asks to start.
#[derive(Clone, Debug)]
struct Facts {
    free: u64,
    held: Held,
    /// The size of the pool that it takes a slot of; 0 for no limit.
    size: u64,
}

/// What to do for a run that asks to start.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    Wait(Gate),
    /// Take a slot where there is a limit, then the right to probe the account where it is on hold.
    Go {
        slot: bool,
        probe: bool,
    },
}

/// Decides whether a run may start. A slot comes last: who waits for anything else has none.
fn decide(facts: Facts) -> Next {
    if facts.free < limits::MIN_FREE_SPACE {
        return Next::Wait(Gate::Space(facts.free));
    }
    let slot = facts.size > 0;
    match facts.held {
        Held::Wait(hold) => Next::Wait(Gate::Hold(hold)),
        Held::Free => Next::Go { slot, probe: false },
        Held::Probe => Next::Go { slot, probe: true },
    }
}

impl Gate {
    /// What is waited for, in a few words; the same words for the same wait.
    pub(crate) fn words(&self) -> String {
        match self {
            Gate::Space(_) => {
                format!("disk space: {} must be free", format_size(limits::MIN_FREE_SPACE))
            }
            Gate::Hold(hold) if hold.known => format!("the usage limit of {}", hold.account),
            Gate::Hold(hold) => {
                format!("the usage limit of {} (its end is not known: next probe)", hold.account)
            }
            Gate::Slot { pool: Pool::Runs, size } => format!("{A_SLOT}{size} runs at a time"),
            Gate::Slot { pool: Pool::Tasks, size } => {
                format!("{A_SLOT}{size} root tasks at a time")
            }
        }
    }

    /// Until when, where that is known.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        match self {
            Gate::Hold(hold) => Some(hold.until),
            Gate::Space(_) | Gate::Slot { .. } => None,
        }
    }
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// The run may start, with this slot.
    Go(Option<FileLock>),
    /// It has to wait.
    Wait(Gate),
}

/// A run that asks to start, as a machine of steps. It keeps its place in the line until it is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    engine: Engine,
    demand: Demand,
    pool: Pool,
    ticket: Option<Ticket>,
    turns: Turns,
    poller: Poller,
    timer: TimerFd,
    news: Watch,
    watched: bool,
}

impl Admission {
    /// Asks for a run.
    pub(crate) fn of_run(engine: Engine, demand: Demand) -> Result<Admission> {
        Admission::new(engine, demand, Pool::Runs)
    }

    /// Asks for the loop of a task.
    pub(crate) fn of_task(engine: Engine, who: String) -> Result<Admission> {
        let demand = Demand { account: None, slot: true, who };
        Admission::new(engine, demand, Pool::Tasks)
    }

    fn new(engine: Engine, demand: Demand, pool: Pool) -> Result<Admission> {
        let failed = |e| Error::io("make a wait for", engine.layout().path(), e);
        let (poller, timer) = (Poller::new().map_err(failed)?, TimerFd::new().map_err(failed)?);
        let news = Watch::join(&poller, 2, News::Names).map_err(failed)?;
        poller.add(&timer, 1).map_err(failed)?;
        let (ticket, turns) = (None, Turns::default());
        Ok(Admission { engine, demand, pool, ticket, turns, poller, timer, news, watched: false })
    }

    fn size(&self) -> u64 {
        let defaults = &self.engine.settings().config.config().defaults;
        let size = match self.pool {
            Pool::Runs => defaults.max_concurrent_runs,
            Pool::Tasks => defaults.max_concurrent_root_tasks,
        };
        size.filter(|_| self.demand.slot).unwrap_or(0)
    }

    fn facts(&self) -> Result<Facts> {
        let layout = self.engine.layout();
        let free = match self.pool {
            Pool::Runs => layout
                .os()
                .available_space(layout.path())
                .map_err(|e| Error::io("look at the free space of", layout.path(), e))?,
            // Its runs will ask.
            Pool::Tasks => u64::MAX,
        };
        let held = match &self.demand.account {
            Some(account) => self.engine.held(account)?,
            None => Held::Free,
        };
        Ok(Facts { free, held, size: self.size() })
    }

    /// Wakes up too when a name appears in a folder.
    pub(crate) fn also_watch(&self, folder: &Folder) -> Result<()> {
        self.news.add_names(folder.path()).map_err(|e| folder.error("watch", "", e))
    }

    /// Asks once. Where the answer is to wait, the descriptor becomes readable when asking again may
    /// bring another one.
    pub(crate) fn step(&mut self, wait: &Wait) -> Result<Admitted> {
        // Told news are forgotten before the look, so that none between the two is lost.
        self.news.drain();
        let size = self.size();
        let gate = match decide(self.facts()?) {
            Next::Wait(gate) => {
                // Who waits for something else holds up nobody who waits for a slot alone.
                self.ticket = None;
                gate
            }
            Next::Go { slot, probe } => match self.take(slot, probe, size, wait)? {
                Admitted::Wait(gate) => gate,
                go => return Ok(go),
            },
        };
        self.rest(&gate)?;
        Ok(Admitted::Wait(gate))
    }

    fn take(&mut self, slot: bool, probe: bool, size: u64, wait: &Wait) -> Result<Admitted> {
        let slot = match slot {
            false => None,
            true => match self.next_slot(size)? {
                Some(slot) => Some(slot),
                None => return Ok(Admitted::Wait(Gate::Slot { pool: self.pool, size })),
            },
        };
        if probe
            && let Some(account) = &self.demand.account
            && !self.engine.claim_probe(account, wait)?
            && let Held::Wait(hold) = self.engine.held(account)?
        {
            return Ok(Admitted::Wait(Gate::Hold(hold)));
        }
        Ok(Admitted::Go(slot))
    }

    fn next_slot(&mut self, size: u64) -> Result<Option<FileLock>> {
        if self.pool == Pool::Tasks {
            match self.engine.own_slot(&self.demand.who, size)? {
                OwnSlot::Taken(slot) => {
                    self.ticket = None;
                    return Ok(Some(slot));
                }
                OwnSlot::Held => {
                    self.watch()?;
                    return Ok(None);
                }
                OwnSlot::None => {}
            }
        }
        let ticket = match &self.ticket {
            Some(ticket) => ticket,
            None => {
                self.watch()?;
                self.ticket.insert(self.engine.queue_up(self.pool, &self.demand.who)?)
            }
        };
        let ahead = ticket.ahead()?;
        if !ahead.is_empty() {
            let is_free = self.engine.has_free_slot(self.pool, size)?;
            if !self.turns.has_come(&ahead, is_free, Instant::now()) {
                return Ok(None);
            }
        }
        let slot = self.engine.take_slot(ticket, &self.demand.who, size)?;
        if slot.is_some() {
            self.ticket = None;
        }
        Ok(slot)
    }

    /// Wakes up when a keeper gives its slot back, or the line moves on.
    fn watch(&mut self) -> Result<()> {
        if self.watched {
            return Ok(());
        }
        let [queue, slots] = self.engine.pool_folders(self.pool)?;
        self.news.add_names(queue.path()).map_err(|e| queue.error("watch", "", e))?;
        self.news.add_closed(slots.path()).map_err(|e| slots.error("watch", "", e))?;
        self.watched = true;
        Ok(())
    }

    fn rest(&self, gate: &Gate) -> Result<()> {
        let soon = match gate {
            Gate::Hold(hold) => {
                let holds = self.engine.layout().path().join(Path::new(CONDUCTOR).join(HOLDS));
                // Somebody may lift it before its time.
                match self.news.add_names(&holds) {
                    // Lifted with its folder.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    watched => watched.map_err(|e| Error::io("watch", &holds, e))?,
                }
                hold.until.since(self.engine.now()).min(limits::SAFETY_POLL)
            }
            Gate::Space(_) | Gate::Slot { .. } => LOOK_AGAIN,
        };
        let failed = |e| Error::io("set the timer of", self.engine.layout().path(), e);
        self.timer.set(soon).map_err(failed)
    }
}

impl AsFd for Admission {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl Engine {
    /// What a run would have to wait for if it asked now. Reads only; a slot that is free now counts as
    /// free for it.
    pub(crate) fn would_wait(&self, demand: &Demand) -> Result<Option<Gate>> {
        if found(self.layout().root())?.is_none() {
            return Ok(None);
        }
        let admission = Admission::of_run(self.clone(), demand.clone())?;
        let size = admission.size();
        match decide(admission.facts()?) {
            Next::Wait(gate) => Ok(Some(gate)),
            Next::Go { slot: true, .. } if self.is_crowded(Pool::Runs, size)? => {
                Ok(Some(Gate::Slot { pool: Pool::Runs, size }))
            }
            Next::Go { .. } => Ok(None),
        }
    }
}

/// The error of a start whose wait was over before it was admitted.
pub(crate) fn not_admitted(gate: &Gate, over: Error) -> Error {
    if over.kind() == ErrorKind::Timeout { not_started_before(gate) } else { over }
}

/// The error of a start that was not made because of a gate.
pub(crate) fn not_started_before(gate: &Gate) -> Error {
    let (kind, code, hint) = match gate {
        Gate::Space(_) => {
            (ErrorKind::StorageFull, "start.no_space", "make room, then start it again")
        }
        Gate::Hold(_) => (
            ErrorKind::Busy,
            "start.on_hold",
            "wait, or remove the hold's file below .conductor/holds to try at once",
        ),
        Gate::Slot { .. } => (
            ErrorKind::Busy,
            "start.no_slot",
            "wait until others end, or raise defaults.max_concurrent_runs",
        ),
    };
    let until = gate.until().map(|until| format!(", until {until}")).unwrap_or_default();
    let what = format!("the run was not started: it has to wait for {}{until}", gate.words());
    Error::new(kind, code, what).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_comes_first_then_the_account_then_a_slot() {
        let hold = Hold {
            account: "work".into(),
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            known: true,
            probes: 0,
            run: "r1".into(),
        };
        let facts = |free, held: &Held, size| Facts { free, held: held.clone(), size };
        let (enough, held) = (limits::MIN_FREE_SPACE, Held::Wait(hold.clone()));
        assert_eq!(decide(facts(enough - 1, &held, 4)), Next::Wait(Gate::Space(enough - 1)));
        assert_eq!(decide(facts(enough, &held, 4)), Next::Wait(Gate::Hold(hold)));
        let go = |slot, probe| Next::Go { slot, probe };
        assert_eq!(decide(facts(enough, &Held::Free, 0)), go(false, false));
        assert_eq!(decide(facts(enough, &Held::Free, 4)), go(true, false));
        assert_eq!(decide(facts(enough, &Held::Probe, 4)), go(true, true));
    }
}
