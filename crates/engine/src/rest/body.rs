//! What is read from a request before its handler runs.

use std::time::Instant;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

use super::Door;
use super::answer::{failure, failure_text};
use crate::error::ApiError;

/// A body within the limit, whole.
pub(super) struct Body(pub(super) Bytes);

impl FromRequest<Door> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, door: &Door) -> Result<Self, Response> {
        let began = Instant::now();
        let limit = door.max_request_bytes;
        let announced = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<usize>().ok());
        if let Some(length) = announced
            && length > limit
        {
            return Err(too_large(Some(length), limit, began));
        }
        match Limited::new(request.into_body(), limit).collect().await {
            Ok(collected) => Ok(Self(collected.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large(None, limit, began)),
            Err(error) => {
                let error = ApiError::Format(format!("the body could not be read: {error}"));
                Err(failure(&error, began))
            }
        }
    }
}

fn too_large(length: Option<usize>, limit: usize, began: Instant) -> Response {
    let length = length.map(|length| format!(" ({length} bytes)")).unwrap_or_default();
    let text = format!("JSON payload{length} is larger than allowed (limit: {limit} bytes).");
    failure_text(StatusCode::PAYLOAD_TOO_LARGE, &text, began)
}

/// `?wait=`: false when not said, as upstream. `timeout`, `ordering` and `consistency` are accepted:
/// one node has nothing to order or agree upon, and no change here waits for another node.
pub(super) struct Wait(pub(super) bool);

#[derive(Deserialize)]
struct Parameters {
    wait: Option<bool>,
}

impl FromRequestParts<Door> for Wait {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Response> {
        let began = Instant::now();
        let query = Query::<Parameters>::from_request_parts(parts, door).await;
        query.map(|Query(parameters)| Self(parameters.wait.unwrap_or(false))).map_err(|error| {
            let error = ApiError::Format(format!("Deserialize error in query parameters: {error}"));
            failure(&error, began)
        })
    }
}
