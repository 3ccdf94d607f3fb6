//! Requests that score points.

use qdrant_edge::{
    Filter, JsonPath, OrderByInterface, PointId, SearchParams, SparseVector, WithPayloadInterface,
    WithVector,
};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::NoShardKey;
use super::vectors::VectorInput;

/// The universal query.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct QueryRequest {
    #[serde(default, deserialize_with = "one_or_many")]
    pub(crate) prefetch: Vec<Prefetch>,
    /// How to score; `None` reads by id.
    #[serde(default)]
    pub(crate) query: Option<Query>,
    /// Which vector; the default one when absent.
    #[serde(default)]
    pub(crate) using: Option<String>,
    #[serde(default)]
    pub(crate) filter: Option<Filter>,
    #[serde(default)]
    pub(crate) params: Option<SearchParams>,
    #[serde(default)]
    pub(crate) score_threshold: Option<f32>,
    /// Default 10.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    #[serde(default)]
    pub(crate) offset: Option<usize>,
    #[serde(default)]
    pub(crate) with_vector: WithVector,
    #[serde(default)]
    pub(crate) with_payload: WithPayloadInterface,
    #[serde(default)]
    pub(crate) lookup_from: Option<LookupFrom>,
    #[serde(default)]
    #[expect(dead_code, reason = "reading it refuses it")]
    pub(crate) shard_key: NoShardKey,
}

/// A stage whose results are the candidates of the stage above it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Prefetch {
    #[serde(default, deserialize_with = "one_or_many")]
    pub(crate) prefetch: Vec<Prefetch>,
    #[serde(default)]
    pub(crate) query: Option<Query>,
    #[serde(default)]
    pub(crate) using: Option<String>,
    #[serde(default)]
    pub(crate) filter: Option<Filter>,
    #[serde(default)]
    pub(crate) params: Option<SearchParams>,
    #[serde(default)]
    pub(crate) score_threshold: Option<f32>,
    /// Default 10.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    #[serde(default)]
    pub(crate) lookup_from: Option<LookupFrom>,
}

/// Take the vectors of ids from another collection.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LookupFrom {
    pub(crate) collection: String,
    #[serde(default)]
    pub(crate) vector: Option<String>,
}

/// A query by groups: the best points of each value of a payload field.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GroupsRequest {
    #[serde(flatten)]
    pub(crate) query: QueryRequest,
    pub(crate) group_by: JsonPath,
    /// How many points a group has at most. Default 3.
    #[serde(default)]
    pub(crate) group_size: Option<usize>,
    /// Payload of another collection for each group: not available, refused when given.
    #[serde(default)]
    pub(crate) with_lookup: Option<Value>,
}

/// A vector to search with, or the id of the point that has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VectorQueryInput {
    Vector(VectorInput),
    Id(PointId),
}

/// How to score.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    /// Near to a vector.
    Nearest(VectorQueryInput),
    /// Near to some, far from others.
    Recommend(Recommend),
    /// By a payload field.
    OrderBy(OrderByInterface),
    /// The results of the prefetches, merged.
    Fusion(Fusion),
    /// At random.
    SampleRandom,
    /// A kind the embedded engine does not have, by the name Qdrant gives it.
    Unsupported(&'static str),
}

/// How the results of prefetches are merged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fusion {
    /// Reciprocal rank fusion. `k` defaults to 2; one weight for each prefetch.
    Rrf { k: Option<usize>, weights: Option<Vec<f32>> },
    /// Distribution-based score fusion.
    Dbsf,
}

/// Examples to be near to and far from.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Recommend {
    #[serde(default)]
    pub(crate) positive: Vec<VectorQueryInput>,
    #[serde(default)]
    pub(crate) negative: Vec<VectorQueryInput>,
    #[serde(default)]
    pub(crate) strategy: RecommendStrategy,
}

/// How the examples are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecommendStrategy {
    #[default]
    AverageVector,
    BestScore,
    SumScores,
}

/// The older search request; `vector` also names which vector.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SearchRequest {
    pub(crate) vector: SearchVector,
    #[serde(default)]
    pub(crate) filter: Option<Filter>,
    #[serde(default)]
    pub(crate) params: Option<SearchParams>,
    #[serde(alias = "top")]
    pub(crate) limit: usize,
    #[serde(default)]
    pub(crate) offset: Option<usize>,
    #[serde(default)]
    pub(crate) with_payload: Option<WithPayloadInterface>,
    #[serde(default)]
    pub(crate) with_vector: Option<WithVector>,
    #[serde(default)]
    pub(crate) score_threshold: Option<f32>,
    #[serde(default)]
    #[expect(dead_code, reason = "reading it refuses it")]
    pub(crate) shard_key: NoShardKey,
}

/// The older forms of a vector with its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum SearchVector {
    Default(Vec<f32>),
    Named { name: String, vector: Vec<f32> },
    NamedSparse { name: String, vector: SparseVector },
}

