//! Reads that do not score: points by id, pages, counts and facets.

use qdrant_client::qdrant::group_id::Kind;
use qdrant_client::qdrant::{self as proto};
use qdrant_edge::OrderByInterface;
use serde_json::Value as Json;

use super::filter::{filter_opt, path};
use super::ids::{id, ids};
use super::results::scored;
use super::select::{order_by, with_payload, with_vectors};
use super::status::{Parsed, fit_opt};
use super::updates::no_shard_key;
use crate::model::points::{
    CountRequest, FacetRequest, PointGroup, RetrieveRequest, ScrollRequest,
};

/// Points by id.
pub(super) fn get(message: proto::GetPoints) -> Parsed<RetrieveRequest> {
    let proto::GetPoints {
        collection_name: _,
        ids: list,
        with_payload: payload,
        with_vectors: vectors,
        read_consistency: _,
        shard_key_selector,
        timeout: _,
    } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    Ok(RetrieveRequest {
        ids: ids(list)?,
        with_payload: with_payload(payload)?,
        with_vector: with_vectors(vectors)?.unwrap_or_default(),
        shard_key: Default::default(),
    })
}

/// A page of points.
pub(super) fn scroll(message: proto::ScrollPoints) -> Parsed<ScrollRequest> {
    let proto::ScrollPoints {
        collection_name: _,
        filter,
        offset,
        limit,
        with_payload: payload,
        with_vectors: vectors,
        read_consistency: _,
        shard_key_selector,
        order_by: order,
        timeout: _,
    } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    Ok(ScrollRequest {
        offset: offset.map(id).transpose()?,
        limit: fit_opt(limit, "limit")?,
        filter: filter_opt(filter)?,
        with_payload: with_payload(payload)?,
        with_vector: with_vectors(vectors)?.unwrap_or_default(),
        order_by: order.map(order_by).transpose()?.map(OrderByInterface::Struct),
        shard_key: Default::default(),
    })
}

/// How many points match. Exactly, unless it is said that an estimate will do.
pub(super) fn count(message: proto::CountPoints) -> Parsed<CountRequest> {
    let proto::CountPoints {
        collection_name: _,
        filter,
        exact,
        read_consistency: _,
        shard_key_selector,
        timeout: _,
    } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    Ok(CountRequest {
        filter: filter_opt(filter)?,
        exact: exact.unwrap_or(true),
        shard_key: Default::default(),
    })
}

/// How many points there are of each value.
pub(super) fn facet(message: proto::FacetCounts) -> Parsed<FacetRequest> {
    let proto::FacetCounts {
        collection_name: _,
        key,
        filter,
        limit,
        exact,
        timeout: _,
        read_consistency: _,
        shard_key_selector,
    } = message;
    no_shard_key(shard_key_selector.as_ref())?;
    Ok(FacetRequest {
        key: path(&key)?,
        limit: fit_opt(limit, "limit")?,
        filter: filter_opt(filter)?,
        exact: exact.unwrap_or_default(),
        shard_key: Default::default(),
    })
}

/// Points that share one value. A group's value is a string or an integer, never anything else.
pub(super) fn group(group: PointGroup) -> proto::PointGroup {
    let PointGroup { id, hits } = group;
    let kind = match id {
        Json::Number(number) => match number.as_u64() {
            Some(unsigned) => Some(Kind::UnsignedValue(unsigned)),
            None => number.as_i64().map(Kind::IntegerValue),
        },
        Json::String(text) => Some(Kind::StringValue(text)),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    };
    proto::PointGroup {
        id: Some(proto::GroupId { kind }),
        hits: hits.into_iter().map(scored).collect(),
        lookup: None,
    }
}
