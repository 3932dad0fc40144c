//! The tasks that a server drives, for the server that comes after it.

use super::conductor::Conductor;
use crate::error::{ErrorKind, Result};
use crate::fsx::Folder;
use crate::id::{ProjectId, TaskId};
use crate::layout::{CONDUCTOR, SERVED};
use std::ffi::OsString;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;

/// The longest entry that is read, in bytes.
const LIMIT: u64 = 1024;

impl Conductor {
    /// Writes down, durably, that a server drives this task. When that server dies, the next one goes on
    /// with it.
    pub fn note_served(&self, project: &ProjectId, task: &TaskId) -> Result<()> {
        let root = self.engine.layout().ensure_root()?;
        let folder = root.ensure_folder(CONDUCTOR)?.ensure_folder(SERVED)?;
        if find(&folder, project, task)?.is_some() {
            return Ok(());
        }
        let name = format!("{task}-{:016x}", RandomState::new().build_hasher().finish());
        folder.replace(&name, format!("{project}/{task}\n").as_bytes())
    }

    /// Takes the note away again; nothing where there is none.
    pub fn forget_served(&self, project: &ProjectId, task: &TaskId) -> Result<()> {
        let Some(folder) = self.served_folder()? else { return Ok(()) };
        match find(&folder, project, task)? {
            Some(name) => folder.remove_file(&name).map(drop),
            None => Ok(()),
        }
    }

    /// The tasks that a server drives, or drove when it died, by name. Reads only.
    pub fn served(&self) -> Result<Vec<(ProjectId, TaskId)>> {
        let Some(folder) = self.served_folder()? else { return Ok(Vec::new()) };
        let mut served: Vec<_> = entries(&folder)?.into_iter().map(|(_, task)| task).collect();
        served.sort();
        served.dedup();
        Ok(served)
    }

    fn served_folder(&self) -> Result<Option<Folder>> {
        match self.engine.layout().root() {
            Err(error) if error.code() == "root.not_found" => Ok(None),
            root => root?.folder_if_exists(Path::new(CONDUCTOR).join(SERVED)),
        }
    }
}

fn find(folder: &Folder, project: &ProjectId, task: &TaskId) -> Result<Option<OsString>> {
    let found = entries(folder)?.into_iter().find(|(_, (p, t))| p == project && t == task);
    Ok(found.map(|(name, _)| name))
}

type Served = (OsString, (ProjectId, TaskId));

/// The entries that name a task. What names none, as one that is being written, is passed over.
fn entries(folder: &Folder) -> Result<Vec<Served>> {
    let mut served = Vec::new();
    for entry in folder.list()? {
        if entry.name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let bytes = match folder.read(Path::new(&entry.name), LIMIT) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            bytes => bytes?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let ids = text.trim().split_once('/').and_then(|(project, task)| {
            Some((ProjectId::new(project).ok()?, TaskId::new(task).ok()?))
        });
        match ids {
            Some(ids) => served.push((entry.name, ids)),
            None => tracing::warn!(
                path = %folder.join(&entry.name).display(),
                "an entry of a served task names none"
            ),
        }
    }
    Ok(served)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::Options;

    #[test]
    fn served_tasks_are_known_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Conductor::open(dir.path().join("root"), Options::default()).unwrap();
        let (p, t, u) =
            ("p".parse().unwrap(), "t".parse::<TaskId>().unwrap(), "u".parse::<TaskId>().unwrap());
        assert_eq!(conductor.served().unwrap(), []);
        conductor.forget_served(&p, &t).unwrap();
        for task in [&u, &t, &t] {
            conductor.note_served(&p, task).unwrap();
        }
        assert_eq!(conductor.served().unwrap(), [(p.clone(), t.clone()), (p.clone(), u.clone())]);
        conductor.forget_served(&p, &t).unwrap();
        assert_eq!(conductor.served().unwrap(), [(p, u)]);
    }
}
