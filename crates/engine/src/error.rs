//! What can go wrong for a caller, in Qdrant's words, and the one mapping to HTTP status codes.
//! The gRPC door maps the same kinds to its own codes, so the two doors cannot disagree.

use qdrant_edge::OperationError;
use thiserror::Error;

/// A request that was not carried out. Each variant is one thing the caller can do next.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// The request is malformed or does not fit the collection: 400. Shown as `Wrong input: …`.
    #[error("Wrong input: {0}")]
    BadInput(String),
    /// The body could not be read as what the route expects: 400. Shown as it is.
    #[error("{0}")]
    Format(String),
    /// A value is outside its allowed range: 422. Shown as it is.
    #[error("{0}")]
    Validation(String),
    /// The collection, alias or point named does not exist: 404.
    #[error("Not found: {0}")]
    NotFound(String),
    /// Something of that name exists already: 409.
    #[error("Wrong input: {0}")]
    Conflict(String),
    /// No key, or a wrong one: 401, in plain text.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The key is good but may not do this: 403.
    #[error("Forbidden: {0}")]
    Forbidden(String),
    /// The embedded engine does not do this: 501, and the text names what.
    #[error("Not implemented: {0} is not available in the embedded engine")]
    NotImplemented(String),
    /// The engine is stopping, or has no room for more work at once: 503.
    #[error("Service unavailable: {0}")]
    Unavailable(String),
    /// The time the caller allowed is over: 408.
    #[error("Timeout error: {0}")]
    Timeout(String),
    /// The engine or the disk failed: 500.
    #[error("Service internal error: {0}")]
    Internal(String),
}

impl ApiError {
    /// The HTTP status code of this error.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::BadInput(_) | Self::Format(_) => 400,
            Self::Unauthorized(_) => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound(_) => 404,
            Self::Timeout(_) => 408,
            Self::Conflict(_) => 409,
            Self::Validation(_) => 422,
            Self::Internal(_) => 500,
            Self::NotImplemented(_) => 501,
            Self::Unavailable(_) => 503,
        }
    }

    /// A collection (or alias) of this name does not exist.
    pub(crate) fn no_collection(name: &str) -> Self {
        Self::NotFound(format!("Collection `{name}` doesn't exist!"))
    }

    /// A failure of the disk or the process while doing `what`.
    pub(crate) fn internal(what: &str, source: &dyn std::fmt::Display) -> Self {
        Self::Internal(format!("{what}: {source}"))
    }
}

/// Upstream's own split between what the caller did wrong and what failed here.
impl From<OperationError> for ApiError {
    fn from(error: OperationError) -> Self {
        let text = error.to_string();
        match error {
            OperationError::WrongVectorDimension { .. }
            | OperationError::MalformedVectorBlob { .. }
            | OperationError::MalformedPayloadBlob { .. }
            | OperationError::VectorNameNotExists { .. }
            | OperationError::TypeError { .. }
            | OperationError::TypeInferenceError { .. }
            | OperationError::WrongSparse
            | OperationError::WrongMulti
            | OperationError::MissingRangeIndexForOrderBy { .. }
            | OperationError::MissingMapIndexForFacet { .. }
            | OperationError::VariableTypeError { .. }
            | OperationError::NonFiniteNumber { .. } => Self::BadInput(text),
            OperationError::ValidationError { description } => Self::BadInput(description),
            OperationError::PointIdError { .. } => Self::NotFound(format!("{text} found")),
            OperationError::Timeout { description } => Self::Timeout(description),
            OperationError::Cancelled { .. } => Self::Unavailable(text),
            OperationError::ServiceError { description, backtrace: _ } => {
                Self::Internal(description)
            }
            OperationError::InconsistentStorage { .. }
            | OperationError::FileNotFound { .. }
            | OperationError::OutOfMemory { .. }
            | OperationError::OutOfAppendableCapacity { .. } => Self::Internal(text),
        }
    }
}
