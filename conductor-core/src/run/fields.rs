//! The record as a document: one list of keys, in the order that they are written in.

use super::outcome::{Outcome, Phase, Status};
use super::record::{RunRecord, VERSION};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;
use crate::usage::{ErrorClass, Usage};
use crate::yaml::{Mapping, Value};
use std::path::Path;
use std::str::FromStr;

impl RunRecord {
    /// Every key with its value, in the older program's order, then ours; `None` is not written.
    pub(crate) fn fields(&self) -> Vec<(&'static str, Option<Value>)> {
        let text = |text: &str| Some(Value::from(text));
        let maybe = |text: &Option<String>| text.as_deref().map(Value::from);
        let number = |number: Option<u64>| number.map(Value::from);
        vec![
            ("version", Some(Value::from(self.version))),
            ("run_id", text(&self.run_id)),
            ("parent_run_id", maybe(&self.parent_run_id)),
            ("previous_run_id", maybe(&self.previous_run_id)),
            ("project_id", text(&self.project_id)),
            ("task_id", text(&self.task_id)),
            ("agent", text(&self.agent)),
            ("process_ownership", maybe(&self.process_ownership)),
            ("pid", Some(Value::from(self.pid))),
            ("pgid", Some(Value::from(self.pgid))),
            ("start_time", Some(Value::timestamp(self.start_time))),
            ("end_time", Some(Value::timestamp(self.end_time))),
            ("exit_code", Some(Value::from(i64::from(self.exit_code)))),
            ("status", text(self.status.as_str())),
            ("cwd", maybe(&self.cwd)),
            ("prompt_path", maybe(&self.prompt_path)),
            ("output_path", maybe(&self.output_path)),
            ("stdout_path", maybe(&self.stdout_path)),
            ("stderr_path", maybe(&self.stderr_path)),
            ("commandline", maybe(&self.commandline)),
            ("error_summary", maybe(&self.error_summary)),
            ("agent_version", text(&self.agent_version)),
            ("rev", number(self.rev)),
            ("phase", self.phase.map(|phase| Value::from(phase.as_str()))),
            ("outcome", self.outcome.map(|outcome| Value::from(outcome.as_str()))),
            ("stop_reason", maybe(&self.stop_reason)),
            ("signal", self.signal.map(|signal| Value::from(i64::from(signal)))),
            ("process_start", number(self.process_start)),
            ("boot_id", maybe(&self.boot_id)),
            ("pid_ns", number(self.pid_ns)),
            ("keeper_pid", number(self.keeper_pid.map(u64::from))),
            ("keeper_start", number(self.keeper_start)),
            ("series", number(self.series)),
            ("start_msg", maybe(&self.start_msg)),
            ("stop_msg", maybe(&self.stop_msg)),
            ("session_id", maybe(&self.session_id)),
            ("model", maybe(&self.model)),
            ("usage", self.usage.map(|usage| Value::Map(usage_mapping(&usage)))),
            ("cost_usd", self.cost_usd.map(Value::Float)),
            ("error_class", self.error_class.map(|class| Value::from(class.as_str()))),
            ("limit_reset", self.limit_reset.map(Value::timestamp)),
            ("account", maybe(&self.account)),
            ("waiting_for", maybe(&self.waiting_for)),
            ("waiting_until", self.waiting_until.map(Value::timestamp)),
            ("parser", maybe(&self.parser)),
            ("webhook", self.webhook.map(Value::from)),
            ("attached", self.attached.then(|| Value::from(true))),
            ("agent_name", maybe(&self.agent_name)),
            ("resumed_session", maybe(&self.resumed_session)),
            ("slept_seconds", number(self.slept)),
        ]
    }

    /// The record as a document: known keys in order, then the unknown ones that it was read with.
    ///
    /// What did not change is written to the letter as it was read.
    pub(super) fn to_mapping(&self) -> Mapping {
        let mut map = Mapping::new();
        let fields = self.fields();
        for (key, value) in &fields {
            let Some(value) = value else { continue };
            if self.source.get(key).is_some_and(|old| is_same(old, value)) {
                map.adopt(&self.source, key);
            } else {
                map.insert(key, value.clone());
            }
        }
        for (key, _) in self.source.iter() {
            if !fields.iter().any(|(known, _)| *known == key) {
                map.adopt(&self.source, key);
            }
        }
        map
    }

