//! What is encoded by hand is what prost would encode: the same messages come out of both.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
    UInt32Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;
use prost::Message;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    DenseVector, Document, MultiDenseVector, NamedVectors, PointStruct, SparseVector, UpsertPoints,
    Vector, Vectors, vector,
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::keys::Id;
use super::pack::{Batch, Packer};
use super::{TableSchema, WriteOptions};
use crate::ids::{DEFAULT_NAMESPACE, point_id};
use crate::{arrow, json};

/// A row as it was before it became columns.
#[derive(Debug, Clone)]
struct Row {
    dense: [f32; 3],
    several: Vec<[f32; 2]>,
    sparse: Vec<(u32, f32)>,
    text: String,
    integer: Option<u64>,
    small: Option<i16>,
    single: Option<f32>,
    double: Option<f64>,
    flag: Option<bool>,
    words: Option<Vec<Option<String>>>,
    time: Option<i64>,
}

fn row() -> impl Strategy<Value = Row> {
    let number = -1e6_f32..1e6;
    (
        (
            [number.clone(), number.clone(), number.clone()],
            prop::collection::vec([number.clone(), number.clone()], 1..4),
            prop::collection::btree_map(any::<u32>(), number, 0..5),
            ".{0,40}",
        ),
        (
            prop::option::of(any::<u64>()),
            prop::option::of(any::<i16>()),
            prop::option::of(any::<f32>()),
            prop::option::of(any::<f64>()),
            prop::option::of(any::<bool>()),
            prop::option::of(prop::collection::vec(prop::option::of(".{0,5}"), 0..4)),
            prop::option::of(0..4_000_000_000_000_i64),
        ),
    )
        .prop_map(|((dense, several, sparse, text), rest)| {
            let (integer, small, single, double, flag, words, time) = rest;
            let sparse = sparse.into_iter().collect();
            Row { dense, several, sparse, text, integer, small, single, double, flag, words, time }
        })
}

fn list(lengths: impl Iterator<Item = usize>, values: ArrayRef) -> ListArray {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths), values, None)
}

fn object(fields: Vec<(&str, ArrayRef)>, nulls: Option<NullBuffer>) -> ArrayRef {
    let (fields, arrays): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
        .unzip();
    Arc::new(StructArray::new(fields.into(), arrays, nulls))
}

fn columns(rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
    let several = rows.iter().flat_map(|row| &row.several).map(|pair| Some(pair.map(Some)));
    let several = ListArray::from_iter_primitive::<Float32Type, _, _>(several);
    let several = list(rows.iter().map(|row| row.several.len()), Arc::new(several));
    let sparse = |values: ArrayRef| list(rows.iter().map(|row| row.sparse.len()), values);
    let indices: UInt32Array = rows.iter().flat_map(|r| &r.sparse).map(|(at, _)| *at).collect();
    let weights: Float32Array = rows.iter().flat_map(|r| &r.sparse).map(|(_, w)| *w).collect();
    let words = rows.iter().flat_map(|row| row.words.iter().flatten());
    let words: StringArray = words.map(Option::as_deref).collect();
    let lengths = rows.iter().map(|row| row.words.as_ref().map_or(0, Vec::len));
    let words = list(lengths, Arc::new(words));
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.words.is_some()));
    let dense = rows.iter().map(|row| Some(row.dense.map(Some)));
    let dense = ListArray::from_iter_primitive::<Float32Type, _, _>(dense);
    let doubles: Float64Array = rows.iter().map(|row| row.double).collect();
    let times: TimestampMillisecondArray = rows.iter().map(|row| row.time).collect();
    let days = rows.iter().map(|row| row.small.map(i32::from));
    let cents = rows.iter().map(|row| row.small.map(i128::from));
    let cents = cents.collect::<Decimal128Array>().with_precision_and_scale(10, 2).unwrap();
    let inner = object(vec![("d", Arc::new(doubles)), ("w", Arc::new(words.clone()))], None);
    vec![
        ("doc", Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "d")))),
        ("n", Arc::new(UInt64Array::from_iter_values(0..rows.len() as u64))),
        ("dense", Arc::new(dense)),
        ("several", Arc::new(several)),
        (
            "sparse",
            object(
                vec![
                    ("indices", Arc::new(sparse(Arc::new(indices)))),
                    ("values", Arc::new(sparse(Arc::new(weights)))),
                ],
                None,
            ),
        ),
        ("text", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.text)))),
        ("integer", Arc::new(rows.iter().map(|row| row.integer).collect::<UInt64Array>())),
        ("small", Arc::new(rows.iter().map(|row| row.small).collect::<Int16Array>())),
        ("single", Arc::new(rows.iter().map(|row| row.single).collect::<Float32Array>())),
        ("flag", Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>())),
        ("time", Arc::new(times)),
        ("day", Arc::new(days.collect::<Date32Array>())),
        ("cents", Arc::new(cents)),
        ("object", object(vec![("inner", inner)], Some(nulls))),
        ("words", Arc::new(words)),
    ]
}

