//! `.npy`, NumPy's array file: two dimensions of floats, one vector a row.

use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use arrow_array::types::{ArrowPrimitiveType, Float16Type};
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};

use super::open::{head, looks_like};
use super::values::{DIMENSION_MAX, Vectors, unreadable};
use super::{Item, SourceError};

/// A header is a line of text; one longer than this is damage.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// A `.npy` file.
#[derive(Debug)]
pub(super) struct Npy {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    vectors: Vectors,
    number: Number,
}

/// How a number is written.
#[derive(Debug, Clone, Copy)]
struct Number {
    bytes: usize,
    big_endian: bool,
}

impl Npy {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let wrong = |found: String| SourceError::WrongKind {
            path: path.to_owned(),
            expected: "a two-dimensional .npy array of floats",
            found,
        };
        let first = head(path)?;
        if !first.starts_with(b"\x93NUMPY") {
            let found = looks_like(&first).unwrap_or("it lacks the mark of a .npy file");
            return Err(wrong(found.to_owned()));
        }
        let file = fs_err::File::open(path).map_err(|error| unreadable(path, error))?;
        let bytes = file.metadata().map_err(|error| unreadable(path, error))?.len();
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let header = NpyHeader::from_reader((&mut reader).take(HEADER_BYTES_MAX))
            .map_err(|error| header_error(path, &error))?;
        let number = number(&header.dtype()).ok_or_else(|| {
            wrong(format!("its numbers are {}; use float32", header.dtype().descr()))
        })?;
        let &[rows, columns] = header.shape() else {
            return Err(wrong(format!("it has {} dimensions", header.shape().len())));
        };
        if header.order() != Order::C && rows > 1 && columns > 1 {
            return Err(wrong("it is stored by column; save `numpy.ascontiguousarray(a)`".into()));
        }
        let dimension = usize::try_from(columns).ok().filter(|d| (1..=DIMENSION_MAX).contains(d));
        let dimension =
            dimension.ok_or_else(|| wrong(format!("its rows have {columns} numbers")))?;
        let begin = reader.stream_position().map_err(|error| unreadable(path, error))?;
        let row_bytes = dimension * number.bytes;
        let wanted = u64::try_from(row_bytes).ok().and_then(|row| row.checked_mul(rows));
        check_length(path, wanted, bytes.saturating_sub(begin))?;
        if rows == 0 {
            let what = "it has no rows".to_owned();
            return Err(SourceError::Empty { path: path.to_owned(), what });
        }
        Ok(Self { rows, bytes, vectors: Vectors::new(path, reader, row_bytes, rows), number })
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.vectors.bytes_read
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, SourceError> {
        let Some(row) = self.vectors.next_row()? else { return Ok(None) };
        let numbers = row.chunks_exact(self.number.bytes).map(|bytes| decode(bytes, self.number));
        let vector = numbers.collect();
        Ok(Some(self.vectors.item(vector)))
    }
}

fn number(dtype: &DType) -> Option<Number> {
    let DType::Plain(kind) = dtype else { return None };
    if kind.type_char() != TypeChar::Float {
        return None;
    }
    let bytes = kind.num_bytes().filter(|bytes| matches!(bytes, 2 | 4 | 8))?;
    Some(Number { bytes, big_endian: kind.endianness() == Endianness::Big })
}

#[allow(clippy::cast_possible_truncation, reason = "vectors are single precision by definition")]
fn decode(bytes: &[u8], number: Number) -> f32 {
    let mut little = [0_u8; 8];
    for (at, to) in little.iter_mut().take(number.bytes).enumerate() {
        let from = if number.big_endian { number.bytes - 1 - at } else { at };
        *to = bytes.get(from).copied().unwrap_or(0);
    }
    let [a, b, c, d, ..] = little;
    match number.bytes {
        2 => <Float16Type as ArrowPrimitiveType>::Native::from_bits(u16::from_le_bytes([a, b]))
            .to_f32(),
        4 => f32::from_le_bytes([a, b, c, d]),
        _ => f64::from_le_bytes(little) as f32,
    }
}

fn header_error(path: &Path, error: &std::io::Error) -> SourceError {
    let (path, reason) = (PathBuf::from(path), format!("in its header: {error}"));
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        SourceError::Truncated { path, reason }
    } else {
        SourceError::Damaged { path, reason }
    }
}

fn check_length(path: &Path, wanted: Option<u64>, found: u64) -> Result<(), SourceError> {
    let path = path.to_owned();
    match wanted {
        Some(wanted) if wanted == found => Ok(()),
        Some(wanted) if wanted < found => Err(SourceError::Damaged {
            path,
            reason: format!("its header promises {wanted} bytes of numbers, there are {found}"),
        }),
        Some(_) | None => Err(SourceError::Truncated {
            path,
            reason: format!(
                "its header promises {} bytes of numbers, there are {found}",
                wanted.map_or_else(|| "more than 2^64".to_owned(), |wanted| wanted.to_string())
            ),
        }),
    }
}
