//! Requests that change points. One enum for all of them, so that a single write, a batch, and both
//! doors go the same way.

use qdrant_edge::{Filter, JsonPath, Payload, PointId, UpdateMode};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::NoShardKey;
use super::vectors::{VectorInput, VectorsInput};

/// One point to write.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct PointInput {
    pub(crate) id: PointId,
    pub(crate) vector: VectorsInput,
    #[serde(default)]
    pub(crate) payload: Option<Payload>,
}

/// Points to insert or replace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upsert {
    pub(crate) points: Vec<PointInput>,
    /// Existing points are replaced only where this matches.
    pub(crate) update_filter: Option<Filter>,
    pub(crate) update_mode: UpdateMode,
}

/// Which points: by id, or by filter.
#[derive(Debug, Clone)]
pub(crate) enum PointsSelector {
    Ids(Vec<PointId>),
    Filter(Filter),
}

/// Payload to set (merged) or to overwrite (replaced).
#[derive(Debug, Clone)]
pub(crate) struct SetPayload {
    pub(crate) payload: Payload,
    pub(crate) points: PointsSelector,
    /// Where in the payload to set it; the root when absent.
    pub(crate) key: Option<JsonPath>,
}

/// Payload keys to remove.
#[derive(Debug, Clone)]
pub(crate) struct DeletePayload {
    pub(crate) keys: Vec<JsonPath>,
    pub(crate) points: PointsSelector,
}

/// New vectors of one existing point.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct PointVectors {
    pub(crate) id: PointId,
    pub(crate) vector: VectorsInput,
}

/// New vectors of existing points; vectors not named stay.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UpdateVectors {
    pub(crate) points: Vec<PointVectors>,
    #[serde(default)]
    pub(crate) update_filter: Option<Filter>,
    #[serde(default)]
    #[expect(dead_code, reason = "reading it refuses it")]
    pub(crate) shard_key: NoShardKey,
}

/// Vectors to remove, by name.
#[derive(Debug, Clone)]
pub(crate) struct DeleteVectors {
    pub(crate) points: PointsSelector,
    pub(crate) vector: Vec<String>,
}

/// Any change of points.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpdateOp {
    Upsert(Upsert),
    Delete(PointsSelector),
    SetPayload(SetPayload),
    OverwritePayload(SetPayload),
    DeletePayload(DeletePayload),
    ClearPayload(PointsSelector),
    UpdateVectors(UpdateVectors),
    DeleteVectors(DeleteVectors),
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpdateStatus {
    /// In the log, not yet known to be on the disk (`wait=false`).
    Acknowledged,
    /// Applied, and on the disk (`wait=true`).
    Completed,
}

/// The answer to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct UpdateResult {
    /// Rises by one with every change of the collection since the engine started.
    pub(crate) operation_id: u64,
    pub(crate) status: UpdateStatus,
}

/// Bodies as REST sends them, before the choice between `points` and `filter` is checked.
#[derive(Deserialize)]
struct Body {
    payload: Option<Payload>,
    keys: Option<Vec<JsonPath>>,
    vector: Option<Vec<String>>,
    key: Option<JsonPath>,
    points: Option<Vec<PointId>>,
    filter: Option<Filter>,
    #[serde(default, rename = "shard_key")]
    _shard_key: NoShardKey,
}

impl Body {
    fn selector<E: de::Error>(
        points: Option<Vec<PointId>>,
        filter: Option<Filter>,
    ) -> Result<PointsSelector, E> {
        match (points, filter) {
            (Some(ids), _) => Ok(PointsSelector::Ids(ids)),
            (None, Some(filter)) => Ok(PointsSelector::Filter(filter)),
            (None, None) => Err(E::custom("Either list of ids or filter must be provided")),
        }
    }
}

impl<'de> Deserialize<'de> for PointsSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Body::deserialize(deserializer)?;
        Body::selector(body.points, body.filter)
    }
}

impl<'de> Deserialize<'de> for SetPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Body::deserialize(deserializer)?;
        Ok(Self {
            payload: body.payload.ok_or_else(|| de::Error::missing_field("payload"))?,
            points: Body::selector(body.points, body.filter)?,
            key: body.key,
        })
    }
}

impl<'de> Deserialize<'de> for DeletePayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Body::deserialize(deserializer)?;
        Ok(Self {
            keys: body.keys.ok_or_else(|| de::Error::missing_field("keys"))?,
            points: Body::selector(body.points, body.filter)?,
        })
    }
}

