//! Where records come from: one reader a format behind one type, each yielding records one by one
//! so that memory does not grow with the source.

mod chunk;
mod documents;
mod error;
mod folder;
#[cfg(test)]
mod fuzz;
mod fvecs;
mod jsonl;
mod npy;
mod open;
mod parquet;
mod record;
mod row;
#[cfg(test)]
mod tests;
mod values;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

pub use error::{RowFault, SourceError};
pub(crate) use record::Item;
pub use record::{Place, Record};

use chunk::Chunker;

/// One text held in memory, for callers that have no files.
#[derive(Debug, Clone)]
pub struct Document {
    /// What the document is called; search answers name it.
    pub id: String,
    /// Its text; Markdown if the id ends in `.md`.
    pub text: String,
}

/// Which columns of a row mean what. Every other column goes to the payload.
#[derive(Debug, Clone)]
pub struct Columns {
    /// Names a row that is a document of its own; used when there is no `doc`.
    pub id: String,
    /// Names the document the row is a chunk of.
    pub doc: String,
    /// The chunk's place in its document, from 0. A text without it is cut into chunks.
    pub chunk: String,
    /// The text to be found.
    pub text: String,
    /// The dense vector.
    pub vector: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            id: "id".to_owned(),
            doc: "doc".to_owned(),
            chunk: "chunk".to_owned(),
            text: "text".to_owned(),
            vector: "vector".to_owned(),
        }
    }
}

/// How a source is read.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// The longest chunk, in characters.
    pub chunk_chars: usize,
    /// How many characters neighbouring chunks share; less than `chunk_chars`.
    pub overlap_chars: usize,
    /// Which columns mean what, in JSONL and Parquet.
    pub columns: Columns,
    /// The longest line of JSONL and the longest text file accepted, in bytes.
    pub text_bytes_max: u64,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            chunk_chars: 1000,
            overlap_chars: 0,
            columns: Columns::default(),
            text_bytes_max: 64 << 20,
        }
    }
}

/// Opens `path`, whose kind is told by being a folder or by its name, and checks that it is what
/// its name says. Blocking.
///
/// # Errors
/// The source is missing, unreadable, empty, cut short, or not what its name says.
pub fn open(path: &Path, options: &SourceOptions) -> Result<Source, SourceError> {
    open::open(path, options)
}

/// How many unusable rows at its beginning make a source unusable.
const BAD_ROWS_MAX: usize = 100;

/// An opened source.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    reader: Reader,
    /// What was read to learn what the source holds, still to be handed out.
    ahead: VecDeque<Result<Item, SourceError>>,
    /// What the first record holds; all others must hold the same.
    shape: Option<Shape>,
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Whether there is text.
    pub(crate) text: bool,
    /// The length of its vector.
    pub(crate) vector: Option<usize>,
}

#[derive(Debug)]
enum Reader {
    Folder(folder::Folder),
    Documents(documents::Documents),
    Jsonl(jsonl::Jsonl),
    Parquet(parquet::Parquet),
    Npy(npy::Npy),
    Fvecs(fvecs::Fvecs),
}

impl Source {
    /// A source of texts already in memory.
    ///
    /// # Errors
    /// The options contradict each other.
    pub fn documents(
        documents: Vec<Document>,
        options: &SourceOptions,
    ) -> Result<Self, SourceError> {
        let chunker = Chunker::new(options)?;
        let reader = Reader::Documents(documents::Documents::new(documents, chunker));
        Ok(Self::new(PathBuf::from("documents"), reader))
    }

