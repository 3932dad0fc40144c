//! Which project, task and run a caller means who names none of them, or only some.
//!
//! One rule for every language. The caller's words win; then, inside an agent, what its environment
//! says; then the place of the current folder below the root; then the project that the current
//! source folder is linked to. What is inferred never contradicts what was named.

use super::conductor::Conductor;
use super::projects::older_link;
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::{HOME_FOLDERS, RUNS};
use crate::limits;
use crate::yaml::{Value, parse_mapping};
use std::path::{Path, PathBuf};

/// Names in a folder that make it the top of a source tree.
const SOURCE_MARKS: [&str; 11] = [
    ".git",
    "go.mod",
    "package.json",
    "pyproject.toml",
    "Cargo.toml",
    "build.gradle",
    "pom.xml",
    "Makefile",
    "README.md",
    "README.rst",
    "README",
];

/// What a caller named, as text; checked by [`Conductor::locate`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Named {
    /// The project's id.
    pub project: Option<String>,
    /// The task's id.
    pub task: Option<String>,
    /// The run's id.
    pub run: Option<String>,
}

impl Named {
    /// Names a project, if one is given.
    #[must_use]
    pub fn project(mut self, project: Option<impl Into<String>>) -> Named {
        self.project = project.map(Into::into);
        self
    }

    /// Names a task, if one is given.
    #[must_use]
    pub fn task(mut self, task: Option<impl Into<String>>) -> Named {
        self.task = task.map(Into::into);
        self
    }

    /// Names a run, if one is given.
    #[must_use]
    pub fn run(mut self, run: Option<impl Into<String>>) -> Named {
        self.run = run.map(Into::into);
        self
    }
}

/// What surrounds a process and can tell what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Surroundings {
    /// The current folder, absolute.
    pub cwd: Option<PathBuf>,
    /// `JRUN_RUN_FOLDER`.
    pub run_folder: Option<PathBuf>,
    /// `JRUN_TASK_FOLDER`.
    pub task_folder: Option<PathBuf>,
    /// `JRUN_MESSAGE_BUS`.
    pub message_bus: Option<PathBuf>,
    /// `JRUN_PROJECT_ID`.
    pub project_id: Option<String>,
    /// `JRUN_TASK_ID`.
    pub task_id: Option<String>,
    /// `JRUN_ID`.
    pub run_id: Option<String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Surroundings {
        let folder =
            |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text =
            |name| std::env::var(name).ok().filter(|value: &String| !value.trim().is_empty());
        Surroundings {
            cwd: std::env::current_dir().ok(),
            run_folder: folder("JRUN_RUN_FOLDER"),
            task_folder: folder("JRUN_TASK_FOLDER"),
            message_bus: folder("JRUN_MESSAGE_BUS"),
            project_id: text("JRUN_PROJECT_ID"),
            task_id: text("JRUN_TASK_ID"),
            run_id: text("JRUN_ID"),
        }
    }

    /// Only a current folder.
    pub fn at(cwd: impl Into<PathBuf>) -> Surroundings {
        Surroundings { cwd: Some(cwd.into()), ..Surroundings::default() }
    }
}

/// The project, task and run that are meant, as far as anything tells.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Location {
    /// The project.
    pub project: Option<ProjectId>,
    /// The task.
    pub task: Option<TaskId>,
    /// The run.
    pub run: Option<RunId>,
    /// The top of the source tree that the project is linked to, where the project was found by it.
    pub source_folder: Option<PathBuf>,
    /// What kept a link from being read, where no other link told the project.
    pub unreadable: Option<Error>,
}

impl Location {
    /// The project, for a call that needs one.
    ///
    /// # Errors
    /// `project.missing`, or why a link between project and source folder could not be read.
    pub fn need_project(&mut self) -> Result<ProjectId> {
        match (self.project.clone(), self.unreadable.take()) {
            (Some(project), _) => Ok(project),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::invalid(
                "project.missing",
                "project",
                "no project is named, and the current folder belongs to none",
            )
            .with_hint("name it with --project; `run-agent list` shows what there is")),
        }
    }

    /// Project and task, for a call that needs both.
    ///
    /// # Errors
    /// As [`need_project`](Location::need_project), and `task.missing`.
    pub fn need_task(&mut self) -> Result<(ProjectId, TaskId)> {
        let project = self.need_project()?;
        match &self.task {
            Some(task) => Ok((project, task.clone())),
            None => Err(Error::invalid(
                "task.missing",
                "task",
                format!("no task of {project} is named, and the current folder belongs to none"),
            )
            .with_hint(format!(
                "name it with --task; `run-agent list --project {project}` shows what there is"
            ))),
        }
    }
}

