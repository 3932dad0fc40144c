//! The lines that people read.

use super::tally::Totals;
use crate::out::Out;
use crate::render::error::notice;
use crate::render::text::one_line;
use conductor_core::{
    GcAction, GcDone, GcGoal, GcHeld, GcHolding, GcItem, GcKind, GcReason, GcResult,
};
use std::io;

/// Prints what would be done with one thing.
pub(super) fn tell_planned(out: &mut Out, item: &GcItem) -> io::Result<()> {
    if item.action == GcAction::Keep {
        tell_kept(item, item.reason);
        return Ok(());
    }
    out.line(&one_line(&format!("[dry-run] {}", describe(item, Mood::Would))))
}

/// Prints what would be done in all.
pub(super) fn tell_plan_totals(out: &mut Out, totals: &Totals) -> io::Result<()> {
    tell_totals(out, totals, Mood::Would)
}

/// Prints what became of one thing.
pub(super) fn tell_done(out: &mut Out, done: &GcDone) -> io::Result<()> {
    match &done.result {
        GcResult::Done => out.line(&one_line(&describe(&done.item, Mood::Did))),
        GcResult::Kept(reason) => {
            tell_kept(&done.item, *reason);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Tells of what stays although it was asked for.
fn tell_kept(item: &GcItem, reason: GcReason) {
    let path = item.path.display();
    notice(&match (reason, &item.cursor) {
        (GcReason::OlderWriter, _) => {
            format!("keeping {path} (not rotated: an older program writes here)")
        }
        (GcReason::Cursor, Some(cursor)) => format!("keeping {path} (held by cursor {cursor})"),
        _ => format!("keeping {path} for now ({reason})"),
    });
}

/// Prints which goals are not reached, and what lies in the way.
pub(super) fn tell_goals(out: &mut Out, goals: &[GcGoal]) -> io::Result<()> {
    for goal in goals.iter().filter(|goal| goal.short > 0) {
        let (wanted, short) = (megabytes(goal.wanted), megabytes(goal.short));
        out.line(&match goal.goal {
            GcReason::MinFree => {
                format!("Not reached: --min-free {wanted}, {short} more had to go")
            }
            _ => format!("Not reached: --max-bytes {wanted}, {short} more had to go"),
        })?;
        if goal.held.is_empty() {
            out.line("Nothing that is left here can make room")?;
        } else {
            out.line("What stays:")?;
        }
        for held in &goal.held {
            out.line(&format!("  {:>10}  {}", megabytes(held.bytes), holding(held)))?;
        }
    }
    Ok(())
}

fn holding(held: &GcHeld) -> String {
    let reason = held.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    match held.what {
        GcHolding::Runs => format!("{} run(s){reason}", held.count),
        GcHolding::Buses => "message buses".to_owned(),
        GcHolding::Archives => "archived buses".to_owned(),
        GcHolding::Tasks => "other files of tasks".to_owned(),
        GcHolding::Projects => "other files of projects".to_owned(),
        GcHolding::Root => "files of no project, .conductor among them".to_owned(),
        what => what.to_string(),
    }
}

/// Prints what was done in all.
pub(super) fn tell_done_totals(out: &mut Out, totals: &Totals) -> io::Result<()> {
    tell_totals(out, totals, Mood::Did)
}

/// Tells of errors that are not told one by one.
pub(super) fn tell_more_errors(count: usize) {
    notice(&format!("{count} more could not be looked at or not be done"));
}

/// Whether something was done.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Would,
    Did,
}

fn describe(item: &GcItem, mood: Mood) -> String {
    let delete = if mood == Mood::Would { "would delete" } else { "deleting" };
    let path = item.path.display();
    let size = megabytes(item.bytes);
    match (item.action, item.kind) {
        (GcAction::Rotate, _) => {
            let rotate = if mood == Mood::Would { "would rotate" } else { "Rotated" };
            let name = item.path.file_name().unwrap_or_default().to_string_lossy();
            format!("{rotate} {name} ({size} \u{2192} archived)")
        }
        (_, GcKind::Run) => {
            let status = item.status.as_deref().unwrap_or("unknown");
            let started = item.start_time.map_or_else(|| "-".to_owned(), |time| time.human());
            format!("{delete} {path} (status={status}, started={started}, size={size})")
        }
        (_, GcKind::Task) => format!("{delete} task dir {path} (DONE + empty)"),
        (_, GcKind::Orphan) => {
            format!("{delete} orphaned run dir {path} (no run-info.yaml, size={size})")
        }
        (_, GcKind::Archive) => format!("{delete} archive {path} ({size})"),
        (_, kind) => format!("{delete} {} {path} ({size})", what(kind)),
    }
}

fn what(kind: GcKind) -> &'static str {
    match kind {
        GcKind::Temporary => "temporary file",
        GcKind::Trash => "leftover",
        GcKind::Lock => "unheld lock",
        GcKind::Entry => "entry of a run that is gone",
        _ => kind.as_str(),
    }
}

fn tell_totals(out: &mut Out, totals: &Totals, mood: Mood) -> io::Result<()> {
    let would = mood == Mood::Would;
    let (delete, rotate) =
        if would { ("Would delete", "Would rotate") } else { ("Deleted", "Rotated") };
    let freed = megabytes(totals.freed_bytes);
    out.line(&format!("{delete} {} runs, freed {freed}", totals.runs))?;
    for (count, line) in [
        (totals.tasks, format!("{delete} {} task directories (DONE + empty runs)", totals.tasks)),
        (totals.buses, format!("{rotate} {} message bus file(s)", totals.buses)),
        (totals.archives, format!("{delete} {} archived bus file(s)", totals.archives)),
        (totals.strays, format!("{delete} {} leftover(s)", totals.strays)),
    ] {
        if count > 0 {
            out.line(&line)?;
        }
    }
    Ok(())
}

/// As the older program writes sizes: `12.3 MB`.
fn megabytes(bytes: u64) -> String {
    // Tenths, rounded half up.
    let tenths = (u128::from(bytes) * 10 + (1 << 19)) >> 20;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in [
            (0, "0.0 MB"),
            (52_428, "0.0 MB"),
            (52_429, "0.1 MB"),
            (12_897_485, "12.3 MB"),
            (10 << 20, "10.0 MB"),
        ] {
            assert_eq!(megabytes(bytes), text);
        }
    }
}
