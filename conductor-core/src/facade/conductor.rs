//! An opened root: the door to everything.

use super::gc::Gc;
use super::jobs::Jobs;
use super::options::Options;
use super::runs::Runs;
use super::tasks::Tasks;
use super::update::Update;
use crate::bus::{Bus, Scope};
use crate::cancel::Wait;
use crate::error::{Error, Result};
use crate::fsx::found;
use crate::id::ProjectId;
use crate::layout::{Listing, RootOrigin, RootSources, resolve_root};
use crate::supervise::{Apart, Engine, Hold, OpenEntry, RunInfo, Settings, read_info};
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// An opened root. Opening changes nothing on disk; clones share it, across threads too.
///
/// ```no_run
/// use conductor_core::{Conductor, JobSpec, Options, Wait};
///
/// let conductor = Conductor::open("/srv/agents", Options::default())?;
/// let run = conductor.jobs().start(
///     JobSpec::new("shop").task("hello").agent("shell").prompt("echo hello"),
///     Wait::FOREVER,
/// )?;
/// println!("{:?}", run.wait(Wait::FOREVER)?.outcome());
/// # Ok::<(), conductor_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conductor {
    pub(super) engine: Engine,
    origin: RootOrigin,
}

impl Conductor {
    /// Opens the root at `root`, which need not exist yet: the first work that is started makes it.
    ///
    /// # Errors
    /// `root.unknown` when `root` is empty.
    pub fn open(root: impl Into<PathBuf>, options: Options) -> Result<Conductor> {
        let sources = RootSources { explicit: Some(root.into()), ..RootSources::default() };
        Conductor::open_from(&sources, options)
    }

    /// What this process's environment says of the root, with `explicit` before it.
    pub fn sources(explicit: Option<PathBuf>) -> RootSources {
        let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
        RootSources {
            explicit,
            environment: var("CONDUCTOR_ROOT"),
            task_folder: var("JRUN_TASK_FOLDER"),
            configured: None,
            home: var("HOME"),
        }
    }

    /// Opens the root that `sources` name. One of a newer form is only read: what would change it is refused with
    /// `root.too_new`.
    ///
    /// # Errors
    /// `root.unknown` and `root.not_absolute`; where `.conductor/root.yaml` does not tell the version,
    /// `root.setting_invalid` or what keeps it from being read, as `yaml.corrupt`.
    pub fn open_from(sources: &RootSources, options: Options) -> Result<Conductor> {
        let (root, origin) = resolve_root(sources, |path| path.is_dir())?;
        let root = std::path::absolute(&root)
            .map_err(|e| Error::io("find the root", &root, e).with_field("root"))?;
        let Options { os, run_agent, durability, config, environment } = options;
        let config = config.unwrap_or_default();
        let run_agent = run_agent.or_else(super::options::find_run_agent);
        let settings = Settings { os, run_agent, durability, config, environment };
        let engine = Engine::open(root, settings)?;
        Ok(Conductor { engine, origin })
    }

    /// The root's path.
    pub fn root(&self) -> &Path {
        self.engine.layout().path()
    }

    /// What named the root.
    pub fn root_origin(&self) -> RootOrigin {
        self.origin
    }

    /// The bus of a project, or of a task: `bus("shop")`, `bus(("shop", "fix-login"))`.
    ///
    /// # Errors
    /// `id.invalid`, and not found where the folder does not exist.
    pub fn bus<S>(&self, scope: S) -> Result<Bus>
    where
        S: TryInto<Scope>,
        Error: From<S::Error>,
    {
        self.engine.bus(scope.try_into().map_err(Error::from)?)
    }

    /// The projects of the root.
    pub fn projects(&self) -> Result<Listing<ProjectId>> {
        self.engine.layout().projects()
    }

    /// Single runs.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }

    /// Runs that exist.
    pub fn runs(&self) -> Runs<'_> {
        Runs(self)
    }

    /// Tasks.
    pub fn tasks(&self) -> Tasks<'_> {
        Tasks(self)
    }

    /// Garbage collection.
    pub fn gc(&self) -> Gc<'_> {
        Gc(self)
    }

    /// The update of the server's program.
    pub fn update(&self) -> Update<'_> {
        Update(self)
    }

    /// The accounts that are left alone because their usage limit is reached, by name. Reads only.
    ///
    /// # Errors
    /// The first hold that cannot be read.
    pub fn holds(&self) -> Result<Vec<Hold>> {
        let (holds, damaged) = match self.engine.all_holds() {
            Err(error) if error.code() == "root.not_found" => return Ok(Vec::new()),
            all => all?,
        };
        match damaged.into_iter().next() {
            Some(error) => Err(error),
            None => {
                Ok(holds.into_iter().filter(|hold| hold.is_in_force(self.engine.now())).collect())
            }
        }
    }

    /// Starts a program in the background, in the current folder and a session of its own; gives its process
    /// id. It outlives this process, and also the run of an agent that this process belongs to.
    ///
    /// `program` is an absolute path, `env` the whole environment; its `JRUN_ID` becomes `name`, which tells
    /// it from runs. The input is empty.
    ///
    /// # Errors
    /// `keeper.not_started`.
    pub fn start_apart(
        &self,
        (program, args): (&Path, &[OsString]),
        env: &[(OsString, OsString)],
        name: &str,
        (stdout, stderr): (BorrowedFd<'_>, BorrowedFd<'_>),
    ) -> Result<u32> {
        Apart { program, args, env, name, stdout, stderr }.start(&self.engine)
    }

    /// Writes down the ends of runs that nobody saw ending, once in all, and gives their records.
    ///
    /// Reads the entries of open runs, not the runs: the cost is that of what is open.
    ///
    /// # Errors
    /// The first of what could not be closed or read, once everything else is closed.
    pub fn reconcile(&self, wait: impl Into<Wait>) -> Result<Vec<RunInfo>> {
        let wait = wait.into();
        let mut closed = Vec::new();
        let found = match OpenEntry::list(self.engine.layout()) {
            Err(error) if error.code() == "root.not_found" => return Ok(closed),
            found => found?,
        };
        // One that cannot be closed keeps no other from being closed.
        let mut first_error = found.damaged.into_iter().next();
        for entry in found.entries {
            let OpenEntry { project, task, run, .. } = &entry;
            let done = match self.engine.close(&entry, &wait) {
                Ok(true) => {
                    read_info(&self.engine, project, task, run).map(|info| closed.push(info))
                }
                done => done.map(drop),
            };
            first_error = first_error.or(done.err());
        }
        match first_error {
            None => Ok(closed),
            Some(error) => Err(error),
        }
    }

    /// As [`reconcile`](Conductor::reconcile), and also closes the runs for which no entry stands: somebody
    /// removed it, or brought the root back from a copy without hidden folders. One that lives gets its
    /// entry again, without the bounds of what its agent may start.
    ///
    /// Costs a look at each run of the root.
    ///
    /// # Errors
    /// The first of what could not be closed or read, once everything else is closed.
    pub fn reconcile_all(&self, wait: impl Into<Wait>) -> Result<Vec<RunInfo>> {
        let wait = wait.into();
        let (mut closed, mut first_error) = match self.reconcile(wait.clone()) {
            Ok(closed) => (closed, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let projects = match self.projects() {
            Ok(projects) => projects.ids,
            Err(error) if error.code() == "root.not_found" => Vec::new(),
            Err(error) => return Err(first_error.unwrap_or(error)),
        };
        for project in projects {
            let tasks = match found(self.engine.layout().tasks(&project)) {
                Ok(tasks) => tasks.unwrap_or_default().ids,
                Err(error) => {
                    first_error = first_error.or(Some(error));
                    continue;
                }
            };
            for task in tasks {
                wait.check()?;
                let runs = match found(self.engine.close_unlisted(&project, &task, &wait)) {
                    Ok(None) => continue,
                    Ok(Some((runs, error))) => {
                        first_error = first_error.or(error);
                        runs
                    }
                    Err(error) => {
                        first_error = first_error.or(Some(error));
                        continue;
                    }
                };
                for run in runs {
                    match read_info(&self.engine, &project, &task, &run) {
                        Ok(info) => closed.push(info),
                        Err(error) => first_error = first_error.or(Some(error)),
                    }
                }
            }
        }
        match first_error {
            None => Ok(closed),
            Some(error) => Err(error),
        }
    }
}
