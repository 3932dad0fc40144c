//! Whose turn it is among the agents that share the work, over all processes that use the root.
//!
//! Each agent has had so many turns; the next one is that of the agent which is furthest behind its
//! share. With equal weights that is one after the other. The counts stand in a file; they are about
//! fairness alone, so a power cut may take some back, and a file that makes no sense counts as none.

use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
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

    /// The agents in the order in which they are tried: the one whose turn it is, then those that stand
    /// in for it. Reads only.
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

    /// The agents that stand in for `agent`, in their order.
    pub(super) fn order_behind(&self, agent: &str) -> Vec<String> {
        let Some(at) = self.agents.iter().position(|name| name == agent) else { return Vec::new() };
        self.stand_ins(at).map(|at| self.agents[at].clone()).collect()
    }

    /// Counts the turn of `agent`, which was chosen by this order; `false` where others took turns since
    /// and it is somebody else's.
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
        if self.order_by(&counts) != order {
            return Ok(false);
        }
        counts[at] = counts[at].saturating_add(1);
        folder.replace_relaxed(ROTATION, self.to_yaml(&counts).as_bytes()).map(|()| true)
    }

    fn order_by(&self, counts: &[u64]) -> Vec<String> {
        let Some(first) = next(counts, &self.weights) else { return Vec::new() };
        let all = std::iter::once(first).chain(self.stand_ins(first));
        all.map(|at| self.agents[at].clone()).collect()
    }

    /// The one with the largest share stands in first; of equal ones the next in the list.
    fn stand_ins(&self, first: usize) -> impl Iterator<Item = usize> {
        let mut others: Vec<usize> = (first + 1..self.agents.len()).chain(0..first).collect();
        others.sort_by_key(|at| std::cmp::Reverse(self.weights[*at]));
        others.into_iter()
    }

    /// The turns that each has had; none where others shared the work then.
    fn read(&self, folder: &Folder) -> Result<Vec<u64>> {
        let none = vec![0; self.agents.len()];
        let bytes = match folder.read_if_exists(ROTATION, limits::YAML_FILE) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => None,
            bytes => bytes?,
        };
        let Some(bytes) = bytes else { return Ok(none) };
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

/// Who is furthest behind its share; the first of equals.
fn next(counts: &[u64], weights: &[u64]) -> Option<usize> {
    // (count + 1) / weight, compared without division.
    let key = |at: usize| (u128::from(counts[at]) + 1, u128::from(weights[at]));
    (0..weights.len()).min_by(|one, two| {
        let ((a, b), (c, d)) = (key(*one), key(*two));
        (a * d).cmp(&(c * b))
    })
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
        let equal = Rotation::new(&names(&["a", "b", "c"]), None);
        assert_eq!(equal.order_by(&[1, 0, 0]), ["b", "c", "a"]);
        assert!(Rotation::new(&[], None).order_by(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn everybody_gets_its_share_at_every_moment(
            weights in prop::collection::vec(1u64..9, 1..6),
            rounds in 1u64..4,
        ) {
            let sum: u64 = weights.iter().sum();
            let mut counts = vec![0; weights.len()];
            for _ in 0..sum * rounds {
                let at = next(&counts, &weights).unwrap();
                counts[at] += 1;
            }
            let shares: Vec<u64> = weights.iter().map(|weight| weight * rounds).collect();
            prop_assert_eq!(counts, shares);
        }
    }
}
