//! Keeping the books: the ends of runs are written down where nobody waits for them, and all are counted.

use super::super::app::App;
use super::super::limits;
use super::client::join_hub;
use super::hub::{Join, Member};
use super::topic::{RunKey, Topic};
use conductor_core::{Conductor, Result, RunInfo};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Runs that are known to be counted.
const COUNTED: usize = 1024;
/// How soon to look out for the ends of runs again.
const AGAIN: Duration = Duration::from_secs(30);

/// Writes down the ends of runs as they come, where nobody waits for them, and counts beginnings and ends.
pub(crate) async fn keep_books(app: App) {
    loop {
        let join = Join { from: None, shared: true };
        if let Ok((_, member)) = join_hub(&app, Topic::Runs, join).await {
            follow(&app, member).await;
        }
        // Only where runs cannot be looked out for: the ends are written down all the same.
        tokio::time::sleep(AGAIN).await;
    }
}

/// Returns where nothing more is told.
async fn follow(app: &App, mut member: Member) {
    let (mut begun, mut seen, mut ended) =
        (Counted::default(), Counted::default(), Counted::default());
    let mut ends: Vec<RunKey> = Vec::new();
    loop {
        write_down(app).await;
        for run in std::mem::take(&mut ends) {
            let Some(info) = look(app, run.clone()).await else { continue };
            // What it used is known when its end is written down, which is told once more.
            let is_written = info.record.stop_msg.is_some() || !seen.is_new(&run);
            if is_written && ended.is_new(&run) {
                app.metrics().ended(&info);
            }
        }
        while ends.is_empty() {
            let batch = match member.batches.recv().await {
                Ok(batch) => batch,
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            };
            for note in batch.encoded.runs.iter() {
                // A run that ended before it was seen began, too.
                if begun.is_new(&note.run) {
                    count_beginning(app, note.run.clone()).await;
                }
                if note.outcome.is_some() {
                    ends.push(note.run.clone());
                }
            }
        }
    }
}

async fn write_down(app: &App) {
    let closed = app.call(|conductor| conductor.reconcile(limits::CHANGE)).await;
    if let Err(failure) = closed {
        let (code, error) = (failure.code(), failure.message());
        tracing::warn!(subsystem = "api", code, error, "cannot write down an end");
    }
}

async fn count_beginning(app: &App, run: RunKey) {
    let Some(info) = look(app, run).await else { return };
    let previous = app.call({
        let info = info.clone();
        move |conductor| previous_agent(conductor, &info)
    });
    let previous = previous.await.ok().flatten();
    app.metrics().began(&info.record.agent, previous.as_deref());
}

/// The agent of the attempt before, where there was one and it can still be read.
fn previous_agent(conductor: &Conductor, info: &RunInfo) -> Result<Option<String>> {
    let Some(previous) = &info.record.previous_run_id else { return Ok(None) };
    let previous = conductor_core::RunId::new(previous)?;
    let previous = conductor.runs().info(&info.project, &info.task, &previous)?;
    Ok(Some(previous.record.agent))
}

/// What is known of a run; nothing of one that was deleted or cannot be read, which is told elsewhere.
async fn look(app: &App, run: RunKey) -> Option<RunInfo> {
    let RunKey { project, task, run } = run;
    app.call(move |conductor| conductor.runs().info(&project, &task, &run)).await.ok()
}

/// The last runs that were counted.
#[derive(Default)]
struct Counted(VecDeque<RunKey>);

impl Counted {
    fn is_new(&mut self, run: &RunKey) -> bool {
        let new = !self.0.contains(run);
        if new {
            self.0.push_back(run.clone());
            if self.0.len() > COUNTED {
                self.0.pop_front();
            }
        }
        new
    }
}
