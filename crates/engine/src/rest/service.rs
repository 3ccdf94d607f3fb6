//! Routes about the engine itself.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Door;
use super::answer::{answer, failure, failure_text};
use crate::error::ApiError;
use crate::node::blocking;
use crate::version;

pub(super) async fn root() -> Json<Value> {
    Json(json!({
        "title": "qdrant - vector search engine",
        "version": version::api(),
        "commit": "",
    }))
}

pub(super) async fn healthy() -> &'static str {
    "healthz check passed"
}

/// The listener opens when all collections are loaded, so whoever can ask gets a yes.
pub(super) async fn ready() -> &'static str {
    "all shards are ready"
}

pub(super) async fn metrics(State(door): State<Door>) -> Response {
    let began = Instant::now();
    match blocking(move || Ok(door.metrics.print(&door.node))).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => failure(&error, began),
    }
}

pub(super) async fn telemetry(State(door): State<Door>) -> Response {
    let started = door.started;
    answer(door, move |node| {
        let collections = node
            .collections()
            .into_iter()
            .map(|collection| {
                let info = collection.info()?;
                Ok(json!({
                    "id": collection.name(),
                    "points": info.points_count,
                    "segments": info.segments_count,
                    "status": info.status,
                    "config": info.config,
                }))
            })
            .collect::<Result<Vec<Value>, ApiError>>()?;
        Ok(json!({
            "id": "embedded",
            "app": {
                "name": "qdrant",
                "version": version::api(),
                "engine": "embedded",
                "uptime_seconds": started.elapsed().as_secs(),
            },
            "collections": {"number_of_collections": collections.len(), "collections": collections},
            "cluster": {"enabled": false},
        }))
    })
    .await
}

pub(super) async fn unknown() -> Response {
    failure_text(StatusCode::NOT_FOUND, "Not found: no such endpoint", Instant::now())
}

pub(super) async fn wrong_method() -> Response {
    failure_text(
        StatusCode::METHOD_NOT_ALLOWED,
        "this endpoint does not take this method",
        Instant::now(),
    )
}
