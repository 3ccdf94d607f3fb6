//! Where records come from: one reader a format behind one type, each yielding records one by one
//! so that memory does not grow with the source.

mod error;
mod record;

use std::path::{Path, PathBuf};

pub use error::SourceError;
pub use record::{Place, Record};

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
    /// The chunk's place in its document, from 0.
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

/// An opened source.
#[derive(Debug)]
pub struct Source {
    name: PathBuf,
}

/// Opens `path`, whose kind is told by being a folder or by its name, and checks that it is what
/// its name says. Blocking.
///
/// # Errors
/// The source is missing, unreadable, empty, cut short, or not what its name says.
pub fn open(path: &Path, options: &SourceOptions) -> Result<Source, SourceError> {
    let _ = options;
    Ok(Source { name: path.to_owned() })
}

impl Source {
    /// A source of texts already in memory.
    ///
    /// # Errors
    /// There are none, or the options contradict each other.
    pub fn documents(
        documents: Vec<Document>,
        options: &SourceOptions,
    ) -> Result<Self, SourceError> {
        let _ = (documents, options);
        Ok(Self { name: PathBuf::from("documents") })
    }
}
