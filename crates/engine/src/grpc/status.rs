//! The statuses this door answers with when a message cannot be understood or served.
//!
//! An error of the core becomes a status by `From`; the others are for messages that never reach
//! the core.

use tonic::{Code, Status};

use crate::error::ApiError;

/// What every conversion from a message returns: the value, or the status that says which field
/// is wrong.
pub(super) type Parsed<T> = Result<T, Status>;

/// A request that the core refused: the same kinds as REST's status codes.
impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let code = match &error {
            ApiError::BadInput(_) | ApiError::Format(_) | ApiError::Validation(_) => {
                Code::InvalidArgument
            }
            ApiError::NotFound(_) => Code::NotFound,
            ApiError::Conflict(_) => Code::AlreadyExists,
            ApiError::Unauthorized(_) => Code::Unauthenticated,
            ApiError::Forbidden(_) => Code::PermissionDenied,
            ApiError::NotImplemented(_) => Code::Unimplemented,
            ApiError::Unavailable(_) => Code::Unavailable,
            ApiError::Timeout(_) => Code::DeadlineExceeded,
            ApiError::Internal(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

/// A field that protobuf lets be absent, and that the request cannot do without.
pub(super) fn missing(field: &str) -> Status {
    Status::invalid_argument(format!("Wrong input: `{field}` is missing"))
}

/// A field whose value is not acceptable, and why.
pub(super) fn invalid(field: &str, why: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("Wrong input: {field}: {why}"))
}

/// An enumeration field that holds a number this engine has no name for.
pub(super) fn unknown_value(field: &str, number: i32) -> Status {
    invalid(field, format_args!("{number} is not one of the known values"))
}

/// A part of the API that this engine does not have. Saying so is better than answering wrongly.
pub(super) fn unavailable(what: &str) -> Status {
    Status::unimplemented(format!(
        "Not implemented: {what} is not available in the embedded engine"
    ))
}

/// Requires a field that protobuf lets be absent.
pub(super) fn required<T>(value: Option<T>, field: &str) -> Parsed<T> {
    value.ok_or_else(|| missing(field))
}

/// Narrows or widens a number, refusing what does not fit.
pub(super) fn fit<T, U>(value: T, field: &str) -> Parsed<U>
where
    T: Copy + std::fmt::Display,
    U: TryFrom<T>,
{
    U::try_from(value).map_err(|_| invalid(field, format_args!("{value} is out of range")))
}

/// [`fit`] for an optional field.
pub(super) fn fit_opt<T, U>(value: Option<T>, field: &str) -> Parsed<Option<U>>
where
    T: Copy + std::fmt::Display,
    U: TryFrom<T>,
{
    value.map(|value| fit(value, field)).transpose()
}
