//! `self-update.yaml`: where an update stands.
//!
//! It is read without a lock, since it is replaced as a whole, and written under the admission lock
//! held alone.

use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::UPDATE;
use crate::limits;
use crate::time::Timestamp;
use crate::yaml::{Mapping, Value, parse_mapping};
use std::path::{Path, PathBuf};

/// The version of the form that is written.
const VERSION: u64 = 1;

/// Where the update of a server's program stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateState {
    /// Nothing is asked for.
    #[default]
    Idle,
    /// It waits until no root run is active; no new one is let in.
    Deferred,
    /// The program is being exchanged.
    Applying,
    /// It could not be carried out; the old program serves on.
    Failed,
}

const STATES: [(UpdateState, &str); 4] = [
    (UpdateState::Idle, "idle"),
    (UpdateState::Deferred, "deferred"),
    (UpdateState::Applying, "applying"),
    (UpdateState::Failed, "failed"),
];

impl UpdateState {
    /// Its word on disk and in every surface.
    pub fn as_str(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// Whether new root runs are refused.
    pub fn holds_back(self) -> bool {
        matches!(self, UpdateState::Deferred | UpdateState::Applying)
    }
}

/// A wish to exchange the server's program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateRequest {
    /// The new program: an absolute path on this machine.
    pub binary: PathBuf,
    /// The SHA-256 that it must have, as 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// Whether a version older than the present one is taken.
    pub allow_downgrade: bool,
}

impl UpdateRequest {
    /// Asks for the program at `binary`.
    pub fn new(binary: impl Into<PathBuf>) -> UpdateRequest {
        UpdateRequest { binary: binary.into(), sha256: None, allow_downgrade: false }
    }

    /// Takes it only with this SHA-256, 64 hexadecimal digits.
    #[must_use]
    pub fn sha256(mut self, digest: impl Into<String>) -> UpdateRequest {
        self.sha256 = Some(digest.into());
        self
    }

    /// Takes it even if it is older than the present one.
    #[must_use]
    pub fn allow_downgrade(mut self, allow: bool) -> UpdateRequest {
        self.allow_downgrade = allow;
        self
    }
}

/// How far the exchange of the program has come. Each is written down before its work is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The candidate is looked at and copied beside the program.
    Staging,
    /// The copy is tried out.
    Trying,
    /// The copy is started and must show that it serves.
    Starting,
    /// It does: the old program gets its second name, and the copy takes its place.
    Exchanging,
}

const STEPS: [(Step, &str); 4] = [
    (Step::Staging, "staging"),
    (Step::Trying, "trying"),
    (Step::Starting, "starting"),
    (Step::Exchanging, "exchanging"),
];

impl Step {
    pub(crate) fn as_str(self) -> &'static str {
        STEPS.iter().find(|(step, _)| *step == self).map_or("", |(_, word)| word)
    }
}

/// What the exchange works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) step: Step,
    /// The program that is exchanged.
    pub(crate) target: PathBuf,
    /// What makes the names of the copy and of the backup its own.
    pub(crate) mark: String,
    /// The SHA-256 of the copy, once it is whole.
    pub(crate) digest: Option<String>,
    /// The version that the copy says it is.
    pub(crate) version: Option<String>,
}

/// What stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) state: UpdateState,
    pub(crate) request: Option<UpdateRequest>,
    pub(crate) requested_at: Option<Timestamp>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) active_at_request: u64,
    pub(crate) exchange: Option<Exchange>,
    /// The version that the last one brought, where it brought one.
    pub(crate) installed_version: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) last_note: Option<String>,
}

impl Record {
    /// A wish that was just made.
    pub(crate) fn deferred(request: UpdateRequest, active: u64, now: Timestamp) -> Record {
        Record {
            state: UpdateState::Deferred,
            request: Some(request),
            requested_at: Some(now),
            active_at_request: active,
            ..Record::default()
        }
    }

