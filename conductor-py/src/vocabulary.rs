//! The tables of options and fields, for the Python side and its tests.

use conductor_core::vocabulary::{FIELDS, OPTIONS};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Each option: name, kind of value, whether it is a list, what takes it.
pub(crate) fn options(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let rows = OPTIONS.iter().map(|row| {
        let nouns: Vec<String> = row.nouns.iter().map(word).collect();
        (row.name, word(&row.value), row.list, nouns)
    });
    PyTuple::new(py, rows.collect::<Vec<_>>())
}

/// Each field: what it tells of, name, kind of value.
pub(crate) fn fields(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let rows = FIELDS.iter().map(|row| (word(&row.about), row.name, word(&row.value)));
    PyTuple::new(py, rows.collect::<Vec<_>>())
}

fn word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}
