//! The update of the server's program as callers see it.

use super::conductor::Conductor;
use super::record::Record;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::{CONDUCTOR, UPDATE};
use crate::limits;
use crate::time::Timestamp;
use crate::update::{
    ActiveRoots, NewProgram, Policy, Record as State, Role, UpdateRequest, UpdateState, alone,
    applying, cancel, living_updater,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The update of the server that serves this root; from [`Conductor::update`].
///
/// Whoever serves the root carries it out; everybody can ask for it, look at it and cancel it, also
/// while no server lives.
///
/// ```no_run
/// use conductor_core::{Conductor, Options, UpdateRequest};
///
/// let conductor = Conductor::open("/srv/agents", Options::default())?;
/// let status = conductor.update().start(UpdateRequest::new("/opt/run-agent-0.2.0"))?;
/// println!("{}: {} active root runs", status.state.as_str(), status.active_runs_now);
/// # Ok::<(), conductor_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Update<'a>(pub(super) &'a Conductor);

/// Where an update stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateStatus {
    /// Where it stands.
    pub state: UpdateState,
    /// Whether a server lives that can carry it out. Without one, no run is held back.
    pub served: bool,
    /// The program that was asked for.
    pub binary: Option<PathBuf>,
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
    /// When the exchange of the program began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The root runs that were active when it was asked for.
    pub active_runs_at_request: u64,
    /// The root runs that are active now, which an update waits for. What cannot be read counts.
    pub active_runs_now: u64,
    /// The first thing that could not be read.
    pub active_runs_error: Option<String>,
    /// What is being done to the program now.
    pub step: Option<String>,
    /// The version that the last one brought; nothing where it failed or was cancelled.
    pub installed_version: Option<String>,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// How the last one ended otherwise.
    pub last_note: Option<String>,
}

impl UpdateStatus {
    fn new(record: State, served: bool, active: &ActiveRoots) -> UpdateStatus {
        UpdateStatus {
            state: record.state,
            served,
            binary: record.request.map(|request| request.binary),
            requested_at: record.requested_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
            active_runs_at_request: record.active_at_request,
            active_runs_now: active.total(),
            active_runs_error: active.unreadable.first().map(ToString::to_string),
            step: record.exchange.map(|exchange| exchange.step.as_str().to_owned()),
            installed_version: record.installed_version,
            last_error: record.last_error,
            last_note: record.last_note,
        }
    }
}

impl From<&UpdateStatus> for Record {
    fn from(status: &UpdateStatus) -> Record {
        let mut record = Record::default();
        record.put("state", status.state.as_str());
        record.put("served", status.served);
        let path = status.binary.as_ref().map(|path| path.to_string_lossy());
        record.put_known("binary_path", path);
        for (name, moment) in [
            ("requested_at", status.requested_at),
            ("started_at", status.started_at),
            ("finished_at", status.finished_at),
        ] {
            record.put_known(name, moment.map(|moment| moment.to_string()));
        }
        record.put("active_runs_at_request", status.active_runs_at_request);
        record.put("active_runs_now", status.active_runs_now);
        for (name, text) in [
            ("active_runs_error", &status.active_runs_error),
            ("step", &status.step),
            ("installed_version", &status.installed_version),
            ("last_error", &status.last_error),
            ("last_note", &status.last_note),
        ] {
            record.put_known(name, text.as_deref());
        }
        record
    }
}