/// One place below the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Below {
    project: Option<ProjectId>,
    task: Option<TaskId>,
    run: Option<RunId>,
}

impl Below {
    /// The place of a path relative to the root: `<project>[/<task>[/runs/<run>[/...]]]`.
    fn of(path: &Path) -> Below {
        let mut names = path.components().map(|name| name.as_os_str().to_str().unwrap_or_default());
        let Some(project) = names.next().and_then(|name| name.parse().ok()) else {
            return Below::default();
        };
        let task: Option<TaskId> = names.next().and_then(|name| name.parse().ok());
        let run = match (&task, names.next()) {
            (Some(_), Some(RUNS)) => names.next().and_then(|name| name.parse().ok()),
            _ => None,
        };
        Below { project: Some(project), task, run }
    }
}

impl Conductor {
    /// The project, task and run that a caller means.
    ///
    /// Nothing is inferred below the deepest level that was named (who names a project alone means
    /// the project), and above it only what agrees with it. Variables of an agent that belongs to
    /// another root tell nothing. Reads at most the links of the projects to their source folders.
    ///
    /// # Errors
    /// `id.invalid` for a name that is none.
    pub fn locate(&self, named: &Named, around: &Surroundings) -> Result<Location> {
        let project = named.project.as_deref().map(ProjectId::new).transpose()?;
        let task = named.task.as_deref().map(TaskId::new).transpose()?;
        let run = named.run.as_deref().map(RunId::new).transpose()?;
        let (needs_project, needs_task) = (project.is_none(), task.is_none() && run.is_some());
        if !needs_project && !needs_task {
            return Ok(Location { project, task, run, ..Location::default() });
        }
        let mut here = self.infer(around)?;
        let agrees = needs_project || here.project == project;
        if !agrees {
            here = Location::default();
        }
        let named_any_below = task.is_some() || run.is_some();
        let named_nothing = needs_project && !named_any_below;
        Ok(Location {
            task: match task {
                None if named_nothing || run.is_some() => here.task,
                task => task,
            },
            run: if named_nothing { here.run } else { run },
            project: project.or(here.project),
            source_folder: here.source_folder,
            unreadable: here.unreadable,
        })
    }

    /// What the surroundings tell by themselves.
    fn infer(&self, around: &Surroundings) -> Result<Location> {
        let below = self.agent_place(around).or_else(|| {
            self.relative(around.cwd.as_deref()?)
                .map(|path| Below::of(&path))
                .filter(|below| below.project.is_some())
        });
        if let Some(Below { project, task, run }) = below {
            return Ok(Location { project, task, run, ..Location::default() });
        }
        match &around.cwd {
            Some(cwd) => self.linked_project(cwd),
            None => Ok(Location::default()),
        }
    }

    /// What the variables of an agent say, if it is one of this root.
    fn agent_place(&self, around: &Surroundings) -> Option<Below> {
        if around.run_folder.is_none() && around.task_folder.is_none() {
            let parse = |id: &Option<String>| id.clone().unwrap_or_default();
            let project = parse(&around.project_id).parse().ok()?;
            let task = parse(&around.task_id).parse().ok();
            let run = task.as_ref().and_then(|_: &TaskId| parse(&around.run_id).parse().ok());
            return Some(Below { project: Some(project), task, run });
        }
        [&around.run_folder, &around.task_folder]
            .into_iter()
            .flatten()
            .filter_map(|folder| self.relative(folder))
            .map(|path| Below::of(&path))
            .find(|below| below.task.is_some())
    }

