//! Every type a column may have, and every row and column that is refused.

#![allow(
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "a table of cases is handed over whole, and is as long as it has cases"
)]

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::types::Float32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, FixedSizeListArray, Float64Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use qdrant_client::qdrant::{vector_output, vectors_output};
use qmoor_client::target::Target;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::tables::{batch, ensure, integers, pairs, points, texts, write, writer};

async fn start(spec: Value) -> (Engine, Target) {
    let engine = Engine::start().await;
    let target = engine.target("c");
    ensure(&target, spec).await;
    (engine, target)
}

/// A column of another type with the same values.
fn as_type(array: &ArrayRef, to: DataType) -> ArrayRef {
    cast(array, &to).unwrap()
}

fn item(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", kind, true))
}

/// The column `vector` as this extension type.
fn tensors(storage: &ArrayRef, name: &str, shape: &str) -> RecordBatch {
    let metadata = HashMap::from([
        ("ARROW:extension:name".to_owned(), name.to_owned()),
        ("ARROW:extension:metadata".to_owned(), shape.to_owned()),
    ]);
    let vector = Field::new("vector", storage.data_type().clone(), true).with_metadata(metadata);
    let ids: Vec<_> = (0..i64::try_from(storage.len()).unwrap()).collect();
    let fields = vec![Field::new("id", DataType::Int64, false), vector];
    let columns = vec![integers(&ids), Arc::clone(storage)];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// The only dense vector of each point, by the point's number.
async fn dense(target: &Target) -> Vec<Vec<f32>> {
    let points = points(target).await;
    let mut all: Vec<(u64, Vec<f32>)> = Vec::new();
    for (id, point) in points {
        let Some(vectors_output::VectorsOptions::Vector(vector)) =
            point.vectors.unwrap().vectors_options
        else {
            panic!("named");
        };
        let vector_output::Vector::Dense(dense) = vector.into_vector() else { panic!("not dense") };
        all.push((id.parse().unwrap(), dense.data));
    }
    all.sort_by_key(|(id, _)| *id);
    all.into_iter().map(|(_, vector)| vector).collect()
}

#[tokio::test]
async fn a_vector_may_be_any_list_of_numbers() {
    let (engine, target) = start(json!({"vectors": {"": {"size": 2, "distance": "dot"}}})).await;
    let writer = writer(&target, json!({"id": "id", "vectors": {"": "vector"}}), json!({})).await;
    let values = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]];
    let all = pairs(&values);
    let expected: Vec<Vec<f32>> = values[1..4].iter().map(|pair| pair.to_vec()).collect();
    let mut tables = Vec::new();
    for number in
        [DataType::Float16, DataType::Float32, DataType::Float64, DataType::Int8, DataType::UInt8]
    {
        for list in [
            DataType::FixedSizeList(item(number.clone()), 2),
            DataType::List(item(number.clone())),
            DataType::LargeList(item(number.clone())),
            DataType::ListView(item(number.clone())),
        ] {
            let vectors = as_type(&all, list).slice(1, 3);
            tables.push(batch(vec![("id", integers(&[0, 1, 2])), ("vector", vectors)]));
        }
        let lists = as_type(&all, DataType::List(item(number.clone()))).slice(1, 3);
        let large = as_type(&all, DataType::LargeList(item(number.clone()))).slice(1, 3);
        tables.push(tensors(&lists, "ray.data.arrow_tensor", "[2]"));
        tables.push(tensors(&large, "ray.data.arrow_tensor_v2", "[2]"));
        let fixed = as_type(&all, DataType::FixedSizeList(item(number), 2)).slice(1, 3);
        tables.push(tensors(&fixed, "arrow.fixed_shape_tensor", r#"{"shape":[2]}"#));
    }
    for table in tables {
        let kind = table.schema_ref().field(1).clone();
        write(&writer, &[table]).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(dense(&target).await, expected, "{kind}");
    }
    // A slice of a table, and tables of one row each.
    let table = batch(vec![("id", integers(&[9, 0, 1, 2, 8])), ("vector", all)]).slice(1, 3);
    let rows: Vec<_> = (0..3).map(|row| table.slice(row, 1)).collect();
    write(&writer, &rows).await.unwrap();
    assert_eq!(dense(&target).await, expected);
    engine.stop().await;
}

#[tokio::test]
async fn several_sparse_and_computed_vectors_are_written_together() {
    let spec = json!({
        "vectors": {"": {"size": 2, "distance": "dot"},
            "tokens": {"size": 2, "distance": "dot", "multivector": true}},
        "sparse": {"splade": {}, "words": {"idf": true}},
    });
    let (engine, target) = start(spec).await;
    let flat = pairs(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let field = item(flat.data_type().clone());
    let ends = OffsetBuffer::new(vec![0, 2, 3].into());
    let nested: ArrayRef = Arc::new(ListArray::new(field, ends, Arc::clone(&flat), None));
    let list = |values: ArrayRef| -> ArrayRef {
        let field = item(values.data_type().clone());
        Arc::new(ListArray::new(field, OffsetBuffer::new(vec![0, 2, 2].into()), values, None))
    };
    let (indices, values) = (
        list(Arc::new(UInt32Array::from(vec![70_000, 3]))),
        list(Arc::new(Float64Array::from(vec![0.5, 1.5]))),
    );
    let sparse: ArrayRef = Arc::new(StructArray::from(vec![
        (item(indices.data_type().clone()).as_ref().clone().with_name("indices").into(), indices),
        (item(values.data_type().clone()).as_ref().clone().with_name("values").into(), values),
    ]));
    let table = batch(vec![
        ("id", integers(&[1, 2])),
        ("vector", pairs(&[[1.0, 0.0], [0.0, 1.0]])),
        ("tokens", nested),
        ("splade", sparse),
        ("text", texts(&["a ship is moored", "bread and salt"])),
    ]);
    let schema = json!({"id": "id", "vectors": {"": "vector", "tokens": "tokens"},
        "sparse": {"splade": "splade"}, "bm25": {"words": "text"}});
    let writer = writer(&target, schema, json!({})).await;
    writer.check(Some(table.schema_ref())).await.unwrap();
    write(&writer, &[table]).await.unwrap();
    let points = points(&target).await;
    let named = |id: &str| {
        let vectors = points[id].vectors.clone().unwrap();
        let Some(vectors_output::VectorsOptions::Vectors(named)) = vectors.vectors_options else {
            panic!("unnamed");
        };
        named
            .vectors
            .into_iter()
            .map(|(name, vector)| (name, vector.into_vector()))
            .collect::<HashMap<_, _>>()
    };
    let (first, second) = (named("1"), named("2"));
    let vector_output::Vector::MultiDense(tokens) = &first["tokens"] else { panic!() };
    let tokens: Vec<_> = tokens.vectors.iter().map(|vector| vector.data.clone()).collect();
    assert_eq!(tokens, [[1.0, 2.0], [3.0, 4.0]]);
    let vector_output::Vector::Sparse(splade) = &first["splade"] else { panic!() };
    assert_eq!((&splade.indices, &splade.values), (&vec![3, 70_000], &vec![1.5, 0.5]));
    let vector_output::Vector::Sparse(words) = &second["words"] else { panic!() };
    assert_eq!(words.indices.len(), 2);
    assert_eq!(points["1"].payload, json!({"text": "a ship is moored"}));
    engine.stop().await;
}

#[tokio::test]
async fn several_vectors_may_be_a_tensor() {
    let spec = json!({"vectors": {"": {"size": 2, "distance": "dot", "multivector": true}}});
    let (engine, target) = start(spec).await;
    let numbers: Vec<Option<f32>> = (0..8_u8).map(|number| Some(f32::from(number))).collect();
    let rows = numbers.chunks(4).map(|row| Some(row.to_vec()));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows));
    let fixed = as_type(&lists, DataType::FixedSizeList(item(DataType::Float32), 4));
    let large = as_type(&lists, DataType::LargeList(item(DataType::Float32)));
    let shape: ArrayRef = Arc::new(ListArray::new(
        item(DataType::Int64),
        OffsetBuffer::new(vec![0, 2, 4].into()),
        integers(&[2, 2, 2, 2]),
        None,
    ));
    let varied: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("data", large.data_type().clone(), true)), Arc::clone(&large)),
        (Arc::new(Field::new("shape", shape.data_type().clone(), true)), shape),
    ]));
    let writer = writer(&target, json!({"id": "id", "vectors": {"": "vector"}}), json!({})).await;
    for table in [
        tensors(&lists, "ray.data.arrow_tensor", "[2,2]"),
        tensors(&large, "ray.data.arrow_tensor_v2", "[2,2]"),
        tensors(&fixed, "arrow.fixed_shape_tensor", r#"{"shape":[2,2],"permutation":[0,1]}"#),
        tensors(&varied, "ray.data.arrow_variable_shaped_tensor", "2"),
    ] {
        write(&writer, &[table]).await.unwrap();
        let points = points(&target).await;
        let Some(vectors_output::VectorsOptions::Vector(vector)) =
            points["1"].vectors.clone().unwrap().vectors_options
        else {
            panic!("named");
        };
        let vector_output::Vector::MultiDense(several) = vector.into_vector() else { panic!() };
        let several: Vec<_> = several.vectors.into_iter().map(|vector| vector.data).collect();
        assert_eq!(several, [[4.0, 5.0], [6.0, 7.0]]);
    }
    engine.stop().await;
}

