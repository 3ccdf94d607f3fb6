//! Files of vectors of one length, read row by row.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Map;

use super::{Item, Place, Record, SourceError};

/// The longest vector Qdrant takes.
pub(super) const DIMENSION_MAX: usize = 65_535;

/// A file of rows of the same number of bytes.
#[derive(Debug)]
pub(super) struct Vectors {
    pub(super) bytes_read: u64,
    path: PathBuf,
    file: Arc<str>,
    name: String,
    reader: BufReader<fs_err::File>,
    buffer: Vec<u8>,
    /// Rows in the file.
    rows: u64,
    /// Rows handed out.
    row: u64,
}

impl Vectors {
    pub(super) fn new(
        path: &Path,
        reader: BufReader<fs_err::File>,
        row_bytes: usize,
        rows: u64,
    ) -> Self {
        Self {
            bytes_read: 0,
            path: path.to_owned(),
            file: Arc::from(path.to_string_lossy().as_ref()),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            reader,
            buffer: vec![0; row_bytes],
            rows,
            row: 0,
        }
    }

    /// The bytes of the next row.
    pub(super) fn next_row(&mut self) -> Result<Option<&[u8]>, SourceError> {
        if self.row == self.rows {
            return Ok(None);
        }
        if let Err(error) = self.reader.read_exact(&mut self.buffer) {
            return Err(match error.kind() {
                std::io::ErrorKind::UnexpectedEof => SourceError::Truncated {
                    path: self.path.clone(),
                    reason: format!("it became shorter while row {} was read", self.row + 1),
                },
                _ => unreadable(&self.path, error),
            });
        }
        self.row += 1;
        self.bytes_read += u64::try_from(self.buffer.len()).unwrap_or(0);
        Ok(Some(&self.buffer))
    }

    pub(super) fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), row: Some(self.row) }
    }

    /// The row just read as a document of its own, named after the file.
    pub(super) fn item(&self, vector: Vec<f32>) -> Item {
        Item::Record(Record {
            doc: format!("{}#{}", self.name, self.row),
            chunk: 0,
            text: None,
            vector: Some(vector),
            payload: Map::new(),
            place: self.place(),
        })
    }
}

pub(super) fn unreadable(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Unreadable { path: path.to_owned(), source }
}
