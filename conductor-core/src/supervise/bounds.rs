//! What bounds a run beyond its own time: its family, and what it writes.

use crate::error::{Error, Result};

/// How many runs an agent may start, and how deep.
///
/// A run passes it on to what its agent starts, so that no agent can allow itself more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Family {
    /// The deepest nesting: a run of a person or a program has depth 0, what its agent starts 1.
    pub(crate) max_depth: Option<u64>,
    /// The most living runs that one agent has started.
    pub(crate) max_children: Option<u64>,
}

impl Family {
    /// The tighter of both, bound by bound.
    pub(crate) fn within(self, outer: Family) -> Family {
        let least = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Family {
            max_depth: least(self.max_depth, outer.max_depth),
            max_children: least(self.max_children, outer.max_children),
        }
    }
}

/// What becomes of an output that is longer than it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnOutputLimit {
    /// Its middle is cut out; the run goes on.
    #[default]
    Trim,
    /// The run is ended.
    Stop,
}

pub(crate) const ON_OUTPUT_LIMIT: [(OnOutputLimit, &str); 2] =
    [(OnOutputLimit::Trim, "trim"), (OnOutputLimit::Stop, "stop")];

impl OnOutputLimit {
    /// Its word in every surface.
    pub fn as_str(self) -> &'static str {
        ON_OUTPUT_LIMIT.iter().find(|(choice, _)| *choice == self).map_or("", |(_, word)| word)
    }
}

impl std::str::FromStr for OnOutputLimit {
    type Err = Error;

    fn from_str(word: &str) -> Result<OnOutputLimit> {
        let found = ON_OUTPUT_LIMIT.iter().find(|(_, known)| *known == word.trim());
        found.map(|(choice, _)| *choice).ok_or_else(|| {
            Error::invalid(
                "on_output_limit.unknown",
                "on_output_limit",
                format!("unknown answer to an output that is too long: {word:?}"),
            )
            .with_hint("it is trim or stop")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_bound_holds() {
        let family = |max_depth, max_children| Family { max_depth, max_children };
        assert_eq!(
            family(None, Some(8)).within(family(Some(2), Some(4))),
            family(Some(2), Some(4))
        );
        assert_eq!(family(Some(1), None).within(family(Some(2), None)), family(Some(1), None));
    }

    #[test]
    fn every_word_is_read_back() {
        for (choice, word) in ON_OUTPUT_LIMIT {
            assert_eq!((word.parse::<OnOutputLimit>().unwrap(), choice.as_str()), (choice, word));
        }
        assert_eq!("x".parse::<OnOutputLimit>().unwrap_err().field(), Some("on_output_limit"));
    }
}
