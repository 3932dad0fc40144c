//! The folders of a root, watched: which of them something happened in.

use conductor_core::{Error, ErrorKind, ProjectId, Result, RunId, TaskId};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The most folders that are watched. The kernel keeps about a kilobyte for each, and other programs of the
/// user want some, too.
const MOST: usize = 60_000;
/// Files of a task whose coming, going or changing is told. What is written on its bus and what its runs print
/// has topics of its own.
const OF_TASKS: [&str; 9] = [
    "DONE",
    "CANCELLED",
    "STOP-REQUESTED",
    "TASK.md",
    "TASK-CONFIG.yaml",
    ".loop.yaml",
    // Closed when whoever drives the task ends.
    ".loop.lock",
    // What the runs used is final.
    ".receipts.jsonl",
    "runs",
];
const OF_PROJECTS: [&str; 2] = ["home-folders.md", "PROJECT-ROOT.txt"];

/// What is to be looked at again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// It came, goes on otherwise, or is gone.
    Task(ProjectId, TaskId),
    Project(ProjectId),
    Holds,
    Update,
    Gc,
    /// What holds for the root.
    Settings,
    /// Nobody knows what.
    All,
}

/// What a watched folder is.
#[derive(Clone, Debug)]
enum Place {
    /// The one that the root lies in, while there is no root.
    Above,
    Root,
    Conductor,
    Holds,
    Project(ProjectId),
    Task(ProjectId, TaskId),
    Runs(ProjectId, TaskId),
}

#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    notifier: OwnedFd,
    places: HashMap<i32, Place>,
    /// Whether something cannot be watched, as the limit of the system or of this server is reached.
    blind: bool,
}

/// Something that was told.
struct News {
    place: i32,
    what: ReadFlags,
    name: String,
}

