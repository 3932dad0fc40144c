//! Which runs of a project are shown together: what is active or selected, where it came from, and what
//! came of it. A function of the runs; nothing is read here.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// What is looked at of a run. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) task: String,
    pub(crate) parent: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) is_active: bool,
    pub(crate) start: i128,
    /// Zero or less while it runs.
    pub(crate) end: i128,
}

impl Member {
    /// When it last did something, then what tells runs of one moment apart.
    fn recency(&self) -> (i128, i128, &str) {
        (if self.end > self.start { self.end } else { self.start }, self.start, &self.id)
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Only what is active, and its family.
    pub(crate) active_only: bool,
    /// The runs of this task, and their family.
    pub(crate) task: Option<String>,
    /// Only so many of them, the latest; zero is no limit.
    pub(crate) limit: usize,
}

/// The places in `runs` of those that are shown, in order.
pub(crate) fn choose(runs: &[Member], choice: &Choice) -> BTreeSet<usize> {
    if !choice.active_only && choice.task.is_none() {
        return (0..runs.len()).collect();
    }
    let family = Family::new(runs);
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    if choice.active_only {
        chosen.extend((0..runs.len()).filter(|at| runs[*at].is_active));
    }
    let mut quiet = false;
    match &choice.task {
        Some(task) => {
            let selected = family.latest_of(task, choice.limit);
            chosen.extend(&selected);
            if choice.limit > 0 {
                family.add_anchors_of_ancestry(&selected, &mut chosen);
            }
        }
        None => {
            quiet = chosen.is_empty();
            if quiet {
                for task in family.tasks.keys() {
                    chosen.extend(family.latest_of(task, 1));
                }
            }
            family.add_anchors_of_all(&mut chosen);
        }
    }
    family.complete(chosen, quiet)
}

/// The runs by what they have to do with each other.
struct Family<'a> {
    runs: &'a [Member],
    by_id: HashMap<&'a str, usize>,
    tasks: BTreeMap<&'a str, Vec<usize>>,
    children: HashMap<usize, Vec<usize>>,
}

