//! Runs.

use crate::cancel::{Cancel, switch};
use crate::given::{Pairs, dict, settings};
use crate::records::Records;
use crate::wait::{ask, call, once};
use conductor_core::Step;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::AsRawFd as _;

/// One execution of one agent.
#[pyclass(frozen)]
pub(crate) struct Run(pub(crate) conductor_core::Run);

#[pymethods]
impl Run {
    fn ids(&self) -> (String, String, String) {
        let run = &self.0;
        (run.project().to_string(), run.task().to_string(), run.id().to_string())
    }

    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &call(py, || self.0.info())?)
    }

    fn why<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &call(py, || self.0.why())?)
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
            Step::Ready(info) => dict(py, &info).map(Some),
            Step::Pending => Ok(None),
        }
    }

    fn fileno(&self) -> i32 {
        self.0.fd().as_raw_fd()
    }

    fn output(&self, py: Python<'_>, options: Pairs) -> PyResult<Records> {
        let settings = settings(py, options)?;
        call(py, || conductor_core::Records::output(&self.0, &settings.output()?)).map(Records::new)
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
