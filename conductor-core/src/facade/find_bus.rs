//! Which bus a caller means who names none, and in whose name it posts.

use super::conductor::Conductor;
use super::locate::{Named, Surroundings};
use crate::bus::{Bus, BusOptions, Scope};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{PROJECT_BUS, RootOrigin, TASK_BUS};
use crate::supervise::Engine;
use std::path::{Path, PathBuf};

/// A bus that stands by itself, in a folder of no root.
const LOOSE_BUS: &str = "MESSAGE-BUS.md";

/// A bus, and what this process is on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundBus {
    /// The bus.
    pub bus: Bus,
    /// The task that this process works on, if that is one of the bus's project.
    pub task: Option<TaskId>,
    /// The run that this process belongs to, likewise.
    pub run: Option<RunId>,
}

impl Conductor {
    /// The bus that a caller means: the one of the project or task that it names; else
    /// `JRUN_MESSAGE_BUS`; else that of the task or project that [`Conductor::locate`] finds; else
    /// the nearest one at or above the current folder.
    ///
    /// Where the root was named by the caller, only buses of that root are found.
    ///
    /// # Errors
    /// `bus.not_found`, `bus.not_of_a_root`, and those of [`Conductor::locate`].
    pub fn find_bus(&self, named: &Named, around: &Surroundings) -> Result<FoundBus> {
        let bus = if named.project.is_some() || named.task.is_some() {
            let mut place = self.locate(named, around)?;
            self.bus_of(place.need_project()?, place.task)?
        } else if let Some(bus) = self.bus_of_agent(around)? {
            bus
        } else {
            let mut place = self.locate(named, around)?;
            match (place.project.take(), place.task) {
                (Some(project), task) => self.bus_of(project, task)?,
                (None, _) => self.bus_nearby(around, place.unreadable)?,
            }
        };
        let (task, run) = self.author(&bus, around)?;
        Ok(FoundBus { bus, task, run })
    }

    fn bus_of(&self, project: ProjectId, task: Option<TaskId>) -> Result<Bus> {
        self.engine.bus(Scope { project, task })
    }

    /// The bus that an agent's environment names, unless it belongs to another root than the caller
    /// asked for.
    fn bus_of_agent(&self, around: &Surroundings) -> Result<Option<Bus>> {
        match &around.message_bus {
            Some(path) if self.may_be_meant(path) => {
                self.bus_at(path).map(Some).map_err(|error| error.with_field("JRUN_MESSAGE_BUS"))
            }
            _ => Ok(None),
        }
    }

    fn may_be_meant(&self, path: &Path) -> bool {
        self.root_origin() != RootOrigin::Explicit || self.relative(path).is_some()
    }

    fn bus_nearby(&self, around: &Surroundings, unreadable: Option<Error>) -> Result<Bus> {
        let cwd = around.cwd.as_deref().unwrap_or(Path::new("/"));
        match Conductor::discover_bus(cwd) {
            Ok(path) if self.may_be_meant(&path) => self.bus_at(&path),
            answer => {
                let error = answer.err().unwrap_or_else(|| no_bus(cwd));
                Err(unreadable.unwrap_or(error))
            }
        }
    }

    /// The bus at a path: of this root, of another one by its place in it, or a loose
    /// `MESSAGE-BUS.md`, which belongs to no root and to a project named after its folder.
    ///
    /// # Errors
    /// `bus.not_of_a_root` for a path that is none of these; those of [`Conductor::open_from`].
    pub fn bus_at(&self, path: &Path) -> Result<Bus> {
        let refuse = || {
            Error::invalid(
                "bus.not_of_a_root",
                "bus",
                format!("{} is not the path of a bus", path.display()),
            )
            .with_path(path)
            .with_hint(format!(
                "a bus is <root>/<project>/{PROJECT_BUS} or <root>/<project>/<task>/{TASK_BUS}"
            ))
        };
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(refuse)?;
        let folder = path.parent().filter(|_| path.is_absolute()).ok_or_else(refuse)?;
        let up = folder.parent();
        let (root, scope) = match name {
            TASK_BUS => {
                let project = ProjectId::new(id_of(up)).map_err(|_| refuse())?;
                let task = TaskId::new(id_of(Some(folder))).map_err(|_| refuse())?;
                (up.and_then(Path::parent), Scope { project, task: Some(task) })
            }
            PROJECT_BUS => {
                let project = ProjectId::new(id_of(Some(folder))).map_err(|_| refuse())?;
                (up, Scope { project, task: None })
            }
            LOOSE_BUS => {
                let project = ProjectId::new(id_of(Some(folder))).map_err(|_| refuse())?;
                return self.loose_bus(folder, Scope { project, task: None });
            }
            _ => return Err(refuse()),
        };
        let root = root.ok_or_else(refuse)?;
        if self.relative(path).is_some() {
            return self.engine.bus(scope);
        }
        let engine = Engine::open(root.to_owned(), self.engine.settings().clone())?;
        engine.bus(scope)
    }

    fn loose_bus(&self, folder: &Path, scope: Scope) -> Result<Bus> {
        let settings = self.engine.settings();
        let folder = Folder::open_root(settings.os.clone(), folder)?;
        let bus_options = BusOptions::default().durability(settings.durability);
        Bus::open(folder, LOOSE_BUS, scope, bus_options)
    }

