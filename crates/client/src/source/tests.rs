//! Every kind of source, and every way in which one can be wrong.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema};
use serde_json::json;
use tempfile::TempDir;

use super::*;

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn opened(path: &Path) -> Result<Source, SourceError> {
    open(path, &SourceOptions::default())
}

/// Everything in a source, or the first error.
fn items(path: &Path) -> Result<Vec<Item>, SourceError> {
    let mut source = opened(path)?;
    source.shape()?;
    std::iter::from_fn(|| source.next().transpose()).collect()
}

fn records(path: &Path) -> Vec<Record> {
    let record = |item| match item {
        Item::Record(record) => Some(record),
        Item::EmptyDocument { .. } | Item::Rejected { .. } | Item::Skipped(_) => None,
    };
    items(path).unwrap().into_iter().filter_map(record).collect()
}

/// The fault of the first bad row, and its number.
fn fault(path: &Path) -> (u64, RowFault) {
    match items(path) {
        Err(SourceError::Row { place, fault }) => (place.row.unwrap(), fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_is_read_in_order_and_each_file_is_a_document() {
    let folder = TempDir::new().unwrap();
    write(&folder, "b/two.md", "# Two\n\ntwo");
    write(&folder, "a.txt", "one");
    write(&folder, "b/empty.md", "  \n");
    write(&folder, "c.png", b"\x89PNG\0");
    write(&folder, "d.txt", b"binary\0");
    write(&folder, "e.txt", b"Gr\xfc\xdfe");
    write(&folder, "f.txt", b"\xff\xfea\0b\0");
    write(&folder, ".hidden.txt", "hidden");
    write(&folder, ".gitignore", "ignored/");
    write(&folder, "ignored/g.txt", "ignored");
    write(&folder, "README", "\u{feff}read me");
    symlink(folder.path().join("a.txt"), folder.path().join("link.txt")).unwrap();
    symlink(folder.path(), folder.path().join("loop")).unwrap();

    let told: Vec<_> = items(folder.path())
        .unwrap()
        .into_iter()
        .map(|item| match item {
            Item::Record(record) => format!("{}: {}", record.doc, record.text.unwrap()),
            Item::EmptyDocument { doc } => format!("{doc} is empty"),
            Item::Rejected { place, why } => {
                let name = Path::new(&*place.file).file_name().unwrap().to_str().unwrap();
                format!("{name}: {why}")
            }
            Item::Skipped(_) => "skipped".to_owned(),
        })
        .collect();
    let expected = [
        "README: read me",
        "a.txt: one",
        "b/empty.md is empty",
        "b/two.md: # Two\n\ntwo",
        "skipped",
        "skipped",
        "e.txt: not UTF-8, at byte 2",
        "f.txt: not UTF-8, at byte 0",
        "skipped",
        "skipped",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_folder_knows_how_much_there_is() {
    let folder = TempDir::new().unwrap();
    write(&folder, "a.txt", "12345");
    write(&folder, "b/c.md", "123");
    write(&folder, "d.png", "1");
    let source = opened(folder.path()).unwrap();
    assert_eq!((source.documents_total(), source.bytes_total()), (Some(2), 8));
}

#[test]
fn a_text_file_alone_is_a_document_with_its_own_name() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "one.txt", "words");
    let all = records(&path);
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].doc.as_str(), all[0].chunk), ("one.txt", 0));
}

#[test]
fn a_file_over_the_limit_is_rejected_unread() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "big.txt", "");
    File::options().write(true).open(&path).unwrap().set_len(65 << 20).unwrap();
    write(&folder, "small.txt", "x");
    let all = items(folder.path()).unwrap();
    assert!(matches!(&all[0], Item::Rejected { why, .. } if why.contains("longer than")));
    assert_eq!(all.len(), 2);
}

