//! Tasks.

use crate::cancel::{Cancel, switch};
use crate::given::{Pairs, dict, settings};
use crate::records::Records;
use crate::wait::{ask, call, once};
use conductor_core::{Step, Wait};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::AsRawFd as _;

/// Runs of an agent until DONE stands.
#[pyclass(frozen)]
pub(crate) struct Task(pub(crate) conductor_core::Task);

#[pymethods]
impl Task {
    fn ids(&self) -> (String, String) {
        (self.0.project().to_string(), self.0.id().to_string())
    }

    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &call(py, || self.0.info())?)
    }

    fn wait<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        cancel: Option<PyRef<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &ask(py, timeout, switch(&cancel), |wait| self.0.wait(wait))?)
    }

    fn step<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        match call(py, || self.0.step())? {
            Step::Ready(result) => dict(py, &result).map(Some),
            Step::Pending => Ok(None),
        }
    }

    fn fileno(&self) -> i32 {
        self.0.fd().as_raw_fd()
    }

    fn follow(&self, py: Python<'_>, options: Pairs) -> PyResult<Records> {
        let settings = settings(py, options)?;
        let follow = || self.0.follow_with(settings.read()?.options, Wait::FOREVER);
        Ok(Records::new(call(py, follow)?.into()))
    }

    fn stop<'py>(
        &self,
        py: Python<'py>,
        options: Pairs,
        cancel: Option<PyRef<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let settings = settings(py, options)?;
        let report = once(py, switch(&cancel), |wait| self.0.stop(settings.stop()?, wait))?;
        dict(py, &report)
    }
}
