//! The end of one run, written down once whoever does it and however often.
//!
//! Finishing is a function of the files alone. Whoever gets the run's lock after its keeper gave it
//! back may do it; the program that started the run has no privilege. Each step leaves a state from
//! which the next finisher goes on: `output.md`, the final record (a terminal outcome stays), the
//! receipt, the message (looked up before it is posted), the event for the webhook, and last the entry
//! among the open runs.

use super::engine::Engine;
use super::evidence::{Known, gather, keeper_record, known, moment};
use super::note::Note;
use super::open_entry::OpenEntry;
use super::output::{ensure_output, last_stderr_lines, misplaced, read_stream, refused_format};
use super::prepared::{start_key, start_message};
use super::session::own_usage;
use super::stop::{stop_reason, stop_wished};
use super::told::take_its_word;
use super::verdict::{Ending, Verdict, judge};
use crate::agent::stream::StreamSummary;
use crate::bus::{Cursor, Post};
use crate::cancel::Wait;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{ATTACHED, OUTPUT, RESERVE, RUN_LOCK, STDERR, STDOUT};
use crate::run::receipts;
use crate::run::store::{self, Keep};
use crate::run::{Outcome, RunRecord};
use crate::sys::LockKind;
use crate::usage::ErrorClass;

/// How a finish went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finished {
    /// The run is over and written down.
    Over,
    /// The run lives, or somebody else is finishing it.
    NotYet,
}

/// Writes down the end of a run if it is over.
pub(crate) fn finish(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
    run: &RunId,
    wait: &Wait,
) -> Result<Finished> {
    let folder = engine.layout().run(project, task, run)?;
    let first_look = known(&folder)?.record;
    if !first_look.is_supervised() && !first_look.is_open() {
        // A finished run of the older program: there is nothing to add.
        return Ok(Finished::Over);
    }
    // Its starter holds the lock until there is a keeper to hold it.
    let Some(lock) = folder.try_lock(RUN_LOCK, LockKind::Exclusive)? else {
        return Ok(Finished::NotYet);
    };
    let ids = (project, task, run);
    let finished = match finish_locked(engine, &folder, ids, Space::Enough, wait) {
        // What was set aside for this makes room, unless an agent took it.
        Err(error) if error.kind() == ErrorKind::StorageFull && folder.remove_file(RESERVE)? => {
            finish_locked(engine, &folder, ids, Space::Short, wait)
        }
        finished => finished,
    };
    drop(lock);
    finished
}

/// How much space there is for the end of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Enough,
    /// Only for what must be written.
    Short,
}

fn finish_locked(
    engine: &Engine,
    folder: &Folder,
    (project, task, run): (&ProjectId, &TaskId, &RunId),
    space: Space,
    wait: &Wait,
) -> Result<Finished> {
    // Read again: another finisher may have been here before we had the lock.
    let Known { record, damage } = known(folder)?;
    if record.outcome.is_none() {
        match judge(&gather(folder, &record)?) {
            Verdict::Over(ending) => {
                let keeper = keeper_record(folder)?;
                // Its agent is deleting the folder: what told of the keeper is gone, and the run lives.
                if keeper.is_none() && !engine.marks(project, task, run).living()?.is_empty() {
                    return Ok(Finished::NotYet);
                }
                if damage.is_some() {
                    store::create_anew(folder, &record)?;
                }
                if keeper.is_some_and(|keeper| keeper.left_work()) && owns_leftovers(folder)? {
                    engine.marks(project, task, run).end_leftovers(folder.os().as_ref())?;
                }
                write_down(engine, folder, &record, ending, space, wait)?;
            }
            Verdict::Supervised | Verdict::Adopted | Verdict::PossiblyAlive => {
                return Ok(Finished::NotYet);
            }
        }
    }
    let record = store::read(folder)?;
    // What the run used and what it says of its account, before the message: with that, whoever waits for the run
    // goes on, and counts.
    receipts::end(&engine.layout().task(project, task)?, &record, wait)?;
    if let Some(account) = &record.account {
        engine.note_limit(account, &record, wait)?;
    }
    if record.stop_msg.is_none() {
        post_end(engine, folder, (project, task, run), &record, wait)?;
        log_end(&record);
    }
    folder.remove_file(RESERVE)?;
    OpenEntry::remove(engine.layout(), project, task, run)?;
    Ok(Finished::Over)
}