    /// Reads a record from its document; `path` is that of the file, for errors.
    ///
    /// # Errors
    /// `run_info.corrupt`, naming the file and the key.
    pub(super) fn from_mapping(map: Mapping, path: &Path) -> Result<RunRecord> {
        let read = Reader { map: &map, path };
        let record = RunRecord {
            version: read.parsed("version")?.unwrap_or(0),
            run_id: read.trimmed("run_id")?,
            parent_run_id: read.text("parent_run_id")?,
            previous_run_id: read.text("previous_run_id")?,
            project_id: read.trimmed("project_id")?,
            task_id: read.trimmed("task_id")?,
            agent: read.trimmed("agent")?,
            process_ownership: read.text("process_ownership")?,
            pid: read.parsed("pid")?.unwrap_or(0),
            pgid: read.parsed("pgid")?.unwrap_or(0),
            start_time: read.parsed("start_time")?.unwrap_or(Timestamp::ZERO),
            end_time: read.parsed("end_time")?.unwrap_or(Timestamp::ZERO),
            exit_code: read.parsed("exit_code")?.unwrap_or(0),
            status: Status::parse(&read.trimmed("status")?),
            cwd: read.text("cwd")?,
            prompt_path: read.text("prompt_path")?,
            output_path: read.text("output_path")?,
            stdout_path: read.text("stdout_path")?,
            stderr_path: read.text("stderr_path")?,
            commandline: read.text("commandline")?,
            error_summary: read.text("error_summary")?,
            agent_version: read.trimmed("agent_version")?,
            rev: read.parsed("rev")?,
            phase: read.word("phase", Phase::parse)?,
            outcome: read.word("outcome", Outcome::parse)?,
            stop_reason: read.text("stop_reason")?,
            signal: read.parsed("signal")?,
            process_start: read.parsed("process_start")?,
            boot_id: read.text("boot_id")?,
            pid_ns: read.parsed("pid_ns")?,
            keeper_pid: read.parsed("keeper_pid")?,
            keeper_start: read.parsed("keeper_start")?,
            series: read.parsed("series")?,
            start_msg: read.text("start_msg")?,
            stop_msg: read.text("stop_msg")?,
            session_id: read.text("session_id")?,
            model: read.text("model")?,
            usage: read.usage("usage")?,
            cost_usd: read.amount("cost_usd")?,
            error_class: read.word("error_class", ErrorClass::parse)?,
            limit_reset: read.parsed("limit_reset")?,
            account: read.text("account")?,
            waiting_for: read.text("waiting_for")?,
            waiting_until: read.parsed("waiting_until")?,
            parser: read.text("parser")?,
            webhook: read.parsed("webhook")?,
            attached: read.parsed("attached")?.unwrap_or(false),
            agent_name: read.text("agent_name")?,
            resumed_session: read.text("resumed_session")?,
            slept: read.parsed("slept_seconds")?,
            supervised: false,
            source: Mapping::new(),
        };
        Ok(RunRecord { supervised: record.rev.is_some(), source: map, ..record })
    }
}

/// The tokens of a run as a group of keys.
fn usage_mapping(usage: &Usage) -> Mapping {
    let mut map = Mapping::new();
    for (name, tokens) in usage.parts() {
        map.insert(name, Value::from(tokens));
    }
    map
}

/// Whether what was read says what is to be written. What a group of keys says beyond that stays.
fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Map(old), Value::Map(new)) => {
            new.iter().all(|(key, new)| old.get(key).is_some_and(|old| is_same(old, new)))
        }
        _ => old.as_text().is_some_and(|old| Some(old) == new.as_text()),
    }
}

/// Reads typed values and names the key of what is wrong.
struct Reader<'a> {
    map: &'a Mapping,
    path: &'a Path,
}