impl<'a> Family<'a> {
    fn new(runs: &'a [Member]) -> Family<'a> {
        let mut family = Family {
            runs,
            by_id: HashMap::new(),
            tasks: BTreeMap::new(),
            children: HashMap::new(),
        };
        for (at, run) in runs.iter().enumerate() {
            family.by_id.entry(&run.id).or_insert(at);
            family.tasks.entry(&run.task).or_default().push(at);
        }
        for (at, run) in runs.iter().enumerate() {
            if let Some(parent) = family.find(&run.parent) {
                family.children.entry(parent).or_default().push(at);
            }
        }
        family
    }

    fn find(&self, id: &Option<String>) -> Option<usize> {
        self.by_id.get(id.as_deref()?).copied()
    }

    /// Whether the run was started by one of another task.
    fn is_anchor(&self, at: usize) -> bool {
        let parent = self.find(&self.runs[at].parent);
        parent.is_some_and(|parent| self.runs[parent].task != self.runs[at].task)
    }

    fn latest(&self, among: impl Iterator<Item = usize>) -> Option<usize> {
        among.max_by(|a, b| self.runs[*a].recency().cmp(&self.runs[*b].recency()))
    }

    fn latest_of(&self, task: &str, limit: usize) -> Vec<usize> {
        let mut of_task = self.tasks.get(task).cloned().unwrap_or_default();
        of_task.sort_by(|a, b| self.runs[*b].recency().cmp(&self.runs[*a].recency()));
        if limit > 0 {
            of_task.truncate(limit);
        }
        of_task
    }

    /// Everything that these came from, themselves included.
    fn ancestry(&self, of: &[usize]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut left = of.to_vec();
        while let Some(at) = left.pop() {
            if found.insert(at) {
                let run = &self.runs[at];
                left.extend(self.find(&run.parent).into_iter().chain(self.find(&run.previous)));
            }
        }
        found
    }

    /// Shows, of each task that the selected runs came from, how it hangs together with the others.
    fn add_anchors_of_ancestry(&self, selected: &[usize], chosen: &mut BTreeSet<usize>) {
        let ancestry = self.ancestry(selected);
        let tasks: BTreeSet<&str> =
            ancestry.iter().map(|at| self.runs[*at].task.as_str()).collect();
        for task in tasks {
            let of_task = &self.tasks[task];
            if of_task.iter().any(|at| chosen.contains(at) && self.is_anchor(*at)) {
                continue;
            }
            let anchors = || of_task.iter().copied().filter(|at| self.is_anchor(*at));
            let moment = |at: usize| self.runs[at].recency().0;
            let reference =
                of_task.iter().filter(|at| ancestry.contains(at)).map(|at| moment(*at)).max();
            let anchor = self
                .latest(anchors().filter(|at| ancestry.contains(at)))
                .or_else(|| self.latest(anchors().filter(|at| Some(moment(*at)) <= reference)))
                .or_else(|| self.latest(anchors()));
            chosen.extend(anchor);
        }
    }

    /// Shows of every task how it hangs together with the others.
    fn add_anchors_of_all(&self, chosen: &mut BTreeSet<usize>) {
        for of_task in self.tasks.values() {
            let anchors = || of_task.iter().copied().filter(|at| self.is_anchor(*at));
            if !anchors().any(|at| chosen.contains(&at)) {
                chosen.extend(self.latest(anchors()));
            }
        }
    }

    /// Adds what the chosen came from, and what came of them.
    fn complete(&self, seeds: BTreeSet<usize>, quiet: bool) -> BTreeSet<usize> {
        let mut all = seeds.clone();
        let mut sources = seeds.clone();
        let mut left: Vec<usize> = seeds.into_iter().collect();
        while let Some(at) = left.pop() {
            let run = &self.runs[at];
            if let Some(previous) = self.find(&run.previous)
                && sources.insert(previous)
            {
                all.insert(previous);
                left.push(previous);
            }
            if let Some(parent) = self.find(&run.parent)
                && all.insert(parent)
            {
                left.push(parent);
            }
        }
        let mut left: VecDeque<usize> = sources.into_iter().collect();
        let mut seen: BTreeSet<usize> = left.iter().copied().collect();
        while let Some(at) = left.pop_front() {
            for child in self.children.get(&at).into_iter().flatten().copied() {
                let dull = self.runs[child].task == self.runs[at].task
                    && !self.children.contains_key(&child);
                if (quiet && dull) || !seen.insert(child) {
                    continue;
                }
                all.insert(child);
                left.push_back(child);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `id task parent previous state`, where the place in the list is the time.
    fn runs(lines: &[&str]) -> Vec<Member> {
        let lines = lines.iter().zip(1..);
        lines
            .map(|(line, time)| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let given = |at: usize| Some(words[at].to_owned()).filter(|id| id != "-");
                Member {
                    id: words[0].to_owned(),
                    task: words[1].to_owned(),
                    parent: given(2),
                    previous: given(3),
                    is_active: words[4] == "run",
                    start: time,
                    end: if words[4] == "run" { 0 } else { time },
                }
            })
            .collect()
    }

    fn chosen(runs: &[Member], active: bool, task: &str, limit: usize) -> String {
        let task = Some(task.to_owned()).filter(|task| !task.is_empty());
        let choice = Choice { active_only: active, task, limit };
        let ids: Vec<&str> =
            choose(runs, &choice).into_iter().map(|at| runs[at].id.as_str()).collect();
        ids.join(" ")
    }

    #[test]
    fn without_a_choice_all_are_shown() {
        let runs = runs(&["a1 a - - end", "b1 b - - end"]);
        assert_eq!(chosen(&runs, false, "", 0), "a1 b1");
    }

    #[test]
    fn what_is_active_is_shown_with_where_it_came_from_and_what_came_of_it() {
        let runs = runs(&[
            "a1 a - - end",
            "a2 a - a1 end",
            "b1 b a2 - end",
            "b2 b - b1 run",
            "c1 c b1 - end",
            "d1 d - - end",
        ]);
        assert_eq!(chosen(&runs, true, "", 0), "a1 a2 b1 b2 c1");
    }

    #[test]
    fn where_nothing_is_active_the_latest_of_each_task_are_shown() {
        let runs = runs(&["a1 a - - end", "a2 a - - end", "b1 b a2 - end", "b2 b b1 - end"]);
        assert_eq!(chosen(&runs, true, "", 0), "a2 b1 b2");
    }

    #[test]
    fn a_selected_task_is_shown_with_its_family() {
        let runs = runs(&[
            "a1 a - - end",
            "b1 b a1 - end",
            "b2 b - b1 end",
            "b3 b - - end",
            "c1 c b3 - end",
            "x1 x - - end",
        ]);
        assert_eq!(chosen(&runs, false, "b", 0), "a1 b1 b2 b3 c1");
        // The latest has no parent elsewhere: the one that ties the task to the others is shown too.
        assert_eq!(chosen(&runs, false, "b", 1), "a1 b1 b3 c1");
        assert_eq!(chosen(&runs, false, "none", 0), "");
    }

    #[test]
    fn a_circle_ends() {
        let runs = runs(&["a1 a a2 a2 run", "a2 a a1 a1 end"]);
        assert_eq!(chosen(&runs, true, "", 0), "a1 a2");
        assert_eq!(chosen(&runs, false, "a", 1), "a1 a2");
    }
}