impl Folders {
    /// Watches all folders of a root down to those of runs; it need not exist yet.
    pub(super) fn watch(root: &Path) -> Result<Folders> {
        let notifier = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|errno| failed("cannot watch folders", errno))?;
        let root = root.to_owned();
        let mut folders = Folders { root, notifier, places: HashMap::new(), blind: false };
        folders.watch_root();
        Ok(folders)
    }

    /// Readable when there are changes.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }

    /// Whether there are folders that are not watched.
    pub(super) fn is_blind(&self) -> bool {
        self.blind
    }

    /// What changed since this was asked last. Folders that came are watched from now on.
    pub(super) fn changes(&mut self) -> Result<BTreeSet<Change>> {
        let mut changes = BTreeSet::new();
        for news in self.news()? {
            self.take(&news, &mut changes);
        }
        Ok(changes)
    }

    fn news(&self) -> Result<Vec<News>> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.notifier, &mut buffer);
        let mut news = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => news.push(News {
                    place: event.wd(),
                    what: event.events(),
                    name: event.file_name().map_or_else(String::new, |name| {
                        String::from_utf8_lossy(name.to_bytes()).into_owned()
                    }),
                }),
                Err(Errno::AGAIN) => return Ok(news),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed("cannot read what folders tell", errno)),
            }
        }
    }

    fn take(&mut self, news: &News, changes: &mut BTreeSet<Change>) {
        let News { place, what, name } = news;
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.watch_root();
            changes.insert(Change::All);
            return;
        }
        if what.contains(ReadFlags::IGNORED) {
            // Its folder is gone; a root may be made again.
            if let Some(Place::Root) = self.places.remove(place) {
                self.watch_root();
                changes.insert(Change::All);
            }
            return;
        }
        let Some(place) = self.places.get(place).cloned() else { return };
        let name = name.as_str();
        let came = what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let is_folder = what.contains(ReadFlags::ISDIR);
        match place {
            Place::Above if Some(name) == self.root.file_name().and_then(|name| name.to_str()) => {
                self.watch_root();
                changes.insert(Change::All);
            }
            Place::Above => {}
            Place::Root if name == ".conductor" => self.watch_conductor(),
            Place::Root if is_folder => {
                if let Ok(project) = ProjectId::new(name) {
                    if came {
                        self.watch_project(&project);
                    }
                    changes.insert(Change::Project(project));
                }
            }
            Place::Root => {}
            Place::Conductor => match name {
                "self-update.yaml" => drop(changes.insert(Change::Update)),
                "gc.yaml" => drop(changes.insert(Change::Gc)),
                "root.yaml" => drop(changes.insert(Change::Settings)),
                "holds" => {
                    self.watch_conductor();
                    changes.insert(Change::Holds);
                }
                _ => {}
            },
            Place::Holds if !name.starts_with('.') => drop(changes.insert(Change::Holds)),
            Place::Holds => {}
            Place::Project(project) if OF_PROJECTS.contains(&name) => {
                changes.insert(Change::Project(project));
            }
            Place::Project(project) if is_folder => {
                if let Ok(task) = TaskId::new(name) {
                    if came {
                        self.watch_task(&project, &task);
                    }
                    changes.insert(Change::Task(project, task));
                }
            }
            Place::Project(_) => {}
            Place::Task(project, task) => {
                if name == "runs" && came {
                    self.watch_task(&project, &task);
                }
                if OF_TASKS.contains(&name) {
                    changes.insert(Change::Task(project, task));
                }
            }
            Place::Runs(project, task) if is_folder && RunId::new(name).is_ok() => {
                changes.insert(Change::Task(project, task));
            }
            Place::Runs(..) => {}
        }
    }

    fn watch_root(&mut self) {
        if !self.add(&self.root.clone(), Place::Root) {
            if let Some(above) = self.root.parent().map(Path::to_owned) {
                self.blind |= !self.add(&above, Place::Above);
            }
            // Made in this moment.
            if !self.add(&self.root.clone(), Place::Root) {
                return;
            }
        }
        self.watch_conductor();
        for project in
            self.names(&self.root.clone()).into_iter().filter_map(|name| ProjectId::new(name).ok())
        {
            self.watch_project(&project);
        }
    }

    fn watch_conductor(&mut self) {
        let conductor = self.root.join(".conductor");
        if self.add(&conductor, Place::Conductor) {
            self.add(&conductor.join("holds"), Place::Holds);
        }
    }

    fn watch_project(&mut self, project: &ProjectId) {
        let folder = self.root.join(project.as_str());
        if self.add(&folder, Place::Project(project.clone())) {
            for task in self.names(&folder).into_iter().filter_map(|name| TaskId::new(name).ok()) {
                self.watch_task(project, &task);
            }
        }
    }

    fn watch_task(&mut self, project: &ProjectId, task: &TaskId) {
        let folder = self.root.join(project.as_str()).join(task.as_str());
        if self.add(&folder, Place::Task(project.clone(), task.clone())) {
            self.add(&folder.join("runs"), Place::Runs(project.clone(), task.clone()));
        }
    }

    /// The names in a folder; those that are no text are nothing of ours. One that cannot be read blinds.
    fn names(&mut self, folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
        });
        match names {
            Ok(names) => names.into_iter().filter_map(|name| name.into_string().ok()).collect(),
            Err(error) => {
                self.blind |= error.kind() != io::ErrorKind::NotFound;
                Vec::new()
            }
        }
    }

    /// Whether a folder is there and watched. One that cannot be is told once, and blinds.
    fn add(&mut self, path: &Path, place: Place) -> bool {
        if self.places.len() >= MOST {
            self.blind = true;
            return false;
        }
        let names = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        // What was written where it lies, as receipts are, and locks that were let go.
        let closed = match place {
            Place::Task(..) | Place::Conductor => WatchFlags::CLOSE_WRITE,
            _ => WatchFlags::empty(),
        };
        match inotify::add_watch(&self.notifier, path, names | closed) {
            Ok(watch) => {
                self.places.insert(watch, place);
                true
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => false,
            Err(errno) => {
                if !std::mem::replace(&mut self.blind, true) {
                    let error = io::Error::from(errno);
                    tracing::warn!(
                        subsystem = "api", path = %path.display(), %error,
                        "cannot watch all folders: pages look for changes from time to time"
                    );
                }
                false
            }
        }
    }
}

