//! A plan as one text, with which another process makes it again.

use super::goal::{GcGoal, GcHeld, Held};
use super::item::{GcHolding, GcReason, Word as _};
use super::oldest::Turn;
use super::plan::Early;
use super::policy::GcPolicy;
use crate::error::{Error, Result};
use crate::id::ProjectId;
use crate::time::{Timestamp, format_duration, parse_duration};

/// What a plan is beside its policy: its moment, how far young runs go all the same, and what was counted to find
/// that out. Who makes the plan again need not count, and tells the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(super) now: Timestamp,
    pub(super) early: Vec<Early>,
    /// One for each goal of the policy.
    pub(super) goals: Vec<GcGoal>,
    /// What stays, where there are goals.
    pub(super) held: Held,
}

impl Token {
    /// The text of a plan of this policy.
    pub(super) fn text(&self, policy: &GcPolicy) -> String {
        let mut parts =
            vec!["gc1".to_owned(), self.now.to_string(), format_duration(policy.older_than)];
        let mut flag = |name: &str, set: bool| {
            if set {
                parts.push(name.to_owned());
            }
        };
        flag("keep_failed", policy.keep_failed);
        flag("rotate_bus", policy.rotate_bus);
        flag("delete_done_tasks", policy.delete_done_tasks);
        flag("force", policy.force);
        let values = [
            ("project", policy.project.as_ref().map(ToString::to_string)),
            ("keep_last", Some(policy.keep_last.to_string())),
            ("max_bytes", policy.max_bytes.map(|bytes| bytes.to_string())),
            ("min_free", policy.min_free.map(|bytes| bytes.to_string())),
            ("bus_max_size", Some(policy.bus_max_size.to_string())),
            ("prune_archives", policy.prune_archives.map(format_duration)),
        ];
        for (name, value) in values {
            parts.extend(value.map(|value| format!("{name}={value}")));
        }
        for Early { reason, last } in &self.early {
            parts.push(format!("through={reason}~{}~{:016x}", last.end, last.tie));
        }
        for GcGoal { goal, now, short, .. } in &self.goals {
            parts.push(format!("goal={goal}~{now}~{short}"));
        }
        for GcHeld { what, reason, count, bytes } in self.held.all() {
            let reason = reason.map_or("", GcReason::as_str);
            parts.push(format!("held={what}~{reason}~{count}~{bytes}"));
        }
        parts.join(" ")
    }

    /// Reads what [`Token::text`] wrote.
    ///
    /// # Errors
    /// `gc.token`.
    pub(crate) fn read(text: &str) -> Result<(GcPolicy, Token)> {
        read(text).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Error::invalid("gc.token", "plan", format!("{shown:?} is no plan"))
                .with_hint("give the plan's text as the dry run told it, or plan again")
        })
    }
}

fn read(token: &str) -> Option<(GcPolicy, Token)> {
    let mut parts = token.split(' ');
    if parts.next() != Some("gc1") {
        return None;
    }
    let now = parts.next()?.parse().ok()?;
    let mut token = Token { now, early: Vec::new(), goals: Vec::new(), held: Held::default() };
    let (mut counted, mut held) = (Vec::new(), Vec::new());
    let mut policy = GcPolicy::default().older_than(parse_duration(parts.next()?).ok()?);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "keep_failed" => policy.keep_failed = true,
            "rotate_bus" => policy.rotate_bus = true,
            "delete_done_tasks" => policy.delete_done_tasks = true,
            "force" => policy.force = true,
            "project" => policy.project = Some(ProjectId::new(value).ok()?),
            "keep_last" => policy.keep_last = value.parse().ok()?,
            "max_bytes" => policy.max_bytes = Some(value.parse().ok()?),
            "min_free" => policy.min_free = Some(value.parse().ok()?),
            "bus_max_size" => policy.bus_max_size = value.parse().ok()?,
            "prune_archives" => policy.prune_archives = Some(parse_duration(value).ok()?),
            "through" => token.early.push(read_early(value)?),
            "goal" => counted.push(read_goal(value)?),
            "held" => held.push(read_held(value)?),
            _ => return None,
        }
    }
    token.held = held.into_iter().collect();
    for (goal, wanted) in policy.goals() {
        let (_, now, short) = *counted.iter().find(|(known, ..)| *known == goal)?;
        token.goals.push(GcGoal::known(goal, wanted, now, short, &token.held));
    }
    (token.goals.len() == counted.len()).then_some((policy, token))
}

