//! Waiting for many at once.

use crate::cancel::{Cancel, switch};
use crate::run::Run;
use crate::task::Task;
use crate::wait::ask;
use conductor_core::Work;
use pyo3::prelude::*;

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
