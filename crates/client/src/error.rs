//! Everything that can go wrong between this library and a node, named for what the caller does
//! next: mend the address, the key, the collection or the source, or wait.

use std::path::PathBuf;
use std::time::Duration;

use tonic::{Code, Status};

use crate::source::SourceError;
use crate::table::WriteReport;

/// What stopped an operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one that can be dialled.
    #[error("`{url}` is not an address: {reason}")]
    Address {
        /// The address as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers at the address.
    #[error("no answer from `{url}`: {reason}")]
    Unreachable {
        /// The address that was dialled.
        url: String,
        /// The last thing the network said.
        reason: String,
    },
    /// The key is missing, or is not one the node knows.
    #[error("`{url}` does not accept the key: {message}")]
    Unauthorized {
        /// The address that was asked.
        url: String,
        /// What the node said.
        message: String,
    },
    /// The key is known and may not do this.
    #[error("the key may not {action}: {message}")]
    Forbidden {
        /// What was attempted.
        action: String,
        /// What the node said.
        message: String,
    },
    /// The collection does not exist.
    #[error("there is no collection `{collection}`")]
    NotFound {
        /// The collection that was asked for.
        collection: String,
    },
    /// The collection exists and cannot hold this source.
    #[error("collection `{collection}` does not fit: {difference}")]
    Mismatch {
        /// The collection.
        collection: String,
        /// How it differs from what the source needs.
        difference: String,
    },
    /// The node refused one record for good; nothing is gained by sending it again.
    #[error("{place}: refused by the node: {message}")]
    Refused {
        /// Where the record came from: file and row.
        place: String,
        /// What the node said.
        message: String,
    },
    /// The node refused a request for good.
    #[error("the node refused to {action}: {message}")]
    Invalid {
        /// What was attempted.
        action: String,
        /// What the node said.
        message: String,
    },
    /// The node failed, and went on failing.
    #[error("the node failed to {action}: {message}")]
    Failed {
        /// What was attempted.
        action: String,
        /// What the node said.
        message: String,
    },
    /// The node kept saying "later" for as long as the caller was willing to wait.
    #[error("gave up trying to {action} after {waited:.0?}: {message}")]
    GaveUp {
        /// What was attempted.
        action: String,
        /// How long it was attempted.
        waited: Duration,
        /// What the node said last.
        message: String,
    },
    /// The node has no room left on its disk.
    #[error("the node's disk is full, it refused to {action}: {message}")]
    Full {
        /// What was attempted.
        action: String,
        /// What the node said.
        message: String,
    },
    /// The node does not offer what is needed.
    #[error("the node cannot {action}: {message}")]
    Unsupported {
        /// What was attempted.
        action: String,
        /// What the node said.
        message: String,
    },
    /// The filter is not one Qdrant understands.
    #[error("filter: at `{at}`: {reason}")]
    Filter {
        /// The place in the filter.
        at: String,
        /// What is wrong there.
        reason: String,
    },
    /// The table, or what was said about its columns, cannot be used at all.
    #[error("table: {}{why}", of_column(.column.as_deref()))]
    Schema {
        /// The column it is about.
        column: Option<String>,
        /// What is wrong.
        why: String,
    },
    /// A row of a table cannot be used.
    #[error("row {row}: {}{why}", of_column(.column.as_deref()))]
    BadRow {
        /// The row, from 0 over all that was given.
        row: u64,
        /// The column it is about, where that is known.
        column: Option<String>,
        /// What is wrong.
        why: String,
    },
    /// A table was written in part.
    #[error("{source}")]
    Write {
        /// What stopped it.
        source: Box<Error>,
        /// What was done until then.
        report: Box<WriteReport>,
    },
    /// The source cannot be read, or a row of it cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file of our own (dead letters, former settings, spilled ids) cannot be used.
    #[error("cannot {action} `{path}`")]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part of this library ended early; a bug.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// A stable word for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Unreachable { .. } => "unreachable",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Mismatch { .. } => "mismatch",
            Self::Refused { .. } => "refused",
            Self::Invalid { .. } => "invalid",
            Self::Failed { .. } => "failed",
            Self::GaveUp { .. } => "gave_up",
            Self::Full { .. } => "full",
            Self::Unsupported { .. } => "unsupported",
            Self::Filter { .. } => "filter",
            Self::Schema { .. } => "schema",
            Self::BadRow { .. } => "bad_row",
            Self::Write { source, .. } => source.code(),
            Self::Source(source) => source.code(),
            Self::File { .. } => "file",
            Self::Internal(_) => "internal",
        }
    }

    /// What to do next, if there is anything to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Address { .. } => "write it as `http://127.0.0.1:6334`",
            Self::Unreachable { .. } => {
                "is the node running? `qmoor status` tells; the gRPC port is 6334 unless changed"
            }
            Self::Unauthorized { .. } => {
                "--key env:NAME, --key file:PATH or QMOOR_KEY gives another; `qmoor keys list` shows which are valid"
            }
            Self::Forbidden { .. } => {
                "writing needs the index key; creating or changing a collection the admin key"
            }
            Self::NotFound { .. } => "index something into it first, or check its name",
            Self::Mismatch { .. } => "use another collection, or delete this one and index again",
            Self::Refused { .. } => {
                "mend the row, or give a dead-letter file to set such rows aside and go on"
            }
            Self::Full { .. } => {
                "free some space there, then run it again: what was written is kept"
            }
            Self::Failed { .. } => "the engine's log on the node says more",
            Self::GaveUp { .. } => "run it again later: what was written is kept",
            Self::Unsupported { .. } => "the node needs Qdrant 1.15.3 or newer, or `qmoor engine`",
            Self::BadRow { .. } => {
                "mend the row, or have such rows set aside (`on_bad_row=\"dead_letter\"`)"
            }
            Self::Write { source, .. } => return source.hint(),
            Self::Source(source) => return source.hint(),
            Self::File { .. } => "check that the folder exists, is writable, and is not full",
            Self::Schema { .. }
            | Self::Invalid { .. }
            | Self::Filter { .. }
            | Self::Internal(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// The row of a table that is to blame, from 0.
    #[must_use]
    pub fn row(&self) -> Option<u64> {
        match self {
            Self::BadRow { row, .. } => Some(*row),
            Self::Write { source, .. } => source.row(),
            _ => None,
        }
    }

    /// The column of a table that is to blame.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::BadRow { column, .. } | Self::Schema { column, .. } => column.as_deref(),
            Self::Write { source, .. } => source.column(),
            _ => None,
        }
    }

    /// What a write had done before it was stopped.
    #[must_use]
    pub fn report(&self) -> Option<&WriteReport> {
        match self {
            Self::Write { report, .. } => Some(report),
            _ => None,
        }
    }
}