    fn new(path: PathBuf, reader: Reader) -> Self {
        Self { path, reader, ahead: VecDeque::new(), shape: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many documents there are, where that can be known before reading.
    #[must_use]
    pub fn documents_total(&self) -> Option<u64> {
        match &self.reader {
            Reader::Folder(folder) => Some(folder.files),
            Reader::Documents(documents) => Some(documents.total),
            Reader::Jsonl(_) => None,
            Reader::Parquet(parquet) => parquet.documents,
            Reader::Npy(npy) => Some(npy.rows),
            Reader::Fvecs(fvecs) => Some(fvecs.rows),
        }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        match &self.reader {
            Reader::Folder(folder) => folder.bytes,
            Reader::Documents(documents) => documents.bytes,
            Reader::Jsonl(jsonl) => jsonl.bytes,
            Reader::Parquet(parquet) => parquet.bytes,
            Reader::Npy(npy) => npy.bytes,
            Reader::Fvecs(fvecs) => fvecs.bytes,
        }
    }

    /// How many bytes are behind us.
    pub(crate) fn bytes_read(&self) -> u64 {
        match &self.reader {
            Reader::Folder(folder) => folder.bytes_read,
            Reader::Documents(documents) => documents.bytes_read,
            Reader::Jsonl(jsonl) => jsonl.bytes_read,
            Reader::Parquet(parquet) => parquet.bytes_read(),
            Reader::Npy(npy) => npy.bytes_read(),
            Reader::Fvecs(fvecs) => fvecs.bytes_read(),
        }
    }

    /// What the first usable record holds. What is read on the way, bad rows too, is handed out by
    /// [`Source::next`] later.
    pub(crate) fn shape(&mut self) -> Result<Shape, SourceError> {
        loop {
            if let Some(shape) = self.shape {
                return Ok(shape);
            }
            let read = match self.read() {
                Ok(None) => break,
                Ok(Some(item)) => Ok(item),
                Err(row @ SourceError::Row { .. }) => Err(row),
                Err(other) => return Err(other),
            };
            match (self.ahead.back_mut(), read) {
                // A folder of a million pictures is one number.
                (Some(Ok(Item::Skipped(before))), Ok(Item::Skipped(files))) => *before += files,
                (_, read) => self.ahead.push_back(read),
            }
            if self.ahead.iter().filter(|read| read.is_err()).count() >= BAD_ROWS_MAX {
                break;
            }
        }
        let bad = self.ahead.drain(..).find_map(|read| match read {
            Err(error) => Some(error),
            Ok(Item::Rejected { place, why }) => Some(SourceError::File { place, why }),
            Ok(Item::Record(_) | Item::EmptyDocument { .. } | Item::Skipped(_)) => None,
        });
        Err(bad.unwrap_or_else(|| SourceError::Empty {
            path: self.path.clone(),
            what: self.nothing(),
        }))
    }

    /// The next item, or `None` at the end.
    ///
    /// After [`SourceError::Row`] reading may go on with the next row; after any other error not.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, SourceError> {
        match self.ahead.pop_front() {
            Some(read) => read.map(Some),
            None => self.read(),
        }
    }

    fn read(&mut self) -> Result<Option<Item>, SourceError> {
        let item = match &mut self.reader {
            Reader::Folder(folder) => folder.next(),
            Reader::Documents(documents) => documents.next(),
            Reader::Jsonl(jsonl) => jsonl.next()?,
            Reader::Parquet(parquet) => parquet.next()?,
            Reader::Npy(npy) => npy.next()?,
            Reader::Fvecs(fvecs) => fvecs.next()?,
        };
        if let Some(Item::Record(record)) = &item {
            self.check(record)?;
        }
        Ok(item)
    }

    /// Compares a record with the first one.
    fn check(&mut self, record: &Record) -> Result<(), SourceError> {
        let vector = record.vector.as_deref();
        if let Some(vector) = vector
            && let Some((at, value)) = vector.iter().enumerate().find(|(_, v)| !v.is_finite())
        {
            let fault = RowFault::NotFinite { at: at + 1, value: value.to_string() };
            return Err(SourceError::Row { place: record.place.clone(), fault });
        }
        let found = Shape { text: record.text.is_some(), vector: vector.map(<[f32]>::len) };
        let first = *self.shape.get_or_insert(found);
        let fault = match (first.vector, found.vector) {
            (Some(expected), Some(found)) if expected != found => {
                RowFault::Ragged { expected, found }
            }
            (Some(_), None) => RowFault::NoVector,
            (None, Some(_)) => RowFault::UnexpectedVector,
            (Some(_), Some(_)) | (None, None) if found.text && !first.text => {
                RowFault::UnexpectedText
            }
            (Some(_), Some(_)) | (None, None) => return Ok(()),
        };
        Err(SourceError::Row { place: record.place.clone(), fault })
    }

    /// What was looked for and not found.
    fn nothing(&self) -> String {
        match &self.reader {
            Reader::Folder(folder) => format!(
                "no text in it ({} files looked at; {} is text)",
                folder.seen,
                chunk::TEXT_EXTENSIONS.map(|known| format!(".{known}")).join(" ")
            ),
            Reader::Documents(_) => "no text in it".to_owned(),
            Reader::Jsonl(_) | Reader::Parquet(_) => "no rows in it".to_owned(),
            Reader::Npy(_) | Reader::Fvecs(_) => "no vectors in it".to_owned(),
        }
    }
}