/// Whether what the agent left behind ends with the run. Of a program in a terminal it is its user's,
/// unless somebody wished the run to end.
fn owns_leftovers(folder: &Folder) -> Result<bool> {
    Ok(folder.stat(ATTACHED)?.is_none() || stop_wished(folder)?)
}

fn write_down(
    engine: &Engine,
    folder: &Folder,
    before: &RunRecord,
    ending: Ending,
    space: Space,
    wait: &Wait,
) -> Result<()> {
    let mut note = None;
    let end_time = ending.ended_at.map_or(engine.now(), moment);
    let noted = Note::read(folder)?;
    let mut before = before.clone();
    noted.clone().restore(&mut before);
    let stream = match ending.outcome {
        Outcome::Refused => None,
        _ => {
            let stream = read_stream(folder, &before, end_time)?;
            match ensure_output(folder, stream.as_ref()) {
                // It is a copy of what the agent printed, which is all there.
                Err(error) if error.kind() == ErrorKind::StorageFull && space == Space::Short => {
                    note = Some(format!("no space for {OUTPUT}: see {STDOUT}"));
                }
                made => made?,
            }
            stream
        }
    };
    let stream = stream
        .map(|stream| StreamSummary { usage: own_usage(engine, &before, stream.usage), ..stream });
    let mut ending = ending;
    if !before.is_external() && refused_format(folder, &before, stream.as_ref())? {
        // Its exit code may say that all went well.
        ending.error = Some("gemini CLI rejected --output-format stream-json".to_owned());
        if ending.outcome == Outcome::Completed {
            (ending.outcome, ending.exit_code) = (Outcome::Failed, 1);
        }
    }
    let told = take_its_word(folder, &mut ending, stream.as_ref())?;
    let stop_reason = stop_reason(folder)?;
    store::update(folder, wait, Keep::Durably, |record| {
        noted.restore(record);
        record.status = ending.outcome.status();
        record.outcome = Some(ending.outcome);
        record.exit_code = ending.exit_code;
        record.signal = ending.signal;
        record.end_time = end_time;
        record.slept = ending.slept.map(u64::from);
        // Why it was refused is best known to the starter that failed.
        let known = record.error_summary.take().filter(|_| ending.outcome == Outcome::Refused);
        record.error_summary = known.or(ending.error);
        record.phase = None;
        record.waiting_for = None;
        record.waiting_until = None;
        record.stop_reason = match ending.outcome {
            Outcome::Stopped => stop_reason.or(told),
            _ => told,
        };
        if let Some(stream) = stream {
            tell(record, stream);
        }
        if let Some(note) = note {
            let before = record.error_summary.take().map(|before| format!("{before}; "));
            record.error_summary = Some(before.unwrap_or_default() + &note);
        }
        Ok(())
    })
    .map(drop)
}

fn log_end(record: &RunRecord) {
    let seconds = record.end_time.since(record.start_time).as_secs_f64();
    let (project_id, task_id, run_id) = (&record.project_id, &record.task_id, &record.run_id);
    let outcome = record.outcome.map_or("unknown", |outcome| outcome.as_str());
    match record.outcome {
        Some(Outcome::Completed | Outcome::Stopped) => tracing::info!(
            name: "run_execution_completed", project_id, task_id, run_id, outcome, seconds,
            exit_code = record.exit_code,
        ),
        // A run that fails is news, and no fault of who looks after it.
        _ => tracing::info!(
            name: "run_execution_failed", project_id, task_id, run_id, outcome, seconds,
            exit_code = record.exit_code, error = record.error_summary,
        ),
    }
}

/// Takes what the agent's stream said into the record.
fn tell(record: &mut RunRecord, stream: StreamSummary) {
    if let (Some(summary), Some(why)) = (&mut record.error_summary, in_words(&stream)) {
        summary.push_str(": ");
        summary.push_str(&why);
    }
    record.session_id = stream.session_id;
    record.model = stream.model.or(record.model.take());
    record.usage = stream.usage;
    record.cost_usd = stream.cost_usd;
    record.error_class = stream.error_class;
    record.limit_reset = stream.limit_reset;
}