fn of_column(column: Option<&str>) -> String {
    column.map(|column| format!("column `{column}`: ")).unwrap_or_default()
}

/// What a failed call means for the next attempt. Every call this library makes can be repeated
/// without harm, so an ambiguous failure is worth one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prospect {
    /// It will pass: busy, held, restarting, on the way.
    Passing,
    /// The node itself says that it failed; it may again, so a few attempts are enough.
    Failing,
    /// The answer will be the same.
    Final,
}

pub(crate) fn prospect(status: &Status) -> Prospect {
    // What the transport made of a broken connection has a cause; what the node sent has none.
    let is_sent = std::error::Error::source(status).is_none();
    match status.code() {
        Code::Unavailable | Code::Aborted | Code::Cancelled | Code::DeadlineExceeded => {
            Prospect::Passing
        }
        Code::ResourceExhausted if is_too_large(status) || is_full(status) => Prospect::Final,
        Code::ResourceExhausted => Prospect::Passing,
        Code::Unknown | Code::Internal if is_full(status) => Prospect::Final,
        Code::Unknown | Code::Internal if is_sent => Prospect::Failing,
        Code::Unknown | Code::Internal => Prospect::Passing,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => Prospect::Final,
    }
}

/// A message over a size limit has the code of a rate limit.
fn is_too_large(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted
        && status.message().contains("message length too large")
}

/// Whether a refusal may be the fault of one row rather than of the request.
pub(crate) fn is_about_a_row(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) || is_too_large(status)
}

/// A full disk has no code of its own.
fn is_full(status: &Status) -> bool {
    if !matches!(status.code(), Code::ResourceExhausted | Code::Internal | Code::Unknown) {
        return false;
    }
    let message = status.message().to_ascii_lowercase();
    ["no space left", "disk space", "out of disk", "disk is full", "disk full", "storage quota"]
        .iter()
        .any(|words| message.contains(words))
}

/// Names a status that will not pass. `action` completes "the key may not …".
pub(crate) fn from_status(status: &Status, url: &str, collection: &str, action: &str) -> Error {
    let message = status.message().to_owned();
    let action = action.to_owned();
    if is_full(status) {
        // The engine says what to do; the caller is told by `Error::hint`.
        let message = message.split(". hint: ").next().unwrap_or_default().to_owned();
        return Error::Full { action, message };
    }
    match status.code() {
        Code::Unauthenticated => Error::Unauthorized { url: url.to_owned(), message },
        Code::PermissionDenied => Error::Forbidden { action, message },
        Code::NotFound => Error::NotFound { collection: collection.to_owned() },
        Code::Unimplemented => Error::Unsupported { action, message },
        Code::Unavailable => Error::Unreachable { url: url.to_owned(), reason: message },
        Code::Internal | Code::Unknown | Code::DataLoss => Error::Failed { action, message },
        Code::Ok
        | Code::Aborted
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange => Error::Invalid { action, message },
    }
}
