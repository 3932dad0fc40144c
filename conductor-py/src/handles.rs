//! The library's handles. What a Python programmer sees is written in Python around them.

use crate::error::raise;
use crate::record::to_dict;
use crate::wait::{ask, call, once};
use conductor_core::{
    Error, ErrorKind, Options, ProjectId, Record, Result, RunId, Settings, Step, TaskId, Wait, Work,
};
use parking_lot::{Mutex, RwLock};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::time::Duration;

/// Options by name, as the Python side writes them.
type Pairs = Vec<(String, String)>;

fn settings(py: Python<'_>, options: Pairs) -> PyResult<Settings> {
    let mut settings = Settings::new();
    for (name, value) in &options {
        settings.set(name, value).map_err(|error| raise(py, &error))?;
    }
    Ok(settings)
}

fn dict<'py>(py: Python<'py>, record: impl Into<Record>) -> PyResult<Bound<'py, PyDict>> {
    to_dict(py, &record.into())
}

/// Ends waits from outside; it ends the waits, never the work.
#[pyclass(frozen, module = "conductor")]
pub(crate) struct Cancel(conductor_core::Cancel);

#[pymethods]
impl Cancel {
    #[new]
    fn new() -> Cancel {
        Cancel(conductor_core::Cancel::new())
    }

    /// Ends every wait that has this switch, now and later. Any thread may call it at any time.
    fn set(&self) {
        self.0.set();
    }

    /// Whether it was set.
    fn is_set(&self) -> bool {
        self.0.is_set()
    }
}

fn switch<'a>(cancel: &'a Option<PyRef<'_, Cancel>>) -> Option<&'a conductor_core::Cancel> {
    cancel.as_ref().map(|cancel| &cancel.0)
}

/// An opened root.
#[pyclass(frozen)]
pub(crate) struct Conductor(RwLock<Option<conductor_core::Conductor>>);

impl Conductor {
    fn get(&self, py: Python<'_>) -> PyResult<conductor_core::Conductor> {
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
        let options: Options = settings(py, options)?.open().map_err(|error| raise(py, &error))?;
        let sources = conductor_core::Conductor::sources(root);
        let opened = call(py, || conductor_core::Conductor::open_from(&sources, options))?;
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
            let (project, task) = (ProjectId::new(project)?, TaskId::new(task)?);
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
            let (project, task) = (ProjectId::new(project)?, TaskId::new(task)?);
            match drive {
                true => opened.tasks().attach(&project, &task),
                false => opened.tasks().get(&project, &task),
            }
        })
        .map(Task)
    }
}

/// The message log of a project or a task.
#[pyclass(frozen)]
pub(crate) struct Bus(conductor_core::Bus);

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
}

/// One execution of one agent.
#[pyclass(frozen)]
pub(crate) struct Run(conductor_core::Run);

#[pymethods]
impl Run {
    fn ids(&self) -> (String, String, String) {
        let run = &self.0;
        (run.project().to_string(), run.task().to_string(), run.id().to_string())
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

/// Runs of an agent until DONE stands.
#[pyclass(frozen)]
pub(crate) struct Task(conductor_core::Task);

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

/// Records one after the other.
#[pyclass(frozen)]
pub(crate) struct Records {
    records: Mutex<conductor_core::Records>,
    fd: i32,
}

impl Records {
    fn new(records: conductor_core::Records) -> Records {
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

    fn fileno(&self) -> i32 {
        self.fd
    }
}

#[derive(FromPyObject)]
pub(crate) enum Waited<'py> {
    Run(PyRef<'py, Run>),
    Task(PyRef<'py, Task>),
}

/// Waits until the first of some runs and tasks has ended; its place in the list.
#[pyfunction]
pub(crate) fn wait_any(
    py: Python<'_>,
    work: Vec<Waited<'_>>,
    timeout: Option<f64>,
    cancel: Option<PyRef<'_, Cancel>>,
) -> PyResult<usize> {
    let all: Vec<Either> = work
        .iter()
        .map(|one| match one {
            Waited::Run(run) => Either::Run(run.0.clone()),
            Waited::Task(task) => Either::Task(task.0.clone()),
        })
        .collect();
    ask(py, timeout, switch(&cancel), |wait| {
        let work: Vec<&dyn Work> = all.iter().map(Either::as_work).collect();
        conductor_core::wait_any(&work, wait)
    })
}

enum Either {
    Run(conductor_core::Run),
    Task(conductor_core::Task),
}

impl Either {
    fn as_work(&self) -> &dyn Work {
        match self {
            Either::Run(run) => run,
            Either::Task(task) => task,
        }
    }
}
