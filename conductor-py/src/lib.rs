//! The compiled half of the Python package `conductor`: conversions around [`conductor_core`].
//!
//! What a Python programmer sees is in `python/conductor/`; this module is `conductor._conductor`.

mod check;
mod error;
mod handles;
mod record;
mod vocabulary;
mod wait;

#[pyo3::pymodule(gil_used = false)]
mod _conductor {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::check::{check_id, parse_duration};
    #[pymodule_export]
    use super::handles::{Bus, Cancel, Conductor, Records, Run, Task, wait_any};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("KINDS", super::error::kinds(py)?)?;
        module.add("OPTIONS", super::vocabulary::options(py)?)?;
        module.add("FIELDS", super::vocabulary::fields(py)?)
    }
}
