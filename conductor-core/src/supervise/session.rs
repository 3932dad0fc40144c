//! What one run of a session used, where its agent counts the whole session.

use super::engine::Engine;
use super::output::stream_kind;
use crate::run::{RunRecord, store};
use crate::usage::Usage;
use std::collections::HashSet;

/// Takes from `told` what earlier runs of the session used. `None` where that is not known any more:
/// a sum that counts runs twice would be worse.
pub(super) fn own_usage(engine: &Engine, record: &RunRecord, told: Option<Usage>) -> Option<Usage> {
    let counts = stream_kind(record).is_some_and(|kind| kind.counts_sessions());
    match (&record.resumed_session, counts) {
        (Some(session), true) => less(told?, earlier(engine, record, session)?),
        _ => told,
    }
}

/// What the runs before this one used of a session, back to the one that began it. What cannot be read
/// is not known, and keeps no run from being finished.
fn earlier(engine: &Engine, record: &RunRecord, session: &str) -> Option<Usage> {
    let (project, task) = (record.project_id.parse().ok()?, record.task_id.parse().ok()?);
    let mut sum = Usage::default();
    let mut seen = HashSet::new();
    let mut before = record.previous_run_id.clone();
    while let Some(id) = before.filter(|id| seen.insert(id.clone())) {
        let folder = engine.layout().run(&project, &task, &id.parse().ok()?).ok()?;
        let record = store::read(&folder).ok()?;
        if record.session_id.as_deref() == Some(session) {
            sum.add(&record.usage?);
            if record.resumed_session.is_none() {
                return Some(sum);
            }
        }
        before = record.previous_run_id;
    }
    None
}

/// The difference; `None` where it would be below zero.
fn less(all: Usage, part: Usage) -> Option<Usage> {
    Some(Usage {
        input_tokens: all.input_tokens.checked_sub(part.input_tokens)?,
        output_tokens: all.output_tokens.checked_sub(part.output_tokens)?,
        cache_read_tokens: all.cache_read_tokens.checked_sub(part.cache_read_tokens)?,
        cache_creation_tokens: all.cache_creation_tokens.checked_sub(part.cache_creation_tokens)?,
    })
}
