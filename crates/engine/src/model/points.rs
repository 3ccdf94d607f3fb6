//! Requests that read points, and their answers.

use qdrant_edge::{
    Filter, JsonPath, OrderByInterface, PointId, Record, ScoredPoint, WithPayloadInterface,
    WithVector,
};
use serde::Deserialize;
use serde_json::Value;

use super::NoShardKey;

/// Points by id.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RetrieveRequest {
    pub(crate) ids: Vec<PointId>,
    /// Default: all of it.
    #[serde(default)]
    pub(crate) with_payload: Option<WithPayloadInterface>,
    #[serde(default)]
    pub(crate) with_vector: WithVector,
    #[serde(default)]
    #[expect(dead_code, reason = "reading it refuses it")]
    pub(crate) shard_key: NoShardKey,
}

/// A page of points, by id or by a payload field.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ScrollRequest {
    /// The first id of the page.
    #[serde(default)]
    pub(crate) offset: Option<PointId>,
    /// Default 10, at least 1.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    #[serde(default)]
    pub(crate) filter: Option<Filter>,
    /// Default: all of it.
    #[serde(default)]
    pub(crate) with_payload: Option<WithPayloadInterface>,
    #[serde(default)]
    pub(crate) with_vector: WithVector,
    #[serde(default)]
    pub(crate) order_by: Option<OrderByInterface>,
    #[serde(default)]
    #[expect(dead_code, reason = "reading it refuses it")]
    pub(crate) shard_key: NoShardKey,
}

/// One page of a scroll.
#[derive(Debug)]
pub(crate) struct ScrollPage {
    pub(crate) points: Vec<Record>,
    /// The first id of the next page; `None` at the end, and always with `order_by`.
    pub(crate) next_page_offset: Option<PointId>,
}

/// How many points match.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CountRequest {
    #[serde(default)]
    pub(crate) filter: Option<Filter>,
    /// Default true.
    #[serde(default = "yes")]
    pub(crate) exact: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "reading it refuses it")]
    pub(crate) shard_key: NoShardKey,
}

const fn yes() -> bool {
    true
}

/// How many points there are of each value of a payload field.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FacetRequest {
    pub(crate) key: JsonPath,
    /// Default 10, at least 1.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    #[serde(default)]
    pub(crate) filter: Option<Filter>,
    #[serde(default)]
    pub(crate) exact: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "reading it refuses it")]
    pub(crate) shard_key: NoShardKey,
}

/// Points that share one value of a payload field.
#[derive(Debug)]
pub(crate) struct PointGroup {
    /// The shared value: a string or an integer.
    pub(crate) id: Value,
    pub(crate) hits: Vec<ScoredPoint>,
}
