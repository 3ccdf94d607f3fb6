//! `Writer`: tables in Arrow to points.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use qmoor_client::table::{Budget, TableSchema, TableWriter, WriteOptions, WriteReport};
use serde::de::DeserializeOwned;

use crate::arrow::{batches, schema};
use crate::errors::{bad_input, from_client};
use crate::runtime::block_on;
use crate::target::target;

/// An open connection. One a process: a child of a fork makes its own.
#[pyclass(module = "qmoor._native", frozen)]
pub(crate) struct Writer {
    writer: TableWriter,
}

/// A report, and of the rows set aside: number, column and reason.
type SetAside = (String, Vec<u64>, Vec<Option<String>>, Vec<String>);

#[pymethods]
impl Writer {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the fields of a target, as Python has them")]
    fn new(
        py: Python<'_>,
        url: String,
        collection: String,
        key: Option<String>,
        tls_ca: Option<PyBackedBytes>,
        schema: &str,
        options: &str,
    ) -> PyResult<Self> {
        let target = target(url, collection, key, tls_ca);
        let schema: TableSchema = settings(py, "schema", schema)?;
        let options: WriteOptions = settings(py, "options", options)?;
        let opened = block_on(py, async move {
            let opened = TableWriter::open(&target, schema, options, Budget::of_process()).await;
            opened.map_err(|error| from_client(&error))
        });
        Ok(Self { writer: opened? })
    }

    /// The report as JSON.
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<String> {
        let report = self.write_batches(data)?;
        text(data.py(), &report)
    }

    /// As `write`, with all rows that were set aside.
    fn write_or_set_aside(&self, data: &Bound<'_, PyAny>) -> PyResult<SetAside> {
        let mut report = self.write_batches(data)?;
        let (mut rows, mut columns, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        for bad in std::mem::take(&mut report.set_aside) {
            rows.push(bad.row);
            columns.push(bad.column);
            reasons.push(bad.why);
        }
        Ok((text(data.py(), &report)?, rows, columns, reasons))
    }

    #[pyo3(signature = (table=None))]
    fn check(&self, py: Python<'_>, table: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let table = table.map(schema).transpose()?;
        block_on(py, async {
            self.writer.check(table.as_ref()).await.map_err(|error| from_client(&error))
        })
    }

    fn check_key(&self, py: Python<'_>) -> PyResult<()> {
        block_on(py, async { self.writer.check_key().await.map_err(|error| from_client(&error)) })
    }

    #[expect(clippy::needless_pass_by_value, reason = "what Python hands over is owned")]
    fn delete_tails(&self, py: Python<'_>, documents: Vec<(String, u64)>) -> PyResult<u64> {
        block_on(py, async {
            self.writer.delete_tails(&documents).await.map_err(|error| from_client(&error))
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "what Python hands over is owned")]
    fn delete_older_of(&self, py: Python<'_>, docs: Vec<String>) -> PyResult<u64> {
        block_on(py, async {
            self.writer.delete_older_of(&docs).await.map_err(|error| from_client(&error))
        })
    }

    fn delete_older(&self, py: Python<'_>) -> PyResult<u64> {
        block_on(py, async {
            self.writer.delete_older().await.map_err(|error| from_client(&error))
        })
    }

    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        block_on(py, async { self.writer.count().await.map_err(|error| from_client(&error)) })
    }

    fn newest_generation(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        block_on(py, async {
            self.writer.newest_generation().await.map_err(|error| from_client(&error))
        })
    }

    /// Of each row of all batches, whether it is to be written.
    fn changed(&self, data: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
        let py = data.py();
        let batches = batches(data)?;
        block_on(py, async {
            let mut changed = Vec::new();
            for batch in batches {
                let batch = batch.map_err(|error| {
                    Python::attach(|py| {
                        bad_input(py, &format!("the Arrow data cannot be read: {error}"), "")
                    })
                })?;
                changed.extend(
                    self.writer.changed(&batch).await.map_err(|error| from_client(&error))?,
                );
            }
            Ok(changed)
        })
    }
}

impl Writer {
    fn write_batches(&self, data: &Bound<'_, PyAny>) -> PyResult<WriteReport> {
        let batches = batches(data)?;
        block_on(data.py(), async {
            self.writer.write(batches).await.map_err(|error| from_client(&error))
        })
    }
}

fn settings<T: DeserializeOwned>(py: Python<'_>, what: &str, text: &str) -> PyResult<T> {
    serde_json::from_str(text).map_err(|error| bad_input(py, &format!("{what}: {error}"), ""))
}

fn text(py: Python<'_>, report: &WriteReport) -> PyResult<String> {
    serde_json::to_string(report)
        .map_err(|error| bad_input(py, &format!("the report: {error}"), ""))
}