    /// It ends: nothing is asked for any more.
    pub(crate) fn end(&mut self, outcome: Result<String, String>, now: Timestamp) {
        self.exchange = None;
        self.finished_at = Some(now);
        (self.state, self.last_note, self.last_error) = match outcome {
            Ok(note) => (UpdateState::Idle, Some(note), None),
            Err(why) => (UpdateState::Failed, None, Some(why)),
        };
    }

    /// What stands in the folder `.conductor` of a root; nothing where no update was ever asked for.
    ///
    /// # Errors
    /// `update.state_corrupt` and `update.state_too_new`, naming the file and the key.
    pub(crate) fn read(conductor: &Folder) -> Result<Option<Record>> {
        let Some(bytes) = conductor.read_if_exists(UPDATE, limits::YAML_FILE)? else {
            return Ok(None);
        };
        let path = conductor.join(UPDATE);
        let map = parse_mapping(&bytes, &path)?;
        Reader { path: &path, map: &map }.record().map(Some)
    }

    /// Replaces what stands in the folder, durably. The caller holds the admission lock alone.
    pub(crate) fn write(&self, conductor: &Folder) -> Result<()> {
        conductor.replace(UPDATE, self.to_mapping().to_yaml().as_bytes())
    }

    fn to_mapping(&self) -> Mapping {
        let mut map = Mapping::new();
        map.insert("version", Value::from(VERSION));
        map.insert("state", Value::from(self.state.as_str()));
        let mut text = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                map.insert(key, Value::from(value));
            }
        };
        let path = |path: &Path| path.to_string_lossy().into_owned();
        if let Some(request) = &self.request {
            text("binary_path", Some(&path(&request.binary)));
            text("sha256", request.sha256.as_deref());
            text("allow_downgrade", request.allow_downgrade.then_some("true"));
        }
        if let Some(exchange) = &self.exchange {
            text("step", Some(exchange.step.as_str()));
            text("target", Some(&path(&exchange.target)));
            text("mark", Some(&exchange.mark));
            text("digest", exchange.digest.as_deref());
            text("candidate_version", exchange.version.as_deref());
        }
        text("installed_version", self.installed_version.as_deref());
        text("last_error", self.last_error.as_deref());
        text("last_note", self.last_note.as_deref());
        for (key, moment) in [
            ("requested_at", self.requested_at),
            ("started_at", self.started_at),
            ("finished_at", self.finished_at),
        ] {
            if let Some(moment) = moment {
                map.insert(key, Value::timestamp(moment));
            }
        }
        if self.active_at_request > 0 {
            map.insert("active_runs_at_request", Value::from(self.active_at_request));
        }
        map
    }
}

/// Reads typed values and names the key of what is wrong.
struct Reader<'a> {
    path: &'a Path,
    map: &'a Mapping,
}

