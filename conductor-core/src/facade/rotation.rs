//! Whose turn it is among the agents that share the work, over all processes that use the root.
//!
//! Each agent has had so many turns; the next one is that of the agent which is furthest behind its
//! share. With equal weights that is one after the other. One that cannot be started is passed over: the
//! others share the work as if it were not there, and it has nothing to catch up on when it comes back. The
//! counts stand in a file; they are about fairness alone, so a power cut may take some back, and a file
//! that makes no sense counts as none.

use crate::cancel::Wait;
use crate::error::Result;
use crate::fsx::Folder;
use crate::layout::{Layout, ROTATION, ROTATION_LOCK};
use crate::limits;
use crate::sys::LockKind;
use crate::yaml::{Mapping, Value, parse_mapping};

/// Agents that share the work, with the share of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    agents: Vec<String>,
    weights: Vec<u64>,
}

impl Rotation {
    /// Those of `agents` that have a share. `weights` counts as many; more agents have none.
    pub(super) fn new(agents: &[String], weights: Option<&[u64]>) -> Rotation {
        let weight = |at: usize| weights.map_or(1, |all| all.get(at).copied().unwrap_or(0));
        let shares = agents.iter().enumerate().map(|(at, name)| (name.clone(), weight(at)));
        let (agents, weights) = shares.filter(|(_, weight)| *weight > 0).unzip();
        Rotation { agents, weights }
    }

    /// The agents in the order of their turns: whoever cannot be started is passed over for the next. Reads
    /// only.
    pub(super) fn order(&self, layout: &Layout) -> Result<Vec<String>> {
        let folder = match layout.conductor() {
            Err(error) if error.code() == "root.not_found" => None,
            folder => folder?,
        };
        let counts = match &folder {
            Some(folder) => self.read(folder)?,
            None => vec![0; self.agents.len()],
        };
        Ok(self.order_by(&counts))
    }

    /// The agents that stand in for `agent` when it fails, in their order: the one with the largest share
    /// first; of equal ones the next in the list.
    pub(super) fn order_behind(&self, agent: &str) -> Vec<String> {
        let Some(at) = self.agents.iter().position(|name| name == agent) else { return Vec::new() };
        let mut others: Vec<usize> = (at + 1..self.agents.len()).chain(0..at).collect();
        others.sort_by_key(|at| std::cmp::Reverse(self.weights[*at]));
        others.into_iter().map(|at| self.agents[at].clone()).collect()
    }

    /// Counts the turn of `agent`, which was chosen by this order, and lets those before it, which were passed
    /// over, keep up; `false` where others took turns since and it is somebody else's.
    pub(super) fn take(
        &self,
        layout: &Layout,
        order: &[String],
        agent: &str,
        wait: &Wait,
    ) -> Result<bool> {
        let Some(at) = self.agents.iter().position(|name| name == agent) else { return Ok(true) };
        let folder = layout.ensure_conductor()?;
        let _lock = folder.lock(ROTATION_LOCK, LockKind::Exclusive, wait)?;
        let mut counts = self.read(&folder)?;
        let turns = by_turn(&counts, &self.weights);
        if !turns.iter().map(|at| &self.agents[*at]).eq(order) {
            return Ok(false);
        }
        for before in turns.into_iter().take_while(|before| *before != at) {
            let chosen = (counts[at], self.weights[at]);
            let level = turns_before(chosen, self.weights[before], before < at);
            counts[before] = counts[before].max(level);
        }
        counts[at] = counts[at].saturating_add(1);
        folder.replace_relaxed(ROTATION, self.to_yaml(&counts).as_bytes()).map(|()| true)
    }

    fn order_by(&self, counts: &[u64]) -> Vec<String> {
        by_turn(counts, &self.weights).into_iter().map(|at| self.agents[at].clone()).collect()
    }

    /// The turns that each has had; none where others shared the work then.
    fn read(&self, folder: &Folder) -> Result<Vec<u64>> {
        let none = vec![0; self.agents.len()];
        let Some(bytes) = folder.read_hint(ROTATION, limits::YAML_FILE)? else { return Ok(none) };
        let Ok(map) = parse_mapping(&bytes, &folder.join(ROTATION)) else { return Ok(none) };
        let numbers = |key: &str| {
            let texts = map.get(key)?.as_text_list()?;
            texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<u64>>>()
        };
        let same = map.get("agents").and_then(Value::as_text_list).as_ref() == Some(&self.agents)
            && numbers("weights").as_ref() == Some(&self.weights);
        let turns = numbers("turns").filter(|turns| same && turns.len() == self.agents.len());
        Ok(turns.unwrap_or(none))
    }

    fn to_yaml(&self, counts: &[u64]) -> String {
        let texts = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>();
        let mut map = Mapping::new();
        map.insert("agents", Value::list(self.agents.iter().map(String::as_str)));
        map.insert("weights", Value::list(texts(&self.weights).iter().map(String::as_str)));
        map.insert("turns", Value::list(texts(counts).iter().map(String::as_str)));
        map.to_yaml()
    }
}

/// Everybody, whoever is furthest behind its share first; equals as they are listed.
fn by_turn(counts: &[u64], weights: &[u64]) -> Vec<usize> {
    // (count + 1) / weight, compared without division.
    let key = |at: usize| (u128::from(counts[at]) + 1, u128::from(weights[at]));
    let mut all: Vec<usize> = (0..weights.len()).collect();
    all.sort_by(|one, two| {
        let ((a, b), (c, d)) = (key(*one), key(*two));
        (a * d).cmp(&(c * b))
    });
    all
}

