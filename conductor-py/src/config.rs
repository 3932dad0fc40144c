//! The configuration, and whether this machine is ready.

use crate::given::{Pairs, dict, settings};
use crate::wait::call;
use conductor_core::{Conductor, Error};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// What is configured, and where each value is from.
#[pyfunction]
pub(crate) fn config(py: Python<'_>, options: Pairs) -> PyResult<Bound<'_, PyDict>> {
    let settings = settings(py, options)?;
    let loaded = call(py, || {
        let sources = Conductor::config_sources(settings.config()?);
        Conductor::load_config(&sources).map_err(Error::from)
    })?;
    dict(py, &loaded)
}

/// Whether this machine is ready to start work.
#[pyfunction]
pub(crate) fn validate(
    py: Python<'_>,
    root: Option<PathBuf>,
    options: Pairs,
) -> PyResult<Bound<'_, PyDict>> {
    let settings = settings(py, options)?;
    let found = call(py, || {
        let (config, wish) = settings.validate()?;
        let sources = Conductor::config_sources(config);
        Ok(Conductor::validate(&sources, &Conductor::sources(root), &wish))
    })?;
    dict(py, &found)
}