#[test]
fn what_is_missing_empty_or_unknown_is_said() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(opened(&folder.path().join("none")), Err(SourceError::Missing(_))));
    assert!(matches!(items(folder.path()), Err(SourceError::Empty { .. })));
    let path = write(&folder, "a.xyz", "x");
    assert!(matches!(opened(&path), Err(SourceError::UnknownKind(_))));
    for name in ["a.txt", "a.jsonl", "a.parquet", "a.npy", "a.fvecs"] {
        let path = write(&folder, name, "");
        assert!(matches!(items(&path), Err(SourceError::Empty { .. })), "{name}");
    }
    let path = write(&folder, "blank.jsonl", "\n\n  \n");
    assert!(matches!(items(&path), Err(SourceError::Empty { .. })));
}

#[test]
fn what_is_not_what_its_name_says_is_refused() {
    let folder = TempDir::new().unwrap();
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0";
    for name in ["a.txt", "a.jsonl", "a.parquet", "a.npy", "a.fvecs"] {
        let path = write(&folder, name, gzip);
        let error = opened(&path).unwrap_err();
        assert!(matches!(error, SourceError::WrongKind { .. }), "{name}: {error}");
        assert!(error.to_string().contains("gzip"), "{name}: {error}");
        assert!(error.hint().is_some());
    }
    for (name, content) in [
        ("b.jsonl", &b"[{\"a\": 1}]"[..]),
        ("c.jsonl", b"a,b,c"),
        ("b.npy", b"PAR1"),
        ("b.parquet", b"{\"a\": 1}"),
        ("b.fvecs", b"\xff\xff\xff\xff"),
    ] {
        let path = write(&folder, name, content);
        assert!(matches!(opened(&path), Err(SourceError::WrongKind { .. })), "{name}");
    }
}

#[test]
fn jsonl_rows_are_documents_chunks_or_vectors() {
    let folder = TempDir::new().unwrap();
    let lines = [
        json!({"id": "a", "text": "one", "lang": "en", "none": null}),
        json!({"id": 7, "text": "two"}),
        json!({"doc": "d", "chunk": 3, "text": "three", "id": "x"}),
        json!({"text": "four"}),
    ];
    let text: Vec<_> = lines.iter().map(|line| format!("\n{line}\r\n")).collect();
    let path = write(&folder, "rows.jsonl", format!("\u{feff}{}", text.concat().trim_start()));
    let all = records(&path);
    let names: Vec<_> = all.iter().map(|record| (record.doc.as_str(), record.chunk)).collect();
    assert_eq!(names, [("a", 0), ("7", 0), ("d", 3), ("rows.jsonl#7", 0)]);
    assert_eq!(json!(all[0].payload), json!({"lang": "en", "none": null}));
    assert_eq!(json!(all[2].payload), json!({"id": "x"}));
    assert_eq!(all[3].place.row, Some(7));
}

#[test]
fn a_long_text_without_a_chunk_number_is_cut() {
    let folder = TempDir::new().unwrap();
    let text = "word ".repeat(500);
    let path = write(&folder, "a.jsonl", json!({"id": "a", "text": text, "k": 1}).to_string());
    let all = records(&path);
    assert!(all.len() > 2);
    assert!(all.iter().zip(0..).all(|(record, chunk)| record.chunk == chunk));
    assert!(all.iter().all(|record| record.payload["k"] == 1));
    let path = write(&folder, "b.jsonl", json!({"id": "a", "text": text, "chunk": 0}).to_string());
    assert_eq!(records(&path).len(), 1);
}

