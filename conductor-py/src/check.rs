//! Questions that need no root.

use crate::error::raise;
use pyo3::prelude::*;
use std::time::Duration;

/// Checks that `id` can be the id of a `noun`: "project", "task", "run" or "message".
///
/// Raises `InvalidInput` where it cannot, saying what is wrong with it.
#[pyfunction]
pub(crate) fn check_id(py: Python<'_>, noun: &str, id: &str) -> PyResult<()> {
    conductor_core::check_id(noun, id).map_err(|error| raise(py, &error))
}

/// Reads a length of time as on the command line: "500ms", "1h30m", "168h".
///
/// Raises `InvalidInput` for anything else. Fractions of a microsecond are cut off.
#[pyfunction]
pub(crate) fn parse_duration(py: Python<'_>, text: &str) -> PyResult<Duration> {
    conductor_core::parse_duration(text).map_err(|error| raise(py, &error))
}
