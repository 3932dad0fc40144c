//! The core's errors as exceptions. The classes are written in Python, in `conductor/errors.py`.

use conductor_core::Error;
use conductor_core::KINDS;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The exception for `error`; where the class cannot be had, the exception that says why.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).unwrap_or_else(|failure| failure)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let class = py.import("conductor.errors")?.getattr(error.kind().row().python_class)?;
    let details = PyDict::new(py);
    details.set_item("code", error.code())?;
    details.set_item("hint", error.hint())?;
    details.set_item("path", error.path())?;
    details.set_item("field", error.field())?;
    details.set_item("cause", error.cause())?;
    details.set_item("errno", error.raw_os_error())?;
    Ok(PyErr::from_value(class.call((error.to_string(),), Some(&details))?))
}

/// The table of kinds, for a test of the classes: class, second base, kind, exit code, retryable.
pub(crate) fn kinds(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let rows = KINDS
        .iter()
        .map(|row| (row.python_class, row.python_base, row.name, row.exit_code, row.retryable));
    PyTuple::new(py, rows.collect::<Vec<_>>())
}
