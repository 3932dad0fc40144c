//! Telling a project's bus that one of its tasks is finished, once for each state of its facts.
//!
//! A key is made of what the task knows: `DONE`'s time, its facts, its runs. The state file keeps the
//! key that was told last; a message on the project's bus that already carries the key is adopted. So
//! a second pass over the same facts posts nothing. The confirmation that goes to the task's own bus
//! is no fact of the task and does not count into the key.

use super::summary::{RunSummary, summarise};
use crate::bus::{Bus, Event, Message, Post, ReadOptions, Scope};
use crate::cancel::Wait;
use crate::error::Result;
use crate::fsx::Folder;
use crate::id::{MessageId, ProjectId, TaskId};
use crate::layout::{DONE, OUTPUT, PROPAGATION, PROPAGATION_LOCK, RUN_INFO, RUNS, TASK_BUS};
use crate::limits;
use crate::supervise::Engine;
use crate::sys::LockKind;
use crate::time::Timestamp;
use crate::yaml::{Mapping, Value};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// What marks the messages of this module.
const KIND: &str = "task_completion_propagation";
/// Facts that the message names as its parents.
const PARENT_FACTS: usize = 20;
/// Facts that the body shows.
const SHOWN_FACTS: usize = 5;
/// The longest line that the body shows of a fact, in bytes.
const SHOWN_BYTES: usize = 160;

/// Everything that is told.
struct Story<'a> {
    project: &'a ProjectId,
    task: &'a TaskId,
    folder: &'a Folder,
    done: Timestamp,
    runs: RunSummary,
    facts: Vec<Message>,
    last_event: Option<Message>,
    key: String,
    now: Timestamp,
}

/// Tells the project's bus of a finished task; gives what to say on the task's own bus.
pub(super) fn propagate(
    engine: &Engine,
    project: &ProjectId,
    task: &TaskId,
) -> Result<Option<String>> {
    let folder = engine.layout().task(project, task)?;
    let Some(done) = folder.stat(DONE)? else { return Ok(None) };
    let wait = Wait::from(limits::RECORD_LOCK);
    let _lock = folder.lock(PROPAGATION_LOCK, LockKind::Exclusive, &wait)?;
    let bus = engine.task_bus(project, task)?;
    let runs = summarise(&folder, project, task)?;
    let (facts, last_event) = read_task_bus(&bus, runs.latest.as_ref().map(|run| run.id.as_str()))?;
    let done = Timestamp::from_unix_nanos(done.modified);
    let key = key(done, facts.len(), &runs);
    let now = engine.now();
    let story = Story { project, task, folder: &folder, done, runs, facts, last_event, key, now };
    if read_state(&folder)?.is_some_and(|known| known == story.key) {
        return Ok(Some(format!("task completion facts already propagated (key={})", story.key)));
    }
    let project_bus = engine.bus(Scope { project: project.clone(), task: None })?;
    let told = match told_by_the_older_program(&project_bus, &story)? {
        Some(id) => id,
        None => {
            let key = format!("{KIND}:{task}:{}", story.key);
            project_bus.append_once(&key, None, story.post(), Wait::from(limits::BUS_LOCK))?.msg_id
        }
    };
    write_state(&story, told.as_str())?;
    Ok(Some(format!(
        "task completion facts propagated to project bus (msg_id={told} key={})",
        story.key
    )))
}

/// The message with which the older program told the same; it knows no keys but that in the meta.
fn told_by_the_older_program(bus: &Bus, story: &Story<'_>) -> Result<Option<MessageId>> {
    for event in bus.read(ReadOptions::default().of_type("FACT"))? {
        let Event::Message(message) = event? else { continue };
        let about = message.meta("source_task_id").unwrap_or_default();
        if message.meta("kind") == Some(KIND)
            && message.meta("propagation_key") == Some(&*story.key)
            && (about.is_empty() || about == story.task.as_str())
        {
            return Ok(Some(message.msg_id));
        }
    }
    Ok(None)
}

/// The facts of a task, and the message about the end of its latest run.
fn read_task_bus(bus: &Bus, latest: Option<&str>) -> Result<(Vec<Message>, Option<Message>)> {
    let (mut facts, mut last) = (Vec::new(), None);
    for event in bus.read(ReadOptions::default())? {
        // Damage is told by whoever reads the bus for its messages.
        let Event::Message(message) = event? else { continue };
        match message.msg_type.as_str() {
            "FACT" => facts.push(message),
            "RUN_STOP" | "RUN_CRASH" if Some(message.run_id.as_str()) == latest => {
                last = Some(message);
            }
            _ => {}
        }
    }
    Ok((facts, last))
}

