//! Processes of a made-up machine that run at once, in an order that can be had again.

use super::dice::Dice;
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Whose turn it is where several processes run: each is a thread, and at each call the dice say
/// who makes the next one. So a run can be had again from its seed.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    schedule: Mutex<Schedule>,
    /// One for each process that runs: only whose turn it is wakes up.
    changed: [Condvar; MOST_RUNNING],
}

/// Processes that run at once.
const MOST_RUNNING: usize = 8;

/// What a process does.
pub(crate) type Work<'a> = Box<dyn FnOnce() + Send + 'a>;

#[derive(Debug, Default)]
struct Schedule {
    dice: Option<Dice>,
    /// Those that run, with their places among the conditions.
    running: Vec<(u32, usize)>,
    turn: (u32, usize),
    /// Of ten calls, how many at most the same process makes on; by schedule.
    stays: u64,
}

impl Schedule {
    fn pass(&mut self) {
        let Some(dice) = &mut self.dice else { return };
        let stays = self.running.contains(&self.turn) && dice.roll(10) < self.stays;
        if !stays && !self.running.is_empty() {
            self.turn = self.running[dice.roll(self.running.len() as u64) as usize];
        }
    }
}

impl Turns {
    /// Runs processes at once, in an order of their calls that `seed` decides.
    pub(crate) fn run(&self, seed: u64, processes: Vec<(u32, Work<'_>)>) {
        {
            let mut schedule = self.schedule.lock();
            schedule.dice = Some(Dice::new(seed));
            // Some schedules change at nearly every call, some let a process go far.
            schedule.stays = seed % 10;
            let ids = processes.iter().map(|(process, _)| *process);
            schedule.running = ids.zip(0..MOST_RUNNING).collect();
            assert_eq!(schedule.running.len(), processes.len(), "too many processes");
            schedule.pass();
        }
        std::thread::scope(|scope| {
            for (at, (process, work)) in processes.into_iter().enumerate() {
                scope.spawn(move || {
                    self.wait(&mut self.schedule.lock(), (process, at));
                    let _done = Done(self, process);
                    work();
                });
            }
        });
    }

    /// Passes the turn on, and waits for the next.
    pub(crate) fn take(&self, process: u32) {
        let mut schedule = self.schedule.lock();
        let Some(own) = schedule.running.iter().copied().find(|(known, _)| *known == process)
        else {
            return;
        };
        schedule.pass();
        self.wait(&mut schedule, own);
    }

    fn wait(&self, schedule: &mut MutexGuard<'_, Schedule>, own: (u32, usize)) {
        if schedule.turn != own {
            self.changed[schedule.turn.1].notify_one();
        }
        while schedule.turn != own {
            self.changed[own.1].wait(schedule);
        }
    }
}

/// A process that runs; dropped when it ends, also by a panic.
struct Done<'a>(&'a Turns, u32);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut schedule = self.0.schedule.lock();
        schedule.running.retain(|(process, _)| *process != self.1);
        schedule.pass();
        self.0.changed[schedule.turn.1].notify_one();
    }
}
