//! Parquet: decoded a few hundred rows at a time, so that memory follows the page size and not the
//! file's.

use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde_json::Map;

use super::chunk::Chunker;
use super::open::{head, looks_like};
use super::row::{Row, Table, fault};
use super::values::unreadable;
use super::{Columns, Item, Place, RowFault, SourceError, SourceOptions};
use crate::arrow;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 256;

/// A Parquet file.
pub(super) struct Parquet {
    /// Documents in it, if each row is one.
    pub(super) documents: Option<u64>,
    pub(super) bytes: u64,
    rows: u64,
    path: PathBuf,
    file: Arc<str>,
    reader: ParquetRecordBatchReader,
    table: Table,
    batch: Option<RecordBatch>,
    /// Rows of the batch handed out.
    at: usize,
    /// Rows of the file handed out.
    row: u64,
    pending: VecDeque<Item>,
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parquet").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Parquet {
    pub(super) fn open(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        check_marks(path)?;
        let damaged = |error: String| SourceError::Damaged { path: path.to_owned(), reason: error };
        let file = fs_err::File::open(path).map_err(|error| unreadable(path, error))?;
        let bytes = file.metadata().map_err(|error| unreadable(path, error))?.len();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.into_parts().0)
            .map_err(|error| damaged(error.to_string()))?;
        let columns = options.columns.clone();
        check_columns(path, &columns, builder.schema())?;
        let has_doc = builder.schema().column_with_name(&columns.doc).is_some();
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        if rows == 0 {
            let what = "it has no rows".to_owned();
            return Err(SourceError::Empty { path: path.to_owned(), what });
        }
        let reader = builder
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| damaged(error.to_string()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            documents: (!has_doc).then_some(rows),
            bytes,
            rows,
            path: path.to_owned(),
            file: Arc::from(path.to_string_lossy().as_ref()),
            reader,
            table: Table { columns, chunker: Chunker::new(options)?, name },
            batch: None,
            at: 0,
            row: 0,
            pending: VecDeque::new(),
        })
    }

    /// An estimate: the part of the rows that is behind us.
    pub(super) fn bytes_read(&self) -> u64 {
        let part = u128::from(self.bytes) * u128::from(self.row) / u128::from(self.rows.max(1));
        u64::try_from(part).unwrap_or(self.bytes)
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, SourceError> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Ok(Some(item));
            }
            let Some(batch) = self.batch()? else { return Ok(None) };
            let at = self.at;
            self.at += 1;
            self.row += 1;
            let place = Place { file: Arc::clone(&self.file), row: Some(self.row) };
            let row = row(&batch, at, &self.table.columns);
            match row.and_then(|row| self.table.items(row, &place)) {
                Ok(items) => self.pending = items,
                Err(fault) => return Err(SourceError::Row { place, fault }),
            }
        }
    }

    /// The batch that holds the next row.
    fn batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            if let Some(batch) = &self.batch
                && self.at < batch.num_rows()
            {
                return Ok(Some(batch.clone()));
            }
            let next = self.reader.next().transpose().map_err(|error| SourceError::Damaged {
                path: self.path.clone(),
                reason: format!("after row {}: {error}", self.row),
            })?;
            self.at = 0;
            self.batch = next;
            if self.batch.is_none() {
                return Ok(None);
            }
        }
    }
}

fn row(batch: &RecordBatch, at: usize, columns: &Columns) -> Result<Row, RowFault> {
    let mut row = Row { payload: Map::new(), ..Row::default() };
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if array.is_null(at) {
            continue;
        }
        let name = field.name();
        if *name == columns.vector {
            row.vector = Some(vector(array, at).map_err(|reason| fault(name, reason))?);
            continue;
        }
        let value = arrow::value(array, at).map_err(|reason| fault(name, reason))?;
        if *name == columns.text {
            let text = value.as_str().ok_or_else(|| fault(name, "not text"))?;
            row.text = Some(text.to_owned());
        } else if *name == columns.doc {
            row.doc = Some(value);
        } else if *name == columns.id {
            row.id = Some(value);
        } else if *name == columns.chunk {
            row.chunk = Some(value);
        } else if !value.is_null() {
            row.payload.insert(name.clone(), value);
        }
    }
    Ok(row)
}

/// One row of a column of lists of numbers.
fn vector(array: &ArrayRef, at: usize) -> Result<Vec<f32>, String> {
    let list = match array.data_type() {
        DataType::FixedSizeList(_, _) => array.as_fixed_size_list().value(at),
        DataType::List(_) => array.as_list::<i32>().value(at),
        DataType::LargeList(_) => array.as_list::<i64>().value(at),
        other => return Err(format!("not a list of numbers but {other}")),
    };
    if list.null_count() > 0 {
        return Err("a null in the vector".to_owned());
    }
    if list.is_empty() {
        return Err("an empty vector".to_owned());
    }
    if !list.data_type().is_numeric() {
        return Err(format!("not a list of numbers but of {}", list.data_type()));
    }
    let numbers = arrow_cast::cast(&list, &DataType::Float32).map_err(|error| error.to_string())?;
    Ok(numbers.as_primitive::<Float32Type>().values().to_vec())
}

/// A Parquet file begins and ends with `PAR1`; one that only begins with it was cut short.
fn check_marks(path: &Path) -> Result<(), SourceError> {
    let first = head(path)?;
    if !first.starts_with(b"PAR1") {
        let found = looks_like(&first).unwrap_or("it lacks the mark of a Parquet file");
        let found = if first.starts_with(b"PARE") { "its footer is encrypted" } else { found };
        return Err(SourceError::WrongKind {
            path: path.to_owned(),
            expected: "Parquet",
            found: found.to_owned(),
        });
    }
    let mut last = [0; 4];
    let at_end = fs_err::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut last)
    });
    at_end.map_err(|error| unreadable(path, error))?;
    if &last == b"PAR1" {
        return Ok(());
    }
    let reason = "its end is missing, where the table of contents stands".to_owned();
    Err(SourceError::Truncated { path: path.to_owned(), reason })
}

fn check_columns(
    path: &Path,
    columns: &Columns,
    schema: &arrow_schema::Schema,
) -> Result<(), SourceError> {
    let has = |name: &str| schema.column_with_name(name).is_some();
    if has(&columns.text) || has(&columns.vector) {
        return Ok(());
    }
    let found: Vec<_> = schema.fields().iter().map(|field| format!("`{}`", field.name())).collect();
    Err(SourceError::NoColumn {
        path: path.to_owned(),
        text: columns.text.clone(),
        vector: columns.vector.clone(),
        found: found.join(", "),
    })
}