impl Reader<'_> {
    fn wrong(&self, key: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            "run_info.corrupt",
            format!("{}: the value of {key} makes no sense", self.path.display()),
        )
        .with_path(self.path)
        .with_field(key)
        .with_hint("repair the file by hand; nothing was changed")
    }

    /// The text under a key; `None` where the key is missing, null or blank.
    fn text(&self, key: &str) -> Result<Option<String>> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_text() {
                Some(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
                None => Err(self.wrong(key)),
            },
        }
    }

    fn trimmed(&self, key: &str) -> Result<String> {
        Ok(self.text(key)?.map(|text| text.trim().to_owned()).unwrap_or_default())
    }

    fn parsed<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        let text = self.text(key)?;
        text.map(|text| text.trim().parse().map_err(|_| self.wrong(key))).transpose()
    }

    /// A number that can be added up.
    fn amount(&self, key: &str) -> Result<Option<f64>> {
        match self.parsed(key)? {
            Some(amount) if !f64::is_finite(amount) => Err(self.wrong(key)),
            amount => Ok(amount),
        }
    }

    fn usage(&self, key: &str) -> Result<Option<Usage>> {
        let map = match self.map.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Map(map)) => map,
            Some(_) => return Err(self.wrong(key)),
        };
        // A part that is missing was not told apart by who wrote it.
        let part = |name: &str| match map.get_text(name) {
            None => Ok(0),
            Some(text) => text.trim().parse().map_err(|_| self.wrong(key)),
        };
        Ok(Some(Usage {
            input_tokens: part("input_tokens")?,
            output_tokens: part("output_tokens")?,
            cache_read_tokens: part("cache_read_tokens")?,
            cache_creation_tokens: part("cache_creation_tokens")?,
        }))
    }

    /// A word of ours; one that a newer form may have added is not known.
    fn word<T>(&self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match parse(text.trim()) {
            None if self.parsed("version")?.unwrap_or(0) <= VERSION => Err(self.wrong(key)),
            known => Ok(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_mapping;

    const OF_THE_OLDER_PROGRAM: &str = "\
version: 1
run_id: 20261123-1443360000-10373-1
project_id: demo
task_id: task-20260101-000000-alpha
agent: claude
process_ownership: managed
pid: 10382
pgid: 10382
start_time: 2026-11-23T14:43:36.722089643Z
end_time: 0001-01-01T00:00:00Z
exit_code: -1
status: running
cwd: /r/demo/task-20260101-000000-alpha
commandline: claude -p < /r/prompt.md
agent_version: \"\"
";

    fn parse(text: &str) -> Result<RunRecord> {
        let path = Path::new("/r/run-info.yaml");
        RunRecord::from_mapping(parse_mapping(text.as_bytes(), path)?, path)
    }

    #[test]
    fn a_record_of_the_older_program_is_written_as_it_was_read() {
        let record = parse(OF_THE_OLDER_PROGRAM).unwrap();
        assert_eq!((record.pid, record.exit_code), (10382, -1));
        assert!(record.end_time.is_zero() && !record.is_supervised());
        assert_eq!(record.to_mapping().to_yaml(), OF_THE_OLDER_PROGRAM);
    }

    #[test]
    fn a_fresh_record_has_the_older_programs_keys_in_its_order_and_form() {
        let read = parse(OF_THE_OLDER_PROGRAM).unwrap();
        let fresh = RunRecord { source: Mapping::new(), ..read };
        assert_eq!(fresh.to_mapping().to_yaml(), OF_THE_OLDER_PROGRAM);
    }

    #[test]
    fn unknown_keys_stay_to_the_letter_and_ours_come_behind_the_older_programs() {
        let text = format!("{OF_THE_OLDER_PROGRAM}x-note: 'mine'   # kept\nlist:\n  - 1\n");
        let mut record = parse(&text).unwrap();
        record.error_summary = Some("agent exited with code 3".into());
        record.outcome = Some(Outcome::Failed);
        let written = record.to_mapping().to_yaml();
        let at = |part: &str| written.find(part).unwrap_or_else(|| panic!("{part} in {written}"));
        assert!(at("error_summary: agent") < at("agent_version: \"\""));
        assert!(at("agent_version") < at("outcome: failed"));
        assert!(written.ends_with("x-note: 'mine'   # kept\nlist:\n  - 1\n"), "{written}");
        assert_eq!(parse(&written).unwrap().outcome, Some(Outcome::Failed));
    }

    #[test]
    fn what_the_agent_used_stands_behind_all_else_and_is_read_back() {
        let mut record = parse(OF_THE_OLDER_PROGRAM).unwrap();
        record.session_id = Some("e6faa3f1-4c4c".into());
        record.model = Some("claude-opus-4-8[1m]".into());
        record.usage = Some(Usage { input_tokens: 1200, output_tokens: 31, ..Usage::default() });
        record.cost_usd = Some(0.026949999999999998);
        record.error_class = Some(ErrorClass::UsageLimit);
        record.limit_reset = Some(Timestamp::UNIX_EPOCH);
        let written = record.to_mapping().to_yaml();
        let tail = "\
session_id: e6faa3f1-4c4c
model: claude-opus-4-8[1m]
usage:
    input_tokens: 1200
    output_tokens: 31
    cache_read_tokens: 0
    cache_creation_tokens: 0
cost_usd: 0.026949999999999998
error_class: usage_limit
limit_reset: 1970-01-01T00:00:00Z
";
        assert_eq!(written, format!("{OF_THE_OLDER_PROGRAM}{tail}"));
        let back = parse(&written).unwrap();
        assert_eq!((back.usage, back.cost_usd), (record.usage, record.cost_usd));
        let more = written.replace("    output_tokens: 31\n", "    output_tokens: 31\n    x: 1\n");
        assert_eq!(parse(&more).unwrap().to_mapping().to_yaml(), more);
    }

    #[test]
    fn what_makes_no_sense_names_its_key() {
        for (line, key) in [
            ("pid: many", "pid"),
            ("pid: 99999999999999999999", "pid"),
            ("start_time: yesterday", "start_time"),
            ("exit_code: [1]", "exit_code"),
            ("outcome: nice", "outcome"),
            ("phase: 7", "phase"),
            ("usage: 7", "usage"),
            ("usage:\n  input_tokens: -1", "usage"),
            ("cost_usd: much", "cost_usd"),
            ("cost_usd: nan", "cost_usd"),
            ("error_class: nice", "error_class"),
            ("run_id:\n  a: b", "run_id"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!((error.code(), error.field()), ("run_info.corrupt", Some(key)), "{line}");
        }
    }

    #[test]
    fn what_is_missing_is_unknown() {
        let record = parse("run_id: r1\nstatus: \"\"\n").unwrap();
        assert_eq!(record.status, Status::Unknown);
        assert_eq!((record.version, record.pid), (0, 0));
        assert_eq!(record.parent_run_id, None);
    }
}
