//! The unit every source yields: one chunk, and where it stood.

use std::fmt;
use std::sync::Arc;

/// Where a record stood: the file, and the row in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// The row, line or vector, from 1; `None` for a file that is one document.
    pub row: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(f, "{}: row {row}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// One chunk, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The document it belongs to.
    pub doc: String,
    /// Its place in that document, from 0.
    pub chunk: u64,
    /// The text, if there is one.
    pub text: Option<String>,
    /// The dense vector, if there is one.
    pub vector: Option<Vec<f32>>,
    /// What else is known about it.
    pub payload: serde_json::Map<String, serde_json::Value>,
    /// Where it stood.
    pub place: Place,
}

/// What a reader comes across.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// A chunk.
    Record(Record),
    /// A document in which there is nothing (any more).
    EmptyDocument {
        /// Its name.
        doc: String,
    },
    /// A file that cannot be used, which does not end the run.
    Rejected {
        /// The file.
        place: Place,
        /// What is wrong with it.
        why: String,
    },
    /// So many files that are not meant for us.
    Skipped(u64),
}