#[test]
fn a_bad_jsonl_row_is_named_with_its_fault() {
    let folder = TempDir::new().unwrap();
    let good = br#"{"vector": [1, 2]}"#;
    for (line, expected) in [
        (&b"{\"vector\": [1, 2, 3]}"[..], RowFault::Ragged { expected: 2, found: 3 }),
        (b"{\"vector\": [1, 1e300]}", RowFault::NotFinite { at: 2, value: "inf".to_owned() }),
        (b"{\"text\": \"x\"}", RowFault::NoVector),
        (b"{\"text\": \"x\", \"vector\": [1, 2]}", RowFault::UnexpectedText),
        (b"{\"text\": \"Gr\xfc\"}", RowFault::NotUtf8(12)),
        (b"{\"k\": 1}", RowFault::Nothing { text: "text".to_owned(), vector: "vector".to_owned() }),
    ] {
        let path = write(&folder, "a.jsonl", [&good[..], line].join(&b'\n'));
        assert_eq!(fault(&path), (2, expected));
    }
    for line in [
        "{\"vector\": [1, NaN]}",
        "{\"vector\": [1, 2]",
        "[1, 2]",
        "7",
        &format!("{{\"a\": {}}}", "[".repeat(10_000)),
    ] {
        let path = write(&folder, "a.jsonl", [&good[..], line.as_bytes()].join(&b'\n'));
        assert!(matches!(fault(&path), (2, RowFault::NotJson(_))), "{line}");
    }
    for line in [
        r#"{"vector": [1, "2"]}"#,
        r#"{"vector": []}"#,
        r#"{"vector": "x"}"#,
        r#"{"text": 1}"#,
        r#"{"id": {}, "text": "x"}"#,
        r#"{"id": "", "text": "x"}"#,
        r#"{"id": 1.5, "text": "x"}"#,
        r#"{"chunk": -1, "text": "x"}"#,
        r#"{"_hash": 1, "text": "x"}"#,
    ] {
        let path = write(&folder, "a.jsonl", [&good[..], line.as_bytes()].join(&b'\n'));
        assert!(matches!(fault(&path), (2, RowFault::Column { .. })), "{line}");
    }
}

#[test]
fn reading_goes_on_after_a_bad_row() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.jsonl", "{bad\n{\"text\": \"x\"}\n{\"k\": 1}\n{\"text\": \"y\"}");
    let mut source = opened(&path).unwrap();
    source.shape().unwrap();
    let read: Vec<_> = std::iter::from_fn(|| source.next().transpose()).collect();
    let good: Vec<_> = read.iter().map(Result::is_ok).collect();
    assert_eq!(good, [false, true, false, true]);
}

#[test]
fn a_source_of_bad_rows_only_tells_the_first() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.jsonl", "{bad\n".repeat(1000));
    assert!(matches!(fault(&path), (1, RowFault::NotJson(_))));
}

#[test]
fn a_line_of_two_gigabytes_is_not_read_into_memory() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "a.jsonl", "{\"text\": \"x\"}\n{");
    let mut file = File::options().append(true).open(&path).unwrap();
    // A hole in the file: it has the length and takes no room.
    file.set_len(2 << 30).unwrap();
    file.write_all(b"\n{\"text\": \"y\"}\n").unwrap();
    let mut source = opened(&path).unwrap();
    assert!(matches!(source.next(), Ok(Some(Item::Record(_)))));
    let error = source.next().unwrap_err();
    assert!(matches!(&error, SourceError::Row { fault: RowFault::TooLong(_), .. }), "{error:?}");
    assert!(
        matches!(source.next(), Ok(Some(Item::Record(record))) if record.text.as_deref() == Some("y"))
    );
}

