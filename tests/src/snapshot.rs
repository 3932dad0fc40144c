//! Folders as values: copied, listed, compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Copies a folder with all that is in it; the copy can be written, links stay links.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder to copy") {
        let entry = entry.expect("an entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a kind of file");
        if kind.is_dir() {
            copy(&source, &target);
        } else if kind.is_symlink() {
            let goal = fs::read_link(&source).expect("a link");
            std::os::unix::fs::symlink(goal, &target).expect("a new link");
        } else {
            fs::write(&target, fs::read(&source).expect("a file to copy")).expect("a new file");
        }
    }
}

/// Everything below a folder: names, kinds, modes, contents and times of change.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Item>);

#[derive(Debug, PartialEq, Eq)]
struct Item {
    mode: u32,
    changed: (i64, i64),
    content: Content,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Folder,
    Link(PathBuf),
    File(Vec<u8>),
    /// A socket, a pipe or a device: never opened.
    Other,
}

/// What lies below `folder` now; nothing where it does not exist.
pub fn snapshot(folder: &Path) -> Snapshot {
    let mut items = BTreeMap::new();
    if folder.exists() {
        collect(folder, Path::new(""), &mut items);
    }
    Snapshot(items)
}

fn collect(top: &Path, below: &Path, items: &mut BTreeMap<PathBuf, Item>) {
    let path = top.join(below);
    let metadata = fs::symlink_metadata(&path).expect("an entry");
    let content = if metadata.is_dir() {
        Content::Folder
    } else if metadata.is_symlink() {
        Content::Link(fs::read_link(&path).expect("a link"))
    } else if metadata.is_file() {
        Content::File(fs::read(&path).expect("a file"))
    } else {
        Content::Other
    };
    if content == Content::Folder {
        for entry in fs::read_dir(&path).expect("a folder") {
            collect(top, &below.join(entry.expect("an entry").file_name()), items);
        }
    }
    let mode = metadata.permissions().mode();
    let changed = (metadata.mtime(), metadata.mtime_nsec());
    items.insert(below.to_owned(), Item { mode, changed, content });
}

impl Snapshot {
    /// Fails, naming each difference, unless `later` is the same.
    pub fn assert_same(&self, later: &Snapshot) {
        let paths = self.0.keys().chain(later.0.keys().filter(|path| !self.0.contains_key(*path)));
        let differences: Vec<String> = paths
            .filter_map(|path| match (self.0.get(path), later.0.get(path)) {
                (Some(a), Some(b)) if a == b => None,
                (Some(_), Some(_)) => Some(format!("changed: {}", path.display())),
                (Some(_), None) => Some(format!("gone: {}", path.display())),
                (None, _) => Some(format!("new: {}", path.display())),
            })
            .collect();
        assert!(differences.is_empty(), "the disk changed:\n{}", differences.join("\n"));
    }

    /// The paths, in order, relative to the folder.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}