#[tokio::test]
async fn an_id_may_be_a_number_or_a_uuid_in_any_form() {
    let (engine, target) = start(json!({"vectors": {"": {"size": 2}}})).await;
    let uuid = "12345678-9abc-4def-8123-456789abcdef";
    let bytes = uuid::Uuid::parse_str(uuid).unwrap().into_bytes();
    let fixed = FixedSizeBinaryArray::try_from_iter([bytes].into_iter()).unwrap();
    let ids: Vec<(ArrayRef, &str)> = vec![
        (integers(&[7]), "7"),
        (Arc::new(Int32Array::from(vec![8])), "8"),
        (Arc::new(arrow_array::UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
        (texts(&[uuid]), uuid),
        (texts(&["123456789ABC4DEF8123456789ABCDEF"]), uuid),
        (Arc::new(fixed), uuid),
        (Arc::new(BinaryArray::from(vec![bytes.as_slice()])), uuid),
        (as_type(&texts(&[uuid]), DataType::LargeUtf8), uuid),
        (as_type(&texts(&[uuid]), DataType::Utf8View), uuid),
        (
            as_type(
                &texts(&[uuid]),
                DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
            ),
            uuid,
        ),
    ];
    let writer = writer(&target, json!({"id": "id", "vectors": {"": "vector"}}), json!({})).await;
    for (column, id) in ids {
        write(&writer, &[batch(vec![("id", column), ("vector", pairs(&[[1.0, 1.0]]))])])
            .await
            .unwrap();
        assert!(points(&target).await.contains_key(id), "{id}");
    }
    assert_eq!(points(&target).await.len(), 4);
    engine.stop().await;
}

/// A list column of one vector that has this number.
fn with_number(number: Option<f32>) -> ArrayRef {
    let mut lists = ListBuilder::new(Float32Builder::new());
    for row in [[Some(1.0), Some(2.0)], [Some(1.0), number], [Some(1.0), Some(2.0)]] {
        lists.append_value(row);
    }
    Arc::new(lists.finish())
}

fn lists(rows: [Option<&[f32]>; 3]) -> ArrayRef {
    let rows = rows.map(|row| row.map(|row| row.iter().copied().map(Some).collect::<Vec<_>>()));
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

#[tokio::test]
async fn every_bad_row_is_named_with_its_column() {
    let (engine, target) = start(json!({"vectors": {"": {"size": 2}}})).await;
    let good = || -> Vec<(&str, ArrayRef)> {
        vec![
            (
                "id",
                texts(&[
                    "00000000-0000-4000-8000-000000000000",
                    "00000000-0000-4000-8000-000000000001",
                    "00000000-0000-4000-8000-000000000002",
                ]),
            ),
            ("doc", texts(&["a", "a", "a"])),
            ("n", integers(&[0, 1, 2])),
            ("of", integers(&[3, 3, 3])),
            ("hash", texts(&["x", "y", "z"])),
            ("vector", pairs(&[[1.0, 2.0]; 3])),
        ]
    };
    let null_text =
        |texts: [Option<&str>; 3]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let null_number =
        |numbers: [Option<i64>; 3]| -> ArrayRef { Arc::new(Int64Array::from(numbers.to_vec())) };
    let id = "00000000-0000-4000-8000-000000000000";
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![&[0_u8; 16][..], &[1; 15], &[2; 16]]));
    let cases: Vec<(&str, ArrayRef, &str)> = vec![
        ("id", null_text([Some(id), None, None]), "null"),
        ("id", null_text([Some(id), Some("no-uuid"), None]), "\"no-uuid\" is no UUID"),
        ("id", null_text([Some(id), Some(id), None]), "that of row 0 too"),
        ("id", integers(&[0, -1, 2]), "-1 is negative"),
        ("id", binary, "15 bytes"),
        ("doc", null_text([Some("a"), None, Some("a")]), "null"),
        ("n", null_number([Some(0), None, Some(2)]), "null"),
        ("n", integers(&[0, -1, 2]), "negative"),
        ("n", integers(&[0, 3, 2]), "chunk 3 of a document of 3"),
        ("of", null_number([Some(3), None, Some(3)]), "null"),
        ("hash", null_text([Some("x"), None, Some("z")]), "null"),
        ("vector", lists([Some(&[1.0, 2.0]), None, Some(&[1.0, 2.0])]), "null"),
        ("vector", lists([Some(&[1.0, 2.0]), Some(&[1.0]), None]), "1 numbers, not 2"),
        ("vector", lists([Some(&[1.0, 2.0]), Some(&[1.0, 2.0, 3.0]), None]), "3 numbers, not 2"),
        ("vector", lists([Some(&[1.0, 2.0]), Some(&[]), None]), "no numbers"),
        ("vector", with_number(None), "number 1 is null"),
        ("vector", with_number(Some(f32::NAN)), "number 1 is NaN"),
        ("vector", with_number(Some(f32::INFINITY)), "number 1 is inf"),
        (
            "vector",
            as_type(
                &lists([Some(&[1.0, 2.0]), Some(&[f32::NEG_INFINITY, 0.0]), None]),
                DataType::List(item(DataType::Float64)),
            ),
            "number 0 is -inf",
        ),
    ];
    let schema = json!({"id": "id", "doc": "doc", "chunk": "n", "chunk_count": "of", "hash": "hash",
        "vectors": {"": "vector"}});
    let raise = writer(&target, schema.clone(), json!({})).await;
    let aside = writer(&target, schema, json!({"on_bad_row": "dead_letter"})).await;
    let before = batch(vec![
        ("id", texts(&["00000000-0000-4000-8000-00000000000a"])),
        ("doc", texts(&["b"])),
        ("n", integers(&[0])),
        ("of", integers(&[1])),
        ("hash", texts(&["x"])),
        ("vector", pairs(&[[1.0, 2.0]])),
    ]);
    for (name, column, said) in cases {
        let mut columns = good();
        columns.iter_mut().find(|(there, _)| *there == name).unwrap().1 = column;
        let table = batch(columns);
        // The id of one row before must be of the same kind.
        let first = if table.column(0).data_type() == &DataType::Utf8 {
            vec![before.clone()]
        } else {
            vec![]
        };
        let at = u64::try_from(first.len()).unwrap() + 1;
        let tables = [first, vec![table]].concat();
        let error = write(&raise, &tables).await.unwrap_err();
        let blamed = (error.code(), error.row(), error.column());
        assert_eq!(blamed, ("bad_row", Some(at), Some(name)), "{name} {said}: {error}");
        let told = error.to_string();
        let said = said.replace("row 0", &format!("row {}", at - 1));
        assert!(
            told.contains(&said) && told.starts_with(&format!("row {at}: column `{name}`")),
            "{told}"
        );
        let report = write(&aside, &tables).await.unwrap();
        assert_eq!(report.rows_in, report.points_acked + report.bad_rows);
        assert_eq!(report.bad_row_list[0].row, at);
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_column_that_cannot_be_used_at_all_is_named() {
    let (engine, target) = start(json!({"vectors": {"": {"size": 2}}, "sparse": {"s": {}}})).await;
    let three: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        [Some([Some(1.0), Some(2.0), Some(3.0)])],
        3,
    ));
    let nested = {
        let field = item(DataType::Float32);
        let inner = DataType::List(field);
        as_type(&pairs(&[[1.0, 2.0]]), inner)
    };
    let nested: ArrayRef = Arc::new(ListArray::new(
        item(nested.data_type().clone()),
        OffsetBuffer::new(vec![0, 1].into()),
        nested,
        None,
    ));
    let binary: ArrayRef = Arc::new(BinaryArray::from(vec![&[1_u8][..]]));
    let one = || pairs(&[[1.0, 2.0]]);
    for (id, vector, other, column, said) in [
        (integers(&[1]), three, None, "vector", "3 numbers, those of the collection 2"),
        (integers(&[1]), nested, None, "vector", "several vectors a row, the collection one"),
        (integers(&[1]), integers(&[1]), None, "vector", "Int64, not vectors"),
        (integers(&[1]), texts(&["x"]), None, "vector", "Utf8, not vectors"),
        (one(), one(), None, "id", "an id is a whole number"),
        (integers(&[1]), one(), Some(("blob", binary)), "blob", "Binary has no place in a payload"),
        (
            integers(&[1]),
            one(),
            Some(("_gen", integers(&[1]))),
            "_gen",
            "qmoor sets what is called so",
        ),
    ] {
        let columns = [vec![("id", id), ("vector", vector)], other.into_iter().collect()].concat();
        let schema = json!({"id": "id", "vectors": {"": "vector"}});
        // Even where bad rows are set aside: this is not the fault of a row.
        let writer = writer(&target, schema, json!({"on_bad_row": "dead_letter"})).await;
        let error = write(&writer, &[batch(columns)]).await.unwrap_err();
        assert_eq!((error.code(), error.column()), ("schema", Some(column)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let schema = json!({"id": "id", "sparse": {"s": "vector"}});
    let writer = writer(&target, schema, json!({})).await;
    let table = batch(vec![("id", integers(&[1])), ("vector", one())]);
    let error = write(&writer, &[table]).await.unwrap_err();
    assert!(error.to_string().contains("struct<indices: list<uint32>"), "{error}");
    engine.stop().await;
}

/// The payloads of two rows in a layout, by the point's id.
async fn laid_out(schema: Value) -> Result<(Vec<String>, Vec<Value>), qmoor_client::error::Error> {
    let (engine, target) = start(json!({"vectors": {"": {"size": 2}}})).await;
    let days = arrow_array::Date32Array::from(vec![Some(0), None]);
    let table = batch(vec![
        ("source", texts(&["a", "b"])),
        ("n", integers(&[3, 0])),
        ("words", texts(&["one \"ü\"", ""])),
        ("day", Arc::new(days)),
        ("page", integers(&[7, 8])),
        ("vector", pairs(&[[1.0, 2.0]; 2])),
        ("_id", integers(&[1, 2])),
    ]);
    let writer = writer(&target, schema, json!({"generation": 5})).await;
    let written = write(&writer, &[table]).await;
    let points = points(&target).await;
    engine.stop().await;
    written?;
    let mut all: Vec<_> = points.into_iter().map(|(id, point)| (id, point.payload)).collect();
    all.sort_by_key(|(_, payload)| payload["_doc"].to_string());
    Ok(all.into_iter().unzip())
}

#[tokio::test]
async fn langchain_finds_text_and_metadata_where_it_looks() {
    let schema = json!({"doc": "source", "chunk": "n", "text": "words", "layout": "langchain",
        "vectors": {"": "vector"}, "payload": ["source", "day"]});
    let (_, payloads) = laid_out(schema.clone()).await.unwrap();
    let expected = [
        json!({"page_content": "one \"ü\"", "metadata": {"source": "a", "day": "1970-01-01"},
            "_doc": "a", "_ix": 3, "_gen": 5}),
        json!({"page_content": "", "metadata": {"source": "b", "day": null},
            "_doc": "b", "_ix": 0, "_gen": 5}),
    ];
    assert_eq!(payloads, expected);
    // All columns, and the one that its reader would overwrite.
    let mut all = schema;
    all["payload"] = Value::Null;
    let error = laid_out(all).await.unwrap_err();
    assert_eq!((error.code(), error.column()), ("schema", Some("_id")), "{error}");
}

#[tokio::test]
async fn llamaindex_finds_nodes_and_what_it_filters_by() {
    let schema = json!({"doc": "source", "chunk": "n", "text": "words", "layout": "llamaindex",
        "vectors": {"": "vector"}, "payload": ["day", "page"]});
    let (ids, mut payloads) = laid_out(schema.clone()).await.unwrap();
    let node = payloads[0]["_node_content"].take();
    let node: Value = serde_json::from_str(node.as_str().unwrap()).unwrap();
    let expected = json!({"id_": ids[0], "metadata": {"day": "1970-01-01", "page": 7},
        "relationships": {"1": {"node_id": "a", "class_name": "RelatedNodeInfo"}},
        "text": "one \"ü\"", "class_name": "TextNode"});
    assert_eq!(node, expected);
    let expected = json!({"_node_content": null, "_node_type": "TextNode", "document_id": "a",
        "doc_id": "a", "ref_doc_id": "a", "day": "1970-01-01", "page": 7, "_doc": "a", "_ix": 3,
        "_gen": 5});
    assert_eq!(payloads[0], expected);
    let mut numbered = schema;
    numbered["id"] = json!("page");
    let error = laid_out(numbered).await.unwrap_err();
    assert_eq!((error.code(), error.column()), ("schema", Some("page")), "{error}");
}
