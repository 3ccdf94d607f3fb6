//! A record as the point that is sent for it.

use std::collections::HashMap;

use prost::Message;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    DenseVector, Document, NamedVectors, PointId, PointStruct, Vector, Vectors,
    point_id::PointIdOptions, vector,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::ensure::{CHUNK_KEY, DOC_KEY, HASH_KEY, TEXT_KEY, TEXT_MODEL, TEXT_VECTOR};
use crate::ids::point_id;
use crate::json;
use crate::source::{Place, Record};

/// Part of every hash: raise it when the same record is to be written differently, so that all is
/// written again.
const FORMAT: u8 = 1;

/// A point, and what is needed to talk about it.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) id: Uuid,
    /// Of everything that is written; equal hashes need no writing.
    pub(super) hash: String,
    pub(super) place: Place,
    pub(super) wire: PointStruct,
    /// As encoded.
    pub(super) bytes: usize,
}

impl Point {
    pub(super) fn new(record: Record, namespace: &Uuid) -> Self {
        let id = point_id(namespace, &record.doc, record.chunk);
        let hash = hash(&record);
        let Record { doc, chunk, text, vector, payload, place } = record;

        let mut payload = json::object_to_wire(&payload);
        payload.insert(DOC_KEY.to_owned(), json::to_wire(&Value::from(doc)));
        payload.insert(CHUNK_KEY.to_owned(), json::to_wire(&Value::from(chunk)));
        payload.insert(HASH_KEY.to_owned(), json::to_wire(&Value::from(hash.as_str())));
        let mut vectors = HashMap::new();
        if let Some(data) = vector {
            let dense = vector::Vector::Dense(DenseVector { data });
            vectors.insert(String::new(), wire_vector(dense));
        }
        if let Some(text) = text {
            payload.insert(TEXT_KEY.to_owned(), json::to_wire(&Value::from(text.as_str())));
            let document = Document { text, model: TEXT_MODEL.to_owned(), options: HashMap::new() };
            vectors.insert(TEXT_VECTOR.to_owned(), wire_vector(vector::Vector::Document(document)));
        }
        let wire = PointStruct {
            id: Some(wire_id(id)),
            payload,
            vectors: Some(Vectors {
                vectors_options: Some(VectorsOptions::Vectors(NamedVectors { vectors })),
            }),
        };
        let bytes = wire.encoded_len();
        Self { id, hash, place, wire, bytes }
    }
}

pub(super) fn wire_id(id: Uuid) -> PointId {
    PointId { point_id_options: Some(PointIdOptions::Uuid(id.to_string())) }
}

/// The UUID of a point; integers are never ours.
pub(super) fn uuid(id: Option<&PointId>) -> Option<Uuid> {
    match id?.point_id_options.as_ref()? {
        PointIdOptions::Uuid(text) => Uuid::parse_str(text).ok(),
        PointIdOptions::Num(_) => None,
    }
}

fn wire_vector(vector: vector::Vector) -> Vector {
    Vector { vector: Some(vector), ..Vector::default() }
}

/// A hash over everything that is written for a record, each part with its length before it.
fn hash(record: &Record) -> String {
    let mut hash = Sha256::new();
    hash.update([FORMAT]);
    match &record.text {
        Some(text) => feed_text(&mut hash, b't', text),
        None => hash.update(b"-"),
    }
    match &record.vector {
        Some(vector) => {
            feed_length(&mut hash, b'v', vector.len());
            for number in vector {
                hash.update(number.to_le_bytes());
            }
        }
        None => hash.update(b"-"),
    }
    feed_object(&mut hash, &record.payload);
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn feed_length(hash: &mut Sha256, kind: u8, length: usize) {
    hash.update([kind]);
    hash.update(u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes());
}

fn feed_text(hash: &mut Sha256, kind: u8, text: &str) {
    feed_length(hash, kind, text.len());
    hash.update(text.as_bytes());
}

/// The keys in order, whatever order the map keeps them in.
fn feed_object(hash: &mut Sha256, object: &Map<String, Value>) {
    feed_length(hash, b'o', object.len());
    let mut fields: Vec<_> = object.iter().collect();
    fields.sort_by_key(|(key, _)| *key);
    for (key, value) in fields {
        feed_text(hash, b'k', key);
        feed_value(hash, value);
    }
}

fn feed_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"0"),
        Value::Bool(true) => hash.update(b"1"),
        Value::Bool(false) => hash.update(b"2"),
        Value::Number(number) => feed_text(hash, b'n', &number.to_string()),
        Value::String(text) => feed_text(hash, b's', text),
        Value::Array(items) => {
            feed_length(hash, b'a', items.len());
            for item in items {
                feed_value(hash, item);
            }
        }
        Value::Object(object) => feed_object(hash, object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(text: Option<&str>, vector: Option<Vec<f32>>, payload: &Value) -> Record {
        Record {
            doc: "a.md".to_owned(),
            chunk: 0,
            text: text.map(str::to_owned),
            vector,
            payload: payload.as_object().cloned().unwrap(),
            place: Place { file: "a.md".into(), row: None },
        }
    }

    #[test]
    fn a_hash_tells_every_difference() {
        let all = [
            record(Some("x"), None, &json!({})),
            record(Some("y"), None, &json!({})),
            record(None, Some(vec![1.0]), &json!({})),
            record(Some("x"), Some(vec![1.0]), &json!({})),
            record(Some("x"), Some(vec![1.0, 0.0]), &json!({})),
            record(Some("x"), None, &json!({"a": 1})),
            record(Some("x"), None, &json!({"a": "1"})),
            record(Some("x"), None, &json!({"a": [1]})),
            record(Some("x"), None, &json!({"a": {"b": 1}})),
            record(Some("x"), None, &json!({"a": {}, "b": 1})),
            record(Some("x"), None, &json!({"a": null})),
        ];
        let hashes: std::collections::BTreeSet<_> = all.iter().map(hash).collect();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn a_hash_is_the_same_on_every_machine() {
        let one = record(Some("text"), Some(vec![0.5, -1.0]), &json!({"b": 1, "a": [true, null]}));
        // Made with Python's hashlib.
        assert_eq!(hash(&one), "7ee2225bad1b9ccb9a09daa5f4b9c7ee");
    }

    #[test]
    fn a_point_knows_its_size_on_the_wire() {
        let point = Point::new(record(Some("x"), None, &json!({"k": 1})), &Uuid::nil());
        assert_eq!(point.bytes, point.wire.encode_to_vec().len());
    }
}
