//! The root: what is in it, and starting work in it.

use crate::bus::Bus;
use crate::cancel::{Cancel, switch};
use crate::error::raise;
use crate::given::{Pairs, dict, ids, settings};
use crate::records::Records;
use crate::run::Run;
use crate::task::Task;
use crate::wait::{call, once};
use conductor_core::{Error, RunId};
use parking_lot::RwLock;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// An opened root.
#[pyclass(frozen)]
pub(crate) struct Conductor(RwLock<Option<conductor_core::Conductor>>);

impl Conductor {
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<conductor_core::Conductor> {
        self.0.read().clone().ok_or_else(|| {
            let message = "the root was closed";
            let error = Error::invalid("handle.closed", "conductor", message)
                .with_hint("open it again, or use it inside its `with`");
            raise(py, &error)
        })
    }
}

#[pymethods]
impl Conductor {
    #[new]
    fn new(py: Python<'_>, root: Option<PathBuf>, options: Pairs) -> PyResult<Conductor> {
        let settings = settings(py, options)?;
        let opened = call(py, || settings.open()?.open(root))?;
        Ok(Conductor(RwLock::new(Some(opened))))
    }

    fn close(&self) {
        *self.0.write() = None;
    }

    fn root(&self, py: Python<'_>) -> PyResult<PathBuf> {
        Ok(self.get(py)?.root().to_owned())
    }

    fn list(&self, py: Python<'_>, options: Pairs) -> PyResult<Records> {
        let (opened, settings) = (self.get(py)?, settings(py, options)?);
        call(py, || conductor_core::Records::list(&opened, settings.list()?)).map(Records::new)
    }

    fn reconcile(&self, py: Python<'_>, cancel: Option<PyRef<'_, Cancel>>) -> PyResult<Records> {
        let opened = self.get(py)?;
        let closed = once(py, switch(&cancel), |wait| opened.reconcile(wait))?;
        Ok(Records::new(closed.into()))
    }

    fn bus(&self, py: Python<'_>, project: &str, task: Option<&str>) -> PyResult<Bus> {
        let opened = self.get(py)?;
        call(py, || match task {
            Some(task) => opened.bus((project, task)),
            None => opened.bus(project),
        })
        .map(Bus)
    }

    fn start_job(
        &self,
        py: Python<'_>,
        options: Pairs,
        cancel: Option<PyRef<'_, Cancel>>,
    ) -> PyResult<Run> {
        let (opened, settings) = (self.get(py)?, settings(py, options)?);
        let start = |wait| opened.jobs().start(settings.job()?, wait);
        once(py, switch(&cancel), start).map(Run)
    }

    fn start_task(
        &self,
        py: Python<'_>,
        options: Pairs,
        resume: bool,
        cancel: Option<PyRef<'_, Cancel>>,
    ) -> PyResult<Task> {
        let (opened, settings) = (self.get(py)?, settings(py, options)?);
        let start = |wait| match resume {
            true => opened.tasks().resume(settings.task()?, wait),
            false => opened.tasks().start(settings.task()?, wait),
        };
        once(py, switch(&cancel), start).map(Task)
    }

    fn run(&self, py: Python<'_>, project: &str, task: &str, run: Option<&str>) -> PyResult<Run> {
        let opened = self.get(py)?;
        call(py, || {
            let (project, task) = ids(project, task)?;
            match run {
                Some(run) => opened.runs().get(&project, &task, &RunId::new(run)?),
                None => opened.runs().get_newest(&project, &task),
            }
        })
        .map(Run)
    }

    fn task(&self, py: Python<'_>, project: &str, task: &str, drive: bool) -> PyResult<Task> {
        let opened = self.get(py)?;
        call(py, || {
            let (project, task) = ids(project, task)?;
            match drive {
                true => opened.tasks().attach(&project, &task),
                false => opened.tasks().get(&project, &task),
            }
        })
        .map(Task)
    }

    fn cancel_task<'py>(
        &self,
        py: Python<'py>,
        project: &str,
        task: &str,
        options: Pairs,
        cancel: Option<PyRef<'py, Cancel>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (opened, settings) = (self.get(py)?, settings(py, options)?);
        let report = once(py, switch(&cancel), |wait| {
            let (project, task) = ids(project, task)?;
            opened.tasks().cancel(&project, &task, settings.stop()?, wait)
        })?;
        dict(py, &report)
    }

    fn set_back_task(
        &self,
        py: Python<'_>,
        project: &str,
        task: &str,
        cancel: Option<PyRef<'_, Cancel>>,
    ) -> PyResult<()> {
        let opened = self.get(py)?;
        once(py, switch(&cancel), |wait| {
            let (project, task) = ids(project, task)?;
            opened.tasks().set_back(&project, &task, wait)
        })
    }

    fn delete_task(
        &self,
        py: Python<'_>,
        project: &str,
        task: &str,
        options: Pairs,
        cancel: Option<PyRef<'_, Cancel>>,
    ) -> PyResult<()> {
        let (opened, settings) = (self.get(py)?, settings(py, options)?);
        once(py, switch(&cancel), |wait| {
            let (project, task) = ids(project, task)?;
            opened.tasks().delete(&project, &task, settings.delete()?, wait)
        })
    }

    fn usage<'py>(&self, py: Python<'py>, options: Pairs) -> PyResult<Bound<'py, PyDict>> {
        let (opened, settings) = (self.get(py)?, settings(py, options)?);
        let report = call(py, || {
            let plan = settings.usage()?;
            let report = opened.usage(plan.project.as_ref(), plan.task.as_ref())?;
            Ok(report.record(plan.group()))
        })?;
        dict(py, report)
    }

    fn doctor(&self, py: Python<'_>) -> PyResult<Records> {
        let opened = self.get(py)?;
        call(py, || conductor_core::Records::doctor(&opened)).map(Records::new)
    }
}