const PAYLOAD: [&str; 10] =
    ["text", "integer", "small", "single", "flag", "time", "day", "cents", "object", "words"];

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns
        .into_iter()
        .map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array))
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn schema() -> TableSchema {
    let one = |name: &str, column: &str| [(name.to_owned(), column.to_owned())].into();
    TableSchema {
        doc: Some("doc".to_owned()),
        chunk: Some("n".to_owned()),
        vectors: [("".into(), "dense".into()), ("m".into(), "several".into())].into(),
        sparse: one("s", "sparse"),
        bm25: one("w", "text"),
        ..TableSchema::default()
    }
}

fn head() -> UpsertPoints {
    UpsertPoints { collection_name: "c".to_owned(), wait: Some(true), ..Default::default() }
}

fn packed(schema: TableSchema, options: &WriteOptions, batches: Vec<RecordBatch>) -> Vec<Batch> {
    let (to, mut from) = mpsc::channel(1000);
    let packer = Packer::new(&Arc::new(schema), options, None, &head(), to);
    packer.run(batches.into_iter().map(Ok)).unwrap();
    std::iter::from_fn(|| from.try_recv().ok()).collect()
}

/// The point that prost should find.
fn expected(rows: &[Row], columns: &[(&str, ArrayRef)], at: usize) -> PointStruct {
    let row = &rows[at];
    let mut payload: HashMap<_, _> = PAYLOAD
        .iter()
        .map(|name| {
            let (_, array) = columns.iter().find(|(there, _)| there == name).unwrap();
            ((*name).to_owned(), json::to_wire(&arrow::value(array, at).unwrap()))
        })
        .collect();
    for (key, value) in [("_doc", Value::from("d")), ("_ix", at.into()), ("_gen", 7.into())] {
        payload.insert(key.to_owned(), json::to_wire(&value));
    }
    let several = row.several.iter().map(|pair| DenseVector { data: pair.to_vec() }).collect();
    let (indices, values) = row.sparse.iter().copied().unzip();
    let text = row.text.clone();
    let document = Document { text, model: "qdrant/bm25".to_owned(), options: HashMap::new() };
    let vectors = [
        ("", vector::Vector::Dense(DenseVector { data: row.dense.to_vec() })),
        ("m", vector::Vector::MultiDense(MultiDenseVector { vectors: several })),
        ("s", vector::Vector::Sparse(SparseVector { values, indices })),
        ("w", vector::Vector::Document(document)),
    ];
    let vectors = vectors.map(|(name, vector)| {
        (name.to_owned(), Vector { vector: Some(vector), ..Vector::default() })
    });
    PointStruct {
        id: Some(Id::Uuid(point_id(&DEFAULT_NAMESPACE, "d", at as u64)).wire()),
        payload,
        vectors: Some(Vectors {
            vectors_options: Some(VectorsOptions::Vectors(NamedVectors {
                vectors: vectors.into(),
            })),
        }),
    }
}