fn npy(kind: &str, shape: &str, order: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap();
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn npy_is_read_whatever_its_floats() {
    let folder = TempDir::new().unwrap();
    let four = [1.0_f32, -2.5, 0.5, 4.0];
    let half =
        |number: f32| <Float16Type as arrow_array::ArrowPrimitiveType>::Native::from_f32(number);
    let as_f32: Vec<u8> = four.iter().flat_map(|n| n.to_le_bytes()).collect();
    let as_f32_big: Vec<u8> = four.iter().flat_map(|n| n.to_be_bytes()).collect();
    let as_f64: Vec<u8> = four.iter().flat_map(|n| f64::from(*n).to_le_bytes()).collect();
    let as_f16: Vec<u8> = four.iter().flat_map(|n| half(*n).to_le_bytes()).collect();
    for (kind, data) in [("<f4", as_f32), (">f4", as_f32_big), ("<f8", as_f64), ("<f2", as_f16)] {
        let path = write(&folder, "v.npy", npy(kind, "(2, 2)", "False", &data));
        let all = records(&path);
        assert_eq!(all.len(), 2, "{kind}");
        assert_eq!(all[0].vector.as_deref(), Some(&four[..2]), "{kind}");
        assert_eq!(all[1].vector.as_deref(), Some(&four[2..]), "{kind}");
        assert_eq!(all[1].doc, "v.npy#2");
    }
}

#[test]
fn npy_that_is_not_vectors_is_refused() {
    let folder = TempDir::new().unwrap();
    let data = [0; 16];
    for (kind, shape, order) in [
        ("<f4", "(4,)", "False"),
        ("<f4", "(1, 2, 2)", "False"),
        ("<f4", "(2, 2)", "True"),
        ("<i4", "(2, 2)", "False"),
        ("|O", "(2, 2)", "False"),
        ("<f4", "(4, 0)", "False"),
        ("<f4", "(1, 99999999)", "False"),
    ] {
        let path = write(&folder, "v.npy", npy(kind, shape, order, &data));
        let error = opened(&path).unwrap_err();
        assert!(matches!(error, SourceError::WrongKind { .. }), "{kind} {shape}: {error}");
    }
    for shape in ["(3, 2)", "(9223372036854775807, 2)"] {
        let path = write(&folder, "v.npy", npy("<f4", shape, "False", &data));
        assert!(matches!(opened(&path), Err(SourceError::Truncated { .. })), "{shape}");
    }
    let path = write(&folder, "v.npy", npy("<f4", "(1, 2)", "False", &data));
    assert!(matches!(opened(&path), Err(SourceError::Damaged { .. })));
    let path = write(&folder, "v.npy", npy("<f4", "(0, 2)", "False", &[]));
    assert!(matches!(opened(&path), Err(SourceError::Empty { .. })));
    let path = write(&folder, "v.npy", &npy("<f4", "(2, 2)", "False", &data)[..20]);
    assert!(matches!(opened(&path), Err(SourceError::Truncated { .. })));
}

#[test]
fn a_number_that_is_none_is_named_with_row_and_place() {
    let folder = TempDir::new().unwrap();
    let data: Vec<u8> =
        [1.0, 2.0, 3.0, f32::NAN].iter().flat_map(|n: &f32| n.to_le_bytes()).collect();
    let path = write(&folder, "v.npy", npy("<f4", "(2, 2)", "False", &data));
    assert_eq!(fault(&path), (2, RowFault::NotFinite { at: 2, value: "NaN".to_owned() }));
}

fn fvecs(rows: &[&[f32]]) -> Vec<u8> {
    let row = |row: &&[f32]| {
        let length = i32::try_from(row.len()).unwrap().to_le_bytes();
        let numbers = row.iter().flat_map(|n| n.to_le_bytes());
        length.into_iter().chain(numbers).collect::<Vec<_>>()
    };
    rows.iter().flat_map(row).collect()
}

#[test]
fn fvecs_are_read_and_their_damage_seen() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "v.fvecs", fvecs(&[&[1.0, 2.0], &[3.0, 4.0]]));
    let vectors: Vec<_> = records(&path).into_iter().map(|r| r.vector.unwrap()).collect();
    assert_eq!(vectors, [[1.0, 2.0], [3.0, 4.0]]);

    let bytes = fvecs(&[&[1.0, 2.0], &[3.0, 4.0]]);
    let path = write(&folder, "v.fvecs", &bytes[..bytes.len() - 3]);
    assert!(matches!(opened(&path), Err(SourceError::Truncated { .. })));

    let path = write(&folder, "v.fvecs", fvecs(&[&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0, 7.0]]));
    let error = items(&path).unwrap_err();
    assert!(matches!(error, SourceError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("row 2"), "{error}");
}

