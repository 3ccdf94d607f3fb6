//! Point ids by the column.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use pyo3::prelude::*;
use qmoor_client::table;

use crate::arrow::{Stream, array};
use crate::errors::{bad_input, from_client};

/// One id a row; the column is called `id`.
#[pyfunction]
pub(crate) fn point_ids(
    first: &Bound<'_, PyAny>,
    second: Option<&Bound<'_, PyAny>>,
    namespace: &str,
    scheme: &str,
) -> PyResult<Stream> {
    let py = first.py();
    let namespace = namespace
        .parse()
        .map_err(|error| bad_input(py, &format!("the namespace is no UUID: {error}"), ""))?;
    let scheme = scheme.parse().map_err(|error| from_client(&error))?;
    let (first, _) = array(first)?;
    let second = second.map(array).transpose()?.map(|(second, _)| second);
    let ids = py
        .detach(|| table::ids(scheme, &first, second.as_ref(), &namespace))
        .map_err(|error| from_client(&error))?;
    let schema =
        Schema::new(vec![Field::new("id", arrow_array::Array::data_type(&ids).clone(), false)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids)])
        .map_err(|error| bad_input(py, &error.to_string(), ""))?;
    Ok(batch.into())
}
