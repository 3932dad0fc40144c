//! The name that somebody meant.

/// The name most like `name`, where one is like it at all: at most a third of it differs.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody means a name by a text many times as long; comparing them would cost time for nothing.
    if name.len() > LONGEST {
        return None;
    }
    names
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The longest text that may be a misspelt name, in bytes.
const LONGEST: usize = 128;

/// How many characters must be put in, left out, exchanged or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let mut best = (above[j] + usize::from(a[i] != b[j])).min(above[j + 1] + 1);
            best = best.min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_nonsense_has_none() {
        let names = ["prompt", "max_attempts", "agent"];
        assert_eq!(nearest("promt", names), Some("prompt"));
        assert_eq!(nearest("max-attempts", names), Some("max_attempts"));
        assert_eq!(nearest("agetn", names), Some("agent"));
        assert_eq!(nearest("zzzzzz", names), None);
        assert_eq!(nearest(&"agent".repeat(100), names), None);
    }
}