    /// The path of something below the root, relative to it; links on the way to the root are seen
    /// through.
    pub(super) fn relative(&self, path: &Path) -> Option<PathBuf> {
        if let Ok(relative) = path.strip_prefix(self.root()) {
            return Some(relative.to_owned());
        }
        let root = self.root().canonicalize().ok()?;
        if let Ok(relative) = path.strip_prefix(&root) {
            return Some(relative.to_owned());
        }
        path.canonicalize().ok()?.strip_prefix(&root).map(Path::to_owned).ok()
    }

    /// The project whose link names the source tree that `cwd` lies in.
    fn linked_project(&self, cwd: &Path) -> Result<Location> {
        let mut location = Location::default();
        let projects = match self.projects() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(location),
            projects => projects?.ids,
        };
        let source = source_folder(cwd);
        for project in projects {
            let folder = self.engine.layout().project(&project)?;
            match linked_folder(&folder) {
                Ok(Some(linked)) if same_folder(&linked, &source) => {
                    location.project = Some(project);
                    location.source_folder = Some(source);
                    location.unreadable = None;
                    break;
                }
                Ok(_) => {}
                Err(error) => location.unreadable = location.unreadable.or(Some(error)),
            }
        }
        Ok(location)
    }
}

/// The nearest folder at or above `cwd` that looks like the top of a source tree, else `cwd`.
fn source_folder(cwd: &Path) -> PathBuf {
    cwd.ancestors()
        .find(|folder| SOURCE_MARKS.iter().any(|mark| folder.join(mark).exists()))
        .unwrap_or(cwd)
        .to_owned()
}

/// The source folder that a project's link names; `None` without a link.
pub(super) fn linked_folder(project: &Folder) -> Result<Option<PathBuf>> {
    let Some(bytes) = project.read_if_exists(HOME_FOLDERS, limits::YAML_FILE)? else {
        return older_link(project);
    };
    let map = parse_mapping(&bytes, &project.join(HOME_FOLDERS))?;
    let linked = map.get("project_root").and_then(Value::as_text).unwrap_or_default();
    Ok(Some(linked.trim()).filter(|linked| !linked.is_empty()).map(PathBuf::from))
}