/// The turns that one of this weight has had when it is the turn of another, which has had so many of its own
/// weight; `wins` where it is the first of equals.
fn turns_before((count, of): (u64, u64), weight: u64, wins: bool) -> u64 {
    let (share, of) = ((u128::from(count) + 1) * u128::from(weight), u128::from(of));
    let turns = if wins { share / of } else { share.div_ceil(of).saturating_sub(1) };
    u64::try_from(turns).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn turns(rotation: &Rotation, layout: &Layout, number: usize) -> Vec<String> {
        let turn = |_| {
            let order = rotation.order(layout).unwrap();
            assert!(rotation.take(layout, &order, &order[0], &Wait::FOREVER).unwrap());
            order[0].clone()
        };
        (0..number).map(turn).collect()
    }

    #[test]
    fn equal_agents_take_turns_and_a_process_goes_on_where_another_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let layout = || Layout::new(Arc::new(RealOs), dir.path().join("root"));
        let rotation = Rotation::new(&names(&["a", "b", "c"]), None);
        assert_eq!(turns(&rotation, &layout(), 4), ["a", "b", "c", "a"]);
        assert_eq!(turns(&rotation, &layout(), 2), ["b", "c"]);
        assert_eq!(rotation.order(&layout()).unwrap(), ["a", "b", "c"]);
        let others = Rotation::new(&names(&["x", "y"]), None);
        assert_eq!(turns(&others, &layout(), 2), ["x", "y"], "others begin anew");
        std::fs::write(dir.path().join("root/.conductor/rotation.yaml"), "[").unwrap();
        assert_eq!(turns(&rotation, &layout(), 1), ["a"], "and so does a damaged file");
    }

    #[test]
    fn a_turn_that_another_took_meanwhile_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().join("root"));
        let rotation = Rotation::new(&names(&["a", "b"]), None);
        let (one, two) = (rotation.order(&layout).unwrap(), rotation.order(&layout).unwrap());
        assert!(rotation.take(&layout, &one, "a", &Wait::FOREVER).unwrap());
        assert!(!rotation.take(&layout, &two, "a", &Wait::FOREVER).unwrap());
        assert_eq!(rotation.order(&layout).unwrap(), ["b", "a"], "one turn was counted");
    }

    #[test]
    fn the_largest_share_stands_in_first() {
        let rotation = Rotation::new(&names(&["a", "b", "c", "d"]), Some(&[1, 2, 0, 5]));
        assert_eq!(rotation.order_by(&[0, 0, 0]), ["d", "b", "a"]);
        assert_eq!(rotation.order_behind("d"), ["b", "a"]);
        assert_eq!(rotation.order_behind("b"), ["d", "a"]);
        let equal = Rotation::new(&names(&["a", "b", "c"]), None);
        assert_eq!(equal.order_by(&[1, 0, 0]), ["b", "c", "a"]);
        assert_eq!(equal.order_behind("b"), ["c", "a"]);
        assert!(Rotation::new(&[], None).order_by(&[]).is_empty());
    }

    #[test]
    fn who_is_not_there_is_passed_over_for_each_of_the_others_and_catches_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Arc::new(RealOs), dir.path().join("root"));
        let rotation = Rotation::new(&names(&["gone", "b", "c"]), Some(&[5, 1, 1]));
        let turn = |is_there: bool| {
            let order = rotation.order(&layout).unwrap();
            let agent = order.iter().find(|name| is_there || *name != "gone").unwrap().clone();
            assert!(rotation.take(&layout, &order, &agent, &Wait::FOREVER).unwrap());
            agent
        };
        let turns = |is_there, number| (0..number).map(|_| turn(is_there)).collect::<Vec<_>>();
        assert_eq!(turns(false, 6), ["b", "c", "b", "c", "b", "c"]);
        let back = turns(true, 14);
        let share = |turns: &[String]| turns.iter().filter(|name| *name == "gone").count();
        assert_eq!((share(&back[..7]), share(&back[7..])), (5, 5), "{back:?}");
    }

    proptest! {
        #[test]
        fn who_was_passed_over_is_level_with_whose_turn_it_was(
            (count, of, weight) in (0u64..1000, 1u64..9, 1u64..9),
            wins in any::<bool>(),
        ) {
            let level = turns_before((count, of), weight, wins);
            // Where it has had these, it is the other's turn, and one before that its own.
            let is_its_turn = |had: u64| match wins {
                true => by_turn(&[had, count], &[weight, of])[0] == 0,
                false => by_turn(&[count, had], &[of, weight])[0] == 1,
            };
            prop_assert!(!is_its_turn(level));
            prop_assert!(level == 0 || is_its_turn(level - 1));
        }

        #[test]
        fn everybody_gets_its_share_at_every_moment(
            weights in prop::collection::vec(1u64..9, 1..6),
            rounds in 1u64..4,
        ) {
            let sum: u64 = weights.iter().sum();
            let mut counts = vec![0; weights.len()];
            for _ in 0..sum * rounds {
                let at = by_turn(&counts, &weights)[0];
                counts[at] += 1;
            }
            let shares: Vec<u64> = weights.iter().map(|weight| weight * rounds).collect();
            prop_assert_eq!(counts, shares);
        }
    }
}
