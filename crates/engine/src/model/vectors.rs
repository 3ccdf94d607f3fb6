//! Vectors as a caller sends them: numbers, or text for the engine to embed.
//!
//! The JSON forms are told apart by hand and not by serde's `untagged`, which would buffer every
//! float of a large upsert twice.

use std::collections::BTreeMap;
use std::fmt;

use qdrant_edge::SparseVector;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Text to be embedded by the engine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Document {
    /// What to embed.
    pub(crate) text: String,
    /// Which model; `qdrant/bm25` is the only one the embedded engine has.
    pub(crate) model: String,
    /// The model's settings, in Qdrant's `Bm25Config` form.
    #[serde(default)]
    pub(crate) options: Option<serde_json::Map<String, Value>>,
}

/// One vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VectorInput {
    /// One list of numbers.
    Dense(Vec<f32>),
    /// Indices and values.
    Sparse(SparseVector),
    /// Several lists of numbers of one length.
    Multi(Vec<Vec<f32>>),
    /// Text to be embedded.
    Document(Document),
    /// A form the embedded engine cannot embed: `image` or `object`.
    Unsupported(&'static str),
}

/// All vectors of one point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum VectorsInput {
    /// The default, unnamed vector.
    Single(VectorInput),
    /// Vectors by name. The name `""` is the default vector.
    Named(BTreeMap<String, VectorInput>),
}

impl<'de> Deserialize<'de> for VectorInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

impl<'de> Deserialize<'de> for VectorsInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorsVisitor)
    }
}

/// The first element decides whether a list is one vector or several.
enum Element {
    Number(f32),
    List(Vec<f32>),
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a list of numbers")
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "vectors are stored with single precision, as upstream"
    )]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Element, E> {
        Ok(Element::Number(value as f32))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "vectors are stored with single precision, as upstream"
    )]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Element, E> {
        Ok(Element::Number(value as f32))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "vectors are stored with single precision, as upstream"
    )]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Element, E> {
        Ok(Element::Number(value as f32))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Element, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Element::List)
    }
}

