//! Messages by the batch, as values of the Python side.

use crate::record::to_dict;
use conductor_core::Record;
use conductor_core::bus::{Rows, Text};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyType};

/// Values of the class `to`, `conductor.Message`, one for each row.
///
/// Only what a message has is set; all else is the class's own default. The moment is made of `_ns` by
/// the class when somebody asks for it.
pub(crate) fn to_messages<'py>(
    py: Python<'py>,
    rows: &Rows,
    to: &Bound<'py, PyType>,
) -> PyResult<Bound<'py, PyList>> {
    let object = py.get_type::<PyAny>();
    let new = object.getattr(intern!(py, "__new__"))?;
    // The class's own refuses, since its values never change.
    let set = object.getattr(intern!(py, "__setattr__"))?;
    let dict_name = intern!(py, "__dict__");
    let list = PyList::empty(py);
    // What neighbours have in common is one object.
    let mut known: [Option<(&str, Bound<'py, PyString>)>; 4] = Default::default();
    for row in rows.rows() {
        if row.event.is_some() {
            let record = to_dict(py, &Record::of_row(rows, row))?;
            list.append(to.call_method1(intern!(py, "from_record"), (record,))?)?;
            continue;
        }
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "msg_id"), rows.msg_id(row))?;
        dict.set_item(intern!(py, "seq"), row.seq)?;
        dict.set_item(intern!(py, "_ns"), row.nanos)?;
        let often = [
            (intern!(py, "type"), Text::Type),
            (intern!(py, "project_id"), Text::Project),
            (intern!(py, "task_id"), Text::Task),
            (intern!(py, "run_id"), Text::Run),
        ];
        for ((name, text), known) in often.into_iter().zip(&mut known) {
            let value = rows.get(row, text);
            if value.is_empty() {
                continue;
            }
            match known {
                Some((before, object)) if *before == value => dict.set_item(name, &*object)?,
                _ => {
                    let (_, object) = known.insert((value, PyString::new(py, value)));
                    dict.set_item(name, &*object)?;
                }
            }
        }
        for (name, text) in
            [(intern!(py, "body"), Text::Body), (intern!(py, "cursor"), Text::Cursor)]
        {
            let value = rows.get(row, text);
            if !value.is_empty() {
                dict.set_item(name, PyString::new(py, value))?;
            }
        }
        dict.set_item(intern!(py, "meta"), PyDict::new(py))?;
        let value = new.call1((to,))?;
        set.call1((&value, dict_name, dict))?;
        list.append(value)?;
    }
    Ok(list)
}
