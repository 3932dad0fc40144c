//! Garbage collection: planning, and carrying a plan out.

use crate::cancel::{Cancel, switch};
use crate::error::raise;
use crate::given::{Pairs, dict, settings};
use crate::records::Records;
use crate::root::Conductor;
use crate::wait::{call, once_within};
use conductor_core::GcPlan;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What garbage collection would do.
#[pyclass(frozen)]
pub(crate) struct Plan(GcPlan);

/// Looks at a root, as far as it must be known to judge any of it.
#[pyfunction]
pub(crate) fn gc_plan(
    py: Python<'_>,
    conductor: PyRef<'_, Conductor>,
    options: Pairs,
    timeout: Option<f64>,
    cancel: Option<PyRef<'_, Cancel>>,
) -> PyResult<Plan> {
    let opened = conductor.get(py)?;
    let policy = settings(py, options)?.gc(opened.gc().policy());
    let policy = policy.map_err(|error| raise(py, &error))?;
    let plan = |wait| opened.gc().plan_telling(policy, wait, |_, _| {});
    once_within(py, timeout, switch(&cancel), plan).map(Plan)
}

/// Makes a plan again of its text.
#[pyfunction]
pub(crate) fn gc_plan_again(
    py: Python<'_>,
    conductor: PyRef<'_, Conductor>,
    plan: &str,
    timeout: Option<f64>,
    cancel: Option<PyRef<'_, Cancel>>,
) -> PyResult<Plan> {
    let opened = conductor.get(py)?;
    let again = |wait| opened.gc().plan_again(plan, wait);
    once_within(py, timeout, switch(&cancel), again).map(Plan)
}

#[pymethods]
impl Plan {
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, &self.0)
    }

    fn items(&self, py: Python<'_>, all: bool) -> PyResult<Records> {
        call(py, || Ok(conductor_core::Records::gc_items(&self.0, all))).map(Records::new)
    }

    fn apply(&self, py: Python<'_>) -> PyResult<Records> {
        call(py, || conductor_core::Records::gc_work(&self.0)).map(Records::new)
    }
}
