//! Accounts whose usage limit is reached: one small file for each, which every process of the root
//! honours.
//!
//! A run whose stream tells of a usage limit raises the hold of its account when it is finished. Where
//! the stream says when the limit ends, the hold ends then. Where it does not, one run after the other
//! probes: whoever is first once the time has come moves it on, and starts. A run that the model answered
//! lifts the hold.

use super::engine::Engine;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::RunId;
use crate::layout::{CONDUCTOR, HOLDS};
use crate::limits;
use crate::run::{Outcome, RunRecord};
use crate::sys::{FileKind, LockKind};
use crate::time::Timestamp;
use crate::usage::ErrorClass;
use crate::yaml::{Mapping, Value, parse_mapping};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// The ending of the files of holds.
const SUFFIX: &str = ".yaml";

/// An account that is left alone for now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hold {
    /// The account.
    pub account: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends, where that is known; else when the next run may probe whether it has ended.
    pub until: Timestamp,
    /// Whether the agent's own records told when the limit ends.
    pub known: bool,
    /// How often its end was probed or put off.
    pub probes: u32,
    /// The run that told of the limit last.
    pub run: String,
    /// Whether that run lived, and waited for the limit to end by itself.
    pub(crate) running: bool,
}

/// What whoever wants to start a run has to do about a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing is held.
    Free,
    /// Leave the account alone until then.
    Wait(Hold),
    /// The time has come to look whether the limit has ended: one run may.
    Probe,
}

impl Hold {
    /// What the hold says at `now`.
    fn at(self, now: Timestamp) -> Held {
        match self {
            hold if hold.until > now => Held::Wait(hold),
            hold if hold.known => Held::Free,
            _ => Held::Probe,
        }
    }

    /// The name of its file.
    pub(crate) fn file(&self) -> String {
        file_of(&self.account)
    }

    /// Whether the account is still left alone at `now`. One whose end is not known is, until a run came
    /// to a good end.
    pub(crate) fn is_in_force(&self, now: Timestamp) -> bool {
        !self.known || self.until > now
    }

    /// The hold after a run of the account ended on its limit; `None` where that changes nothing.
    fn raised(
        before: Option<Hold>,
        account: &str,
        record: &RunRecord,
        now: Timestamp,
    ) -> Option<Hold> {
        let ended = record.end_time;
        let told = record.limit_reset.filter(|reset| *reset <= ended.plus(limits::LONGEST_HOLD));
        // The service says that the limit is over, and refuses all the same: its end is not known.
        let is_over = told.is_some_and(|reset| reset <= ended);
        let told = told.filter(|_| !is_over);
        // One that ended as it had said has nothing to do with this one.
        let before = before.filter(|hold| is_over || hold.is_in_force(now));
        let (since, probes) = match &before {
            // What it told while it ran is told anew, and is no probe.
            Some(hold) if hold.run == record.run_id && hold.running => (hold.since, hold.probes),
            Some(hold) if hold.run == record.run_id => return None,
            Some(hold) => (hold.since, hold.probes + 1),
            None => (ended, 0),
        };
        let known = told.is_some();
        let until = match told {
            Some(reset) => reset.max(ended.plus(limits::SHORTEST_HOLD)),
            // The clocks of the two may differ by a moment.
            None if is_over && before.is_none() => ended.plus(limits::SHORTEST_HOLD),
            None => ended.plus(probe_pause(probes.saturating_sub(u32::from(is_over)))),
        };
        // One that was told long ago, by a run that nobody saw ending.
        if until <= now {
            return None;
        }
        // What is known wins over what is not, and the later end over the sooner.
        if before.is_some_and(|hold| hold.until > now && (hold.known, hold.until) >= (known, until))
        {
            return None;
        }
        let (account, run) = (account.to_owned(), record.run_id.clone());
        Some(Hold { account, since, until, known, probes, run, running: false })
    }

    /// The change of the hold after a run that lives told of a limit; `None` where that changes nothing: it
    /// tells again and again, and its hold stands until its own end.
    fn met(before: Option<Hold>, account: &str, told: &RunRecord) -> Option<Option<Hold>> {
        let now = told.end_time;
        let stands = before.as_ref().is_some_and(|hold| {
            // Also that of another run: they wait for one limit, each with lines of its own.
            let waited_for = hold.running && hold.until > now;
            waited_for && (hold.known || told.limit_reset.is_none())
        });
        if stands {
            return None;
        }
        let hold = Hold::raised(before, account, told, now)?;
        Some(Some(Hold { running: true, ..hold }))
    }

