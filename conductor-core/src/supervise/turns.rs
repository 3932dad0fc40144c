//! Whose turn it is in a line for slots, where some who are before others do nothing.
//!
//! A place in the line is a promise to take a slot when one is free. Whoever asked and then does nothing (a
//! program that holds a task and never steps it) would hold up all behind it. So each who waits remembers what
//! it saw, and writes nothing: one who leaves a free slot alone for [`PATIENCE`] is passed over. It keeps
//! its place, and takes the next free slot once it moves again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How long a free slot waits for the one whose turn it is. Who waits looks every two seconds, and is woken
/// when a slot becomes free.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What one who waits has seen of those before it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Whose turn it is, and since when a free slot waits for it.
    first: Option<(String, Instant)>,
    /// Those who left a free slot alone.
    idle: HashSet<String>,
}

impl Turns {
    /// Whether a free slot is for who waits, at `now`, with the tickets `ahead` before it in their order.
    pub(super) fn has_come(&mut self, ahead: &[String], is_free: bool, now: Instant) -> bool {
        self.idle.retain(|ticket| ahead.contains(ticket));
        for ticket in ahead {
            if self.idle.contains(ticket) {
                continue;
            }
            let since = match &self.first {
                Some((first, since)) if first == ticket && is_free => *since,
                _ if !is_free => {
                    self.first = None;
                    return false;
                }
                _ => now,
            };
            if now.duration_since(since) < PATIENCE {
                self.first = Some((ticket.clone(), since));
                return false;
            }
            // The turn of the next begins now.
            self.idle.insert(ticket.clone());
            self.first = None;
        }
        self.first = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A waiter behind `n` others, and a clock in seconds.
    fn ahead(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn who_is_first_takes_what_is_free_and_who_leaves_it_alone_is_passed_over() {
        let begin = Instant::now();
        let mut turns = Turns::default();
        let mut look = |names: &[&str], is_free, second: u64| {
            turns.has_come(&ahead(names), is_free, begin + Duration::from_secs(second))
        };
        assert!(look(&[], true, 0), "nobody is before it");
        assert!(!look(&["a", "b"], false, 1));
        assert!(!look(&["a", "b"], true, 10));
        assert!(!look(&["a", "b"], true, 14));
        // A slot that was free for moments only says nothing of who did not take it.
        assert!(!look(&["a", "b"], false, 16));
        assert!(!look(&["a", "b"], true, 17));
        assert!(!look(&["a", "b"], true, 21));
        // From now on it is the turn of b, which has as long.
        assert!(!look(&["a", "b"], true, 22));
        assert!(!look(&["a", "b"], true, 26));
        assert!(look(&["a", "b"], true, 27));
        // They are known from now on, and nobody waits for them again.
        assert!(look(&["a", "b"], false, 28));
        assert!(look(&["a", "b"], true, 28));
        // One that is new before it (it was stopped, and goes on) has its turn.
        assert!(!look(&["a", "b", "c"], true, 29));
        assert!(look(&["b"], true, 30), "and who took a slot is forgotten");
        assert!(!look(&["a", "b"], true, 31), "another a");
    }

    #[test]
    fn whoever_moves_is_never_passed_over() {
        let begin = Instant::now();
        let mut turns = Turns::default();
        // Each that is first takes the slot within its turn; another one becomes free, and so on.
        let mut names: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        for second in 0..20 * (PATIENCE.as_secs() - 1) {
            let now = begin + Duration::from_secs(second);
            assert!(!turns.has_come(&names, true, now));
            if second % (PATIENCE.as_secs() - 1) == PATIENCE.as_secs() - 2 {
                names.remove(0);
            }
        }
        assert!(names.is_empty());
    }
}