    /// The path of the nearest bus at or above `from`: a task's, a project's, or a loose one.
    ///
    /// # Errors
    /// `bus.not_found`.
    pub fn discover_bus(from: &Path) -> Result<PathBuf> {
        from.ancestors()
            .flat_map(|folder| [TASK_BUS, PROJECT_BUS, LOOSE_BUS].map(|name| folder.join(name)))
            .find(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file()))
            .ok_or_else(|| no_bus(from))
    }

    /// The task and the run that this process is on a bus.
    fn author(&self, bus: &Bus, around: &Surroundings) -> Result<(Option<TaskId>, Option<RunId>)> {
        let here = self.locate(&Named::default(), around)?;
        let scope = bus.scope();
        if here.project.as_ref() != Some(&scope.project) {
            return Ok((None, None));
        }
        match &scope.task {
            Some(task) if here.task.as_ref() != Some(task) => Ok((None, None)),
            _ => Ok((here.task, here.run)),
        }
    }
}

/// The name of a folder as text that may be an id.
fn id_of(folder: Option<&Path>) -> &str {
    folder.and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default()
}

fn no_bus(from: &Path) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "bus.not_found",
        format!("there is no message bus at or above {}", from.display()),
    )
    .with_path(from)
    .with_hint("name the bus with --project and --task")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use crate::layout::RootSources;
    use std::fs;

    fn root() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("shop/fix/runs/r1")).unwrap();
        fs::create_dir_all(root.join("bank/save")).unwrap();
        fs::create_dir_all(dir.path().join("loose/deep")).unwrap();
        fs::write(dir.path().join("loose/MESSAGE-BUS.md"), "").unwrap();
        fs::write(root.join("bank/PROJECT-MESSAGE-BUS.md"), "").unwrap();
        (dir, root)
    }

    fn home_of(root: &Path) -> Conductor {
        let sources = RootSources { environment: Some(root.to_owned()), ..RootSources::default() };
        Conductor::open_from(&sources, Options::default()).unwrap()
    }

    #[test]
    fn a_named_bus_wins_over_the_agents_variable_and_that_over_the_folder() {
        let (dir, root) = root();
        let conductor = home_of(&root);
        let mut around = Surroundings::at(root.join("bank"));
        let find = |named: &Named, around: &Surroundings| {
            let found = conductor.find_bus(named, around).unwrap();
            found.bus.path().strip_prefix(dir.path()).unwrap().display().to_string()
        };
        let nothing = Named::default();
        assert_eq!(find(&nothing, &around), "root/bank/PROJECT-MESSAGE-BUS.md");
        around.message_bus = Some(root.join("shop/fix/TASK-MESSAGE-BUS.md"));
        assert_eq!(find(&nothing, &around), "root/shop/fix/TASK-MESSAGE-BUS.md");
        let bank = Named::default().project(Some("bank"));
        assert_eq!(find(&bank, &around), "root/bank/PROJECT-MESSAGE-BUS.md");
        let task = Named::default().task(Some("save"));
        assert_eq!(find(&task, &around), "root/bank/save/TASK-MESSAGE-BUS.md");

        around = Surroundings::at(dir.path().join("loose/deep"));
        assert_eq!(find(&nothing, &around), "loose/MESSAGE-BUS.md");
    }

    #[test]
    fn a_root_that_was_asked_for_is_not_left() {
        let (dir, root) = root();
        let conductor = Conductor::open(&root, Options::default()).unwrap();
        let mut around = Surroundings::at(dir.path().join("loose"));
        around.message_bus = Some("/other/shop/PROJECT-MESSAGE-BUS.md".into());
        let error = conductor.find_bus(&Named::default(), &around).unwrap_err();
        assert_eq!(error.code(), "bus.not_found");
    }

    #[test]
    fn a_bus_of_another_root_is_known_by_its_place_and_nothing_else_is_a_bus() {
        let (_dir, root) = root();
        let elsewhere = tempfile::tempdir().unwrap();
        let conductor = home_of(elsewhere.path());
        let bus = conductor.bus_at(&root.join("bank/PROJECT-MESSAGE-BUS.md")).unwrap();
        assert_eq!(bus.scope().project.as_str(), "bank");
        for path in ["/etc/passwd", "shop/PROJECT-MESSAGE-BUS.md", "/PROJECT-MESSAGE-BUS.md", "/"] {
            let error = conductor.bus_at(Path::new(path)).unwrap_err();
            assert_eq!(error.code(), "bus.not_of_a_root", "{path}");
        }
    }

    #[test]
    fn a_process_posts_as_the_run_that_it_is_but_only_where_that_belongs() {
        let (_dir, root) = root();
        let conductor = home_of(&root);
        let mut around = Surroundings::at("/");
        around.run_folder = Some(root.join("shop/fix/runs/r1"));
        let find = |project: &str, task: Option<&str>| {
            let named = Named::default().project(Some(project)).task(task);
            let found = conductor.find_bus(&named, &around).unwrap();
            (found.task.map(|id| id.to_string()), found.run.map(|id| id.to_string()))
        };
        let me = (Some("fix".to_owned()), Some("r1".to_owned()));
        assert_eq!(find("shop", Some("fix")), me);
        assert_eq!(find("shop", None), me);
        assert_eq!(find("bank", None), (None, None));
        assert_eq!(find("bank", Some("save")), (None, None));
    }
}