impl Update<'_> {
    /// Where the update stands, and what it waits for. Changes nothing.
    ///
    /// # Errors
    /// `update.state_corrupt`, `update.state_too_new`.
    pub fn status(&self) -> Result<UpdateStatus> {
        let record = self.record()?;
        let engine = &self.0.engine;
        let served = match living_updater(engine.layout()) {
            Err(error) if error.code() == "root.not_found" => false,
            served => served?,
        };
        Ok(UpdateStatus::new(record, served, &engine.active_roots()?))
    }

    /// Where the update stands, without a look at what it waits for: one small file is read.
    ///
    /// # Errors
    /// `update.state_corrupt`, `update.state_too_new`.
    pub fn state(&self) -> Result<UpdateState> {
        Ok(self.record()?.state)
    }

    fn record(&self) -> Result<State> {
        let conductor = match self.0.engine.layout().root() {
            Err(error) if error.code() == "root.not_found" => None,
            root => root?.folder_if_exists(CONDUCTOR)?,
        };
        let record = conductor.map(|conductor| State::read(&conductor)).transpose()?.flatten();
        Ok(record.unwrap_or_default())
    }

    /// Asks the server to exchange its program as soon as no root run is active. From now on, and until
    /// that is done or cancelled, no new root run is let in. A wish that waits is replaced.
    ///
    /// # Errors
    /// `update.no_server` where nobody could carry it out, `update.applying` while another one is being
    /// carried out, `update.binary`, `update.sha256`.
    pub fn start(&self, request: UpdateRequest) -> Result<UpdateStatus> {
        check_request(&request)?;
        let layout = self.0.engine.layout();
        if !living_updater(layout)? {
            return Err(no_server(layout.path()));
        }
        let active = self.0.engine.active_roots()?;
        let (conductor, _lock) = alone(layout, &Wait::from(limits::RECORD_LOCK))?;
        let before = State::read(&conductor)?.unwrap_or_default();
        if before.state == UpdateState::Applying {
            return Err(applying(&conductor.join(UPDATE)));
        }
        let record = State::deferred(request, active.total(), conductor.os().now());
        record.write(&conductor)?;
        Ok(UpdateStatus::new(record, true, &active))
    }

    /// Takes the wish back: new root runs are let in again. An update that failed is forgotten, and one
    /// that died with its server is settled. No error where nothing is under way.
    ///
    /// # Errors
    /// `update.applying` while a living server exchanges its program.
    pub fn cancel(&self, reason: &str) -> Result<UpdateStatus> {
        cancel(self.0.engine.layout(), reason)?;
        self.status()
    }

    /// Takes the part of the one who carries updates out, for the program at `program`; `None` where
    /// another living process has it. It is a server's part: from here on it starts children of its own,
    /// to try new programs out.
    ///
    /// An exchange that died on the way is settled first: the state says which program stands, and what
    /// lay beside it goes.
    pub fn serve(&self, program: &Path) -> Result<Option<Updater>> {
        let update = &self.0.engine.settings().config.config().update;
        let policy = Policy {
            public_key: update.public_key.clone(),
            allow_downgrade: update.allow_downgrade.unwrap_or(false),
            patience: update.health_timeout.unwrap_or(limits::UPDATE_HEALTH),
        };
        let role = Role::take(self.0.engine.layout(), program, policy)?;
        Ok(role.map(|role| Updater { conductor: self.0.clone(), role }))
    }
}

/// The part of the one who carries updates out; from [`Update::serve`]. While it is held, an update that
/// is asked for holds new root runs back.
#[derive(Debug)]
pub struct Updater {
    conductor: Conductor,
    role: Role,
}

impl Updater {
    /// Waits until a new program was asked for, no root run is active, and a copy of the new program lies
    /// beside the old one, tried out. A candidate that may not be taken is refused, the state says why, and
    /// the wait goes on. From here on no root run starts.
    ///
    /// Then start the copy, let it show that it serves, and say how that went with
    /// [`install`](Updater::install) or [`refuse`](Updater::refuse). Who installed it lets it serve in its
    /// place, and says how that went with [`finish`](Updater::finish) or `refuse`.
    ///
    /// # Errors
    /// Those of the wait, and of a state that cannot be read or written.
    pub fn wait(&self, wait: impl Into<Wait>) -> Result<NewProgram> {
        self.role.wait(&|| self.conductor.engine.active_roots(), &wait.into())
    }

    /// How long the new program may take until it serves: `update.health_timeout`.
    pub fn patience(&self) -> Duration {
        self.role.patience()
    }

    /// The new program can serve: it gets the old one's place.
    ///
    /// # Errors
    /// Those of the exchange; the old program has its place then, and the state says why.
    pub fn install(&self, program: NewProgram) -> Result<NewProgram> {
        self.role.install(program)
    }

    /// The new program serves in the old one's place: that is kept beside it as `<program>.prev`, and the
    /// update is over.
    pub fn finish(&self, program: NewProgram) -> Result<()> {
        self.role.finish(program)
    }

    /// The new program does not serve: the old one stays, or gets its place back, and the state says why.
    pub fn refuse(&self, program: NewProgram, why: &str) -> Result<()> {
        self.role.refuse(program, why)
    }

    /// Nothing is known about the new program, since the server has to end: the update waits for the
    /// next server.
    pub fn put_off(&self, program: NewProgram) -> Result<()> {
        self.role.put_off(program)
    }
}

fn check_request(request: &UpdateRequest) -> Result<()> {
    if !request.binary.is_absolute() {
        return Err(Error::invalid(
            "update.binary",
            "binary",
            format!("the path {:?} of the new program is not absolute", request.binary),
        ));
    }
    if !request.binary.is_file() {
        return Err(Error::invalid(
            "update.binary",
            "binary",
            format!("there is no program at {}", request.binary.display()),
        )
        .with_path(&request.binary));
    }
    let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match &request.sha256 {
        Some(text) if !is_digest(text) => {
            Err(Error::invalid("update.sha256", "sha256", "a SHA-256 has 64 hexadecimal digits"))
        }
        _ => Ok(()),
    }
}

fn no_server(root: &Path) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "update.no_server",
        format!("no server of {} lives that could exchange its program", root.display()),
    )
    .with_path(root)
    .with_hint("nothing is served by it: copy the new program over the old")
}
