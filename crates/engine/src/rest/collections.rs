//! Routes of collections, their aliases and their payload indexes.

use axum::extract::{Path, State};
use axum::response::Response;

use super::Door;
use super::answer::{answer, answer_change, parse};
use super::body::{Body, Wait};
use super::output::{AliasOut, AliasesOut, Exists, InfoOut, Named, Names};
use crate::error::ApiError;

pub(super) async fn list(State(door): State<Door>) -> Response {
    answer(door, |node| {
        let collections = node.list().into_iter().map(|name| Named { name }).collect();
        Ok(Names { collections })
    })
    .await
}

pub(super) async fn get(State(door): State<Door>, Path(name): Path<String>) -> Response {
    answer(door, move |node| node.collection(&name)?.info().map(InfoOut::from)).await
}

pub(super) async fn exists(State(door): State<Door>, Path(name): Path<String>) -> Response {
    answer(door, move |node| Ok(Exists { exists: node.exists(&name) })).await
}

pub(super) async fn create(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| node.create_collection(&name, parse(&body)?)).await
}

pub(super) async fn update(
    State(door): State<Door>,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    answer(door, move |node| node.update_collection(&name, parse(&body)?)).await
}

pub(super) async fn delete(State(door): State<Door>, Path(name): Path<String>) -> Response {
    answer(door, move |node| node.delete_collection(&name)).await
}

pub(super) async fn change_aliases(State(door): State<Door>, Body(body): Body) -> Response {
    answer(door, move |node| {
        let change: crate::model::collection::ChangeAliases = parse(&body)?;
        node.change_aliases(change.actions)
    })
    .await
}

pub(super) async fn all_aliases(State(door): State<Door>) -> Response {
    answer(door, |node| {
        let aliases = node
            .aliases()
            .into_iter()
            .map(|(alias_name, collection_name)| AliasOut { alias_name, collection_name })
            .collect();
        Ok(AliasesOut { aliases })
    })
    .await
}

pub(super) async fn aliases(State(door): State<Door>, Path(name): Path<String>) -> Response {
    answer(door, move |node| {
        let collection_name = node.collection(&name)?.name().to_owned();
        let aliases = node
            .collection_aliases(&name)?
            .into_iter()
            .map(|alias_name| AliasOut { alias_name, collection_name: collection_name.clone() })
            .collect();
        Ok(AliasesOut { aliases })
    })
    .await
}

pub(super) async fn create_index(
    State(door): State<Door>,
    Path(name): Path<String>,
    Wait(wait): Wait,
    Body(body): Body,
) -> Response {
    answer_change(door, move |node| node.collection(&name)?.create_field_index(parse(&body)?, wait))
        .await
}

pub(super) async fn delete_index(
    State(door): State<Door>,
    Path((name, field)): Path<(String, String)>,
    Wait(wait): Wait,
) -> Response {
    answer_change(door, move |node| {
        let field = field
            .parse()
            .map_err(|()| ApiError::BadInput(format!("`{field}` is not a payload field")))?;
        node.collection(&name)?.delete_field_index(field, wait)
    })
    .await
}
