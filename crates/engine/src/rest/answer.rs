//! The frame of every REST answer, and how a body becomes a request.

use std::time::Instant;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Door;
use crate::error::ApiError;
use crate::node::{Node, blocking, turn_to_change};

#[derive(Serialize)]
struct Ok<T> {
    result: T,
    status: &'static str,
    time: f64,
}

#[derive(Serialize)]
struct Failed<'a> {
    status: Reason<'a>,
    time: f64,
}

#[derive(Serialize)]
struct Reason<'a> {
    error: &'a str,
}

/// Carries out one request where it may block, parsing and printing included, and answers.
pub(super) async fn answer<T: Serialize>(
    door: Door,
    work: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
) -> Response {
    let began = Instant::now();
    let printed = blocking(move || {
        let result = work(&door.node)?;
        let time = began.elapsed().as_secs_f64();
        serde_json::to_vec(&Ok { result, status: "ok", time })
            .map_err(|error| ApiError::internal("cannot print the answer", &error))
    })
    .await;
    match printed {
        Result::Ok(bytes) => json(StatusCode::OK, Body::from(bytes)),
        Err(error) => failure(&error, began),
    }
}

/// As [`answer`], for a request that changes points or an index.
pub(super) async fn answer_change<T: Serialize>(
    door: Door,
    work: impl FnOnce(&Node) -> Result<T, ApiError> + Send + 'static,
) -> Response {
    let began = Instant::now();
    match turn_to_change().await {
        Result::Ok(_turn) => answer(door, work).await,
        Err(error) => failure(&error, began),
    }
}

/// The answer to a request that was not carried out.
pub(super) fn failure(error: &ApiError, began: Instant) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%error, "request failed");
    }
    match error {
        // As upstream, where it is said before any handler runs.
        ApiError::Unauthorized(text) => (status, *text).into_response(),
        ApiError::BadInput(_)
        | ApiError::Format(_)
        | ApiError::Validation(_)
        | ApiError::NotFound(_)
        | ApiError::Conflict(_)
        | ApiError::Forbidden(_)
        | ApiError::NotImplemented(_)
        | ApiError::Unavailable(_)
        | ApiError::Timeout(_)
        | ApiError::Internal(_) => failure_text(status, &error.to_string(), began),
    }
}

/// As [`failure`], for what only REST knows.
pub(super) fn failure_text(status: StatusCode, error: &str, began: Instant) -> Response {
    let failed = Failed { status: Reason { error }, time: began.elapsed().as_secs_f64() };
    match serde_json::to_vec(&failed) {
        Result::Ok(bytes) => json(status, Body::from(bytes)),
        Err(_) => status.into_response(),
    }
}

fn json(status: StatusCode, body: Body) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A body as what its route expects.
pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::Format(format!("Format error in JSON body: {error}")))
}
