//! Payload values: protobuf's `Value` and JSON, both ways.

use std::collections::HashMap;

use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{ListValue, NullValue, Struct, Value};
use qdrant_edge::Payload;
use serde_json::{Map, Number, Value as Json};

use super::status::{Parsed, invalid, missing};

/// A message's payload. A number that JSON cannot hold (NaN, infinity) is refused, since storing
/// `null` in its place would lose it silently.
pub(super) fn payload(fields: HashMap<String, Value>) -> Parsed<Payload> {
    object(fields).map(Payload)
}

/// A message's map as a JSON object.
pub(super) fn object(fields: HashMap<String, Value>) -> Parsed<Map<String, Json>> {
    fields.into_iter().map(|(key, value)| Ok((key, json(value)?))).collect()
}

fn json(value: Value) -> Parsed<Json> {
    Ok(match value.kind.ok_or_else(|| missing("payload value"))? {
        Kind::NullValue(_) => Json::Null,
        Kind::DoubleValue(number) => Json::Number(
            Number::from_f64(number)
                .ok_or_else(|| invalid("payload", format_args!("{number} is not a JSON number")))?,
        ),
        Kind::IntegerValue(number) => Json::from(number),
        Kind::StringValue(text) => Json::String(text),
        Kind::BoolValue(flag) => Json::Bool(flag),
        Kind::StructValue(Struct { fields }) => Json::Object(object(fields)?),
        Kind::ListValue(ListValue { values }) => {
            Json::Array(values.into_iter().map(json).collect::<Parsed<_>>()?)
        }
    })
}

/// A payload as a message's map. No payload and an empty one look the same on the wire.
pub(super) fn payload_fields(payload: Option<Payload>) -> HashMap<String, Value> {
    payload.map(|payload| fields(payload.0)).unwrap_or_default()
}

/// A JSON object as a message's map.
pub(super) fn fields(object: Map<String, Json>) -> HashMap<String, Value> {
    object.into_iter().map(|(key, value)| (key, message(value))).collect()
}

fn message(value: Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(NullValue::NullValue.into()),
        Json::Bool(flag) => Kind::BoolValue(flag),
        Json::Number(number) => number_kind(&number),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(message).collect() })
        }
        Json::Object(object) => Kind::StructValue(Struct { fields: fields(object) }),
    };
    Value { kind: Some(kind) }
}

/// Protobuf's `Value` has no unsigned integer: one above `i64::MAX` becomes a double, as upstream.
fn number_kind(number: &Number) -> Kind {
    match number.as_i64() {
        Some(integer) => Kind::IntegerValue(integer),
        None => Kind::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_payload_survives_the_round_trip() {
        let original = json!({
            "null": null, "bool": true, "int": -3, "float": 0.5, "text": "naïve",
            "list": [1, "two", [3.0]], "nested": {"a": {"b": []}},
        });
        let Json::Object(map) = original.clone() else { panic!("an object") };
        let back = object(fields(map)).expect("representable");
        assert_eq!(Json::Object(back), original);
    }

    #[test]
    fn an_integer_beyond_i64_becomes_a_double() {
        let kind = message(json!(u64::MAX)).kind.expect("a kind");
        assert_eq!(kind, Kind::DoubleValue(u64::MAX as f64));
    }

    #[test]
    fn not_a_number_is_refused_instead_of_stored_as_null() {
        let value = Value { kind: Some(Kind::DoubleValue(f64::NAN)) };
        let status = payload(HashMap::from([("x".into(), value)])).expect_err("refused");
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn a_value_without_a_kind_is_refused() {
        payload(HashMap::from([("x".into(), Value { kind: None })])).expect_err("refused");
    }
}
