//! JSON Lines: one object a line. A line longer than the limit is never held in memory.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::chunk::Chunker;
use super::open::{head, looks_like};
use super::row::{Row, Table, fault};
use super::{Item, Place, RowFault, SourceError, SourceOptions};

/// A JSONL file.
#[derive(Debug)]
pub(super) struct Jsonl {
    pub(super) bytes: u64,
    pub(super) bytes_read: u64,
    path: PathBuf,
    file: Arc<str>,
    reader: BufReader<fs_err::File>,
    table: Table,
    line_bytes_max: u64,
    row: u64,
    /// The last line was too long, and the rest of it is still ahead.
    is_inside_line: bool,
    pending: VecDeque<Item>,
}

/// How a line was read.
enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl Jsonl {
    pub(super) fn open(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        refuse_other_kinds(path)?;
        let unreadable = |source| SourceError::Unreadable { path: path.to_owned(), source };
        let file = fs_err::File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let table =
            Table { columns: options.columns.clone(), chunker: Chunker::new(options)?, name };
        Ok(Self {
            bytes,
            bytes_read: 0,
            path: path.to_owned(),
            file: Arc::from(path.to_string_lossy().as_ref()),
            reader: BufReader::with_capacity(256 << 10, file),
            table,
            line_bytes_max: options.text_bytes_max,
            row: 0,
            is_inside_line: false,
            pending: VecDeque::new(),
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, SourceError> {
        loop {
            if let Some(item) = self.pending.pop_front() {
                return Ok(Some(item));
            }
            let line = self
                .line()
                .map_err(|source| SourceError::Unreadable { path: self.path.clone(), source })?;
            self.row += 1;
            let place = Place { file: Arc::clone(&self.file), row: Some(self.row) };
            let items = match line {
                Line::End => return Ok(None),
                Line::TooLong => Err(RowFault::TooLong(self.line_bytes_max)),
                Line::Whole(line) if line.trim_ascii().is_empty() => continue,
                Line::Whole(line) => self.items(&line, &place),
            };
            match items {
                Ok(items) => self.pending = items,
                Err(fault) => return Err(SourceError::Row { place, fault }),
            }
        }
    }

    fn items(&self, line: &[u8], place: &Place) -> Result<VecDeque<Item>, RowFault> {
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(line) if self.row == 1 => line,
            Some(_) | None => line,
        };
        let text = std::str::from_utf8(line).map_err(|error| {
            RowFault::NotUtf8(u64::try_from(error.valid_up_to()).unwrap_or(u64::MAX))
        })?;
        let object: Map<String, Value> = serde_json::from_str(text.trim_end())
            .map_err(|error| RowFault::NotJson(told(&error)))?;
        self.table.items(self.row(object)?, place)
    }

    /// Tells the columns apart. A null is as good as a column that is not there.
    fn row(&self, mut object: Map<String, Value>) -> Result<Row, RowFault> {
        let columns = &self.table.columns;
        let mut take = |column: &str| object.remove(column).filter(|value| !value.is_null());
        let (id, doc, chunk) = (take(&columns.id), take(&columns.doc), take(&columns.chunk));
        let text = match take(&columns.text) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => return Err(fault(&columns.text, "not text")),
        };
        let vector = match take(&columns.vector) {
            None => None,
            Some(Value::Array(numbers)) => Some(vector(&columns.vector, &numbers)?),
            Some(_) => return Err(fault(&columns.vector, "not a list of numbers")),
        };
        Ok(Row { id, doc, chunk, text, vector, payload: object })
    }

    /// Reads up to the next line break, but no more than the limit: who ends at a line that is too long
    /// does not have to wait for its end.
    fn line(&mut self) -> std::io::Result<Line> {
        if std::mem::take(&mut self.is_inside_line) {
            self.bytes_read += widen(self.reader.skip_until(b'\n')?);
        }
        let mut line = Vec::new();
        let most = self.line_bytes_max.saturating_add(1);
        let length = (&mut self.reader).take(most).read_until(b'\n', &mut line)?;
        let is_whole = line.ends_with(b"\n") || widen(length) < most;
        self.is_inside_line = !is_whole;
        self.bytes_read += widen(length);
        Ok(match length {
            0 => Line::End,
            _ if is_whole => Line::Whole(line),
            _ => Line::TooLong,
        })
    }
}

/// What the parser said, without its count of lines: to it every row is line 1.
fn told(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

fn widen(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn vector(column: &str, numbers: &[Value]) -> Result<Vec<f32>, RowFault> {
    if numbers.is_empty() {
        return Err(fault(column, "an empty vector"));
    }
    let number = |value: &Value| value.as_f64().map(narrow);
    numbers
        .iter()
        .enumerate()
        .map(|(at, value)| {
            number(value).ok_or_else(|| fault(column, format!("item {} is no number", at + 1)))
        })
        .collect()
}

/// What Qdrant keeps of a number; one too large for it becomes infinite and is refused later.
#[allow(clippy::cast_possible_truncation, reason = "vectors are single precision by definition")]
fn narrow(number: f64) -> f32 {
    number as f32
}

fn refuse_other_kinds(path: &Path) -> Result<(), SourceError> {
    let first = head(path)?;
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first).trim_ascii_start();
    let found = match (looks_like(&first), text.first()) {
        (Some(found), _) => found.to_owned(),
        (None, Some(b'[')) => "it is one JSON array; `jq -c '.[]'` makes lines of it".to_owned(),
        (None, Some(b'{') | None) => return Ok(()),
        (None, Some(other)) => {
            format!("it begins with `{}` and not with an object", other.escape_ascii())
        }
    };
    Err(SourceError::WrongKind { path: path.to_owned(), expected: "JSON Lines", found })
}