impl<'de> Deserialize<'de> for DeleteVectors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Body::deserialize(deserializer)?;
        Ok(Self {
            vector: body.vector.ok_or_else(|| de::Error::missing_field("vector"))?,
            points: Body::selector(body.points, body.filter)?,
        })
    }
}

/// Both bodies of an upsert: a list of points, or columns.
#[derive(Deserialize)]
struct UpsertBody {
    points: Option<Vec<PointInput>>,
    batch: Option<Columns>,
    update_filter: Option<Filter>,
    update_mode: Option<UpdateMode>,
    #[serde(default, rename = "shard_key")]
    _shard_key: NoShardKey,
}

#[derive(Deserialize)]
struct Columns {
    ids: Vec<PointId>,
    vectors: ColumnVectors,
    payloads: Option<Vec<Option<Payload>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ColumnVectors {
    Single(Vec<VectorInput>),
    Named(std::collections::BTreeMap<String, Vec<VectorInput>>),
}

impl<'de> Deserialize<'de> for Upsert {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = UpsertBody::deserialize(deserializer)?;
        let points = match (body.points, body.batch) {
            (Some(points), None) => points,
            (None, Some(columns)) => rows(columns).map_err(de::Error::custom)?,
            (Some(_), Some(_)) => {
                return Err(de::Error::custom("expected either `points` or `batch`, got both"));
            }
            (None, None) => return Err(de::Error::custom("expected `points` or `batch`")),
        };
        Ok(Self {
            points,
            update_filter: body.update_filter,
            update_mode: body.update_mode.unwrap_or_default(),
        })
    }
}

fn rows(columns: Columns) -> Result<Vec<PointInput>, String> {
    let Columns { ids, vectors, payloads } = columns;
    let expected = ids.len();
    let mismatch = |what: &str, got: usize| {
        Err(format!("number of ids and {what} must be equal ({expected} != {got})"))
    };
    let mut all: Vec<VectorsInput> = match vectors {
        ColumnVectors::Single(list) => list.into_iter().map(VectorsInput::Single).collect(),
        ColumnVectors::Named(columns) => {
            let mut rows = vec![std::collections::BTreeMap::new(); expected];
            for (name, column) in columns {
                if column.len() != expected {
                    return mismatch(&format!("vectors of `{name}`"), column.len());
                }
                for (row, vector) in rows.iter_mut().zip(column) {
                    row.insert(name.clone(), vector);
                }
            }
            rows.into_iter().map(VectorsInput::Named).collect()
        }
    };
    if all.len() != expected {
        return mismatch("vectors", all.len());
    }
    let payloads = payloads.unwrap_or_else(|| vec![None; expected]);
    if payloads.len() != expected {
        return mismatch("payloads", payloads.len());
    }
    Ok(ids
        .into_iter()
        .zip(all.drain(..))
        .zip(payloads)
        .map(|((id, vector), payload)| PointInput { id, vector, payload })
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn both_bodies_of_an_upsert_give_the_same_points() {
        let list: Upsert = serde_json::from_value(json!({"points": [
            {"id": 1, "vector": {"a": [1.0]}, "payload": {"k": "v"}},
            {"id": "936DA01F-9ABD-4D9D-80C7-02AF85C822A8", "vector": {"a": [2.0]}},
        ]}))
        .unwrap();
        let columns: Upsert = serde_json::from_value(json!({"batch": {
            "ids": [1, "936da01f9abd4d9d80c702af85c822a8"],
            "vectors": {"a": [[1.0], [2.0]]},
            "payloads": [{"k": "v"}, null],
        }}))
        .unwrap();
        assert_eq!(list.points, columns.points);
    }

    #[test]
    fn a_bad_id_is_named() {
        let error = serde_json::from_value::<Upsert>(
            json!({"points": [{"id": "chunk::doc123::0", "vector": [1.0]}]}),
        )
        .unwrap_err();
        assert!(error.to_string().contains(
            "is not a valid point ID, valid values are either an unsigned integer or a UUID"
        ));
    }

    #[test]
    fn a_selector_needs_ids_or_a_filter() {
        let error = serde_json::from_value::<UpdateOp>(json!({"delete": {}})).unwrap_err();
        assert!(error.to_string().contains("Either list of ids or filter"));
    }
}
