//! What a session used so far, added up from its messages: for as long as it does not say so itself.

use crate::usage::Usage;
use std::collections::VecDeque;

/// Messages that are remembered, so that one that is told in several pieces counts once. Those of
/// sub-agents come in between.
const RECENT: usize = 256;

/// The tokens of messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    sum: Usage,
    recent: VecDeque<(String, Usage)>,
}

impl Messages {
    /// Counts a message, or what more is known of one.
    pub(super) fn count(&mut self, id: Option<String>, used: Usage) {
        let known = id.as_ref().and_then(|id| self.recent.iter_mut().find(|(told, _)| told == id));
        match (known, id) {
            (Some((_, told)), _) => {
                self.sum.add(&beyond(&used, told));
                *told = most(&used, told);
            }
            (None, id) => {
                self.sum.add(&used);
                if self.recent.len() == RECENT {
                    self.recent.pop_front();
                }
                self.recent.extend(id.map(|id| (id, used)));
            }
        }
    }

    /// What they used; `None` where none told of any.
    pub(super) fn used(&self) -> Option<Usage> {
        Some(self.sum).filter(|sum| sum.total() > 0)
    }
}

fn each(a: &Usage, b: &Usage, of: impl Fn(u64, u64) -> u64) -> Usage {
    Usage {
        input_tokens: of(a.input_tokens, b.input_tokens),
        output_tokens: of(a.output_tokens, b.output_tokens),
        cache_read_tokens: of(a.cache_read_tokens, b.cache_read_tokens),
        cache_creation_tokens: of(a.cache_creation_tokens, b.cache_creation_tokens),
    }
}

fn beyond(now: &Usage, before: &Usage) -> Usage {
    each(now, before, u64::saturating_sub)
}

fn most(one: &Usage, other: &Usage) -> Usage {
    each(one, other, u64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_once_and_with_the_most_that_is_told_of_it() {
        let used = |output_tokens| Usage { input_tokens: 10, output_tokens, ..Usage::default() };
        let mut messages = Messages::default();
        messages.count(Some("a".into()), Usage::default());
        assert_eq!(messages.used(), None, "nothing is known, and not that it was nothing");
        messages.count(Some("a".into()), used(1));
        messages.count(Some("b".into()), used(2));
        messages.count(Some("a".into()), used(7));
        messages.count(Some("a".into()), used(3));
        messages.count(None, used(1));
        let sum = messages.used().unwrap();
        assert_eq!((sum.input_tokens, sum.output_tokens), (30, 10));
        for n in 0..2 * RECENT {
            messages.count(Some(n.to_string()), used(0));
        }
        assert_eq!(messages.recent.len(), RECENT);
    }
}