fn failed(what: &'static str, errno: Errno) -> Error {
    Error::new(ErrorKind::Io, "wait.failed", what).with_source(io::Error::from(errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn task(name: &str) -> Change {
        Change::Task(ProjectId::new("p").unwrap(), TaskId::new(name).unwrap())
    }

    fn project() -> Change {
        Change::Project(ProjectId::new("p").unwrap())
    }

    #[test]
    fn a_root_that_was_deleted_and_made_again_is_watched_on() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut folders = Folders::watch(&root).unwrap();
        fs::remove_dir(&root).unwrap();
        assert!(folders.changes().unwrap().contains(&Change::All));
        fs::create_dir(&root).unwrap();
        assert!(folders.changes().unwrap().contains(&Change::All));
        fs::create_dir(root.join("p")).unwrap();
        assert_eq!(folders.changes().unwrap(), [project()].into());
        assert!(!folders.is_blind());
    }

    #[test]
    fn what_happens_in_a_root_is_told_by_where() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let mut folders = Folders::watch(&root).unwrap();
        let mut told = |what: &str| {
            let changes: Vec<Change> = folders.changes().unwrap().into_iter().collect();
            assert!(!folders.is_blind(), "{what}");
            changes
        };
        assert_eq!(told("nothing"), []);
        fs::create_dir(&root).unwrap();
        assert_eq!(told("the root"), [Change::All]);
        fs::create_dir(root.join("p")).unwrap();
        fs::create_dir(root.join("_audit")).unwrap();
        assert_eq!(told("a project"), [project()]);
        fs::create_dir_all(root.join("p/t/runs")).unwrap();
        assert_eq!(told("a task"), [task("t")]);
        for name in ["DONE", "TASK-CONFIG.yaml", ".loop.yaml"] {
            fs::write(root.join("p/t").join(name), "x").unwrap();
            assert_eq!(told(name), [task("t")], "{name}");
        }
        fs::remove_file(root.join("p/t/DONE")).unwrap();
        assert_eq!(told("a file that goes"), [task("t")]);
        for name in ["TASK-MESSAGE-BUS.md", ".task.lock", ".tmp-1"] {
            fs::write(root.join("p/t").join(name), "x").unwrap();
            assert_eq!(told(name), [], "{name}");
        }
        fs::create_dir(root.join("p/t/runs/20260301-0800000000-1-1")).unwrap();
        assert_eq!(told("a run"), [task("t")]);
        fs::remove_dir(root.join("p/t/runs/20260301-0800000000-1-1")).unwrap();
        assert_eq!(told("a run that goes"), [task("t")]);
        let lock = File::options().append(true).create(true).open(root.join("p/t/.loop.lock"));
        let lock = lock.unwrap();
        told("a lock that comes");
        drop(lock);
        assert_eq!(told("a driver that ends"), [task("t")]);
        drop(File::open(root.join("p/t/.loop.lock")).unwrap());
        assert_eq!(told("one who looks"), []);
        fs::create_dir_all(root.join(".conductor/holds")).unwrap();
        told("the folder of holds");
        fs::write(root.join(".conductor/holds/claude"), "").unwrap();
        assert_eq!(told("a hold"), [Change::Holds]);
        fs::write(root.join(".conductor/self-update.yaml"), "").unwrap();
        assert_eq!(told("an update"), [Change::Update]);
        fs::write(root.join(".conductor/server.token"), "").unwrap();
        assert_eq!(told("a token"), []);
        fs::rename(root.join("p/t"), root.join("p/u")).unwrap();
        assert_eq!(told("another name"), [task("t"), task("u")]);
        fs::remove_dir_all(root.join("p")).unwrap();
        assert!(told("all goes").contains(&project()));
    }

    #[test]
    fn what_was_there_before_is_watched_too() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("p/t/runs")).unwrap();
        fs::create_dir_all(dir.path().join(".conductor/holds")).unwrap();
        let mut folders = Folders::watch(dir.path()).unwrap();
        fs::write(dir.path().join("p/t/DONE"), "").unwrap();
        fs::write(dir.path().join(".conductor/holds/a"), "").unwrap();
        let told: Vec<Change> = folders.changes().unwrap().into_iter().collect();
        assert_eq!(told, [task("t"), Change::Holds]);
    }
}
