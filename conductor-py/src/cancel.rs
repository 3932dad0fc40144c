//! The switch that ends waits.

use pyo3::prelude::*;

/// Ends waits from outside; it ends the waits, never the work.
#[pyclass(frozen, module = "conductor")]
pub(crate) struct Cancel(pub(crate) conductor_core::Cancel);

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

pub(crate) fn switch<'a>(
    cancel: &'a Option<PyRef<'_, Cancel>>,
) -> Option<&'a conductor_core::Cancel> {
    cancel.as_ref().map(|cancel| &cancel.0)
}
