//! Finding out what is there. Reads only, and holds few files open whatever is there.

use super::decide::IdHasher;
use super::facts::{Facts, StrayFact, StrayKind};
use super::policy::GcPolicy;
use super::scan_run::{RunScanner, below};
use super::scan_task::{LookAtTask, is_archive_of};
use super::strays::is_temporary_of_project;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::ProjectId;
use crate::layout::{PROJECT_BUS, RUN_LOCK, RUNS};
use crate::run::store;
use crate::supervise::{Engine, OpenEntry, Verdict, observe};
use crate::sys::FileKind;
use crate::time::Timestamp;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A look at everything, while it goes on.
pub(super) struct Survey<'a> {
    pub(super) engine: &'a Engine,
    pub(super) policy: &'a GcPolicy,
    pub(super) now: Timestamp,
    pub(super) look: LookAtTask<'a>,
    pub(super) root: PathBuf,
    pub(super) runs: RunScanner<'a>,
    /// The places of readers that keep archives.
    pub(super) cursors: Option<Folder>,
    /// The paths of open runs, below the root.
    pub(super) open: HashSet<PathBuf>,
    pub(super) facts: Facts,
}

/// How far a look at a root came, in tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) tasks: usize,
    pub(crate) of: usize,
}

/// Finds out what is in a root.
pub(super) fn survey(
    engine: &Engine,
    policy: &GcPolicy,
    now: Timestamp,
    hasher: &IdHasher,
    look: LookAtTask<'_>,
    wait: &Wait,
    told: &mut dyn FnMut(Looked),
) -> Result<Facts> {
    let root = engine.layout().root()?;
    let path = engine.layout().path().to_owned();
    let mut survey = Survey {
        engine,
        policy,
        now,
        look,
        runs: RunScanner::new(engine.layout().path(), now, hasher),
        root: path,
        cursors: engine.layout().cursors()?,
        open: HashSet::new(),
        facts: Facts::default(),
    };
    survey.facts.projects = match &policy.project {
        None => engine.layout().projects()?.ids,
        Some(project) => {
            engine.layout().project(project)?;
            vec![project.clone()]
        }
    };
    // Before the runs: one that starts meanwhile is found by its entry when something is done.
    survey.entries(hasher)?;
    if policy.min_free.is_some() {
        let free = root.os().available_space(engine.layout().path());
        let free = free.map_err(|e| Error::io("look at the free space of", root.path(), e))?;
        survey.facts.available = Some(free);
    }
    survey.projects(&root, wait, told)?;
    if policy.project.is_none() {
        survey.strays(&root)?;
    }
    Ok(survey.facts)
}

impl Survey<'_> {
    /// Reads the entries of open runs, of all projects: a living run keeps what it came from,
    /// wherever that is.
    fn entries(&mut self, hasher: &IdHasher) -> Result<()> {
        let found = OpenEntry::list(self.engine.layout())?;
        self.facts.errors.extend(found.damaged);
        for entry in found.entries {
            let OpenEntry { project, task, run, name, .. } = &entry;
            let folder = match self.engine.layout().run(project, task, run) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if self.policy.project.is_none() {
                        // One that is just being started has a folder without its name yet.
                        let starting = self.is_starting(&entry)?;
                        self.entry_of_nothing(name, starting);
                    }
                    continue;
                }
                Err(error) => {
                    self.facts.errors.push(error);
                    continue;
                }
                Ok(folder) => folder,
            };
            let path = Path::new(project.as_str()).join(task).join(RUNS).join(run);
            self.open.insert(path);
            // One without a record is just being started: it counts as unseen.
            let Ok(record) = store::read(&folder) else { continue };
            let lives = !matches!(observe(&folder, &record), Ok(Verdict::Over(_)));
            if lives {
                let links = [&record.parent_run_id, &record.previous_run_id];
                let links = links.into_iter().flatten().map(|id| hasher.of(id.trim()));
                self.facts.links_of_others.extend(links);
            }
            self.facts.entries.push(name.clone());
        }
        Ok(())
    }

    /// Whether the starter of an open run lives that has not given the run's folder its name yet.
    fn is_starting(&self, entry: &OpenEntry) -> Result<bool> {
        let OpenEntry { project, task, run, .. } = entry;
        let path = Path::new(project.as_str()).join(task).join(RUNS).join(format!(".{run}"));
        match self.engine.layout().root()?.folder_if_exists(path)? {
            Some(folder) => folder.is_locked(RUN_LOCK),
            None => Ok(false),
        }
    }

    fn projects(&mut self, root: &Folder, wait: &Wait, told: &mut dyn FnMut(Looked)) -> Result<()> {
        let mut work: Vec<(usize, Folder, Vec<_>)> = Vec::new();
        for at in 0..self.facts.projects.len() {
            let project = self.facts.projects[at].clone();
            let opened = root.folder_here(&project).and_then(|folder| {
                let tasks = self.engine.layout().tasks(&project)?;
                Ok((folder, tasks.ids))
            });
            match opened {
                Ok((folder, tasks)) => {
                    self.project_files(at, &folder, &project);
                    work.push((at, folder, tasks));
                }
                // Deleted by somebody at this very moment.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.facts.errors.push(error),
            }
        }
        let of = work.iter().map(|(_, _, tasks)| tasks.len()).sum();
        let mut tasks = 0;
        for (at, folder, ids) in work {
            for id in ids {
                wait.check()?;
                self.task(at, &folder, id);
                tasks += 1;
                told(Looked { tasks, of });
            }
        }
        Ok(())
    }

    /// Looks at the files of a project.
    fn project_files(&mut self, at: usize, folder: &Folder, project: &ProjectId) {
        let (mut bus, mut archives) = (None, false);
        let listed = folder.list().and_then(|entries| {
            for entry in entries.into_iter().filter(|entry| entry.kind == FileKind::File) {
                let Some(stat) = folder.stat(&entry.name)? else { continue };
                if entry.name == PROJECT_BUS {
                    bus = Some(stat.size);
                }
                archives |= entry.name.to_str().is_some_and(|n| is_archive_of(n, PROJECT_BUS));
                if is_temporary_of_project(&entry.name) {
                    self.facts.strays.push(StrayFact {
                        kind: StrayKind::Temporary,
                        path: below(&self.root, folder).join(&entry.name),
                        bytes: stat.size,
                        modified: Timestamp::from_unix_nanos(stat.modified),
                        held: false,
                    });
                }
            }
            Ok(())
        });
        if let Err(error) = listed {
            self.facts.errors.push(error);
        }
        tracing::debug!(%project, "looking for garbage");
        if let Some(bytes) = bus {
            self.look_at_bus(folder, (at, None), None, bytes);
        }
        if archives {
            self.look_at_archives(folder, (at, None), None);
        }
    }
}
