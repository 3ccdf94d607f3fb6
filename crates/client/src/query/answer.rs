//! Answers as Arrow: of one query a table, of many one list a query.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, Field, Schema};
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    PayloadIncludeSelector, ScoredPoint, Value as Wire, VectorOutput, VectorsOutput,
    WithPayloadSelector, vector_output, vectors_output,
};
use serde_json::{Map, Value, json};

use super::body::payload;
use crate::error::Error;
use crate::json;

/// How payloads come back: whole, as JSON text, or some keys as columns of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Option<Vec<String>>);

impl From<Option<Vec<String>>> for Fields {
    fn from(fields: Option<Vec<String>>) -> Self {
        Self(fields)
    }
}

impl Fields {
    /// What has to be asked for to fill the columns.
    pub(super) fn selector(&self) -> Option<WithPayloadSelector> {
        let fields = self.0.clone()?;
        Some(payload(SelectorOptions::Include(PayloadIncludeSelector { fields })))
    }
}

/// The hits of one query.
pub(super) fn hits(points: Vec<ScoredPoint>, fields: &Fields) -> Result<RecordBatch, Error> {
    let (names, columns) = columns(points, fields);
    let schema = Schema::new(described(&names, &columns));
    RecordBatch::try_new(Arc::new(schema), columns).map_err(broken)
}

/// The hits of many queries.
pub(super) fn batches(
    answers: Vec<Vec<ScoredPoint>>,
    fields: &Fields,
) -> Result<RecordBatch, Error> {
    let offsets = OffsetBuffer::from_lengths(answers.iter().map(Vec::len));
    let (names, columns) = columns(answers.into_iter().flatten().collect(), fields);
    let described = described(&names, &columns);
    let length = columns.first().map_or(0, |column| column.len());
    let rows = StructArray::try_new_with_length(described.into(), columns, None, length)
        .map_err(broken)?;
    let item = Field::new("item", arrow_array::Array::data_type(&rows).clone(), false);
    let hits = ListArray::try_new(Arc::new(item), offsets, Arc::new(rows), None).map_err(broken)?;
    let schema =
        Schema::new(vec![Field::new("hits", arrow_array::Array::data_type(&hits).clone(), false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(hits)]).map_err(broken)
}

fn described(names: &[String], columns: &[ArrayRef]) -> Vec<Field> {
    let pairs = names.iter().zip(columns);
    pairs.map(|(name, column)| Field::new(name, column.data_type().clone(), true)).collect()
}

fn columns(points: Vec<ScoredPoint>, fields: &Fields) -> (Vec<String>, Vec<ArrayRef>) {
    let mut ids = StringBuilder::new();
    let mut scores = Float32Builder::with_capacity(points.len());
    let mut vectors = StringBuilder::new();
    let has_vectors = points.iter().any(|point| point.vectors.is_some());
    let mut payloads = Vec::with_capacity(points.len());
    for point in points {
        match point.id.and_then(|id| id.point_id_options) {
            Some(PointIdOptions::Uuid(uuid)) => ids.append_value(uuid),
            Some(PointIdOptions::Num(number)) => ids.append_value(number.to_string()),
            None => ids.append_null(),
        }
        scores.append_value(point.score);
        if has_vectors {
            vectors.append_option(point.vectors.map(|vectors| vectors_json(vectors).to_string()));
        }
        payloads.push(point.payload);
    }
    let mut names = vec!["id".to_owned(), "score".to_owned()];
    let mut found: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(scores.finish())];
    match &fields.0 {
        None => {
            names.push("payload".to_owned());
            let mut text = StringBuilder::new();
            for payload in payloads {
                text.append_value(Value::Object(json::object_from_wire(payload)).to_string());
            }
            found.push(Arc::new(text.finish()));
        }
        Some(keys) => {
            for key in keys {
                names.push(key.clone());
                let cells = payloads.iter_mut().map(|payload| payload.remove(key));
                found.push(column(cells.map(|cell| cell.and_then(|cell| cell.kind)).collect()));
            }
        }
    }
    if has_vectors {
        names.push("vector".to_owned());
        found.push(Arc::new(vectors.finish()));
    }
    (names, found)
}

/// A column of the one type that all values have; JSON text if there is none.
fn column(cells: Vec<Option<Kind>>) -> ArrayRef {
    let is = |wanted: fn(&Kind) -> bool| {
        cells.iter().flatten().all(|kind| wanted(kind) || matches!(kind, Kind::NullValue(_)))
    };
    if is(|kind| matches!(kind, Kind::StringValue(_))) {
        let mut text = StringBuilder::new();
        for cell in cells {
            text.append_option(match cell {
                Some(Kind::StringValue(value)) => Some(value),
                _ => None,
            });
        }
        return Arc::new(text.finish());
    }
    if is(|kind| matches!(kind, Kind::IntegerValue(_))) {
        let mut integers = Int64Builder::new();
        for cell in cells {
            integers.append_option(match cell {
                Some(Kind::IntegerValue(value)) => Some(value),
                _ => None,
            });
        }
        return Arc::new(integers.finish());
    }
    if is(|kind| matches!(kind, Kind::DoubleValue(_) | Kind::IntegerValue(_))) {
        let mut doubles = Float64Builder::new();
        for cell in cells {
            doubles.append_option(match cell {
                Some(Kind::DoubleValue(value)) => Some(value),
                #[expect(clippy::cast_precision_loss, reason = "a column of doubles has no better")]
                Some(Kind::IntegerValue(value)) => Some(value as f64),
                _ => None,
            });
        }
        return Arc::new(doubles.finish());
    }
    if is(|kind| matches!(kind, Kind::BoolValue(_))) {
        let mut flags = BooleanBuilder::new();
        for cell in cells {
            flags.append_option(match cell {
                Some(Kind::BoolValue(value)) => Some(value),
                _ => None,
            });
        }
        return Arc::new(flags.finish());
    }
    let mut text = StringBuilder::new();
    for cell in cells {
        text.append_option(match cell {
            None | Some(Kind::NullValue(_)) => None,
            kind => Some(json::from_wire(Wire { kind }).to_string()),
        });
    }
    Arc::new(text.finish())
}

/// Vectors as the REST API writes them.
fn vectors_json(vectors: VectorsOutput) -> Value {
    match vectors.vectors_options {
        None => Value::Null,
        Some(vectors_output::VectorsOptions::Vector(vector)) => vector_json(vector),
        Some(vectors_output::VectorsOptions::Vectors(named)) => {
            let mut names: Vec<_> = named.vectors.into_iter().collect();
            names.sort_by(|(one, _), (other, _)| one.cmp(other));
            let fields: Map<_, _> =
                names.into_iter().map(|(name, vector)| (name, vector_json(vector))).collect();
            Value::Object(fields)
        }
    }
}

fn vector_json(output: VectorOutput) -> Value {
    match output.into_vector() {
        vector_output::Vector::Dense(dense) => json!(dense.data),
        vector_output::Vector::Sparse(sparse) => {
            json!({ "indices": sparse.indices, "values": sparse.values })
        }
        vector_output::Vector::MultiDense(many) => {
            Value::Array(many.vectors.into_iter().map(|row| json!(row.data)).collect())
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over is owned")]
fn broken(error: ArrowError) -> Error {
    Error::Internal(error.to_string())
}
