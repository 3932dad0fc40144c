//! What the Python side gives, and what it gets.

use crate::error::raise;
use crate::record::to_dict;
use conductor_core::{ProjectId, Record, Result, Settings, TaskId};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Options by name, as the Python side writes them.
pub(crate) type Pairs = Vec<(String, String)>;

/// The options that were given.
pub(crate) fn settings(py: Python<'_>, options: Pairs) -> PyResult<Settings> {
    let mut settings = Settings::new();
    for (name, value) in &options {
        settings.set(name, value).map_err(|error| raise(py, &error))?;
    }
    Ok(settings)
}

/// The ids of a task.
pub(crate) fn ids(project: &str, task: &str) -> Result<(ProjectId, TaskId)> {
    Ok((ProjectId::new(project)?, TaskId::new(task)?))
}

/// An answer as the dictionary that Python's values are made of.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    record: impl Into<Record>,
) -> PyResult<Bound<'py, PyDict>> {
    to_dict(py, &record.into())
}
