//! The update of a server's program.

use crate::given::dict;
use crate::root::Conductor;
use crate::wait::call;
use conductor_core::UpdateRequest;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// Where it stands.
#[pyfunction]
pub(crate) fn update_status<'py>(
    py: Python<'py>,
    conductor: PyRef<'py, Conductor>,
) -> PyResult<Bound<'py, PyDict>> {
    let opened = conductor.get(py)?;
    let status = call(py, || opened.update().status())?;
    dict(py, &status)
}

/// Asks for it.
#[pyfunction]
pub(crate) fn update_start<'py>(
    py: Python<'py>,
    conductor: PyRef<'py, Conductor>,
    binary: PathBuf,
    sha256: Option<String>,
    allow_downgrade: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let opened = conductor.get(py)?;
    let mut request = UpdateRequest::new(binary).allow_downgrade(allow_downgrade);
    request.sha256 = sha256;
    let status = call(py, || opened.update().start(request))?;
    dict(py, &status)
}

/// Takes the wish back.
#[pyfunction]
pub(crate) fn update_cancel<'py>(
    py: Python<'py>,
    conductor: PyRef<'py, Conductor>,
    reason: String,
) -> PyResult<Bound<'py, PyDict>> {
    let opened = conductor.get(py)?;
    let status = call(py, || opened.update().cancel(&reason))?;
    dict(py, &status)
}
