//! Payloads between JSON and the wire, exact where the wire can be: integers beyond 64 bits with a
//! sign become doubles.

use std::collections::HashMap;

use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{ListValue, Struct, Value as Wire};
use serde_json::{Map, Number, Value};

/// A JSON value as the wire has it.
pub(crate) fn to_wire(value: &Value) -> Wire {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Kind::IntegerValue(integer),
            None => Kind::DoubleValue(number.as_f64().unwrap_or(f64::MAX)),
        },
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(to_wire).collect() })
        }
        Value::Object(fields) => Kind::StructValue(Struct { fields: object_to_wire(fields) }),
    };
    Wire { kind: Some(kind) }
}

/// A JSON object as the wire has it.
pub(crate) fn object_to_wire(fields: &Map<String, Value>) -> HashMap<String, Wire> {
    fields.iter().map(|(key, value)| (key.clone(), to_wire(value))).collect()
}

/// A value from the wire as JSON. What JSON has no word for (NaN) becomes null.
pub(crate) fn from_wire(value: Wire) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(bool)) => Value::Bool(bool),
        Some(Kind::IntegerValue(integer)) => Value::Number(integer.into()),
        Some(Kind::DoubleValue(double)) => {
            Number::from_f64(double).map_or(Value::Null, Value::Number)
        }
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(from_wire).collect())
        }
        Some(Kind::StructValue(fields)) => Value::Object(object_from_wire(fields.fields)),
    }
}

/// A payload from the wire as JSON, its keys in order.
pub(crate) fn object_from_wire(fields: HashMap<String, Wire>) -> Map<String, Value> {
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields.into_iter().map(|(key, value)| (key, from_wire(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_comes_back_as_it_went() {
        let payload = serde_json::json!({
            "s": "ä", "i": -9_007_199_254_740_993_i64, "f": 0.1, "b": false, "n": null,
            "l": [1, [2.5, {"deep": "x"}]], "o": {"": []}
        });
        assert_eq!(from_wire(to_wire(&payload)), payload);
    }
}
