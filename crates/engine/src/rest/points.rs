//! Routes that read and change points.

use axum::extract::{Path, State};
use axum::response::Response;
use qdrant_edge::{PointId, WithVector};
use serde::Deserialize;

use super::Door;
use super::answer::{answer, answer_change, parse};
use super::body::{Body, Wait};
use super::output::{Count, Facets, Page, RecordOut};
use crate::error::ApiError;
use crate::model::NoShardKey;
use crate::model::points::RetrieveRequest;
use crate::model::update::UpdateOp;

pub(super) async fn get(
    State(door): State<Door>,
    Path((name, id)): Path<(String, String)>,
) -> Response {
    answer(door, move |node| {
        let id: PointId = id.parse().map_err(|()| {
            ApiError::BadInput(format!(
                "value {id} is not a valid point ID, valid values are either an unsigned integer or a UUID"
            ))
        })?;
        let request = RetrieveRequest {
            ids: vec![id],
            with_payload: None,
            with_vector: WithVector::Bool(true),
            shard_key: NoShardKey,
        };
        let found = node.collection(&name)?.retrieve(request)?;
        found.into_iter().next().map(RecordOut::from).ok_or_else(|| {
            ApiError::NotFound(format!("Point with id {id} does not exists!"))
        })
    })
    .await
}

pub(super) async fn retrieve(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| {
        let found = node.collection(&name)?.retrieve(parse(&body)?)?;
        Ok(found.into_iter().map(RecordOut::from).collect::<Vec<_>>())
    })
    .await
}

pub(super) async fn scroll(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| node.collection(&name)?.scroll(parse(&body)?).map(Page::from)).await
}

pub(super) async fn count(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| {
        let count = node.collection(&name)?.count(parse(&body)?)?;
        Ok(Count { count })
    })
    .await
}

pub(super) async fn facet(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| node.collection(&name)?.facet(parse(&body)?).map(Facets::from)).await
}

#[derive(Deserialize)]
struct Operations {
    operations: Vec<UpdateOp>,
}

pub(super) async fn batch(
    State(door): State<Door>,
    Path(name): Path<String>,
    Wait(wait): Wait,
    Body(body): Body,
) -> Response {
    answer_change(door, move |node| {
        let collection = node.collection(&name)?;
        let Operations { operations } = parse(&body)?;
        collection.update_batch(operations, wait)
    })
    .await
}

/// One route that changes points: its body is one variant of [`UpdateOp`].
macro_rules! change {
    ($name:ident, $variant:ident) => {
        pub(super) async fn $name(
            State(door): State<Door>,
            Path(name): Path<String>,
            Wait(wait): Wait,
            Body(body): Body,
        ) -> Response {
            answer_change(door, move |node| {
                let collection = node.collection(&name)?;
                collection.update(UpdateOp::$variant(parse(&body)?), wait)
            })
            .await
        }
    };
}

change!(upsert, Upsert);
change!(delete, Delete);
change!(set_payload, SetPayload);
change!(overwrite_payload, OverwritePayload);
change!(delete_payload, DeletePayload);
change!(clear_payload, ClearPayload);
change!(update_vectors, UpdateVectors);
change!(delete_vectors, DeleteVectors);
