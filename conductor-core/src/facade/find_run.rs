//! Which run a caller means who names none, or names it by its folder.

use super::conductor::Conductor;
use super::locate::{Named, Surroundings};
use super::runs::Run;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::RUNS;
use crate::supervise::Engine;
use std::ffi::OsStr;
use std::path::Path;

impl Conductor {
    /// The run that a caller means: the one that it names or that [`Conductor::locate`] finds, else
    /// the newest of the task, else the newest of the project.
    ///
    /// # Errors
    /// `run.none` where there is no run yet, `run.not_found`, and those of [`Conductor::locate`].
    pub fn find_run(&self, named: &Named, around: &Surroundings) -> Result<Run> {
        let mut place = self.locate(named, around)?;
        if let (Some(_), None, None) = (&place.project, &place.task, &place.run) {
            return self.newest_of_project(&place.need_project()?);
        }
        let (project, task) = place.need_task()?;
        match place.run {
            Some(run) => self.runs().get(&project, &task, &run),
            None => self.runs().newest(&project, &task)?.ok_or_else(|| {
                no_run(format!("the task {project}/{task} has no run yet"), &project)
            }),
        }
    }

    fn newest_of_project(&self, project: &ProjectId) -> Result<Run> {
        let mut newest: Option<(TaskId, RunId)> = None;
        for task in self.tasks().ids(project)? {
            let runs = match self.runs().ids(project, &task) {
                // Deleted since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                runs => runs?,
            };
            let Some(run) = runs.into_iter().next_back() else { continue };
            if newest.as_ref().is_none_or(|(_, known)| known.sort_key() < run.sort_key()) {
                newest = Some((task, run));
            }
        }
        match newest {
            Some((task, run)) => self.runs().get(project, &task, &run),
            None => Err(no_run(format!("the project {project} has no run yet"), project)),
        }
    }

    /// The run whose folder this is, in this root or in another one.
    ///
    /// # Errors
    /// `run.not_a_folder` for a path that is not `<root>/<project>/<task>/runs/<run>`; those of
    /// [`Conductor::open_from`].
    pub fn run_at(&self, folder: &Path) -> Result<Run> {
        let refuse = || {
            Error::invalid(
                "run.not_a_folder",
                "run_dir",
                format!("{} is not the folder of a run", folder.display()),
            )
            .with_path(folder)
            .with_hint("a run's folder is <root>/<project>/<task>/runs/<run>")
        };
        let path = folder
            .canonicalize()
            .map_err(|e| Error::io("find the run's folder", folder, e).with_field("run_dir"))?;
        let mut up = path.ancestors();
        let mut next = || up.next().and_then(Path::file_name).and_then(OsStr::to_str);
        let (run, runs, task, project) = (next(), next(), next(), next());
        let (Some(run), Some(RUNS), Some(task), Some(project)) = (run, runs, task, project) else {
            return Err(refuse());
        };
        let ids = (ProjectId::new(project), TaskId::new(task), RunId::new(run));
        let ((Ok(project), Ok(task), Ok(run)), Some(root)) = (ids, up.next()) else {
            return Err(refuse());
        };
        let engine = Engine::open(root.to_owned(), self.engine.settings().clone())?;
        engine.layout().run(&project, &task, &run)?;
        Run::new(engine, project, task, run)
    }
}

fn no_run(message: String, project: &ProjectId) -> Error {
    Error::new(ErrorKind::NotFound, "run.none", message)
        .with_field("run")
        .with_hint(format!("`run-agent list --project {project}` shows what there is"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use std::fs;

    fn root(runs: &[&str]) -> (tempfile::TempDir, Conductor) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("shop/empty")).unwrap();
        for run in runs {
            fs::create_dir_all(dir.path().join(run)).unwrap();
        }
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        (dir, conductor)
    }

    fn place(run: &Run) -> String {
        format!("{}/{}/{}", run.project(), run.task(), run.id())
    }

    #[test]
    fn the_newest_run_of_the_task_or_of_the_project_is_meant() {
        let (dir, conductor) = root(&[
            "shop/a/runs/20260101-0101010000-9-2",
            "shop/a/runs/20260101-0101010000-9-10",
            "shop/b/runs/20260101-0101000000-9-99",
        ]);
        let around = Surroundings::at(dir.path().join("shop/b"));
        let find = |named: &Named| conductor.find_run(named, &around).map(|run| place(&run));
        let task = |task: &str| Named::default().task(Some(task));
        assert_eq!(find(&Named::default()).unwrap(), "shop/b/20260101-0101000000-9-99");
        assert_eq!(find(&task("a")).unwrap(), "shop/a/20260101-0101010000-9-10");
        let project = Named::default().project(Some("shop"));
        assert_eq!(find(&project).unwrap(), "shop/a/20260101-0101010000-9-10");
        assert_eq!(find(&task("empty")).unwrap_err().code(), "run.none");
        assert_eq!(find(&task("none")).unwrap_err().code(), "task.not_found");
        let run = Named::default().run(Some("other"));
        assert_eq!(find(&run).unwrap_err().code(), "run.not_found");
    }

    #[test]
    fn a_folder_names_its_run_in_any_root() {
        let (dir, _) = root(&["shop/a/runs/r1"]);
        let (_other, conductor) = root(&[]);
        let run = conductor.run_at(&dir.path().join("shop/a/runs/r1")).unwrap();
        assert_eq!(place(&run), "shop/a/r1");
        assert_eq!(run.folder(), dir.path().canonicalize().unwrap().join("shop/a/runs/r1"));
        for path in ["shop/a/runs", "shop/a", ""] {
            let error = conductor.run_at(&dir.path().join(path)).unwrap_err();
            assert_eq!(error.code(), "run.not_a_folder", "{path}");
        }
        let error = conductor.run_at(Path::new("/no/such/folder")).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::NotFound, Some("run_dir")));
    }
}