/// The key of what is told, computed as the older program does.
fn key(done: Timestamp, facts: usize, runs: &RunSummary) -> String {
    let mut text = format!("{done}|fact_count={facts}");
    for id in &runs.ids {
        let _infallible = write!(text, "|run_id={id}");
    }
    for id in &runs.missing {
        let _infallible = write!(text, "|missing_run_info={id}");
    }
    for run in &runs.read {
        let time = |time: Timestamp| if time.is_zero() { String::new() } else { time.to_string() };
        let _infallible = write!(
            text,
            "|run={},status={},exit={},start={},end={}",
            run.id,
            run.status,
            run.exit_code,
            time(run.start),
            time(run.end)
        );
    }
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

/// The key that was told last; `None` where none was. A damaged state file is an error: it names
/// the file, and nothing is told twice because of it.
fn read_state(folder: &Folder) -> Result<Option<String>> {
    let Some(bytes) = folder.read_if_exists(PROPAGATION, limits::YAML_FILE)? else {
        return Ok(None);
    };
    let state = crate::yaml::parse_mapping(&bytes, &folder.join(PROPAGATION))?;
    Ok(state.get_text("last_propagation_key"))
}

fn write_state(story: &Story<'_>, message: &str) -> Result<()> {
    let mut state = Mapping::new();
    state.insert("version", Value::from(1u64));
    state.insert("last_propagation_key", Value::from(story.key.as_str()));
    state.insert("last_project_message_id", Value::from(message));
    state.insert("last_propagated_at", Value::timestamp(story.now));
    story.folder.replace(PROPAGATION, state.to_yaml().as_bytes())
}

impl Story<'_> {
    fn post(&self) -> Post {
        let mut post = Post::new("FACT", self.body()).task(self.task);
        if let Some(latest) = &self.runs.latest {
            post = post.run(&latest.id);
        }
        if let Some(event) = &self.last_event {
            post = post.parent_of_kind(&event.msg_id, "source_run_event");
        }
        for fact in &self.facts[self.facts.len().saturating_sub(PARENT_FACTS)..] {
            post = post.parent_of_kind(&fact.msg_id, "source_fact");
        }
        for (kind, label, url) in self.links() {
            post = post.link(url, label, kind);
        }
        for (name, value) in self.meta() {
            post = post.meta(name, value);
        }
        post
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// A file of the latest run; empty where there is none.
    fn run_path(&self, name: &str) -> String {
        self.runs
            .latest
            .as_ref()
            .map(|run| self.path(&format!("{RUNS}/{}/{name}", run.id)))
            .unwrap_or_default()
    }

    fn links(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut links = vec![
            ("task_bus", "task message bus", self.path(TASK_BUS)),
            ("task_done", "task DONE marker", self.path(DONE)),
        ];
        if self.runs.latest.is_some() {
            links.push(("run_info", "latest run-info.yaml", self.run_path(RUN_INFO)));
            links.push(("output", "latest output.md", self.run_path(OUTPUT)));
        }
        links
    }

    fn meta(&self) -> Vec<(&'static str, String)> {
        let runs = &self.runs;
        let event =
            |field: fn(&Message) -> String| self.last_event.as_ref().map(field).unwrap_or_default();
        let mut meta = vec![
            ("completed_run_count", runs.completed.to_string()),
            ("failed_run_count", runs.failed.to_string()),
            ("kind", KIND.to_owned()),
            ("latest_run_event_id", event(|message| message.msg_id.to_string())),
            ("latest_run_event_type", event(|message| message.msg_type.clone())),
            ("missing_run_info_ids", runs.missing.join(",")),
            ("propagated_at", self.now.to_string()),
            ("propagation_key", self.key.clone()),
            ("run_count", runs.ids.len().to_string()),
            ("running_run_count", runs.running.to_string()),
            ("source_done_mtime", self.done.to_string()),
            ("source_done_path", self.path(DONE)),
            ("source_output_path", self.run_path(OUTPUT)),
            ("source_project_id", self.project.to_string()),
            ("source_run_ids", runs.ids.join(",")),
            ("source_run_info_path", self.run_path(RUN_INFO)),
            ("source_task_bus_path", self.path(TASK_BUS)),
            ("source_task_dir", self.folder.path().to_string_lossy().into_owned()),
            ("source_task_id", self.task.to_string()),
            ("task_fact_count", self.facts.len().to_string()),
        ];
        if let Some(message) = &self.last_event {
            meta.push(("latest_run_event_ts", message.time.to_string()));
        }
        let latest = runs.latest.as_ref();
        let text = |value: Option<String>| value.unwrap_or_default();
        meta.push(("source_latest_run_id", text(latest.map(|run| run.id.to_string()))));
        meta.push(("source_latest_status", text(latest.map(|run| run.status.clone()))));
        if let Some(run) = latest {
            meta.push(("source_latest_exit_code", run.exit_code.to_string()));
            for (name, time) in
                [("source_latest_start_time", run.start), ("source_latest_end_time", run.end)]
            {
                if !time.is_zero() {
                    meta.push((name, time.to_string()));
                }
            }
        }
        meta
    }

    fn body(&self) -> String {
        let runs = &self.runs;
        let ids = if runs.ids.is_empty() { "(none)".to_owned() } else { runs.ids.join(", ") };
        let mut lines = vec![
            "task completion propagated to project scope".to_owned(),
            String::new(),
            format!("source_project_id: {}", self.project),
            format!("source_task_id: {}", self.task),
            format!("source_task_dir: {}", self.folder.path().display()),
            format!("source_task_bus: {}", self.path(TASK_BUS)),
            format!("source_done_file: {}", self.path(DONE)),
            format!("source_done_mtime: {}", self.done),
            format!("propagated_at: {}", self.now),
            format!("propagation_key: {}", self.key),
            String::new(),
            "run_outcome_summary:".to_owned(),
            format!("- run_count: {}", runs.ids.len()),
            format!("- completed_runs: {}", runs.completed),
            format!("- failed_runs: {}", runs.failed),
            format!("- running_runs: {}", runs.running),
            format!("- run_ids: {ids}"),
        ];
        if !runs.missing.is_empty() {
            lines.push(format!("- missing_run_info_ids: {}", runs.missing.join(", ")));
        }
        if let Some(run) = &runs.latest {
            lines.push(format!("- latest_run_id: {}", run.id));
            lines.push(format!("- latest_status: {}", run.status));
            lines.push(format!("- latest_exit_code: {}", run.exit_code));
            for (name, time) in [("latest_start_time", run.start), ("latest_end_time", run.end)] {
                if !time.is_zero() {
                    lines.push(format!("- {name}: {time}"));
                }
            }
            lines.push(format!("- latest_run_info_path: {}", self.run_path(RUN_INFO)));
            lines.push(format!("- latest_output_path: {}", self.run_path(OUTPUT)));
        }
        if let Some(event) = &self.last_event {
            lines.push(format!("- latest_run_event_msg_id: {}", event.msg_id));
            lines.push(format!("- latest_run_event_type: {}", event.msg_type));
            lines.push(format!("- latest_run_event_ts: {}", event.time));
        }
        lines.push(String::new());
        lines.push("task_fact_signals:".to_owned());
        lines.push(format!("- count: {}", self.facts.len()));
        match self.facts.last() {
            None => lines.push("- sample: (none)".to_owned()),
            Some(latest) => {
                lines.push(format!("- latest_fact_msg_id: {}", latest.msg_id));
                lines.push(format!("- latest_fact_ts: {}", latest.time));
                lines.push("- sample:".to_owned());
                let newest = self.facts.iter().rev().take(SHOWN_FACTS);
                lines.extend(newest.map(|fact| {
                    format!("  - [{}] {} {}", fact.time, fact.msg_id, first_line(&fact.body))
                }));
            }
        }
        lines.join("\n")
    }
}

/// The first line of a body, blanks collapsed, cut on a character's boundary.
fn first_line(body: &str) -> String {
    let line = body.trim().lines().next().unwrap_or_default();
    let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > SHOWN_BYTES {
        let mut end = SHOWN_BYTES - 3;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(first_line("\n a   b\tc \nsecond"), "a b c");
        let long = first_line(&"\u{e9}".repeat(200));
        assert!(long.len() <= SHOWN_BYTES && long.ends_with("..."));
    }
}
