//! Whoever can carry an update out: one living process of a root, as a rule its server.

use super::candidate::Candidate;
use super::gate::alone;
use super::install::{Names, refused};
use super::record::{Exchange, Record, Step, UpdateRequest, UpdateState};
use super::{probe, signature, version};
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::{FileLock, Folder, found};
use crate::layout::{CONDUCTOR, Layout, UPDATE, UPDATE_LOCK};
use crate::limits;
use crate::sys::{LockKind, News, Poller, Watch};
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the active runs are counted while an update waits for them.
const COUNT_AGAIN: Duration = Duration::from_secs(1);
/// How long starters may be in the gate before the count is put off to the next time.
const GATE: Duration = Duration::from_secs(2);
/// What a candidate is asked before it takes the program's place: who it is, and whether it works on
/// this machine, with this root.
const WHO: &str = "--version";
const WORKS: &str = "self-test";

/// What the configuration says of updates.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The minisign key that a candidate must be signed with.
    pub(crate) public_key: Option<String>,
    /// Whether an older version is taken without being asked to.
    pub(crate) allow_downgrade: bool,
    /// How long a candidate may take for each answer.
    pub(crate) patience: Duration,
}

/// The root runs that an update has to wait for.
#[derive(Debug, Default)]
pub(crate) struct ActiveRoots {
    pub(crate) count: u64,
    /// What could not be looked at. Each counts as active.
    pub(crate) unreadable: Vec<Error>,
}

impl ActiveRoots {
    pub(crate) fn total(&self) -> u64 {
        self.count + self.unreadable.len() as u64
    }
}

/// A new program that was looked at and tried out, and has to show that it serves before it gets the old
/// one's place; from [`Updater::wait`](crate::Updater::wait).
#[derive(Debug)]
#[must_use = "the update is under way until it is installed, refused or put off"]
#[non_exhaustive]
pub struct NewProgram {
    /// The copy of it that is to be started, beside the old program.
    pub path: PathBuf,
    /// The version that it says it is.
    pub version: String,
    record: Record,
}

/// The part of the one who carries updates out. The gate holds only while somebody has it.
#[derive(Debug)]
pub(crate) struct Role {
    layout: Layout,
    conductor: Folder,
    target: PathBuf,
    policy: Policy,
    _lock: FileLock,
}

impl Role {
    /// Takes the part for the program at `target`, and settles what a dead one left; `None` where a
    /// living process has it.
    pub(crate) fn take(layout: &Layout, target: &Path, policy: Policy) -> Result<Option<Role>> {
        let target =
            fs::canonicalize(target).map_err(|e| Error::io("find the program", target, e))?;
        let conductor = layout.ensure_root()?.ensure_folder(CONDUCTOR)?;
        let Some(lock) = conductor.try_lock(UPDATE_LOCK, LockKind::Exclusive)? else {
            return Ok(None);
        };
        settle(layout, &conductor)?;
        Ok(Some(Role { layout: layout.clone(), conductor, target, policy, _lock: lock }))
    }