impl From<SearchRequest> for QueryRequest {
    fn from(search: SearchRequest) -> Self {
        let (using, vector) = match search.vector {
            SearchVector::Default(dense) => (None, VectorInput::Dense(dense)),
            SearchVector::Named { name, vector } => (Some(name), VectorInput::Dense(vector)),
            SearchVector::NamedSparse { name, vector } => (Some(name), VectorInput::Sparse(vector)),
        };
        Self {
            prefetch: Vec::new(),
            query: Some(Query::Nearest(VectorQueryInput::Vector(vector))),
            using,
            filter: search.filter,
            params: search.params,
            score_threshold: search.score_threshold,
            limit: Some(search.limit),
            offset: search.offset,
            with_vector: search.with_vector.unwrap_or_default(),
            with_payload: search.with_payload.unwrap_or_default(),
            lookup_from: None,
            shard_key: NoShardKey,
        }
    }
}

/// `prefetch` is one object, or a list of them, or null.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Prefetch>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        list @ Value::Array(_) => from(list),
        one => Ok(vec![from(one)?]),
    }
}

fn from<T: DeserializeOwned, E: de::Error>(value: Value) -> Result<T, E> {
    serde_json::from_value(value).map_err(E::custom)
}

impl<'de> Deserialize<'de> for VectorQueryInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            id @ (Value::Number(_) | Value::String(_)) => from(id).map(Self::Id),
            vector @ (Value::Array(_) | Value::Object(_)) => from(vector).map(Self::Vector),
            other @ (Value::Null | Value::Bool(_)) => Err(de::Error::custom(format!(
                "expected a vector or the id of a point, got {other}"
            ))),
        }
    }
}

#[derive(Deserialize)]
struct Rrf {
    k: Option<usize>,
    weights: Option<Vec<f32>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FusionName {
    Rrf,
    Dbsf,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SampleName {
    Random,
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(mut object) => {
                for kind in ["discover", "context", "formula", "relevance_feedback", "mmr"] {
                    if object.contains_key(kind) {
                        return Ok(Self::Unsupported(kind));
                    }
                }
                if let Some(value) = object.remove("nearest") {
                    return from(value).map(Self::Nearest);
                }
                if let Some(value) = object.remove("recommend") {
                    return from(value).map(Self::Recommend);
                }
                if let Some(value) = object.remove("order_by") {
                    return from(value).map(Self::OrderBy);
                }
                if let Some(value) = object.remove("fusion") {
                    return from(value).map(|name| match name {
                        FusionName::Rrf => Self::Fusion(Fusion::Rrf { k: None, weights: None }),
                        FusionName::Dbsf => Self::Fusion(Fusion::Dbsf),
                    });
                }
                if let Some(value) = object.remove("rrf") {
                    let Rrf { k, weights } = from(value)?;
                    return Ok(Self::Fusion(Fusion::Rrf { k, weights }));
                }
                if let Some(value) = object.remove("sample") {
                    return from(value).map(|SampleName::Random| Self::SampleRandom);
                }
                from(Value::Object(object))
                    .map(|vector| Self::Nearest(VectorQueryInput::Vector(vector)))
            }
            other => from(other).map(Self::Nearest),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn query(value: Value) -> Query {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn short_and_long_forms_of_a_query_are_read() {
        assert!(matches!(
            query(json!([0.1, 0.2])),
            Query::Nearest(VectorQueryInput::Vector(VectorInput::Dense(_)))
        ));
        assert!(matches!(
            query(json!({"indices": [1], "values": [0.5]})),
            Query::Nearest(VectorQueryInput::Vector(VectorInput::Sparse(_)))
        ));
        assert!(matches!(
            query(json!({"nearest": 7})),
            Query::Nearest(VectorQueryInput::Id(PointId::NumId(7)))
        ));
        assert!(matches!(
            query(json!({"text": "hello", "model": "qdrant/bm25"})),
            Query::Nearest(VectorQueryInput::Vector(VectorInput::Document(_)))
        ));
        assert!(matches!(
            query(json!({"rrf": {"k": 60}})),
            Query::Fusion(Fusion::Rrf { k: Some(60), .. })
        ));
        assert!(matches!(query(json!({"fusion": "dbsf"})), Query::Fusion(Fusion::Dbsf)));
        assert!(matches!(query(json!({"sample": "random"})), Query::SampleRandom));
        assert!(matches!(query(json!({"order_by": "n"})), Query::OrderBy(_)));
    }

    #[test]
    fn what_the_engine_lacks_is_recognised_and_not_misread() {
        for kind in ["discover", "context", "formula", "relevance_feedback"] {
            assert!(matches!(query(json!({kind: {}})), Query::Unsupported(name) if name == kind));
        }
        assert!(matches!(
            query(json!({"nearest": [1.0], "mmr": {"diversity": 0.5}})),
            Query::Unsupported("mmr")
        ));
    }

    #[test]
    fn one_prefetch_may_stand_without_a_list() {
        let one: QueryRequest =
            serde_json::from_value(json!({"prefetch": {"query": [1.0]}})).unwrap();
        assert_eq!(one.prefetch.len(), 1);
    }
}
