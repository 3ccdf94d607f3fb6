//! Points that the tests share: ten places with every kind of payload, and vectors of every kind.

use std::collections::HashMap;

use qdrant_client::Qdrant;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{
    ListValue, NamedVectors, PointId, PointStruct, Struct, UpsertPointsBuilder, Value, Vector,
    point_id::PointIdOptions,
};
use serde_json::{Map, Value as Json, json};

use crate::engine::Engine;

/// A payload from a JSON object.
pub(crate) fn payload(object: &Json) -> HashMap<String, Value> {
    object.as_object().expect("an object").iter().map(|(k, v)| (k.clone(), value(v))).collect()
}

/// A payload value from JSON.
pub(crate) fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Kind::IntegerValue(integer),
            None => Kind::DoubleValue(number.as_f64().unwrap()),
        },
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(list) => {
            Kind::ListValue(ListValue { values: list.iter().map(value).collect() })
        }
        Json::Object(_) => Kind::StructValue(Struct { fields: payload(json) }),
    };
    Value { kind: Some(kind) }
}

/// JSON from a payload.
pub(crate) fn json_payload(fields: &HashMap<String, Value>) -> Json {
    Json::Object(fields.iter().map(|(k, v)| (k.clone(), json_value(v))).collect::<Map<_, _>>())
}

fn json_value(value: &Value) -> Json {
    match value.kind.as_ref().expect("a kind") {
        Kind::NullValue(_) => Json::Null,
        Kind::BoolValue(flag) => json!(flag),
        Kind::IntegerValue(number) => json!(number),
        Kind::DoubleValue(number) => json!(number),
        Kind::StringValue(text) => json!(text),
        Kind::ListValue(list) => list.values.iter().map(json_value).collect(),
        Kind::StructValue(inner) => json_payload(&inner.fields),
    }
}

/// An id as REST writes it.
pub(crate) fn json_id(id: &PointId) -> Json {
    match id.point_id_options.as_ref().expect("an id") {
        PointIdOptions::Num(number) => json!(number),
        PointIdOptions::Uuid(uuid) => json!(uuid),
    }
}

/// The settings of the collection of places, as a REST body.
pub(crate) fn settings() -> Json {
    json!({
        "vectors": {
            "dense": {"size": 4, "distance": "Cosine"},
            "pixels": {"size": 2, "distance": "Euclid"},
            "rows": {
                "size": 2, "distance": "Dot",
                "multivector_config": {"comparator": "max_sim"},
            },
        },
        "sparse_vectors": {"words": {}, "text": {"modifier": "idf"}},
    })
}

/// The UUID that point 10 has instead of a number.
pub(crate) const TEN: &str = "550e8400-e29b-41d4-a716-446655440000";

/// The id of the place with this number.
pub(crate) fn place_id(n: u64) -> PointId {
    if n == 10 { PointId::from(TEN) } else { PointId::from(n) }
}

/// The payload of the place with this number, 1 to 10.
pub(crate) fn place(n: u64) -> Json {
    let mut place = json!({
        "n": n,
        "ratio": n as f64 / 4.0,
        "tag": if n.is_multiple_of(2) { "even" } else { "odd" },
        "tags": (1..=n).filter(|d| n.is_multiple_of(*d)).map(|d| format!("d{d}")).collect::<Vec<_>>(),
        "flag": n > 5,
        "when": format!("2024-01-{n:02}T12:00:00Z"),
        "where": {"lon": n as f64 * 10.0, "lat": n as f64},
        "text": format!("the quick fox number {n}"),
        "meta": {"parts": [{"kind": "a", "size": n}, {"kind": "b", "size": n * 10}]},
        "uuid": format!("00000000-0000-0000-0000-{n:012}"),
    });
    match n {
        3 => place["maybe"] = Json::Null,
        4 => place["maybe"] = json!([]),
        5 => place["maybe"] = json!("yes"),
        _ => {}
    }
    place
}

fn named(n: u64) -> NamedVectors {
    let x = n as f32;
    let mut vectors = NamedVectors::default()
        .add_vector("dense", Vector::new_dense(vec![x.sin(), x.cos(), x / 10.0, 0.5]))
        .add_vector("rows", Vector::new_multi(vec![vec![x, 1.0], vec![1.0, -x]]))
        .add_vector("words", Vector::new_sparse(vec![1, 10 + n as u32], vec![x, 1.0]));
    if n <= 5 {
        vectors = vectors.add_vector("pixels", Vector::new_dense(vec![x, -x]));
    }
    vectors
}

/// An engine with the collection `places` and the ten places in it.
pub(crate) async fn places() -> (Engine, Qdrant) {
    let engine = Engine::start().await;
    engine.rest("PUT", "/collections/places", settings()).await.result();
    let client = engine.client();
    let points: Vec<_> = (1..=10)
        .map(|n| PointStruct {
            id: Some(place_id(n)),
            payload: payload(&place(n)),
            vectors: Some(named(n).into()),
        })
        .collect();
    client.upsert_points(UpsertPointsBuilder::new("places", points).wait(true)).await.unwrap();
    (engine, client)
}

/// The numbers of the places among points, in the order given.
pub(crate) fn numbers<'a>(ids: impl IntoIterator<Item = &'a Option<PointId>>) -> Vec<u64> {
    let number = |id: &Option<PointId>| match &id.as_ref().unwrap().point_id_options {
        Some(PointIdOptions::Num(n)) => *n,
        Some(PointIdOptions::Uuid(uuid)) if uuid == TEN => 10,
        other => panic!("not a place: {other:?}"),
    };
    ids.into_iter().map(number).collect()
}

/// The same from REST points.
pub(crate) fn json_numbers(points: &Json) -> Vec<u64> {
    let number = |point: &Json| match &point["id"] {
        Json::String(uuid) if uuid == TEN => 10,
        id => id.as_u64().unwrap_or_else(|| panic!("not a place: {point}")),
    };
    points.as_array().expect("points").iter().map(number).collect()
}

/// Numbers as single precision, as they were before JSON widened them.
#[expect(clippy::cast_possible_truncation, reason = "they were single precision")]
pub(crate) fn single(json: &Json) -> Json {
    match json {
        Json::Number(number) => json!((number.as_f64().unwrap() as f32).to_string()),
        Json::Array(list) => list.iter().map(single).collect(),
        Json::Object(object) => {
            Json::Object(object.iter().map(|(key, value)| (key.clone(), single(value))).collect())
        }
        Json::Null | Json::Bool(_) | Json::String(_) => json.clone(),
    }
}

/// Makes the indexes that ordering, facets and groups need.
pub(crate) async fn index(engine: &Engine, fields: &[(&str, &str)]) {
    for (field, schema) in fields {
        let body = json!({"field_name": field, "field_schema": schema});
        engine.rest("PUT", "/collections/places/index?wait=true", body).await.result();
    }
}