fn parquet_file(folder: &TempDir, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let path = folder.path().join("rows.parquet");
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn parquet_rows_have_text_vectors_and_payload() {
    let folder = TempDir::new().unwrap();
    let vectors = [Some(vec![Some(1.0), Some(2.0)]), Some(vec![Some(3.0), Some(4.0)])];
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2);
    let tags = ListArray::from_iter_primitive::<Float64Type, _, _>([None, Some(vec![Some(0.5)])]);
    let path = parquet_file(
        &folder,
        vec![
            ("id", Arc::new(Int64Array::from(vec![10, 11]))),
            ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
            ("vector", Arc::new(vectors)),
            ("score", Arc::new(Float32Array::from(vec![0.1, f32::NAN]))),
            ("lang", Arc::new(StringArray::from(vec![None, Some("de")]))),
            ("tags", Arc::new(tags)),
        ],
    );
    let all = records(&path);
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].doc.as_str(), all[0].text.as_deref()), ("10", Some("a")));
    assert_eq!(all[1].vector, Some(vec![3.0, 4.0]));
    assert_eq!(json!(all[0].payload), json!({"score": 0.1}));
    assert_eq!(json!(all[1].payload), json!({"lang": "de", "tags": [0.5]}));
}

#[test]
fn parquet_of_many_batches_is_read_to_its_end() {
    let folder = TempDir::new().unwrap();
    let ids = Int64Array::from_iter_values(0..10_000);
    let text = StringArray::from_iter_values((0..10_000).map(|n| format!("text {n}")));
    let path = parquet_file(&folder, vec![("id", Arc::new(ids)), ("text", Arc::new(text))]);
    let all = records(&path);
    assert_eq!(all.len(), 10_000);
    assert_eq!(all[9_999].place.row, Some(10_000));
}

#[test]
fn parquet_that_cannot_be_used_is_said_why() {
    let folder = TempDir::new().unwrap();
    let path = parquet_file(&folder, vec![("id", Arc::new(Int64Array::from(vec![1])))]);
    let error = opened(&path).unwrap_err();
    assert!(matches!(error, SourceError::NoColumn { .. }), "{error}");

    let text = || Arc::new(StringArray::from_iter_values((0..9999).map(|n| n.to_string())));
    let path = parquet_file(&folder, vec![("text", text())]);
    let bytes = std::fs::read(&path).unwrap();
    let path = write(&folder, "cut.parquet", &bytes[..bytes.len() / 2]);
    assert!(matches!(opened(&path), Err(SourceError::Truncated { .. })));

    let mut broken = bytes;
    broken[4..2000].fill(0xff);
    let path = write(&folder, "broken.parquet", &broken);
    assert!(matches!(items(&path), Err(SourceError::Damaged { .. })));

    let ragged = [Some(vec![Some(1.0)]), Some(vec![Some(1.0), Some(2.0)])];
    let ragged = ListArray::from_iter_primitive::<Float32Type, _, _>(ragged);
    let path = parquet_file(&folder, vec![("vector", Arc::new(ragged))]);
    assert_eq!(fault(&path), (2, RowFault::Ragged { expected: 1, found: 2 }));

    let holes = [Some(vec![Some(1.0), None])];
    let holes = ListArray::from_iter_primitive::<Float32Type, _, _>(holes);
    let path = parquet_file(&folder, vec![("vector", Arc::new(holes))]);
    assert!(matches!(fault(&path), (1, RowFault::Column { .. })));
}

#[test]
fn a_parquet_without_rows_is_empty() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("none.parquet");
    let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, false)]));
    ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap().close().unwrap();
    assert!(matches!(opened(&path), Err(SourceError::Empty { .. })));
}

#[test]
fn documents_in_memory_are_cut_like_files() {
    let documents = vec![
        Document { id: "a.md".to_owned(), text: "# A\n\nwords".to_owned() },
        Document { id: "b.md".to_owned(), text: String::new() },
    ];
    let mut source = Source::documents(documents, &SourceOptions::default()).unwrap();
    assert_eq!(source.shape().unwrap(), Shape { text: true, vector: None });
    assert!(matches!(source.next(), Ok(Some(Item::Record(_)))));
    assert!(matches!(source.next(), Ok(Some(Item::EmptyDocument { .. }))));
    assert!(matches!(source.next(), Ok(None)));
}