impl<'de> DeserializeSeed<'de> for ElementVisitor {
    type Value = Element;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn list<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<VectorInput, A::Error> {
    match seq.next_element_seed(ElementVisitor)? {
        None => Ok(VectorInput::Dense(Vec::new())),
        Some(Element::Number(first)) => {
            let mut dense = Vec::with_capacity(256);
            dense.push(first);
            while let Some(number) = seq.next_element::<f32>()? {
                dense.push(number);
            }
            dense.shrink_to_fit();
            Ok(VectorInput::Dense(dense))
        }
        Some(Element::List(first)) => {
            let mut multi = vec![first];
            while let Some(row) = seq.next_element::<Vec<f32>>()? {
                multi.push(row);
            }
            Ok(VectorInput::Multi(multi))
        }
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = VectorInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, a list of lists, `indices` and `values`, or a document")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorInput, A::Error> {
        list(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorInput, A::Error> {
        object(ObjectForm::deserialize(MapAccessDeserializer::new(map))?)
    }
}

/// Every key an object in a vector's place may have.
#[derive(Deserialize)]
struct ObjectForm {
    indices: Option<Vec<u32>>,
    values: Option<Vec<f32>>,
    text: Option<String>,
    image: Option<Value>,
    object: Option<Value>,
    model: Option<String>,
    options: Option<serde_json::Map<String, Value>>,
}

fn object<E: de::Error>(form: ObjectForm) -> Result<VectorInput, E> {
    match form {
        ObjectForm { indices: Some(indices), values: Some(values), .. } => {
            Ok(VectorInput::Sparse(SparseVector { indices, values }))
        }
        ObjectForm { text: Some(text), model: Some(model), options, .. } => {
            Ok(VectorInput::Document(Document { text, model, options }))
        }
        ObjectForm { image: Some(_), .. } => Ok(VectorInput::Unsupported("image")),
        ObjectForm { object: Some(_), .. } => Ok(VectorInput::Unsupported("object")),
        _ => Err(E::custom(
            "expected a sparse vector with `indices` and `values`, or a document with `text` and `model`",
        )),
    }
}

struct VectorsVisitor;

impl<'de> Visitor<'de> for VectorsVisitor {
    type Value = VectorsInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector, or an object of vectors by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorsInput, A::Error> {
        list(seq).map(VectorsInput::Single)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VectorsInput, A::Error> {
        let mut named = BTreeMap::new();
        let mut plain = serde_json::Map::new();
        while let Some(name) = map.next_key::<String>()? {
            match map.next_value::<VectorOrPlain>()? {
                VectorOrPlain::Vector(vector) => {
                    named.insert(name, vector);
                }
                VectorOrPlain::Plain(value) => {
                    plain.insert(name, value);
                }
            }
        }
        if plain.is_empty() {
            return Ok(VectorsInput::Named(named));
        }
        // A document, whose `text` and `model` are strings; its `options` were kept plain too.
        let form: ObjectForm =
            serde_json::from_value(Value::Object(plain)).map_err(de::Error::custom)?;
        match object(form)? {
            document @ (VectorInput::Document(_) | VectorInput::Unsupported(_))
                if named.is_empty() =>
            {
                Ok(VectorsInput::Single(document))
            }
            VectorInput::Document(_)
            | VectorInput::Unsupported(_)
            | VectorInput::Dense(_)
            | VectorInput::Sparse(_)
            | VectorInput::Multi(_) => Err(de::Error::custom(
                "expected a vector, an object of vectors by name, or a document with `text` and `model`",
            )),
        }
    }
}

/// A named vector, or a value that can only belong to a document.
enum VectorOrPlain {
    Vector(VectorInput),
    Plain(Value),
}

impl<'de> Deserialize<'de> for VectorOrPlain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorOrPlainVisitor)
    }
}

struct VectorOrPlainVisitor;

impl<'de> Visitor<'de> for VectorOrPlainVisitor {
    type Value = VectorOrPlain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<VectorOrPlain, E> {
        Ok(VectorOrPlain::Plain(Value::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<VectorOrPlain, A::Error> {
        list(seq).map(VectorOrPlain::Vector)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorOrPlain, A::Error> {
        let value = Value::deserialize(MapAccessDeserializer::new(map))?;
        let is_vector = ["indices", "values", "text", "image", "object"]
            .iter()
            .any(|key| value.get(key).is_some());
        if !is_vector {
            return Ok(VectorOrPlain::Plain(value));
        }
        let form: ObjectForm = serde_json::from_value(value).map_err(de::Error::custom)?;
        object(form).map(VectorOrPlain::Vector)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "shorter tests")]
    fn vectors(value: Value) -> VectorsInput {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn every_form_of_a_vector_is_read() {
        assert_eq!(
            vectors(json!([1, 2.5, -3])),
            VectorsInput::Single(VectorInput::Dense(vec![1.0, 2.5, -3.0]))
        );
        assert_eq!(
            vectors(json!([[1, 2], [3, 4]])),
            VectorsInput::Single(VectorInput::Multi(vec![vec![1.0, 2.0], vec![3.0, 4.0]]))
        );
        assert_eq!(
            vectors(json!({"text": "hello", "model": "qdrant/bm25", "options": {"k": 1.0}})),
            VectorsInput::Single(VectorInput::Document(Document {
                text: "hello".into(),
                model: "qdrant/bm25".into(),
                options: json!({"k": 1.0}).as_object().cloned(),
            }))
        );
        assert_eq!(vectors(json!({})), VectorsInput::Named(BTreeMap::new()));
    }

    #[test]
    fn named_vectors_may_be_of_different_kinds() {
        let read = vectors(json!({
            "dense": [1.0],
            "sparse": {"indices": [3], "values": [0.5]},
            "text": {"text": "hello", "model": "qdrant/bm25"},
        }));
        let VectorsInput::Named(named) = read else {
            unreachable!("an object of vectors is named")
        };
        assert!(matches!(named.get("dense"), Some(VectorInput::Dense(_))));
        assert!(matches!(named.get("sparse"), Some(VectorInput::Sparse(_))));
        assert!(matches!(named.get("text"), Some(VectorInput::Document(_))));
    }

    #[test]
    fn a_string_in_a_vectors_place_is_refused() {
        for bad in [json!("x"), json!({"a": "x"}), json!([["x"]]), json!(["x"])] {
            assert!(serde_json::from_value::<VectorsInput>(bad).is_err());
        }
    }
}