    fn to_mapping(&self) -> Mapping {
        let mut map = Mapping::new();
        map.insert("version", Value::from(1u64));
        map.insert("account", Value::from(self.account.as_str()));
        map.insert("since", Value::timestamp(self.since));
        map.insert("until", Value::timestamp(self.until));
        map.insert("known", Value::from(self.known));
        map.insert("probes", Value::from(u64::from(self.probes)));
        map.insert("run", Value::from(self.run.as_str()));
        if self.running {
            map.insert("running", Value::from(true));
        }
        map
    }

    fn read(holds: &Folder, file: &str) -> Result<Option<Hold>> {
        let Some(bytes) = holds.read_if_exists(file, limits::YAML_FILE)? else { return Ok(None) };
        let map = parse_mapping(&bytes, &holds.join(file))?;
        let wrong = |key: &str| damaged(holds, file, key);
        let text = |key: &str| map.get_text(key).ok_or_else(|| wrong(key));
        let time = |key: &str| text(key)?.parse().map_err(|_| wrong(key));
        Ok(Some(Hold {
            account: text("account")?,
            since: time("since")?,
            until: time("until")?,
            known: text("known")? == "true",
            probes: text("probes")?.parse().map_err(|_| wrong("probes"))?,
            run: text("run")?,
            running: map.get_text("running").as_deref() == Some("true"),
        }))
    }
}

/// The time before probe `number`, counted from zero.
fn probe_pause(number: u32) -> std::time::Duration {
    let last = limits::PROBES.len() - 1;
    limits::PROBES[usize::try_from(number).map_or(last, |number| number.min(last))]
}

fn damaged(holds: &Folder, file: &str, key: &str) -> Error {
    let path = holds.join(file);
    let what = format!("{}: the value of {key} is missing or wrong", path.display());
    Error::new(ErrorKind::Corrupt, "hold.corrupt", what)
        .with_path(path)
        .with_field(key)
        .with_hint("remove the file: the account is then asked again")
}

/// The name of the account of an agent of this kind that has this token, or its own login.
pub(crate) fn account_name(kind: &str, token: Option<&str>) -> String {
    match token {
        Some(token) => format!("{kind}-{}", hash(token)),
        None => format!("{kind}-login"),
    }
}

/// Eight digits that tell texts apart and do not tell them.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The name of an account's file: the account's own, where that can be a file's.
fn file_of(account: &str) -> String {
    let plain = RunId::new(account).is_ok() && account.len() <= 64;
    match plain {
        true => format!("{account}{SUFFIX}"),
        false => format!("account-{}{SUFFIX}", hash(account)),
    }
}

impl Engine {
    fn holds(&self) -> Result<Option<Folder>> {
        self.layout().root()?.folder_if_exists(Path::new(CONDUCTOR).join(HOLDS))
    }

    /// Changes the hold of an account under its lock, or removes it.
    fn change_hold(
        &self,
        holds: &Folder,
        account: &str,
        wait: &Wait,
        change: impl FnOnce(Option<Hold>) -> Option<Option<Hold>>,
    ) -> Result<()> {
        let file = file_of(account);
        let wait = wait.clone().at_most(limits::RECORD_LOCK);
        let _lock = holds.lock(format!(".{file}.lock"), LockKind::Exclusive, &wait)?;
        let before = match Hold::read(holds, &file) {
            // It is written anew, or goes.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            before => before?,
        };
        match change(before) {
            None => Ok(()),
            Some(Some(hold)) => holds.replace(&file, hold.to_mapping().to_yaml().as_bytes()),
            Some(None) => holds.remove_file(&file).map(drop),
        }
    }

    /// What the end of a run says about the hold of its account.
    pub(crate) fn note_limit(&self, account: &str, record: &RunRecord, wait: &Wait) -> Result<()> {
        let now = self.now();
        if record.error_class == Some(ErrorClass::UsageLimit) {
            let conductor = self.layout().ensure_root()?.ensure_folder(CONDUCTOR)?;
            let holds = conductor.ensure_folder(HOLDS)?;
            return self.change_hold(&holds, account, wait, |before| {
                Hold::raised(before, account, record, now).map(Some)
            });
        }
        // Not whoever was refused for another reason, or did not come as far.
        let worked = record.usage.is_some_and(|usage| usage.output_tokens > 0);
        if record.outcome != Some(Outcome::Completed) && !(worked && record.error_class.is_none()) {
            return Ok(());
        }
        let Some(holds) = self.holds()? else { return Ok(()) };
        if holds.stat(file_of(account))?.is_none() {
            return Ok(());
        }
        // It began after the limit was met, and the model answered: the account works.
        self.change_hold(&holds, account, wait, |before| match before {
            // Its own told of a limit that was over before it ended.
            Some(hold) if hold.running && hold.run == record.run_id => Some(None),
            Some(hold) if record.start_time <= hold.since => None,
            _ => Some(None),
        })
    }

