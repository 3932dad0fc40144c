//! The events that wait for the webhook, and telling it.

use crate::cancel::{Cancel, switch};
use crate::given::dict;
use crate::records::Records;
use crate::root::Conductor;
use crate::wait::{call, once_within};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The events that wait.
#[pyfunction]
pub(crate) fn outbox(py: Python<'_>, conductor: PyRef<'_, Conductor>) -> PyResult<Records> {
    let opened = conductor.get(py)?;
    call(py, || conductor_core::Records::outbox(&opened)).map(Records::new)
}

/// Tells the webhook what waits.
#[pyfunction]
pub(crate) fn deliver<'py>(
    py: Python<'py>,
    conductor: PyRef<'py, Conductor>,
    timeout: Option<f64>,
    cancel: Option<PyRef<'py, Cancel>>,
) -> PyResult<Bound<'py, PyDict>> {
    let opened = conductor.get(py)?;
    let told = once_within(py, timeout, switch(&cancel), |wait| opened.outbox().deliver(wait))?;
    dict(py, &told)
}
