//! `.loop.yaml`: the state of a task's loop as a file.

use super::means::Means;
use super::parameters::Parameters;
use super::policy::Budget;
use super::questions::ON_QUESTION;
use super::state::{LoopState, OUTCOMES, PHASES, Phase, Spent, Waiting};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::LOOP;
use crate::limits;
use crate::supervise::{Family, ON_OUTPUT_LIMIT};
use crate::sys::ProcessId;
use crate::time::{format_duration, parse_duration};
use crate::yaml::{Mapping, Value, parse_mapping};
use std::time::Duration;

/// The version of the form that is written.
const VERSION: u64 = 1;
/// The key of the digests of what a driver brings along.
const MEANS: &str = "driven_with";

impl LoopState {
    /// Writes the state durably. The caller holds the lease.
    pub(super) fn write(&self, task: &Folder) -> Result<()> {
        task.replace(LOOP, self.text(task)?.as_bytes())
    }

    /// Writes the state; a power cut may bring the one before back.
    pub(super) fn write_relaxed(&self, task: &Folder) -> Result<()> {
        task.replace_relaxed(LOOP, self.text(task)?.as_bytes())
    }

    /// Refuses a state that nobody could read back.
    ///
    /// # Errors
    /// `loop.too_large`.
    pub(super) fn check_size(&self, task: &Folder) -> Result<()> {
        self.text(task).map(drop)
    }

    fn text(&self, task: &Folder) -> Result<String> {
        let text = self.to_mapping().to_yaml();
        if text.len() as u64 <= limits::YAML_FILE {
            return Ok(text);
        }
        let path = task.join(LOOP);
        let what = format!(
            "the prompt and the command of the task need {} bytes in {}, more than {}",
            text.len(),
            path.display(),
            limits::YAML_FILE
        );
        let field = if self.parameters.prompt.is_some() { "prompt" } else { "command" };
        Err(Error::invalid("loop.too_large", field, what)
            .with_path(path)
            .with_hint("let the prompt name a file, or start another task with it"))
    }

    fn to_mapping(&self) -> Mapping {
        let mut map = Mapping::new();
        map.insert("version", Value::from(VERSION));
        map.insert("series", Value::from(self.series));
        let phase = PHASES.iter().find(|(phase, _)| *phase == self.phase).map_or("", |(_, w)| w);
        map.insert("state", Value::from(phase));
        if let Some(waiting) = &self.waiting {
            map.insert("waiting_for", Value::from(waiting.what.as_str()));
            map.insert("waiting_since", Value::timestamp(waiting.since));
            if let Some(until) = waiting.until {
                map.insert("waiting_until", Value::timestamp(until));
            }
        }
        map.insert("started_at", Value::timestamp(self.started_at));
        if let Some(wish) = &self.earlier_wish {
            map.insert("earlier_wish", Value::from(wish.as_str()));
        }
        if let Some(cursor) = &self.start_cursor {
            map.insert("start_cursor", Value::from(cursor.to_string().as_str()));
        }
        if let Some(driver) = self.driver {
            map.insert("driver_pid", Value::from(u64::from(driver.pid)));
            map.insert("driver_start", Value::from(driver.start));
            map.insert("boot_id", Value::from(self.boot_id.as_str()));
        }
        if self.resumed {
            map.insert("resumed", Value::from(true));
        }
        if self.checks > 0 {
            map.insert("checks", Value::from(u64::from(self.checks)));
        }
        if let Some(rejection) = &self.rejection {
            map.insert("rejection", Value::from(rejection.as_str()));
        }
        map.insert("attempts", Value::from(u64::from(self.attempts)));
        if self.spent != Spent::default() {
            let Spent { wall, tokens, cost_usd } = self.spent;
            map.insert("spent_wall", Value::from(format_duration(wall).as_str()));
            map.insert("spent_tokens", Value::from(tokens));
            map.insert("spent_cost_usd", Value::Float(cost_usd));
        }
        if let Some(run) = &self.last_run {
            map.insert("last_run_id", Value::from(run.as_str()));
        }
        if let Some(outcome) = self.outcome {
            map.insert("outcome", Value::from(outcome.as_str()));
        }
        if let Some(reason) = &self.reason {
            map.insert("reason", Value::from(reason.as_str()));
        }
        if let Some(at) = self.ended_at {
            map.insert("ended_at", Value::timestamp(at));
        }
        self.parameters.insert_into(&mut map);
        let means = self.means.to_texts();
        if !means.is_empty() {
            map.insert(MEANS, Value::list(means.iter().map(String::as_str)));
        }
        map
    }

