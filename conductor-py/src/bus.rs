//! The bus.

use crate::cancel::{Cancel, switch};
use crate::error::raise;
use crate::given::{Pairs, dict, settings};
use crate::records::Records;
use crate::wait::{ask, call};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// The message log of a project or a task.
#[pyclass(frozen)]
pub(crate) struct Bus(pub(crate) conductor_core::Bus);

#[pymethods]
impl Bus {
    fn path(&self) -> PathBuf {
        self.0.path()
    }

    fn post<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        body: &str,
        options: Pairs,
        cancel: Option<PyRef<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let plan = settings(py, options)?.post(kind, body).map_err(|error| raise(py, &error))?;
        let limit = plan.wait.as_secs_f64();
        // A wait for the lock that is over wrote nothing.
        let posted =
            ask(py, Some(limit), switch(&cancel), |wait| plan.clone().send(&self.0, wait))?;
        dict(py, &posted)
    }

    fn read(&self, py: Python<'_>, options: Pairs) -> PyResult<Records> {
        let settings = settings(py, options)?;
        call(py, || conductor_core::Records::read(&self.0, settings.read()?)).map(Records::new)
    }

    fn rotate<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        cancel: Option<PyRef<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &ask(py, timeout, switch(&cancel), |wait| self.0.rotate(wait))?)
    }

    fn check<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &call(py, || self.0.check())?)
    }
}
