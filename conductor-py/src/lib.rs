//! The compiled half of the Python package `conductor`: conversions around [`conductor_core`].
//!
//! What a Python programmer sees is in `python/conductor/`; this module is `conductor._conductor`.

mod any;
mod batch;
mod bus;
mod cancel;
mod check;
mod config;
mod error;
mod gc;
mod given;
mod log;
mod outbox;
mod record;
mod records;
mod root;
mod run;
mod task;
mod update;
mod vocabulary;
mod wait;

#[pyo3::pymodule(gil_used = false)]
mod _conductor {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::any::wait_any;
    #[pymodule_export]
    use super::bus::Bus;
    #[pymodule_export]
    use super::cancel::Cancel;
    #[pymodule_export]
    use super::check::{check_id, parse_duration};
    #[pymodule_export]
    use super::config::{config, validate};
    #[pymodule_export]
    use super::gc::{Plan, gc_plan, gc_plan_again};
    #[pymodule_export]
    use super::log::log;
    #[pymodule_export]
    use super::outbox::{deliver, outbox};
    #[pymodule_export]
    use super::records::Records;
    #[pymodule_export]
    use super::root::Conductor;
    #[pymodule_export]
    use super::run::Run;
    #[pymodule_export]
    use super::task::Task;
    #[pymodule_export]
    use super::update::{update_cancel, update_start, update_status};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("KINDS", super::error::kinds(py)?)?;
        module.add("OPTIONS", super::vocabulary::options(py)?)?;
        module.add("FIELDS", super::vocabulary::fields(py)?)
    }
}
