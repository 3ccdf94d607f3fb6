//! Answers as REST shows them.

use std::collections::BTreeMap;

use qdrant_edge::{
    FacetValue, FacetValueHit, OrderValue, Payload, PayloadIndexInfo, PointId, Record, ScoredPoint,
    VectorStructInternal, VectorStructPersisted,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::model::collection::{CollectionConfig, CollectionInfo, CollectionStatus};
use crate::model::points::{PointGroup, ScrollPage};

#[derive(Serialize)]
pub(super) struct ScoredOut {
    id: PointId,
    version: u64,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<VectorStructPersisted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_value: Option<OrderValue>,
}

impl From<ScoredPoint> for ScoredOut {
    fn from(point: ScoredPoint) -> Self {
        Self {
            id: point.id,
            version: point.version,
            score: point.score,
            payload: point.payload,
            vector: vector(point.vector),
            order_value: point.order_value,
        }
    }
}

#[derive(Serialize)]
pub(super) struct RecordOut {
    id: PointId,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<VectorStructPersisted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_value: Option<OrderValue>,
}

impl From<Record> for RecordOut {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            payload: record.payload,
            vector: vector(record.vector),
            order_value: record.order_value,
        }
    }
}

/// The form vectors have in the log is the one they have in JSON.
fn vector(vector: Option<VectorStructInternal>) -> Option<VectorStructPersisted> {
    vector.map(VectorStructPersisted::from)
}

#[derive(Serialize)]
pub(super) struct Points {
    points: Vec<ScoredOut>,
}

impl From<Vec<ScoredPoint>> for Points {
    fn from(points: Vec<ScoredPoint>) -> Self {
        Self { points: scored(points) }
    }
}

/// The older search answers without a frame.
pub(super) fn scored(points: Vec<ScoredPoint>) -> Vec<ScoredOut> {
    points.into_iter().map(ScoredOut::from).collect()
}

#[derive(Serialize)]
pub(super) struct Page {
    points: Vec<RecordOut>,
    next_page_offset: Option<PointId>,
}

impl From<ScrollPage> for Page {
    fn from(page: ScrollPage) -> Self {
        Self {
            points: page.points.into_iter().map(RecordOut::from).collect(),
            next_page_offset: page.next_page_offset,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Groups {
    groups: Vec<GroupOut>,
}

#[derive(Serialize)]
struct GroupOut {
    hits: Vec<ScoredOut>,
    id: Value,
}

impl From<Vec<PointGroup>> for Groups {
    fn from(groups: Vec<PointGroup>) -> Self {
        let groups = groups
            .into_iter()
            .map(|group| GroupOut { hits: scored(group.hits), id: group.id })
            .collect();
        Self { groups }
    }
}

#[derive(Serialize)]
pub(super) struct Facets {
    hits: Vec<FacetOut>,
}

#[derive(Serialize)]
struct FacetOut {
    value: Value,
    count: usize,
}

impl From<Vec<FacetValueHit>> for Facets {
    fn from(hits: Vec<FacetValueHit>) -> Self {
        let hits = hits
            .into_iter()
            .map(|hit| FacetOut {
                value: match hit.value {
                    FacetValue::Keyword(text) => Value::from(text),
                    FacetValue::Int(number) => Value::from(number),
                    FacetValue::Uuid(number) => Value::from(Uuid::from_u128(number).to_string()),
                    FacetValue::Bool(truth) => Value::from(truth),
                },
                count: hit.count,
            })
            .collect();
        Self { hits }
    }
}

#[derive(Serialize)]
pub(super) struct InfoOut {
    status: CollectionStatus,
    optimizer_status: &'static str,
    indexed_vectors_count: usize,
    points_count: usize,
    segments_count: usize,
    config: CollectionConfig,
    payload_schema: BTreeMap<String, PayloadIndexInfo>,
    update_queue: Queue,
}

#[derive(Serialize)]
struct Queue {
    length: usize,
}

impl From<CollectionInfo> for InfoOut {
    fn from(info: CollectionInfo) -> Self {
        Self {
            status: info.status,
            optimizer_status: "ok",
            indexed_vectors_count: info.indexed_vectors_count,
            points_count: info.points_count,
            segments_count: info.segments_count,
            config: info.config,
            payload_schema: info.payload_schema,
            update_queue: Queue { length: info.update_queue_length },
        }
    }
}

#[derive(Serialize)]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Serialize)]
pub(super) struct Names {
    pub(super) collections: Vec<Named>,
}

#[derive(Serialize)]
pub(super) struct AliasOut {
    pub(super) alias_name: String,
    pub(super) collection_name: String,
}

#[derive(Serialize)]
pub(super) struct AliasesOut {
    pub(super) aliases: Vec<AliasOut>,
}

#[derive(Serialize)]
pub(super) struct Exists {
    pub(super) exists: bool,
}

#[derive(Serialize)]
pub(super) struct Count {
    pub(super) count: usize,
}