fn read_goal(value: &str) -> Option<(GcReason, u64, u64)> {
    let mut parts = value.split('~');
    let goal = (
        GcReason::of_word(parts.next()?)?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    parts.next().is_none().then_some(goal)
}

fn read_held(value: &str) -> Option<GcHeld> {
    let mut parts = value.split('~');
    let what = GcHolding::of_word(parts.next()?)?;
    let reason = match parts.next()? {
        "" => None,
        word => Some(GcReason::of_word(word)?),
    };
    let (count, bytes) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(GcHeld { what, reason, count, bytes })
}

fn read_early(value: &str) -> Option<Early> {
    let mut parts = value.split('~');
    let (reason, end, tie) = (parts.next()?, parts.next()?, parts.next()?);
    let reason = [GcReason::MaxBytes, GcReason::MinFree]
        .into_iter()
        .find(|known| known.as_str() == reason)?;
    let (end, tie) = (end.parse().ok()?, u64::from_str_radix(tie, 16).ok()?);
    parts.next().is_none().then_some(Early { reason, last: Turn { end, tie } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_token_says_it_all() {
        let now: Timestamp = "2026-03-01T08:00:00.25Z".parse().unwrap();
        let plain = GcPolicy::default();
        let (early, goals) = (Vec::new(), Vec::new());
        let token = Token { now, early, goals, held: Held::default() };
        assert_eq!(Token::read(&token.text(&plain)).unwrap(), (plain, token));
        let full = GcPolicy {
            older_than: Duration::from_millis(1500),
            project: Some(ProjectId::new("shop").unwrap()),
            keep_failed: true,
            keep_last: 3,
            max_bytes: Some(1),
            min_free: Some(2),
            rotate_bus: true,
            bus_max_size: 7,
            prune_archives: Some(Duration::ZERO),
            delete_done_tasks: true,
            force: true,
        };
        let early = [(GcReason::MaxBytes, 0), (GcReason::MinFree, u64::MAX)];
        let early = early.map(|(reason, tie)| Early { reason, last: Turn { end: now, tie } });
        let mut held = Held::default();
        held.add_run(GcReason::Alive, 5);
        held.add(GcHolding::Buses, 0);
        let goals = vec![
            GcGoal::known(GcReason::MaxBytes, 1, 9, 5, &held),
            GcGoal::known(GcReason::MinFree, 2, 9, 0, &held),
        ];
        let token = Token { now, early: early.to_vec(), goals, held };
        assert_eq!(Token::read(&token.text(&full)).unwrap(), (full, token));
        for bad in [
            "",
            "gc2 x",
            "gc1",
            "gc1 now 1h",
            "gc1 2026-03-01T08:00:00Z 1h forced",
            "gc1 2026-03-01T08:00:00Z 1h through=age~2026-03-01T08:00:00Z~0",
            // What the plan counted is missing, or is of no goal of the policy.
            "gc1 2026-03-01T08:00:00Z 1h max_bytes=1",
            "gc1 2026-03-01T08:00:00Z 1h goal=max_bytes~1~1",
            "gc1 2026-03-01T08:00:00Z 1h max_bytes=1 goal=max_bytes~1~1 held=air~~1~1",
        ] {
            assert_eq!(Token::read(bad).unwrap_err().code(), "gc.token", "{bad}");
        }
    }
}