fn same_folder(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    a.components().eq(b.components()) || real(a) == real(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;
    use std::fs;

    struct House {
        dir: tempfile::TempDir,
        conductor: Conductor,
    }

    fn house() -> House {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("shop/fix/runs/r1/deep")).unwrap();
        fs::create_dir_all(root.join("bank")).unwrap();
        let conductor = Conductor::open(&root, Options::default()).unwrap();
        House { dir, conductor }
    }

    impl House {
        fn path(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn at(&self, named: &Named, around: &Surroundings) -> String {
            let location = self.conductor.locate(named, around).unwrap();
            [
                location.project.map(|id| id.to_string()),
                location.task.map(|id| id.to_string()),
                location.run.map(|id| id.to_string()),
            ]
            .map(|id| id.unwrap_or_else(|| "-".to_owned()))
            .join(" ")
        }
    }

    fn named(project: &str, task: &str, run: &str) -> Named {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Named { project: given(project), task: given(task), run: given(run) }
    }

    #[test]
    fn the_current_folder_tells_what_is_meant() {
        let house = house();
        for (cwd, meant) in [
            ("root", "- - -"),
            ("root/shop", "shop - -"),
            ("root/shop/fix", "shop fix -"),
            ("root/shop/fix/runs", "shop fix -"),
            ("root/shop/fix/runs/r1", "shop fix r1"),
            ("root/shop/fix/runs/r1/deep", "shop fix r1"),
            ("root/.conductor/open", "- - -"),
            ("elsewhere", "- - -"),
        ] {
            let around = Surroundings::at(house.path(cwd));
            assert_eq!(house.at(&Named::default(), &around), meant, "{cwd}");
        }
    }

    #[test]
    fn what_was_named_wins_and_nothing_is_inferred_below_it_or_against_it() {
        let house = house();
        let around = Surroundings::at(house.path("root/shop/fix/runs/r1"));
        for (named, meant) in [
            (named("shop", "", ""), "shop - -"),
            (named("bank", "", ""), "bank - -"),
            (named("", "other", ""), "shop other -"),
            (named("", "", "r2"), "shop fix r2"),
            (named("shop", "", "r2"), "shop fix r2"),
            (named("bank", "", "r2"), "bank - r2"),
            (named("bank", "t", "r2"), "bank t r2"),
        ] {
            assert_eq!(house.at(&named, &around), meant, "{named:?}");
        }
        let error = house.conductor.locate(&named("..", "", ""), &around).unwrap_err();
        assert_eq!((error.code(), error.field()), ("id.invalid", Some("project")));
    }

    #[test]
    fn an_agents_variables_count_before_the_folder_but_only_those_of_this_root() {
        let house = house();
        let mut around = Surroundings::at(house.path("root/bank"));
        around.run_folder = Some(house.path("root/shop/fix/runs/r1"));
        around.task_folder = Some(house.path("root/shop/fix"));
        assert_eq!(house.at(&Named::default(), &around), "shop fix r1");
        around.run_folder = None;
        assert_eq!(house.at(&Named::default(), &around), "shop fix -");
        around.task_folder = Some("/another/root/shop/fix".into());
        (around.project_id, around.task_id) = (Some("shop".into()), Some("fix".into()));
        assert_eq!(house.at(&Named::default(), &around), "bank - -");
        around.task_folder = None;
        around.run_id = Some("r9".into());
        assert_eq!(house.at(&Named::default(), &around), "shop fix r9");
        around.project_id = Some("../x".into());
        assert_eq!(house.at(&Named::default(), &around), "bank - -");
    }

    #[test]
    fn a_root_that_is_reached_through_a_link_is_the_same_root() {
        let house = house();
        std::os::unix::fs::symlink(house.path("root"), house.path("link")).unwrap();
        let conductor = Conductor::open(house.path("link"), Options::default()).unwrap();
        for cwd in ["root/shop/fix", "link/shop/fix"] {
            let around = Surroundings::at(house.path(cwd));
            let location = conductor.locate(&Named::default(), &around).unwrap();
            assert_eq!(location.task.unwrap().as_str(), "fix");
        }
    }

    #[test]
    fn a_linked_source_tree_means_its_project() {
        let house = house();
        fs::create_dir_all(house.path("src/shop/.git")).unwrap();
        fs::create_dir_all(house.path("src/shop/deep/er")).unwrap();
        let link = |text: String| fs::write(house.path("root/shop/home-folders.md"), text).unwrap();
        link(format!("project_root: {}/\n", house.path("src/shop").display()));
        let around = Surroundings::at(house.path("src/shop/deep/er"));
        let found = house.conductor.locate(&Named::default(), &around).unwrap();
        assert_eq!(found.project.unwrap().as_str(), "shop");
        assert_eq!(found.source_folder, Some(house.path("src/shop")));

        // A broken link is told only to those who needed it, and hides no other.
        link("project_root: [\n".to_owned());
        let mut found = house.conductor.locate(&Named::default(), &around).unwrap();
        assert_eq!(found.need_project().unwrap_err().code(), "yaml.corrupt");
        fs::write(
            house.path("root/bank/home-folders.md"),
            format!("project_root: {}\n", house.path("src/shop").display()),
        )
        .unwrap();
        let mut found = house.conductor.locate(&Named::default(), &around).unwrap();
        assert_eq!(found.need_project().unwrap().as_str(), "bank");
    }

    #[test]
    fn what_is_needed_and_not_there_is_said_with_the_way_out() {
        let house = house();
        let around = Surroundings::at("/");
        let mut nowhere = house.conductor.locate(&Named::default(), &around).unwrap();
        assert_eq!(nowhere.need_task().unwrap_err().code(), "project.missing");
        let mut project = house.conductor.locate(&named("shop", "", ""), &around).unwrap();
        let error = project.need_task().unwrap_err();
        assert_eq!(error.code(), "task.missing");
        assert!(error.hint().contains("list --project shop"), "{}", error.hint());

        let none = Conductor::open(house.path("none"), Options::default()).unwrap();
        assert!(none.locate(&Named::default(), &around).unwrap().project.is_none());
    }
}
