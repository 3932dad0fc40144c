//! Records as dictionaries, for the values that are written in Python.

use conductor_core::vocabulary::{FIELDS, Value as Kind};
use conductor_core::{Record, Timestamp};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::{Map, Value};
use std::time::{Duration, UNIX_EPOCH};

/// Groups whose fields stand in the vocabulary; those of others are named by users.
const GROUPS: [&str; 3] = ["latest", "waiting", "usage"];

/// A record as a dictionary: times are aware datetimes, what is not known is not there.
pub(crate) fn to_dict<'py>(py: Python<'py>, record: &Record) -> PyResult<Bound<'py, PyDict>> {
    fields(py, record.fields(), true)
}

fn fields<'py>(
    py: Python<'py>,
    map: &Map<String, Value>,
    ours: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in map {
        let value = match value {
            Value::Object(map) => {
                fields(py, map, ours && GROUPS.contains(&name.as_str()))?.into_any()
            }
            Value::String(text) if ours && is_time(name) => match text.parse::<Timestamp>() {
                Ok(time) => datetime(py, time)?,
                Err(_) => text.into_pyobject(py)?.into_any(),
            },
            value => plain(py, value)?,
        };
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

fn is_time(name: &str) -> bool {
    FIELDS
        .iter()
        .any(|field| field.value == Kind::Time && field.name.rsplit('.').next() == Some(name))
}

/// Microseconds are what Python has; the rest is cut off.
fn datetime(py: Python<'_>, time: Timestamp) -> PyResult<Bound<'_, PyAny>> {
    let micros = time.unix_nanos().div_euclid(1000);
    let length = Duration::from_micros(u64::try_from(micros.unsigned_abs()).unwrap_or(u64::MAX));
    let moment =
        if micros < 0 { UNIX_EPOCH.checked_sub(length) } else { UNIX_EPOCH.checked_add(length) };
    moment.into_pyobject(py)
}

fn plain<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number)) => number.into_pyobject(py)?.into_any(),
            (None, None) => number.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(text) => text.into_pyobject(py)?.into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(match item {
                    Value::Object(map) => fields(py, map, false)?.into_any(),
                    item => plain(py, item)?,
                })?;
            }
            list.into_any()
        }
        Value::Object(map) => fields(py, map, false)?.into_any(),
    })
}
