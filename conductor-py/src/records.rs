//! What comes one after the other.

use crate::batch::to_messages;
use crate::cancel::{Cancel, switch};
use crate::record::to_dict;
use crate::wait::{ask, call};
use conductor_core::{Error, ErrorKind, Result, Step};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// Records one after the other.
#[pyclass(frozen)]
pub(crate) struct Records {
    records: Mutex<conductor_core::Records>,
    fd: i32,
}

impl Records {
    pub(crate) fn new(records: conductor_core::Records) -> Records {
        let fd = records.fd().map_or(-1, |fd| fd.as_raw_fd());
        Records { records: Mutex::new(records), fd }
    }

    /// With the records, for which nobody is waited long: a forked child inherits the lock as it was.
    fn with<T>(&self, body: impl FnOnce(&mut conductor_core::Records) -> Result<T>) -> Result<T> {
        match self.records.try_lock_for(Duration::from_millis(250)) {
            Some(mut records) => body(&mut records),
            None => {
                let message = "another thread reads from this reader";
                Err(Error::new(ErrorKind::Busy, "reader.busy", message).with_field("reader"))
            }
        }
    }
}

#[pymethods]
impl Records {
    fn next<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
        cancel: Option<PyRef<'py, Cancel>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let next = |wait| self.with(|records| records.next(wait));
        let record = ask(py, timeout, switch(&cancel), next)?;
        record.map(|record| to_dict(py, &record)).transpose()
    }

    /// Whether there is an answer, and the record; no record is the end.
    fn step<'py>(&self, py: Python<'py>) -> PyResult<(bool, Option<Bound<'py, PyDict>>)> {
        match call(py, || self.with(conductor_core::Records::step))? {
            Step::Ready(Some(record)) => Ok((true, Some(to_dict(py, &record)?))),
            Step::Ready(None) => Ok((true, None)),
            Step::Pending => Ok((false, None)),
        }
    }

    /// Messages that are there, as many as are given at once; nothing is the end.
    fn batch<'py>(
        &self,
        py: Python<'py>,
        to: &Bound<'py, PyType>,
        timeout: Option<f64>,
        cancel: Option<PyRef<'py, Cancel>>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let next = |wait| self.with(|records| records.next_batch(usize::MAX, wait));
        let rows = ask(py, timeout, switch(&cancel), next)?;
        rows.map(|rows| to_messages(py, &rows, to)).transpose()
    }

    /// Whether there is an answer, and the messages; none are the end.
    fn step_batch<'py>(
        &self,
        py: Python<'py>,
        to: &Bound<'py, PyType>,
    ) -> PyResult<(bool, Option<Bound<'py, PyList>>)> {
        match call(py, || self.with(|records| records.step_batch(usize::MAX)))? {
            Step::Ready(Some(rows)) => Ok((true, Some(to_messages(py, &rows, to)?))),
            Step::Ready(None) => Ok((true, None)),
            Step::Pending => Ok((false, None)),
        }
    }

    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        call(py, || self.with(conductor_core::Records::commit))
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        to_dict(py, &call(py, || self.with(|records| records.report()))?)
    }

    fn fileno(&self) -> i32 {
        self.fd
    }
}