    /// Waits for a wish, then until no root run is active, and tries the new program out.
    ///
    /// A candidate that may not be taken, or fails, ends its update as `failed`; the wait goes on.
    ///
    /// # Errors
    /// Those of the wait, and of a state that cannot be read or written.
    pub(crate) fn wait(
        &self,
        count: &dyn Fn() -> Result<ActiveRoots>,
        wait: &Wait,
    ) -> Result<NewProgram> {
        let failed = |e| self.conductor.error("watch", "", e);
        let poller = Poller::new().map_err(failed)?;
        let news = Watch::join(&poller, 1, News::Names).map_err(failed)?;
        news.add_names(self.conductor.path()).map_err(failed)?;
        if let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) {
            poller.add(cancel, 2).map_err(failed)?;
        }
        loop {
            news.drain();
            wait.check()?;
            let pause = match Record::read(&self.conductor)?.map(|record| record.state) {
                Some(UpdateState::Deferred) => match self.begin(count)? {
                    Some(record) => match self.try_out(record, wait)? {
                        Some(program) => return Ok(program),
                        None => continue,
                    },
                    None => Some(COUNT_AGAIN),
                },
                _ => None,
            };
            let limit = match (pause, wait.remaining()) {
                (Some(pause), Some(left)) => Some(pause.min(left)),
                (pause, left) => pause.or(left),
            };
            poller.wait(limit).map_err(failed)?;
        }
    }

    /// Begins the exchange if no root run is active; nobody can become active meanwhile.
    fn begin(&self, count: &dyn Fn() -> Result<ActiveRoots>) -> Result<Option<Record>> {
        if count()?.total() > 0 {
            return Ok(None);
        }
        let (conductor, _lock) = match alone(&self.layout, &Wait::from(GATE)) {
            Err(error) if error.kind() == ErrorKind::Busy => return Ok(None),
            gate => gate?,
        };
        // Cancelled or asked for anew, or a run slipped in before the gate was closed.
        let Some(mut record) = Record::read(&conductor)? else { return Ok(None) };
        if record.state != UpdateState::Deferred || count()?.total() > 0 {
            return Ok(None);
        }
        record.state = UpdateState::Applying;
        record.started_at = Some(conductor.os().now());
        record.exchange = Some(Exchange {
            step: Step::Staging,
            target: self.target.clone(),
            mark: format!("{:08x}", RandomState::new().build_hasher().finish() as u32),
            digest: None,
            version: None,
        });
        record.write(&conductor)?;
        Ok(Some(record))
    }

    /// Tries the candidate out; `None` where it may not be taken, which is written down.
    fn try_out(&self, mut record: Record, wait: &Wait) -> Result<Option<NewProgram>> {
        let (Some(request), Some(exchange)) = (record.request.clone(), &record.exchange) else {
            return Err(Error::new(ErrorKind::Internal, "update.no_wish", "nothing to carry out"));
        };
        let names = Names::new(&exchange.target, &exchange.mark);
        match self.look_at(&request, &names, &mut record, wait) {
            Ok(version) => Ok(Some(NewProgram { path: names.next, version, record })),
            // Whoever waits has to end: that says nothing about the candidate.
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                self.defer_again(record)?;
                Err(error)
            }
            Err(error) => {
                self.fail(record, told(&error))?;
                Ok(None)
            }
        }
    }

    fn look_at(
        &self,
        request: &UpdateRequest,
        names: &Names,
        record: &mut Record,
        wait: &Wait,
    ) -> Result<String> {
        let mut candidate = Candidate::open(&request.binary)?;
        if candidate.path == names.target {
            return Err(refused(&candidate.path, "it is the server's program already"));
        }
        let digest = names.stage(&mut candidate)?;
        let wanted = request.sha256.as_deref().map(str::to_ascii_lowercase);
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            let why = format!("its SHA-256 is {digest}, not {wanted}");
            return Err(refused(&candidate.path, &why));
        }
        self.note(record, Step::Trying, |exchange| exchange.digest = Some(digest))?;
        // All of it of the copy, which nobody else can write to.
        if let Some(key) = &self.policy.public_key {
            signature::check(&candidate, &names.next, key)?;
        }
        let said = self.ask(names, &candidate, &[WHO.as_ref()], wait)?;
        let offered = version::version_in(&said)
            .ok_or_else(|| refused(&candidate.path, "`--version` names no version"))?;
        if !(request.allow_downgrade || self.policy.allow_downgrade) {
            version::refuse_downgrade(version::OWN, &offered, &candidate.path)?;
        }
        let works = [WORKS.as_ref(), "--root".as_ref(), self.layout.path().as_os_str()];
        self.ask(names, &candidate, &works, wait)?;
        let version = offered.to_string();
        self.note(record, Step::Starting, |exchange| exchange.version = Some(version.clone()))?;
        Ok(version)
    }

    fn ask(
        &self,
        names: &Names,
        candidate: &Candidate,
        args: &[&OsStr],
        wait: &Wait,
    ) -> Result<String> {
        probe::ask(&names.next, &candidate.path, args, self.policy.patience, wait)
    }

    /// Writes down what is done next. Nobody else writes while a program is being exchanged.
    fn note(
        &self,
        record: &mut Record,
        step: Step,
        change: impl FnOnce(&mut Exchange),
    ) -> Result<()> {
        if let Some(exchange) = &mut record.exchange {
            exchange.step = step;
            change(exchange);
        }
        record.write(&self.conductor)
    }

    /// How long a candidate may take for each answer.
    pub(crate) fn patience(&self) -> Duration {
        self.policy.patience
    }

    /// The new program gets the old one's place, which the old one can still be given back.
    pub(crate) fn install(&self, mut program: NewProgram) -> Result<NewProgram> {
        self.note(&mut program.record, Step::Exchanging, |_| {})?;
        let exchanged = match &program.record.exchange {
            Some(exchange) => Names::new(&exchange.target, &exchange.mark).exchange(),
            None => Ok(()),
        };
        match exchanged {
            Ok(()) => Ok(program),
            Err(error) => {
                self.fail(program.record, told(&error))?;
                Err(error)
            }
        }
    }

    /// The new program serves in the old one's place: the update is over.
    pub(crate) fn finish(&self, program: NewProgram) -> Result<()> {
        let NewProgram { version, mut record, .. } = program;
        let Some(exchange) = &record.exchange else { return Ok(()) };
        let names = Names::new(&exchange.target, &exchange.mark);
        names.keep_backup()?;
        let target = names.target.display();
        let note = format!("{target} is now version {version}, after {}", version::OWN);
        record.end(Ok(note), self.conductor.os().now());
        record.installed_version = Some(version);
        record.write(&self.conductor)
    }

    /// The new program does not serve: the old one stays, or comes back.
    pub(crate) fn refuse(&self, program: NewProgram, why: &str) -> Result<()> {
        self.fail(program.record, why.to_owned())
    }

    /// Whoever carries the update out has to end first: the wish waits for the next one.
    pub(crate) fn put_off(&self, program: NewProgram) -> Result<()> {
        self.defer_again(program.record)
    }

    fn fail(&self, mut record: Record, why: String) -> Result<()> {
        self.clear(&record)?;
        record.end(Err(why), self.conductor.os().now());
        record.write(&self.conductor)
    }

    fn defer_again(&self, mut record: Record) -> Result<()> {
        self.clear(&record)?;
        record.state = UpdateState::Deferred;
        (record.started_at, record.exchange) = (None, None);
        record.write(&self.conductor)
    }

    fn clear(&self, record: &Record) -> Result<()> {
        let Some(exchange) = &record.exchange else { return Ok(()) };
        let names = Names::new(&exchange.target, &exchange.mark);
        if exchange.step == Step::Exchanging {
            names.put_back()?;
        }
        names.clear()
    }
}

