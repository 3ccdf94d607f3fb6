//! Writes: each message becomes the one operation that REST would have made of it.
#![expect(deprecated, reason = "older clients still send the deprecated operations of a batch")]

use std::collections::HashMap;

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_update_operation::{self as batch, Operation};
use qdrant_client::qdrant::{self as proto, PointsIdsList};
use qdrant_edge::UpdateMode;

use super::filter::{filter, filter_opt, path};
use super::ids::{ids, required_id};
use super::select::{paths, selected};
use super::status::{Parsed, invalid, required, unavailable, unknown_value};
use super::value::payload;
use super::vectors::vectors;
use crate::model::update::{
    DeletePayload, DeleteVectors, PointInput, PointVectors, PointsSelector, SetPayload, UpdateOp,
    UpdateVectors, Upsert,
};

/// Refuses a shard key, since this engine keeps each collection in one piece.
pub(super) fn no_shard_key(selector: Option<&proto::ShardKeySelector>) -> Parsed<()> {
    match selector {
        Some(selector) if !selector.shard_keys.is_empty() => Err(unavailable("`shard_key`")),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn upsert(message: proto::UpsertPoints) -> Parsed<UpdateOp> {
    no_shard_key(message.shard_key_selector.as_ref())?;
    upsert_from(message.points, message.update_filter, message.update_mode)
}

fn upsert_from(
    points: Vec<proto::PointStruct>,
    update_filter: Option<proto::Filter>,
    update_mode: Option<i32>,
) -> Parsed<UpdateOp> {
    Ok(UpdateOp::Upsert(Upsert {
        points: points.into_iter().map(point).collect::<Parsed<_>>()?,
        update_filter: filter_opt(update_filter)?,
        update_mode: mode(update_mode)?,
    }))
}

fn point(message: proto::PointStruct) -> Parsed<PointInput> {
    let proto::PointStruct { id, payload: fields, vectors: inner } = message;
    Ok(PointInput {
        id: required_id(id)?,
        vector: vectors(inner)?,
        payload: if fields.is_empty() { None } else { Some(payload(fields)?) },
    })
}

fn mode(number: Option<i32>) -> Parsed<UpdateMode> {
    let Some(number) = number else { return Ok(UpdateMode::default()) };
    match proto::UpdateMode::try_from(number) {
        Ok(proto::UpdateMode::Upsert) => Ok(UpdateMode::Upsert),
        Ok(proto::UpdateMode::InsertOnly) => Ok(UpdateMode::InsertOnly),
        Ok(proto::UpdateMode::UpdateOnly) => Ok(UpdateMode::UpdateOnly),
        Err(_) => Err(unknown_value("update_mode", number)),
    }
}

pub(super) fn delete(message: proto::DeletePoints) -> Parsed<UpdateOp> {
    no_shard_key(message.shard_key_selector.as_ref())?;
    points(message.points).map(UpdateOp::Delete)
}

pub(super) fn clear_payload(message: proto::ClearPayloadPoints) -> Parsed<UpdateOp> {
    no_shard_key(message.shard_key_selector.as_ref())?;
    points(message.points).map(UpdateOp::ClearPayload)
}

fn points(message: Option<proto::PointsSelector>) -> Parsed<PointsSelector> {
    Ok(match selected(message)? {
        PointsSelectorOneOf::Points(PointsIdsList { ids: list }) => PointsSelector::Ids(ids(list)?),
        PointsSelectorOneOf::Filter(inner) => PointsSelector::Filter(filter(inner)?),
    })
}

pub(super) fn set_payload(message: proto::SetPayloadPoints) -> Parsed<SetPayload> {
    no_shard_key(message.shard_key_selector.as_ref())?;
    set_payload_from(message.payload, message.points_selector, message.key)
}

fn set_payload_from(
    fields: HashMap<String, proto::Value>,
    selector: Option<proto::PointsSelector>,
    key: Option<String>,
) -> Parsed<SetPayload> {
    Ok(SetPayload {
        payload: payload(fields)?,
        points: points(selector)?,
        key: key.map(|key| path(&key)).transpose()?,
    })
}

pub(super) fn delete_payload(message: proto::DeletePayloadPoints) -> Parsed<UpdateOp> {
    no_shard_key(message.shard_key_selector.as_ref())?;
    delete_payload_from(&message.keys, message.points_selector)
}

fn delete_payload_from(
    keys: &[String],
    selector: Option<proto::PointsSelector>,
) -> Parsed<UpdateOp> {
    Ok(UpdateOp::DeletePayload(DeletePayload { keys: paths(keys)?, points: points(selector)? }))
}

pub(super) fn update_vectors(message: proto::UpdatePointVectors) -> Parsed<UpdateOp> {
    no_shard_key(message.shard_key_selector.as_ref())?;
    update_vectors_from(message.points, message.update_filter)
}

fn update_vectors_from(
    points: Vec<proto::PointVectors>,
    update_filter: Option<proto::Filter>,
) -> Parsed<UpdateOp> {
    let points = points.into_iter().map(|proto::PointVectors { id, vectors: inner }| {
        Ok(PointVectors { id: required_id(id)?, vector: vectors(inner)? })
    });
    Ok(UpdateOp::UpdateVectors(UpdateVectors {
        points: points.collect::<Parsed<_>>()?,
        update_filter: filter_opt(update_filter)?,
        shard_key: Default::default(),
    }))
}

pub(super) fn delete_vectors(message: proto::DeletePointVectors) -> Parsed<UpdateOp> {
    no_shard_key(message.shard_key_selector.as_ref())?;
    delete_vectors_from(message.points_selector, message.vectors)
}

fn delete_vectors_from(
    selector: Option<proto::PointsSelector>,
    names: Option<proto::VectorsSelector>,
) -> Parsed<UpdateOp> {
    let proto::VectorsSelector { names } = required(names, "vectors")?;
    Ok(UpdateOp::DeleteVectors(DeleteVectors { points: points(selector)?, vector: names }))
}

/// One operation of a batch.
pub(super) fn operation(message: proto::PointsUpdateOperation) -> Parsed<UpdateOp> {
    match required(message.operation, "operation")? {
        Operation::Upsert(batch::PointStructList {
            points,
            shard_key_selector,
            update_filter,
            update_mode,
        }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            upsert_from(points, update_filter, update_mode)
        }
        Operation::DeleteDeprecated(selector) => points(Some(selector)).map(UpdateOp::Delete),
        Operation::DeletePoints(batch::DeletePoints { points: selector, shard_key_selector }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            points(selector).map(UpdateOp::Delete)
        }
        Operation::ClearPayloadDeprecated(selector) => {
            points(Some(selector)).map(UpdateOp::ClearPayload)
        }
        Operation::ClearPayload(batch::ClearPayload { points: selector, shard_key_selector }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            points(selector).map(UpdateOp::ClearPayload)
        }
        Operation::SetPayload(batch::SetPayload {
            payload,
            points_selector,
            shard_key_selector,
            key,
        }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            set_payload_from(payload, points_selector, key).map(UpdateOp::SetPayload)
        }
        Operation::OverwritePayload(batch::OverwritePayload {
            payload,
            points_selector,
            shard_key_selector,
            key,
        }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            set_payload_from(payload, points_selector, key).map(UpdateOp::OverwritePayload)
        }
        Operation::DeletePayload(batch::DeletePayload {
            keys,
            points_selector,
            shard_key_selector,
        }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            delete_payload_from(&keys, points_selector)
        }
        Operation::UpdateVectors(batch::UpdateVectors {
            points,
            shard_key_selector,
            update_filter,
        }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            update_vectors_from(points, update_filter)
        }
        Operation::DeleteVectors(batch::DeleteVectors {
            points_selector,
            vectors,
            shard_key_selector,
        }) => {
            no_shard_key(shard_key_selector.as_ref())?;
            delete_vectors_from(points_selector, vectors)
        }
    }
}

/// The weakest order is what one node gives in any case, so every order is accepted once it is
/// known to be one.
pub(super) fn ordering(message: Option<&proto::WriteOrdering>) -> Parsed<()> {
    match message {
        Some(ordering) => match proto::WriteOrderingType::try_from(ordering.r#type) {
            Ok(
                proto::WriteOrderingType::Weak
                | proto::WriteOrderingType::Medium
                | proto::WriteOrderingType::Strong,
            ) => Ok(()),
            Err(_) => Err(invalid("ordering", format_args!("{} is not known", ordering.r#type))),
        },
        None => Ok(()),
    }
}
