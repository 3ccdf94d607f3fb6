//! Routes that score points.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::Door;
use super::answer::{answer, parse};
use super::body::Body;
use super::output::{Groups, Points, scored};
use crate::model::query::{QueryRequest, SearchRequest};

#[derive(Deserialize)]
struct Batch<T> {
    searches: Vec<T>,
}

pub(super) async fn query(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| node.collection(&name)?.query(parse(&body)?).map(Points::from)).await
}

pub(super) async fn query_batch(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| {
        let collection = node.collection(&name)?;
        let batch: Batch<QueryRequest> = parse(&body)?;
        let answers = collection.query_batch(batch.searches)?;
        Ok(answers.into_iter().map(Points::from).collect::<Vec<_>>())
    })
    .await
}

pub(super) async fn query_groups(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| node.collection(&name)?.query_groups(parse(&body)?).map(Groups::from))
        .await
}

pub(super) async fn search(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| {
        let collection = node.collection(&name)?;
        let search: SearchRequest = parse(&body)?;
        collection.query(QueryRequest::from(search)).map(scored)
    })
    .await
}

pub(super) async fn search_batch(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| {
        let collection = node.collection(&name)?;
        let batch: Batch<SearchRequest> = parse(&body)?;
        let queries = batch.searches.into_iter().map(QueryRequest::from).collect();
        let answers = collection.query_batch(queries)?;
        Ok(answers.into_iter().map(scored).collect::<Vec<_>>())
    })
    .await
}