    /// What a run that lives says of the hold of its account: it met a limit, which ends at `reset` where
    /// that is known, and waits for its end by itself.
    pub(crate) fn note_limit_met(
        &self,
        account: &str,
        record: &RunRecord,
        reset: Option<Timestamp>,
        wait: &Wait,
    ) -> Result<()> {
        let now = self.now();
        let mut told = record.clone();
        (told.end_time, told.limit_reset) = (now, reset);
        let conductor = self.layout().ensure_root()?.ensure_folder(CONDUCTOR)?;
        let holds = conductor.ensure_folder(HOLDS)?;
        self.change_hold(&holds, account, wait, |before| Hold::met(before, account, &told))
    }

    /// What a run that lives says when it went on with its work behind a limit: what it told is over.
    pub(crate) fn note_limit_over(&self, account: &str, run: &str, wait: &Wait) -> Result<()> {
        let Some(holds) = self.holds()? else { return Ok(()) };
        if holds.stat(file_of(account))?.is_none() {
            return Ok(());
        }
        self.change_hold(&holds, account, wait, |before| {
            // Where its end was not known, the account works, whichever run met it.
            before.filter(|hold| hold.running && (hold.run == run || !hold.known)).map(|_| None)
        })
    }

    /// What whoever wants to start a run of this account has to do. Reads only.
    pub(crate) fn held(&self, account: &str) -> Result<Held> {
        let Some(holds) = self.holds()? else { return Ok(Held::Free) };
        let hold = Hold::read(&holds, &file_of(account))?;
        Ok(hold.map_or(Held::Free, |hold| hold.at(self.now())))
    }

    /// Takes the right to probe whether an account's limit has ended; `false` where another has it.
    pub(crate) fn claim_probe(&self, account: &str, wait: &Wait) -> Result<bool> {
        let Some(holds) = self.holds()? else { return Ok(true) };
        let now = self.now();
        let mut mine = true;
        self.change_hold(&holds, account, wait, |before| {
            let hold = before?;
            mine = hold.until <= now;
            let until = now.plus(probe_pause(0));
            mine.then_some(Some(Hold { until, ..hold }))
        })?;
        Ok(mine)
    }