fn told(error: &Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or(error.to_string(), |cause| format!("{error}: {cause}"))
}

/// Settles an exchange that died on the way: the new program stays where it got the old one's place, since
/// it had shown by then that it serves. The caller holds the updater's lock.
fn settle(layout: &Layout, conductor: &Folder) -> Result<()> {
    let Some(mut record) = Record::read(conductor)? else { return Ok(()) };
    if record.state != UpdateState::Applying {
        return Ok(());
    }
    let Some(exchange) = record.exchange.clone() else { return Ok(()) };
    let (_folder, _lock) = alone(layout, &Wait::from(limits::RECORD_LOCK))?;
    let names = Names::new(&exchange.target, &exchange.mark);
    let installed = match &exchange.digest {
        Some(digest) if exchange.step == Step::Exchanging => names.is_installed(digest)?,
        _ => false,
    };
    let step = exchange.step.as_str();
    let outcome = if installed {
        names.keep_backup()?;
        record.installed_version = exchange.version;
        let (target, version) =
            (names.target.display(), record.installed_version.as_deref().unwrap_or_default());
        Ok(format!("{target} is now version {version}; the server died before it could say so"))
    } else {
        Err(format!("the server died at the step {step}; the old program stands"))
    };
    names.clear()?;
    record.end(outcome, conductor.os().now());
    record.write(conductor)
}

/// Takes a wish back, or settles what a dead server left.
///
/// # Errors
/// `update.applying` while a living process exchanges the program.
pub(crate) fn cancel(layout: &Layout, reason: &str) -> Result<()> {
    let Some(root) = found(layout.root())? else { return Ok(()) };
    let Some(conductor) = root.folder_if_exists(CONDUCTOR)? else { return Ok(()) };
    if let Some(_nobody_lives) = conductor.try_lock(UPDATE_LOCK, LockKind::Exclusive)? {
        settle(layout, &conductor)?;
    }
    let (conductor, _lock) = alone(layout, &Wait::from(limits::RECORD_LOCK))?;
    let Some(mut record) = Record::read(&conductor)? else { return Ok(()) };
    match record.state {
        UpdateState::Applying => Err(applying(&conductor.join(UPDATE))),
        UpdateState::Idle => Ok(()),
        UpdateState::Deferred | UpdateState::Failed => {
            let reason: String = reason.chars().filter(|c| !c.is_control()).take(1000).collect();
            let note = match reason.is_empty() {
                true => "cancelled".to_owned(),
                false => format!("cancelled: {reason}"),
            };
            record.end(Ok(note), conductor.os().now());
            record.write(&conductor)
        }
    }
}

/// The error of somebody who comes while a program is being exchanged.
pub(crate) fn applying(path: &Path) -> Error {
    Error::new(ErrorKind::Conflict, "update.applying", "the server's program is being exchanged")
        .with_path(path)
        .with_hint("`run-agent update status` shows how that goes")
}
