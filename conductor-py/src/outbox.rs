//! The events that wait for the webhook, and telling it.

use crate::cancel::{Cancel, switch};
use crate::given::dict;
use crate::records::Records;
use crate::root::Conductor;
use crate::wait::{call, once};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::time::Duration;

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
    // What is too long to be represented is no deadline.
    let limit = timeout.and_then(|limit| Duration::try_from_secs_f64(limit.max(0.0)).ok());
    let told = once(py, switch(&cancel), |wait| {
        let wait = limit.map_or(wait.clone(), |limit| wait.at_most(limit));
        opened.outbox().deliver(wait)
    })?;
    dict(py, &told)
}
