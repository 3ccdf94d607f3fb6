//! Tables to write, and what a collection holds of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Field, Schema};
use qdrant_client::qdrant::points_client::PointsClient;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{
    ScrollPoints, VectorsOutput, WithPayloadSelector, WithVectorsSelector, with_payload_selector,
    with_vectors_selector,
};
use qmoor_client::ensure::{CollectionSpec, ensure_collection};
use qmoor_client::error::Error;
use qmoor_client::table::{Budget, TableSchema, TableWriter, WriteOptions, WriteReport};
use qmoor_client::target::Target;
use serde_json::{Value, json};

pub(crate) fn schema(text: Value) -> TableSchema {
    serde_json::from_value(text).unwrap()
}

pub(crate) fn options(text: Value) -> WriteOptions {
    serde_json::from_value(text).unwrap()
}

pub(crate) async fn ensure(target: &Target, text: Value) {
    let spec: CollectionSpec = serde_json::from_value(text).unwrap();
    ensure_collection(target, &spec).await.unwrap();
}

pub(crate) async fn writer(target: &Target, schema: Value, options: Value) -> TableWriter {
    let (schema, options) = (self::schema(schema), self::options(options));
    TableWriter::open(target, schema, options, Budget::of_process()).await.unwrap()
}

/// Writes batches with one writer.
pub(crate) async fn write(
    writer: &TableWriter,
    batches: &[RecordBatch],
) -> Result<WriteReport, Error> {
    let batches: Vec<Result<RecordBatch, ArrowError>> = batches.iter().cloned().map(Ok).collect();
    writer.write(batches.into_iter()).await
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

pub(crate) fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

pub(crate) fn integers(integers: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(integers.to_vec()))
}

/// Vectors of two numbers.
pub(crate) fn pairs(pairs: &[[f32; 2]]) -> ArrayRef {
    let rows = pairs.iter().map(|pair| Some(pair.map(Some)));
    Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2))
}

/// The schema of [`chunks`].
pub(crate) fn chunk_schema() -> Value {
    json!({"doc": "doc", "chunk": "n", "chunk_count": "of", "vectors": {"": "vector"}})
}

/// Chunks of documents: document, number, and text.
pub(crate) fn chunks(rows: &[(&str, i64, &str)], counts: &[i64]) -> RecordBatch {
    batch(vec![
        ("doc", texts(&rows.iter().map(|row| row.0).collect::<Vec<_>>())),
        ("n", integers(&rows.iter().map(|row| row.1).collect::<Vec<_>>())),
        ("of", integers(counts)),
        ("text", texts(&rows.iter().map(|row| row.2).collect::<Vec<_>>())),
        ("vector", pairs(&vec![[0.5, 1.0]; rows.len()])),
    ])
}

/// A point that was read back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) payload: Value,
    pub(crate) vectors: Option<VectorsOutput>,
}

/// All points by their ids.
pub(crate) async fn points(target: &Target) -> BTreeMap<String, Point> {
    let mut client = PointsClient::connect(target.grpc_url.clone()).await.unwrap();
    let scroll = ScrollPoints {
        collection_name: target.collection.clone(),
        limit: Some(100_000),
        with_payload: Some(WithPayloadSelector {
            selector_options: Some(with_payload_selector::SelectorOptions::Enable(true)),
        }),
        with_vectors: Some(WithVectorsSelector {
            selector_options: Some(with_vectors_selector::SelectorOptions::Enable(true)),
        }),
        ..Default::default()
    };
    let page = client.scroll(scroll).await.unwrap().into_inner();
    let point = |point: qdrant_client::qdrant::RetrievedPoint| {
        let id = match point.id.unwrap().point_id_options.unwrap() {
            qdrant_client::qdrant::point_id::PointIdOptions::Num(number) => number.to_string(),
            qdrant_client::qdrant::point_id::PointIdOptions::Uuid(uuid) => uuid,
        };
        let payload = point.payload.into_iter().map(|(key, value)| (key, plain(value))).collect();
        (id, Point { payload: Value::Object(payload), vectors: point.vectors })
    };
    page.result.into_iter().map(point).collect()
}

/// `document/chunk: text (generation)` of all points.
pub(crate) async fn held(target: &Target) -> Vec<String> {
    let points = points(target).await;
    let mut held: Vec<_> = points.values().map(|point| told(&point.payload)).collect();
    held.sort();
    held
}

pub(crate) fn told(payload: &Value) -> String {
    let text = |key: &str| payload[key].as_str().unwrap_or("-").to_owned();
    format!("{}/{}: {} ({})", text("_doc"), payload["_ix"], text("text"), payload["_gen"])
}

pub(crate) fn plain(value: qdrant_client::qdrant::Value) -> Value {
    match value.kind.unwrap() {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(bool) => bool.into(),
        Kind::IntegerValue(integer) => integer.into(),
        Kind::DoubleValue(double) => double.into(),
        Kind::StringValue(text) => text.into(),
        Kind::ListValue(list) => list.values.into_iter().map(plain).collect(),
        Kind::StructValue(object) => Value::Object(
            object.fields.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        ),
    }
}