    /// The state of a task's loop; `None` where it never had one.
    ///
    /// # Errors
    /// `loop.corrupt` naming the file and the key.
    pub(crate) fn read(task: &Folder) -> Result<Option<LoopState>> {
        let Some(bytes) = task.read_if_exists(LOOP, limits::YAML_FILE)? else { return Ok(None) };
        let map = parse_mapping(&bytes, &task.join(LOOP))?;
        refuse_newer(task, &map)?;
        Reader { task, map: &map }.state().map(Some)
    }
}

/// A loop of a newer form is not driven by rules that do not know it.
fn refuse_newer(task: &Folder, map: &Mapping) -> Result<()> {
    let version = map.get_text("version").and_then(|version| version.parse::<u64>().ok());
    match version {
        Some(version) if version > VERSION => Err(Error::new(
            ErrorKind::TooNew,
            "loop.too_new",
            format!("{} has version {version}, and {VERSION} is known", task.join(LOOP).display()),
        )
        .with_path(task.join(LOOP))
        .with_field("version")),
        _ => Ok(()),
    }
}

/// Reads typed values and names the key of what is wrong.
struct Reader<'a> {
    task: &'a Folder,
    map: &'a Mapping,
}

impl Reader<'_> {
    fn wrong(&self, key: &str) -> Error {
        let path = self.task.join(LOOP);
        Error::new(
            ErrorKind::Corrupt,
            "loop.corrupt",
            format!("{}: the value of {key} is missing or wrong", path.display()),
        )
        .with_path(path)
        .with_field(key)
        .with_hint("repair the file, or remove it to begin the task's loop anew")
    }

    fn text(&self, key: &str) -> Option<String> {
        self.map.get_text(key)
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        self.text(key).map(|text| text.parse().map_err(|_| self.wrong(key))).transpose()
    }

    /// A number that can be added up.
    fn amount(&self, key: &str) -> Result<Option<f64>> {
        match self.parsed::<f64>(key)? {
            Some(amount) if !amount.is_finite() => Err(self.wrong(key)),
            amount => Ok(amount),
        }
    }

    fn required<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        self.parsed(key)?.ok_or_else(|| self.wrong(key))
    }

    fn length(&self, key: &str) -> Result<Duration> {
        let text = self.text(key).ok_or_else(|| self.wrong(key))?;
        parse_duration(&text).map_err(|_| self.wrong(key))
    }

    /// A length that an earlier version did not write.
    fn length_or(&self, key: &str, default: Duration) -> Result<Duration> {
        if self.map.get(key).is_none() { Ok(default) } else { self.length(key) }
    }

    fn list(&self, key: &str) -> Result<Vec<String>> {
        match self.map.get(key) {
            None => Ok(Vec::new()),
            Some(value) => value.as_text_list().ok_or_else(|| self.wrong(key)),
        }
    }

    fn word<T: Copy>(&self, key: &str, words: &[(T, &str)]) -> Result<Option<T>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let found = words.iter().find(|(_, word)| *word == text).map(|(value, _)| *value);
        found.map(Some).ok_or_else(|| self.wrong(key))
    }

    fn state(&self) -> Result<LoopState> {
        let phase = self.word("state", &PHASES)?.ok_or_else(|| self.wrong("state"))?;
        let outcome = self.word("outcome", &OUTCOMES)?;
        if (phase == Phase::Ended) != outcome.is_some() {
            return Err(self.wrong("outcome"));
        }
        let waiting = match self.text("waiting_for") {
            None => None,
            Some(what) => Some(Waiting {
                what,
                since: self.required("waiting_since")?,
                until: self.parsed("waiting_until")?,
                position: None,
            }),
        };
        let driver = match self.parsed("driver_pid")? {
            None => None,
            Some(pid) => Some(ProcessId { pid, start: self.required("driver_start")? }),
        };
        Ok(LoopState {
            series: self.required("series")?,
            phase,
            waiting,
            started_at: self.required("started_at")?,
            earlier_wish: self.text("earlier_wish"),
            start_cursor: self.parsed("start_cursor")?,
            driver,
            boot_id: self.text("boot_id").unwrap_or_default(),
            resumed: self.text("resumed").as_deref() == Some("true"),
            checks: self.parsed("checks")?.unwrap_or(0),
            rejection: self.text("rejection"),
            attempts: self.required("attempts")?,
            spent: Spent {
                wall: self.length_or("spent_wall", Duration::ZERO)?,
                tokens: self.parsed("spent_tokens")?.unwrap_or(0),
                cost_usd: self.amount("spent_cost_usd")?.unwrap_or(0.0),
            },
            last_run: self.parsed("last_run_id")?,
            outcome,
            reason: self.text("reason"),
            ended_at: self.parsed("ended_at")?,
            means: Means::from_texts(&self.list(MEANS)?).ok_or_else(|| self.wrong(MEANS))?,
            parameters: Parameters {
                agent: self.required("agent")?,
                shared: self.text("shared").as_deref() == Some("true"),
                command: self.list("command")?,
                prompt: self.text("prompt"),
                cwd: self.text("cwd"),
                parent_run_id: self.text("parent_run_id"),
                env_names: self.list("env_names")?,
                budget: Budget {
                    max_attempts: self.required("max_attempts")?,
                    max_wall: self
                        .map
                        .get("max_wall")
                        .map(|_| self.length("max_wall"))
                        .transpose()?,
                    max_tokens: self.parsed("max_tokens")?,
                    max_cost_usd: self.amount("max_cost_usd")?,
                },
                family: Family {
                    max_depth: self.parsed("max_depth")?,
                    max_children: self.parsed("max_children")?,
                },
                restart_delay: self.length("restart_delay")?,
                child_wait_timeout: self.length("child_wait_timeout")?,
                first_byte_timeout: self.length("first_byte_timeout")?,
                idle_timeout: self.length("idle_timeout")?,
                total_timeout: self.length("total_timeout")?,
                grace: self.length("grace")?,
                result_grace: self.length_or("result_grace", limits::RESULT_GRACE)?,
                output_limit: self.parsed("output_limit")?.unwrap_or(0),
                on_output_limit: self
                    .word("on_output_limit", &ON_OUTPUT_LIMIT)?
                    .unwrap_or_default(),
                verify: self.list("verify")?,
                verify_timeout: self.length_or("verify_timeout", limits::VERIFY)?,
                on_question: self.word("on_question", &ON_QUESTION)?.unwrap_or_default(),
                question_timeout: self.length_or("question_timeout", Duration::ZERO)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::TaskOutcome;
    use super::*;
    use crate::RunId;
    use crate::supervise::OnOutputLimit;
    use crate::sys::RealOs;
    use crate::time::Timestamp;
    use std::sync::Arc;

    fn state() -> LoopState {
        let parameters = Parameters {
            agent: "command".into(),
            command: vec!["my agent".into(), "--flag".into()],
            prompt: Some("two\nlines\n".into()),
            cwd: Some("/src".into()),
            parent_run_id: None,
            env_names: vec!["TOKEN".into()],
            budget: Budget {
                max_attempts: 3,
                max_wall: Some(Duration::from_secs(90)),
                max_tokens: Some(5),
                max_cost_usd: Some(0.1),
            },
            family: Family { max_depth: Some(2), max_children: None },
            output_limit: 7,
            on_output_limit: OnOutputLimit::Stop,
            restart_delay: Duration::from_millis(1500),
            ..Parameters::default()
        };
        let mut state = LoopState::begin(
            2,
            Some("7-5".into()),
            parameters,
            Means::from_texts(&["agents.command.type=01ab".into()]).unwrap(),
            Timestamp::UNIX_EPOCH,
        );
        state.last_run = Some(RunId::new("r1").unwrap());
        state.spent = Spent { wall: Duration::from_secs(1), tokens: 2, cost_usd: 0.25 };
        state.waiting = Some(Waiting::new("delay", Timestamp::UNIX_EPOCH, None));
        state.phase = Phase::Waiting;
        state
    }

    #[test]
    fn a_state_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        assert!(LoopState::read(&folder).unwrap().is_none());
        let mut state = state();
        state.write(&folder).unwrap();
        assert_eq!(LoopState::read(&folder).unwrap().unwrap(), state);
        state.end(TaskOutcome::GaveUp, Some("max attempts (3) exceeded".into()), Timestamp::ZERO);
        state.write(&folder).unwrap();
        let read = LoopState::read(&folder).unwrap().unwrap();
        assert_eq!(read, state);
        assert_eq!(read.result().unwrap().outcome, TaskOutcome::GaveUp);
    }

    #[test]
    fn a_prompt_that_yaml_hates_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        let long = "word ".repeat(50_000);
        for prompt in [
            "\u{85}",
            "a\u{2028}b\u{2029}c",
            " lead",
            "trail ",
            "\tx",
            "x\t",
            "a\r\nb",
            "\r",
            "---\n",
            "...\n",
            "--- x\n...",
            "# x",
            "x # y",
            "- a",
            "? a",
            "'",
            "\"",
            "\\",
            "\u{feff}x",
            "\u{7f}\u{1}\u{1b}[0m",
            "null",
            "~",
            "1e3",
            "0x1F",
            "yes",
            "|\n  x",
            ">-\n",
            "\n\n",
            "x\n\n",
            "\n x\n  y\n z",
            "\u{1f600}\u{e000}\u{fffd}\u{ffff}",
            "a: b",
            "{",
            "[",
            "%TAG",
            "@",
            "`",
            "&a *a !!x",
            "<<: x",
            "=",
            "2026-11-27T00:00:00Z",
            " \n \n",
            long.as_str(),
        ] {
            let mut state = state();
            state.parameters.prompt = Some(prompt.into());
            state.parameters.command = vec![prompt.into(), String::new(), prompt.into()];
            state.reason = Some(prompt.into());
            state.write(&folder).unwrap();
            assert_eq!(LoopState::read(&folder).unwrap().unwrap(), state, "{prompt:?}");
        }
    }

    #[test]
    fn damage_names_the_file_and_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        state().write(&folder).unwrap();
        let good = std::fs::read_to_string(dir.path().join(LOOP)).unwrap();
        for (from, to, key) in [
            ("state: waiting", "state: sleeping", "state"),
            ("series: 2", "series: two", "series"),
            ("restart_delay: 1.5s", "restart_delay: soon", "restart_delay"),
            ("state: waiting", "state: ended", "outcome"),
            ("type=01ab", "type=", "driven_with"),
        ] {
            std::fs::write(dir.path().join(LOOP), good.replace(from, to)).unwrap();
            let error = LoopState::read(&folder).unwrap_err();
            assert_eq!((error.code(), error.field()), ("loop.corrupt", Some(key)));
        }
    }

    #[test]
    fn a_newer_form_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        std::fs::write(dir.path().join(LOOP), "version: 2\nnew: thing\n").unwrap();
        let error = LoopState::read(&folder).unwrap_err();
        assert_eq!((error.code(), error.field()), ("loop.too_new", Some("version")));
    }

    #[test]
    fn differences_are_named() {
        let (one, mut two) = (state().parameters, state().parameters);
        assert!(one.differences(&two).is_empty());
        two.budget.max_attempts = 4;
        two.budget.max_cost_usd = None;
        two.cwd = None;
        assert_eq!(one.differences(&two), ["cwd", "max_attempts", "max_cost_usd"]);
    }
}
