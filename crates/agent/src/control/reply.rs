//! Answers of the control socket: JSON, one value, or a line for each event and one for the end.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire::{Failure, FailureKind};
use crate::gateway::answer::{Body, json};

/// The longest request that is read, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// One value, or why there is none.
pub(super) fn one<T: Serialize>(result: Result<T, Failure>) -> Response<Body> {
    let value = result
        .and_then(|value| serde_json::to_value(value).map_err(|error| Failure::failed(&error)));
    match value {
        Ok(value) => json(StatusCode::OK, &value),
        Err(failure) => json(status(failure.kind), &serde_json::json!({ "error": failure })),
    }
}

/// The HTTP status of a failure.
pub(crate) fn status(kind: FailureKind) -> StatusCode {
    match kind {
        FailureKind::Usage => StatusCode::BAD_REQUEST,
        FailureKind::Unknown => StatusCode::NOT_FOUND,
        FailureKind::Busy => StatusCode::CONFLICT,
        FailureKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Reads a request's body as JSON; nothing at all is an empty object.
pub(super) async fn body(body: Incoming) -> Result<Value, Failure> {
    let bytes: Bytes = Limited::new(body, REQUEST_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| usage(&format!("the request cannot be read: {error}")))?
        .to_bytes();
    let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
    serde_json::from_slice(&bytes).map_err(|error| not_understood(&error))
}

/// What a body asks for.
pub(super) fn wanted<T: DeserializeOwned>(body: &Value) -> Result<T, Failure> {
    T::deserialize(body).map_err(|error| not_understood(&error))
}

fn not_understood(error: &serde_json::Error) -> Failure {
    usage(&format!("the request is not understood: {error}"))
}

fn usage(reason: &str) -> Failure {
    Failure::new(FailureKind::Usage, reason.to_owned())
}
