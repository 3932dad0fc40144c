//! The last things that were told, for clients that come back.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

/// Things that are kept.
const KEPT: usize = 4096;

/// What was told so far, by numbers that mean nothing to a later look-out.
#[derive(Debug)]
pub(super) struct History<T> {
    /// What its ids begin with.
    sign: char,
    epoch: u128,
    number: u64,
    kept: VecDeque<(u64, T)>,
}

impl<T> History<T> {
    /// Nothing yet.
    pub(super) fn new(sign: char) -> History<T> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        History { sign, epoch: since.as_nanos(), number: 0, kept: VecDeque::new() }
    }

    /// The id of what was told under a number.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}{:x}.{number}", self.sign, self.epoch)
    }

    /// The id of what was told last.
    pub(super) fn place(&self) -> String {
        self.id(self.number)
    }

    /// Adds something; its number.
    pub(super) fn add(&mut self, told: T) -> u64 {
        self.number += 1;
        self.kept.push_back((self.number, told));
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.number
    }

    /// The number that an id stands for, where all that was told later is kept.
    pub(super) fn known(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.strip_prefix(self.sign)?.split_once('.')?;
        let number: u64 = number.parse().ok()?;
        let oldest = self.kept.front().map_or(self.number + 1, |(number, _)| *number);
        let same = u128::from_str_radix(epoch, 16).ok()? == self.epoch;
        (same && number <= self.number && number + 1 >= oldest).then_some(number)
    }

    /// What was told after a number.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = (u64, &T)> {
        let later = self.kept.iter().filter(move |(told, _)| *told > number);
        later.map(|(number, told)| (*number, told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_while_all_behind_it_is_kept() {
        let mut history = History::new('r');
        let begin = history.place();
        let ids: Vec<String> = (0..=KEPT as u64)
            .map(|count| {
                let number = history.add(count);
                history.id(number)
            })
            .collect();
        assert_eq!(history.known(&begin), None, "the first is gone");
        let known = history.known(&ids[0]).unwrap();
        assert_eq!(history.after(known).count(), KEPT);
        assert_eq!(history.after(history.known(&history.place()).unwrap()).count(), 0);
        for odd in ["", "r", "r1.1", "x1.1", &history.id(1 << 40)] {
            assert_eq!(history.known(odd), None, "{odd}");
        }
    }
}
