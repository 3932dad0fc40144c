//! What a root does and holds at this moment.

use super::conductor::Conductor;
use super::runs::LivingRuns;
use crate::error::{Error, Result};
use crate::fsx::{Measure, found};
use crate::id::{ProjectId, TaskId};
use crate::task::Waiting;
use crate::time::Timestamp;

/// What a root does and holds; from [`Conductor::survey`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Survey {
    /// When it was looked.
    pub at: Timestamp,
    /// The runs that live, or may.
    pub living: LivingRuns,
    /// The tasks that somebody drives and that wait for something.
    pub waiting: Vec<(ProjectId, TaskId, Waiting)>,
    /// What the files of the root take up, in bytes; at least so much, where some may not be read.
    pub bytes: u64,
    /// How much of that is in the trash, where only a deletion that was cut short leaves something.
    pub trash_bytes: u64,
    /// The largest project, and what its files take up, in bytes.
    pub largest: Option<(ProjectId, u64)>,
    /// The space that is left on the root's disk, in bytes.
    pub free_bytes: u64,
}

impl Conductor {
    /// Looks at what runs, what waits, and how much space the root takes up. Reads only.
    ///
    /// Costs a look at each file of the root.
    pub fn survey(&self) -> Result<Survey> {
        let layout = self.engine.layout();
        let mut survey = Survey {
            at: self.engine.now(),
            living: self.runs().living()?,
            waiting: Vec::new(),
            bytes: 0,
            trash_bytes: 0,
            largest: None,
            free_bytes: 0,
        };
        let root = match layout.root() {
            Err(error) if error.code() == "root.not_found" => return Ok(survey),
            root => root?,
        };
        for (project, task, info) in self.tasks().living()?.tasks {
            // What stands there without a driver is what the last one waited for; `doctor` tells.
            if let Ok(info) = info
                && let Some(waiting) = info.waiting
                && (info.driver.is_some() || !info.has_loop)
            {
                survey.waiting.push((project, task, waiting));
            }
        }
        let projects = self.projects()?.ids;
        for project in &projects {
            let Some(folder) = found(layout.project(project))? else { continue };
            let Measure { bytes, .. } = folder.measure(&mut |_, _| true)?;
            survey.bytes += bytes;
            if survey.largest.as_ref().is_none_or(|(_, most)| bytes > *most) {
                survey.largest = Some((project.clone(), bytes));
            }
        }
        let is_project = |name: &std::ffi::OsStr| projects.iter().any(|it| name == it.as_str());
        survey.bytes += root.measure(&mut |name, _| !is_project(name))?.bytes;
        if let Some(trash) = layout.trash()? {
            survey.trash_bytes = trash.measure(&mut |_, _| true)?.bytes;
        }
        survey.free_bytes = layout
            .os()
            .available_space(self.root())
            .map_err(|e| Error::io("look at the free space of", self.root(), e))?;
        Ok(survey)
    }
}
