//! Errors of the client as those of `qmoor.errors`, which are plain Python and so can be pickled.

use pyo3::prelude::*;
use qmoor_client::error::Error;
use serde_json::{Value, json};

/// An error of the client.
pub(crate) fn from_client(error: &Error) -> PyErr {
    let fields = json!({
        "code": error.code(),
        "message": with_causes(error),
        "hint": error.hint(),
        "row": error.row(),
        "column": error.column(),
        "report": error.report().and_then(|report| serde_json::to_value(report).ok()),
    });
    Python::attach(|py| raise(py, &fields))
}

/// Something that was given from Python and cannot be used.
pub(crate) fn bad_input(py: Python<'_>, message: &str, hint: &str) -> PyErr {
    let hint = if hint.is_empty() { Value::Null } else { hint.into() };
    raise(py, &json!({ "code": "bad_input", "message": message, "hint": hint }))
}

fn raise(py: Python<'_>, fields: &Value) -> PyErr {
    let made = py
        .import("qmoor.errors")
        .and_then(|errors| errors.call_method1("from_native", (fields.to_string(),)));
    match made {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// The message and what is behind it, without saying anything twice.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
