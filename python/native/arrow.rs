//! Arrow in and out over the C data interface, by the `PyCapsule` protocol
//! (<https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html>): no copy, and no
//! dependency on any one Python library.
#![allow(unsafe_code, reason = "the C data interface is made of raw pointers")]

use std::ffi::CStr;
use std::ptr::NonNull;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};
use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchIterator, make_array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use crate::errors::bad_input;

const STREAM: &CStr = c"arrow_array_stream";
const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";

/// Record batches from Python. Reading them may call into Python, which attaches by itself.
pub(crate) fn batches(data: &Bound<'_, PyAny>) -> PyResult<RecordBatchStreamReader> {
    let Ok(method) = data.getattr("__arrow_c_stream__") else {
        return Err(bad_input(
            data.py(),
            &format!(
                "a {} is no Arrow table: it has no `__arrow_c_stream__`",
                data.get_type().name()?
            ),
            "give a pyarrow Table or RecordBatchReader, a pandas or polars DataFrame, or a dict of columns",
        ));
    };
    let capsule = method.call0()?.cast_into::<PyCapsule>()?;
    let pointer: NonNull<FFI_ArrowArrayStream> = capsule.pointer_checked(Some(STREAM))?.cast();
    // SAFETY: the capsule is named as one that holds an initialized `ArrowArrayStream`, and lives until
    // the end of this function. `from_raw` moves the stream out and leaves a released one behind, as the
    // protocol asks of consumers.
    let reader = unsafe { RecordBatchStreamReader::from_raw(pointer.as_ptr()) };
    reader.map_err(|error| unreadable(data.py(), &error))
}

/// One array from Python.
pub(crate) fn array(data: &Bound<'_, PyAny>) -> PyResult<(ArrayRef, Field)> {
    let py = data.py();
    let Ok(method) = data.getattr("__arrow_c_array__") else {
        return Err(bad_input(
            py,
            &format!(
                "a {} is no Arrow array: it has no `__arrow_c_array__`",
                data.get_type().name()?
            ),
            "give a pyarrow or numpy array",
        ));
    };
    let pair = method.call0()?.cast_into::<PyTuple>()?;
    let schema = pair.get_item(0)?.cast_into::<PyCapsule>()?;
    let array = pair.get_item(1)?.cast_into::<PyCapsule>()?;
    let schema: NonNull<FFI_ArrowSchema> = schema.pointer_checked(Some(SCHEMA))?.cast();
    let array: NonNull<FFI_ArrowArray> = array.pointer_checked(Some(ARRAY))?.cast();
    // SAFETY: both capsules are named as what they are read as, and live until the end of this function.
    // `FFI_ArrowArray::from_raw` moves the array out and leaves a released one behind.
    let (array, schema) = unsafe { (FFI_ArrowArray::from_raw(array.as_ptr()), schema.as_ref()) };
    let field = Field::try_from(schema).map_err(|error| unreadable(py, &error))?;
    // SAFETY: array and schema come as a pair from one producer, so they describe the same data.
    let data = unsafe { from_ffi(array, schema) };
    Ok((make_array(data.map_err(|error| unreadable(py, &error))?), field))
}

/// The schema of a table from Python.
pub(crate) fn schema(data: &Bound<'_, PyAny>) -> PyResult<Schema> {
    let py = data.py();
    let capsule = data.call_method0("__arrow_c_schema__")?.cast_into::<PyCapsule>()?;
    let pointer: NonNull<FFI_ArrowSchema> = capsule.pointer_checked(Some(SCHEMA))?.cast();
    // SAFETY: the capsule is named as one that holds an `ArrowSchema`, and lives until the end of this function.
    let field =
        Field::try_from(unsafe { pointer.as_ref() }).map_err(|error| unreadable(py, &error))?;
    match field.data_type() {
        DataType::Struct(fields) => Ok(Schema::new(fields.clone())),
        other => {
            Err(bad_input(py, &format!("the schema is that of a {other}, not of a table"), ""))
        }
    }
}

/// Record batches for Python: `pyarrow.table(stream)` takes them. They can be taken once or many times.
#[derive(Debug)]
#[pyclass(module = "qmoor._native", frozen)]
pub(crate) struct Stream {
    batch: RecordBatch,
}

impl From<RecordBatch> for Stream {
    fn from(batch: RecordBatch) -> Self {
        Self { batch }
    }
}

#[pymethods]
impl Stream {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // What is asked for is a wish that a producer may leave alone.
        drop(requested_schema);
        let schema = self.batch.schema();
        let reader = RecordBatchIterator::new([Ok(self.batch.clone())], schema);
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), STREAM)
    }
}

fn unreadable(py: Python<'_>, error: &ArrowError) -> PyErr {
    bad_input(py, &format!("the Arrow data cannot be read: {error}"), "")
}
