//! The compiled half of the Python package `conductor`: conversions around [`conductor_core`].
//!
//! What a Python programmer sees is in `python/conductor/`; this module is `conductor._conductor`.

mod check;
mod error;

#[pyo3::pymodule(gil_used = false)]
mod _conductor {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::check::{check_id, parse_duration};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("KINDS", super::error::kinds(module.py())?)
    }
}
