//! What the library says of its own work.

use crate::records::Records;
use crate::wait::call;
use pyo3::prelude::*;

/// Log lines of these levels, from now on.
#[pyfunction]
pub(crate) fn log(py: Python<'_>, levels: &str) -> PyResult<Records> {
    call(py, || conductor_core::Records::log(levels)).map(Records::new)
}