/// Why the agent could not go on, in a few words.
fn in_words(stream: &StreamSummary) -> Option<String> {
    match (stream.error_class?, stream.limit_reset) {
        (ErrorClass::UsageLimit, Some(reset)) => Some(format!("usage limit until {reset}")),
        (ErrorClass::UsageLimit, None) => Some("usage limit".into()),
        (ErrorClass::Transient, _) => Some("service overloaded or out of reach".into()),
        (ErrorClass::BadCredentials, _) => Some("bad credentials".into()),
        (ErrorClass::BadRequest, _) => Some("the service refuses the request".into()),
        (ErrorClass::Other, _) => None,
    }
}

/// Why nothing is known of a run whose folder was deleted while it ran.
pub(crate) const DELETED: &str = "its folder was deleted while it ran";

/// Tells the end of a run of which nothing is left on disk, once in all; its end is lost.
pub(crate) fn tell_deleted(
    engine: &Engine,
    (project, task, run): (&ProjectId, &TaskId, &RunId),
    why: &str,
    wait: &Wait,
) -> Result<()> {
    let post = Post::new("RUN_CRASH", format!("run lost: {why}")).run(run);
    engine.task_bus(project, task)?.append_once(&end_key(run), None, post, wait.clone())?;
    engine.tell_lost(project, task, run, why)?;
    OpenEntry::remove(engine.layout(), project, task, run)
}

/// Whether all that the run's starter would hide in a message is hidden here too: another configuration, or
/// none, knows other tokens.
fn hides_as_its_starter(engine: &Engine, folder: &Folder) -> Result<bool> {
    let marks = Note::read(folder)?.secrets;
    Ok(marks.is_none_or(|marks| engine.secrets().knows(&marks)))
}

/// The key of the message that tells of a run's end.
fn end_key(run: &RunId) -> String {
    format!("{run}:end")
}

/// Posts `RUN_STOP` or `RUN_CRASH`, once in all.
fn post_end(
    engine: &Engine,
    folder: &Folder,
    (project, task, run): (&ProjectId, &TaskId, &RunId),
    record: &RunRecord,
    wait: &Wait,
) -> Result<()> {
    let crashed = !matches!(record.outcome, Some(Outcome::Completed | Outcome::Stopped));
    let mut body = format!(
        "run stopped with code {}\nrun_dir: {}\noutput: {}",
        record.exit_code,
        folder.path().display(),
        folder.join(OUTPUT).display(),
    );
    if record.outcome != Some(Outcome::Stopped)
        && let Some(why) = &record.stop_reason
    {
        body.push_str("\nit was ended: ");
        body.push_str(why);
    }
    for name in misplaced(folder)? {
        body.push_str("\nnot read, because it is no plain file any more: ");
        body.push_str(name);
    }
    if crashed {
        if let Some(summary) = &record.error_summary {
            body.push_str("\nerror: ");
            body.push_str(summary);
        }
        let lines = last_stderr_lines(folder)?;
        if !lines.is_empty() && hides_as_its_starter(engine, folder)? {
            body.push_str("\n\n## stderr (last 50 lines)\n");
            body.push_str(&lines);
        } else if !lines.is_empty() {
            body.push_str("\n\nwhat it wrote to stderr is in ");
            body.push_str(&folder.join(STDERR).to_string_lossy());
            body.push_str(" alone: its starter knew tokens that are not known here, so they could not be hidden");
        }
    }
    let bus = engine.task_bus(project, task)?;
    let noted = record.start_msg.as_deref().and_then(|cursor| cursor.parse().ok());
    let since: Option<Cursor> = match noted {
        None if keeper_record(folder)?.is_some() => {
            // Its starter died before it told, or before it noted that it had; or the older program
            // dropped the note.
            let start = start_message(folder, run);
            let posted = bus.append_once(&start_key(run), None, start, wait.clone())?;
            engine.tell_start(record)?;
            Some(posted.cursor)
        }
        noted => noted,
    };
    let kind = if crashed { "RUN_CRASH" } else { "RUN_STOP" };
    let post = Post::new(kind, body).run(run);
    let posted = bus.append_once(&end_key(run), since.as_ref(), post, wait.clone())?;
    engine.tell_end(record)?;
    // Where this note is lost, all of the above is done again, and changes nothing.
    store::update(folder, wait, Keep::Loosely, |record| {
        record.stop_msg = Some(posted.cursor.to_string());
        Ok(())
    })
    .map(drop)
}