impl Reader<'_> {
    fn wrong(&self, key: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            "update.state_corrupt",
            format!("{}: the value of {key} is missing or wrong", self.path.display()),
        )
        .with_path(self.path)
        .with_field(key)
        .with_hint("repair the file; or remove it while no server runs, if no update is under way")
    }

    fn word<T: Copy>(&self, key: &str, words: &[(T, &str)]) -> Result<Option<T>> {
        let Some(text) = self.map.get_text(key) else { return Ok(None) };
        let found = words.iter().find(|(_, word)| *word == text).map(|(value, _)| *value);
        found.map(Some).ok_or_else(|| self.wrong(key))
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>> {
        self.map.get_text(key).map(|text| text.parse().map_err(|_| self.wrong(key))).transpose()
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        let path = self.map.get_text(key).map(PathBuf::from).filter(|path| path.is_absolute());
        path.ok_or_else(|| self.wrong(key))
    }

    fn record(&self) -> Result<Record> {
        if self.parsed::<u64>("version")?.is_some_and(|version| version > VERSION) {
            return Err(Error::new(
                ErrorKind::TooNew,
                "update.state_too_new",
                format!("{} was written by a newer version", self.path.display()),
            )
            .with_path(self.path)
            .with_field("version"));
        }
        let state = self.word("state", &STATES)?.ok_or_else(|| self.wrong("state"))?;
        let text = |key: &str| self.map.get_text(key);
        let request = match text("binary_path") {
            None if state == UpdateState::Deferred => return Err(self.wrong("binary_path")),
            None => None,
            Some(_) => Some(UpdateRequest {
                binary: self.path("binary_path")?,
                sha256: text("sha256"),
                allow_downgrade: text("allow_downgrade").as_deref() == Some("true"),
            }),
        };
        let exchange = match self.word("step", &STEPS)? {
            None if state == UpdateState::Applying => return Err(self.wrong("step")),
            None => None,
            Some(step) => Some(Exchange {
                step,
                target: self.path("target")?,
                // It becomes part of a name.
                mark: text("mark")
                    .filter(|mark| {
                        !mark.is_empty() && mark.bytes().all(|byte| byte.is_ascii_hexdigit())
                    })
                    .ok_or_else(|| self.wrong("mark"))?,
                digest: text("digest"),
                version: text("candidate_version"),
            }),
        };
        Ok(Record {
            state,
            request,
            requested_at: self.parsed("requested_at")?,
            started_at: self.parsed("started_at")?,
            finished_at: self.parsed("finished_at")?,
            active_at_request: self.parsed("active_runs_at_request")?.unwrap_or(0),
            exchange,
            installed_version: text("installed_version"),
            last_error: text("last_error"),
            last_note: text("last_note"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    fn applying() -> Record {
        let request = UpdateRequest::new("/opt/new: one").sha256("ab").allow_downgrade(true);
        let mut record = Record::deferred(request, 3, Timestamp::UNIX_EPOCH);
        record.state = UpdateState::Applying;
        record.started_at = Some(Timestamp::UNIX_EPOCH);
        record.exchange = Some(Exchange {
            step: Step::Trying,
            target: "/usr/local/bin/run-agent".into(),
            mark: "00c0ffee".into(),
            digest: Some("cd".into()),
            version: Some("0.2.0".into()),
        });
        record
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        assert_eq!(Record::read(&folder).unwrap(), None);
        let mut record = applying();
        record.write(&folder).unwrap();
        assert_eq!(Record::read(&folder).unwrap(), Some(record.clone()));
        for outcome in [Ok("updated\nto 2".to_owned()), Err("it hangs: [x]".to_owned())] {
            record.end(outcome, Timestamp::UNIX_EPOCH);
            record.installed_version = record.last_note.is_some().then(|| "0.2.0".to_owned());
            record.write(&folder).unwrap();
            assert_eq!(Record::read(&folder).unwrap(), Some(record.clone()));
        }
        assert_eq!(record.state, UpdateState::Failed);
    }

    #[test]
    fn damage_names_the_file_and_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        applying().write(&folder).unwrap();
        let good = std::fs::read_to_string(dir.path().join(UPDATE)).unwrap();
        for (from, to, key) in [
            ("state: applying", "state: wild", "state"),
            ("step: trying", "step: crying", "step"),
            ("step: trying\n", "", "step"),
            ("target: /usr", "target: usr", "target"),
            ("mark: ", "mark: ../../", "mark"),
        ] {
            assert!(good.contains(from), "{good}");
            std::fs::write(dir.path().join(UPDATE), good.replace(from, to)).unwrap();
            let error = Record::read(&folder).unwrap_err();
            assert_eq!((error.code(), error.field()), ("update.state_corrupt", Some(key)));
        }
        std::fs::write(dir.path().join(UPDATE), good.replace("version: 1", "version: 2")).unwrap();
        assert_eq!(Record::read(&folder).unwrap_err().code(), "update.state_too_new");
    }
}