proptest! {
    #[test]
    fn what_is_packed_is_what_is_meant(
        rows in prop::collection::vec(row(), 1..20),
        batch_points in 1..8_usize,
        batch_bytes in 100..3000_usize,
        split in 0..20_usize,
    ) {
        let columns = columns(&rows);
        let table = table(columns.clone());
        let split = split.min(rows.len());
        let parts = vec![table.slice(0, split), table.slice(split, rows.len() - split)];
        let options =
            WriteOptions { batch_points, batch_bytes, generation: Some(7), ..Default::default() };
        let batches = packed(schema(), &options, parts);
        let mut found = Vec::new();
        for batch in &batches {
            let all: Vec<_> = (0..batch.len()).collect();
            let message = UpsertPoints::decode(batch.message(&all)).unwrap();
            prop_assert_eq!(&UpsertPoints { points: Vec::new(), ..message.clone() }, &head());
            prop_assert!(message.points.len() <= batch_points);
            prop_assert!(batch.bytes() <= batch_bytes || message.points.len() == 1);
            // Any part of it is a message too.
            let odd: Vec<_> = all.iter().copied().filter(|at| at % 2 == 1).collect();
            let part = UpsertPoints::decode(batch.message(&odd)).unwrap();
            let odd: Vec<_> = odd.iter().map(|at| message.points[*at].clone()).collect();
            prop_assert_eq!(part.points, odd);
            found.extend(message.points);
        }
        prop_assert_eq!(found.len(), rows.len());
        for (at, point) in found.into_iter().enumerate() {
            prop_assert_eq!(point, expected(&rows, &columns, at));
        }
    }
}

#[test]
fn the_only_vector_of_a_point_goes_without_a_name() {
    let columns: Vec<_> = columns(&[Row {
        dense: [1.0, 2.0, 3.0],
        several: vec![[0.0; 2]],
        sparse: Vec::new(),
        text: "t".to_owned(),
        integer: None,
        small: None,
        single: None,
        double: None,
        flag: None,
        words: None,
        time: None,
    }]);
    let schema = TableSchema {
        vectors: [("".into(), "dense".into())].into(),
        payload: Some(vec!["text".to_owned()]),
        sparse: Default::default(),
        bm25: Default::default(),
        ..schema()
    };
    let batches = packed(schema, &WriteOptions::default(), vec![table(columns)]);
    let message = UpsertPoints::decode(batches[0].message(&[0])).unwrap();
    let vectors = message.points[0].vectors.clone().unwrap().vectors_options.unwrap();
    let VectorsOptions::Vector(vector) = vectors else { panic!("{vectors:?}") };
    let data = vec![1.0, 2.0, 3.0];
    assert_eq!(vector.vector, Some(vector::Vector::Dense(DenseVector { data })));
    assert_eq!(message.points[0].payload.len(), 3);
}

#[test]
fn dictionaries_and_views_are_the_values_they_stand_for() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    let dictionary = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
    for kind in [dictionary, DataType::Utf8View, DataType::LargeUtf8] {
        let texts = arrow_cast::cast(&texts, &kind).unwrap();
        let cells = super::cells::Cells::new(&texts).unwrap();
        let mut out = Vec::new();
        (0..3).for_each(|row| cells.put_entry(&mut out, super::wire::ENTRY, "k", row));
        let mut plain = Vec::new();
        let cells = super::cells::Cells::new(&arrow_cast::cast(&texts, &DataType::Utf8).unwrap());
        let cells = cells.unwrap();
        (0..3).for_each(|row| cells.put_entry(&mut plain, super::wire::ENTRY, "k", row));
        assert_eq!(out, plain);
    }
}