    /// The holds of the root, by account, and what is wrong with those that cannot be read.
    pub(crate) fn all_holds(&self) -> Result<(Vec<Hold>, Vec<Error>)> {
        let (mut all, mut damaged) = (Vec::new(), Vec::new());
        let Some(holds) = self.holds()? else { return Ok((all, damaged)) };
        for entry in holds.list()? {
            let name = entry.name.to_str().filter(|name| !name.starts_with('.'));
            let Some(name) = name.filter(|name| name.ends_with(SUFFIX)) else { continue };
            if entry.kind != FileKind::File {
                continue;
            }
            match Hold::read(&holds, name) {
                Ok(hold) => all.extend(hold),
                Err(error) => damaged.push(error),
            }
        }
        Ok((all, damaged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProjectId, TaskId};
    use std::time::Duration;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH.plus(Duration::from_secs(minutes * 60))
    }

    fn limited(run: &str, ended: u64, reset: Option<u64>) -> RunRecord {
        let ids = (ProjectId::new("p").unwrap(), TaskId::new("t").unwrap());
        let mut record = RunRecord::new(&ids.0, &ids.1, &RunId::new(run).unwrap());
        record.end_time = at(ended);
        record.error_class = Some(ErrorClass::UsageLimit);
        record.limit_reset = reset.map(at);
        record
    }

    fn raised(before: Option<&Hold>, record: &RunRecord) -> Option<Hold> {
        Hold::raised(before.cloned(), "a", record, record.end_time)
    }

    #[test]
    fn an_unknown_end_is_probed_less_and_less_often() {
        let mut hold = None;
        let mut ends = Vec::new();
        let mut now = 100;
        for run in ["r1", "r2", "r3", "r4", "r5", "r6"] {
            hold = raised(hold.as_ref(), &limited(run, now, None));
            let until = hold.as_ref().unwrap().until;
            ends.push(until.since(at(now)).as_secs() / 60);
            assert_eq!(hold.clone().unwrap().at(until), Held::Probe);
            now += ends[ends.len() - 1];
        }
        assert_eq!(ends, [5, 10, 20, 40, 60, 60]);
        assert_eq!(hold.unwrap().since, at(100));
    }

    #[test]
    fn what_is_known_wins_and_a_run_tells_once() {
        let known = raised(None, &limited("r1", 100, Some(300))).unwrap();
        assert_eq!((known.until, known.known), (at(300), true));
        assert_eq!(raised(Some(&known), &limited("r1", 100, Some(300))), None);
        assert_eq!(raised(Some(&known), &limited("r2", 101, None)), None);
        assert_eq!(raised(Some(&known), &limited("r2", 101, Some(200))), None);
        assert_eq!(raised(Some(&known), &limited("r2", 101, Some(400))).unwrap().until, at(400));
        assert!(matches!(known.clone().at(at(299)), Held::Wait(_)));
        assert_eq!(known.clone().at(at(300)), Held::Free);
        let unknown = raised(None, &limited("r1", 100, None)).unwrap();
        assert!(raised(Some(&unknown), &limited("r2", 101, Some(103))).unwrap().known);
        let next_day = Hold::raised(Some(known.clone()), "a", &limited("r3", 1700, None), at(1700));
        assert_eq!(next_day.unwrap().probes, 0, "another limit");
        let endless = raised(None, &limited("r1", 100, Some(100 + 60 * 24 * 40))).unwrap();
        assert_eq!((endless.until, endless.known), (at(105), false), "nobody waits for ever");
        let late = Hold::raised(None, "a", &limited("r1", 100, Some(120)), at(500));
        assert_eq!(late, None, "it was told long ago");
    }

    #[test]
    fn a_run_that_waits_for_a_limit_by_itself_tells_again_and_makes_no_probe() {
        let met = |before: Option<&Hold>, minute, reset| {
            Hold::met(before.cloned(), "a", &limited("r1", minute, reset)).flatten()
        };
        let hold = met(None, 100, None).unwrap();
        assert_eq!((hold.until, hold.known, hold.probes, hold.running), (at(105), false, 0, true));
        assert_eq!(met(Some(&hold), 102, None), None, "nothing new");
        let later = met(Some(&hold), 106, None).unwrap();
        assert_eq!((later.since, later.until, later.probes), (at(100), at(111), 0));
        assert_eq!(met(Some(&hold), 102, Some(300)).unwrap().until, at(300));
        // It gives up: its end counts as any other's, once.
        let ended = raised(Some(&hold), &limited("r1", 104, None)).unwrap();
        assert_eq!((ended.until, ended.probes, ended.running), (at(109), 0, false));
        assert_eq!(raised(Some(&ended), &limited("r1", 104, None)), None);
        assert_eq!(raised(Some(&ended), &limited("r2", 110, None)).unwrap().probes, 1);
        // Told to be over, by one that had told of no end before.
        assert_eq!(raised(Some(&hold), &limited("r1", 106, Some(100))).unwrap().until, at(111));
        // Another run that waits for the same limit tells of nothing new before that is over.
        let other =
            |minute| Hold::met(Some(hold.clone()), "a", &limited("r2", minute, None)).flatten();
        assert_eq!(other(102), None);
        assert_eq!(other(106).map(|hold| (hold.run, hold.probes)), Some(("r2".into(), 1)));
        // What another run told of is not told shorter.
        let known = raised(None, &limited("r0", 90, Some(300))).unwrap();
        assert_eq!(met(Some(&known), 100, None), None);
    }

    #[test]
    fn a_limit_that_is_told_to_be_over_is_probed_less_and_less_often() {
        let mut hold = None;
        let mut ends = Vec::new();
        let mut now = 100;
        for run in ["r1", "r2", "r3", "r4"] {
            hold = raised(hold.as_ref(), &limited(run, now, Some(90)));
            let until = hold.as_ref().unwrap().until;
            ends.push(until.since(at(now)).as_secs() / 60);
            assert_eq!(hold.clone().unwrap().at(until), Held::Probe);
            now += ends[ends.len() - 1];
        }
        assert_eq!(ends, [1, 5, 10, 20]);
        // Also behind one that ended as it had said.
        let known = raised(None, &limited("r1", 100, Some(300))).unwrap();
        let again = raised(Some(&known), &limited("r2", 301, Some(300))).unwrap();
        assert_eq!((again.until, again.known), (at(306), false));
    }

    #[test]
    fn any_account_has_a_file_and_no_token_is_told() {
        assert_eq!(file_of("work"), "work.yaml");
        assert!(file_of("../x").starts_with("account-"));
        assert_ne!(file_of("a b"), file_of("a c"));
        assert_eq!(account_name("claude", None), "claude-login");
        let name = account_name("claude", Some("secret"));
        assert_eq!(name, account_name("claude", Some("secret")));
        assert!(!name.contains("secret") && name.len() == "claude-".len() + 8, "{name}");
    }
}
