//! `.fvecs`: each vector its length as 32 bits, then its numbers as 32-bit floats, little-endian.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::open::{head, looks_like};
use super::values::{DIMENSION_MAX, Vectors, unreadable};
use super::{Item, RowFault, SourceError};

/// An `.fvecs` file.
#[derive(Debug)]
pub(super) struct Fvecs {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    path: PathBuf,
    dimension: usize,
    vectors: Vectors,
}

impl Fvecs {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let wrong = |found: String| SourceError::WrongKind {
            path: path.to_owned(),
            expected: "an .fvecs file",
            found,
        };
        let first = head(path)?;
        if let Some(found) = looks_like(&first) {
            return Err(wrong(found.to_owned()));
        }
        let length = first.first_chunk().map(|bytes| i32::from_le_bytes(*bytes));
        let dimension = length.and_then(|length| usize::try_from(length).ok());
        let dimension =
            dimension.filter(|length| (1..=DIMENSION_MAX).contains(length)).ok_or_else(|| {
                wrong(format!("its first vector would have {} numbers", length.unwrap_or(0)))
            })?;
        let file = fs_err::File::open(path).map_err(|error| unreadable(path, error))?;
        let bytes = file.metadata().map_err(|error| unreadable(path, error))?.len();
        let row_bytes = 4 + 4 * dimension;
        let row = u64::try_from(row_bytes).unwrap_or(u64::MAX);
        if bytes % row != 0 {
            return Err(SourceError::Truncated {
                path: path.to_owned(),
                reason: format!(
                    "{bytes} bytes are no whole number of vectors of {dimension} numbers"
                ),
            });
        }
        let reader = BufReader::with_capacity(256 << 10, file);
        let rows = bytes / row;
        let vectors = Vectors::new(path, reader, row_bytes, rows);
        Ok(Self { rows, bytes, path: path.to_owned(), dimension, vectors })
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.vectors.bytes_read
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, SourceError> {
        let Some(row) = self.vectors.next_row()? else { return Ok(None) };
        let (words, _) = row.as_chunks::<4>();
        let Some((length, numbers)) = words.split_first() else { return Ok(None) };
        let found = usize::try_from(i32::from_le_bytes(*length)).unwrap_or(0);
        let vector = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if found != self.dimension {
            // Where the next vector begins is anyone's guess, so this ends the source.
            let fault = RowFault::Ragged { expected: self.dimension, found };
            let reason = format!("row {}: {fault}", self.vectors.place().row.unwrap_or(0));
            return Err(SourceError::Damaged { path: self.path.clone(), reason });
        }
        Ok(Some(self.vectors.item(vector)))
    }
}
