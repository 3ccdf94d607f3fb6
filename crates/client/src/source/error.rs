//! What can be wrong with a source: each kind of damage its own error, with file, row and hint.

use std::path::PathBuf;

use super::Place;

/// Why a source, or a row of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is at the path.
    #[error("`{0}` does not exist")]
    Missing(PathBuf),
    /// The system refused to read it.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing in it to index.
    #[error("`{path}` is empty: {what}")]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for.
        what: String,
    },
    /// The name says nothing that is known.
    #[error("`{0}` is of no known kind")]
    UnknownKind(PathBuf),
    /// It is not what its name says.
    #[error("`{path}` is not {expected}: {found}")]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// What its name promises.
        expected: &'static str,
        /// What it looks like.
        found: String,
    },
    /// It ends before it should.
    #[error("`{path}` is cut short: {reason}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// It is the right kind and cannot be decoded.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A row cannot be used.
    #[error("{place}: {fault}")]
    Row {
        /// File and row.
        place: Place,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// A file of a folder, or the one text file there is, cannot be used.
    #[error("{place}: {why}")]
    File {
        /// The file.
        place: Place,
        /// What is wrong with it.
        why: String,
    },
    /// The same document and chunk stand in two places.
    #[error("{place}: chunk {chunk} of document `{doc}` stands in row {earlier} already")]
    Duplicate {
        /// The second place.
        place: Place,
        /// The row of the first.
        earlier: u64,
        /// The document.
        doc: String,
        /// The chunk.
        chunk: u64,
    },
    /// The same document and chunk stand in two rows far apart.
    #[error("`{path}`: rows {earlier} and {later} are the same chunk of the same document")]
    DuplicateRows {
        /// The file.
        path: PathBuf,
        /// The first row.
        earlier: u64,
        /// The second.
        later: u64,
    },
    /// No column of the table holds text or vectors.
    #[error("`{path}` has neither a column `{text}` nor `{vector}`; it has {found}")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The text column looked for.
        text: String,
        /// The vector column looked for.
        vector: String,
        /// The columns there are.
        found: String,
    },
    /// The options contradict each other.
    #[error("{0}")]
    Options(String),
}

/// What is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Not UTF-8.
    #[error("not UTF-8, at byte {0}")]
    NotUtf8(u64),
    /// Longer than is accepted.
    #[error("longer than {0} bytes")]
    TooLong(u64),
    /// Not JSON, or not an object.
    #[error("not a JSON object: {0}")]
    NotJson(String),
    /// A column holds the wrong type.
    #[error("column `{column}`: {reason}")]
    Column {
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// Neither text nor vector.
    #[error("neither `{text}` nor `{vector}` is there")]
    Nothing {
        /// The text column looked for.
        text: String,
        /// The vector column looked for.
        vector: String,
    },
    /// A vector of another length than the first.
    #[error("the vector has {found} numbers where the first has {expected}")]
    Ragged {
        /// The first row's length.
        expected: usize,
        /// This row's.
        found: usize,
    },
    /// NaN or infinity.
    #[error("number {at} of the vector is {value}")]
    NotFinite {
        /// Its place in the vector, from 1.
        at: usize,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// Some rows have a vector and some have not.
    #[error("there is no vector, and the first row has one")]
    NoVector,
    /// Text where the first row had none.
    #[error("there is text, and the first row has none")]
    UnexpectedText,
    /// A vector where the first row had none.
    #[error("there is a vector, and the first row has none")]
    UnexpectedVector,
}

impl SourceError {
    /// A stable word for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "source_missing",
            Self::Unreadable { .. } => "source_unreadable",
            Self::Empty { .. } => "source_empty",
            Self::UnknownKind(_) => "source_unknown_kind",
            Self::WrongKind { .. } => "source_wrong_kind",
            Self::Truncated { .. } => "source_truncated",
            Self::Damaged { .. } => "source_damaged",
            Self::Row { .. } => "source_row",
            Self::File { .. } => "source_file",
            Self::Duplicate { .. } | Self::DuplicateRows { .. } => "source_duplicate",
            Self::NoColumn { .. } => "source_no_column",
            Self::Options(_) => "source_options",
        }
    }

    /// What to do next, if there is anything to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing(_) => "check the path",
            Self::Unreadable { .. } => "check its permissions",
            Self::Empty { .. } => "nothing was changed in the collection",
            Self::UnknownKind(_) => {
                "known are folders, text (.md, .txt, …), .jsonl, .parquet, .npy and .fvecs"
            }
            Self::WrongKind { .. } => "give it the name of what it is, or convert it",
            Self::Truncated { .. } => "copy or download it again",
            Self::Damaged { .. } => "make it again from where it came from",
            Self::Row { fault, .. } => return Some(fault.hint().to_owned()),
            Self::File { .. } => "mend the file; text must be UTF-8, and iconv converts to it",
            Self::Duplicate { .. } | Self::DuplicateRows { .. } => {
                "give each row its own `id`, or its own `doc` and `chunk`"
            }
            Self::NoColumn { .. } => "say which columns hold the text or the vector",
            Self::Options(_) => return None,
        };
        Some(hint.to_owned())
    }
}

impl RowFault {
    fn hint(&self) -> &'static str {
        match self {
            Self::NotUtf8(_) => "convert it to UTF-8, for instance with iconv",
            Self::TooLong(_) => "split it; a chunk is about a thousand characters long",
            Self::NotJson(_) => "JSONL holds one JSON object a line",
            Self::Column { .. } => "mend the row, or name another column",
            Self::Nothing { .. } => "say which columns hold the text or the vector",
            Self::Ragged { .. } => "all vectors of a collection have one length",
            Self::NotFinite { .. } => "make the vectors again; NaN cannot be searched",
            Self::NoVector | Self::UnexpectedVector => "give all rows a vector, or none",
            Self::UnexpectedText => "give the first row its text too",
        }
    }
}
