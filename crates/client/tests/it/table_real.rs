//! Tables into the real engine: what is written, what is kept from being overwritten, what is
//! removed.

use arrow_array::RecordBatch;
use qmoor_client::ensure::{CollectionSpec, ensure_collection};
use qmoor_client::error::Error;
use qmoor_client::ids::{DEFAULT_NAMESPACE, point_id};
use qmoor_client::table::{Budget, TableWriter, WriteReport};
use qmoor_client::target::{Secret, Target};
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::tables::{
    batch, chunk_schema, chunks, ensure, held, integers, options, pairs, points, schema, write,
    writer,
};

const PAIR: &str = r#"{"vectors": {"": {"size": 2, "distance": "dot"}}}"#;

async fn start() -> (Engine, Target) {
    let engine = Engine::start().await;
    let target = engine.target("c");
    ensure(&target, serde_json::from_str(PAIR).unwrap()).await;
    (engine, target)
}

/// Writes batches as a run of this generation that cleans up after itself.
async fn run(target: &Target, generation: u64, batches: &[RecordBatch]) -> WriteReport {
    let options = json!({"generation": generation, "cleanup": "scoped", "batch_points": 2});
    write(&writer(target, chunk_schema(), options).await, batches).await.unwrap()
}

#[tokio::test]
async fn a_table_is_written_and_written_again() {
    let (engine, target) = start().await;
    let rows: Vec<_> = (0..1000).map(|n| ("d", n, "words")).collect();
    let table = chunks(&rows, &vec![1000; 1000]);
    let options = json!({"batch_points": 64});
    let writer = writer(&target, chunk_schema(), options).await;
    let parts: Vec<_> = (0..10).map(|at| table.slice(at * 100, 100)).collect();
    for _ in 0..2 {
        let report = write(&writer, &parts).await.unwrap();
        assert_eq!((report.rows_in, report.points_acked, report.bad_rows), (1000, 1000, 0));
        assert_eq!((report.points_pending, report.retried, report.stale_deleted), (0, 0, 0));
        assert!(report.bytes > 30_000 && report.seconds > 0.0, "{report:?}");
        assert_eq!(writer.count().await.unwrap(), 1000);
    }
    let id = point_id(&DEFAULT_NAMESPACE, "d", 7).to_string();
    let held = points(&target).await;
    assert_eq!(held[&id].payload, json!({"_doc": "d", "_ix": 7, "text": "words"}));
    engine.stop().await;
}

#[tokio::test]
async fn a_document_that_shrinks_loses_its_tail_and_no_other_does() {
    let (engine, target) = start().await;
    let first = chunks(
        &[("a", 0, "a0"), ("a", 1, "a1"), ("a", 2, "a2"), ("b", 0, "b0"), ("b", 1, "b1")],
        &[3, 3, 3, 2, 2],
    );
    let report = run(&target, 1, &[first]).await;
    assert_eq!((report.points_acked, report.stale_deleted), (5, 0));
    assert!(report.open_documents.is_empty(), "{report:?}");

    // All of `a`, and of `b` only a part of what it is now.
    let second = chunks(&[("a", 0, "a0 new"), ("b", 0, "b0 new"), ("a", 1, "a1 new")], &[2, 1, 2]);
    let mut rows = vec![second];
    rows.push(chunks(&[("c", 1, "c1")], &[2]));
    let report = run(&target, 2, &rows).await;
    assert_eq!((report.stale_deleted, report.generation), (2, Some(2)));
    assert_eq!(report.open_documents, [("c".to_owned(), Some(2))]);
    let expected = ["a/0: a0 new (2)", "a/1: a1 new (2)", "b/0: b0 new (2)", "c/1: c1 (2)"];
    assert_eq!(held(&target).await, expected);
    engine.stop().await;
}

#[tokio::test]
async fn without_a_chunk_count_the_driver_cleans_up() {
    let (engine, target) = start().await;
    let table = chunks(&[("a", 0, "a0"), ("a", 1, "a1"), ("b", 0, "b0")], &[2, 2, 1]);
    run(&target, 1, &[table]).await;
    let schema =
        json!({"doc": "doc", "chunk": "n", "vectors": {"": "vector"}, "payload": ["text"]});
    let options = json!({"generation": 2, "cleanup": "scoped"});
    let writer = writer(&target, schema, options).await;
    let report = write(&writer, &[chunks(&[("a", 0, "new")], &[1])]).await.unwrap();
    assert_eq!((report.stale_deleted, &report.open_documents), (0, &vec![("a".to_owned(), None)]));
    assert_eq!(held(&target).await, ["a/0: new (2)", "a/1: a1 (1)", "b/0: b0 (1)"]);
    assert_eq!(writer.delete_older_of(&["a".to_owned()]).await.unwrap(), 1);
    assert_eq!(held(&target).await, ["a/0: new (2)", "b/0: b0 (1)"]);
    assert_eq!(writer.delete_older().await.unwrap(), 1);
    assert_eq!(held(&target).await, ["a/0: new (2)"]);
    engine.stop().await;
}

#[tokio::test]
async fn a_late_run_neither_overwrites_nor_removes_what_a_newer_one_wrote() {
    let (engine, target) = start().await;
    run(&target, 5, &[chunks(&[("a", 0, "new"), ("a", 1, "new")], &[2, 2])]).await;
    let late = run(&target, 4, &[chunks(&[("a", 0, "old"), ("b", 0, "old")], &[1, 1])]).await;
    assert_eq!((late.points_acked, late.stale_deleted), (2, 0));
    let expected = ["a/0: new (5)", "a/1: new (5)", "b/0: old (4)"];
    assert_eq!(held(&target).await, expected);
    // The same run again, and the next, do overwrite.
    run(&target, 5, &[chunks(&[("a", 0, "again"), ("a", 1, "new")], &[2, 2])]).await;
    run(&target, 6, &[chunks(&[("b", 0, "next")], &[1])]).await;
    assert_eq!(held(&target).await, ["a/0: again (5)", "a/1: new (5)", "b/0: next (6)"]);

    let options = json!({"generation": 5});
    let writer = writer(&target, chunk_schema(), options).await;
    assert_eq!(writer.newest_generation().await.unwrap(), Some(6));
    assert_eq!(writer.delete_older().await.unwrap(), 0);
    let tail = [("a".to_owned(), 0), ("b".to_owned(), 0)];
    assert_eq!(writer.delete_tails(&tail).await.unwrap(), 0);
    engine.stop().await;
}

#[tokio::test]
async fn points_of_others_survive_every_cleanup() {
    let (engine, target) = start().await;
    let other =
        batch(vec![("id", integers(&[1, 2])), ("vector", pairs(&[[1.0, 0.0], [0.0, 1.0]]))]);
    let ids = writer(&target, json!({"id": "id", "vectors": {"": "vector"}}), json!({})).await;
    write(&ids, &[other]).await.unwrap();
    assert_eq!(ids.newest_generation().await.unwrap(), None);
    run(&target, 1, &[chunks(&[("a", 0, "a0")], &[1])]).await;
    let next = writer(&target, chunk_schema(), json!({"generation": 2})).await;
    assert_eq!(next.delete_older().await.unwrap(), 1);
    assert_eq!(points(&target).await.keys().collect::<Vec<_>>(), ["1", "2"]);
    engine.stop().await;
}

#[tokio::test]
async fn what_is_unchanged_is_told_and_kept_by_the_next_cleanup() {
    let (engine, target) = start().await;
    let schema = json!({"doc": "doc", "chunk": "n", "chunk_count": "of", "hash": "text",
        "vectors": {"": "vector"}});
    let at = |generation: u64| json!({"generation": generation});
    let first = writer(&target, schema.clone(), at(1)).await;
    let rows = [("a", 0, "a0"), ("a", 1, "a1"), ("a", 2, "a2"), ("b", 0, "b0"), ("c", 0, "c0")];
    write(&first, &[chunks(&rows, &[3, 3, 3, 1, 1])]).await.unwrap();

    let second = writer(&target, schema, at(2)).await;
    // `a` lost its third chunk, `b` is another, `d` is new; `c` is gone.
    let rows = [("a", 0, "a0"), ("a", 1, "a1"), ("b", 0, "b0 new"), ("d", 0, "d0")];
    let keys = chunks(&rows, &[2, 2, 1, 1]).project(&[0, 1, 2, 3]).unwrap();
    assert_eq!(second.changed(&keys).await.unwrap(), [false, true, true, true]);
    let generations: Vec<Value> =
        points(&target).await.values().map(|point| point.payload["_gen"].clone()).collect();
    assert_eq!(generations.iter().filter(|generation| **generation == json!(2)).count(), 1);
    write(&second, &[chunks(&rows[1..], &[2, 1, 1])]).await.unwrap();
    second.delete_older().await.unwrap();
    let mut texts: Vec<Value> =
        points(&target).await.values().map(|point| point.payload["_hash"].clone()).collect();
    texts.sort_by_key(ToString::to_string);
    assert_eq!(texts, [json!("a0"), json!("a1"), json!("b0 new"), json!("d0")]);
    engine.stop().await;
}

#[tokio::test]
async fn a_collection_is_made_as_asked_and_checked() {
    let engine = Engine::start().await;
    let target = engine.target("c");
    let spec = json!({
        "vectors": {"": {"size": 2}, "title": {"size": 3, "distance": "euclid"},
            "tokens": {"size": 4, "distance": "cosine", "multivector": true}},
        "sparse": {"text": {"idf": true}, "splade": {}},
        "payload_indexes": {"k": "keyword", "i": "integer", "f": "float", "b": "bool",
            "d": "datetime", "t": "text", "u": "uuid", "g": "geo"},
    });
    let ensure = async |spec: &Value| {
        let spec: CollectionSpec = serde_json::from_value(spec.clone()).unwrap();
        ensure_collection(&target, &spec).await
    };
    assert!(ensure(&spec).await.unwrap().created);
    assert!(!ensure(&spec).await.unwrap().created);
    for (wrong, said) in [
        (json!({"vectors": {"": {"size": 3}}}), "has 2 numbers, asked for are 3"),
        (json!({"vectors": {"other": {"size": 2}}}), "no dense vector `other`"),
        (json!({"vectors": {"title": {"size": 3, "distance": "dot"}}}), "compared by Euclid"),
        (json!({"vectors": {"title": {"size": 3, "multivector": true}}}), "is no multivector"),
        (json!({"vectors": {"tokens": {"size": 4}}}), "is a multivector"),
        (json!({"sparse": {"other": {}}}), "no sparse vector `other`"),
        (json!({"sparse": {"splade": {"idf": true}}}), "lacks `idf`"),
        (json!({"payload_indexes": {"k": "integer"}}), "`k` is indexed as Keyword"),
    ] {
        let error = ensure(&wrong).await.unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    engine.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_is_told_before_a_row_is_written() {
    let (engine, target) = start().await;
    let table = chunks(&[("a", 0, "a0")], &[1]);
    let good = writer(&target, chunk_schema(), json!({"generation": 1, "cleanup": "scoped"})).await;
    good.check(Some(table.schema_ref())).await.unwrap();
    good.check(None).await.unwrap();
    for (wrong, code, said) in [
        (json!({"id": "doc", "vectors": {"other": "vector"}}), "mismatch", "dense vector `other`"),
        (json!({"id": "doc", "sparse": {"words": "text"}}), "mismatch", "sparse vector `words`"),
        (json!({"id": "doc", "vectors": {"": "nothing"}}), "schema", "there are doc, n, of"),
        (json!({"id": "doc", "vectors": {"": "n"}}), "schema", "Int64, not vectors"),
        (json!({"id": "vector", "vectors": {"": "vector"}}), "schema", "an id is a whole number"),
    ] {
        let writer = writer(&target, wrong, json!({})).await;
        let error = writer.check(Some(table.schema_ref())).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        let error = write(&writer, std::slice::from_ref(&table)).await.unwrap_err();
        assert_eq!((error.code(), error.report().unwrap().points_acked), (code, 0), "{error}");
    }
    let other = writer(&engine.target("none"), chunk_schema(), json!({})).await;
    assert_eq!(other.check(None).await.unwrap_err().code(), "not_found");
    assert_eq!(other.check_key().await.unwrap_err().code(), "not_found");
    engine.stop().await;
}

#[tokio::test]
async fn settings_that_contradict_themselves_are_refused() {
    let (engine, target) = start().await;
    let vectors = json!({"": "vector"});
    for (wrong, said) in [
        (json!({"vectors": vectors}), "`doc` and `chunk`"),
        (json!({"doc": "d", "vectors": vectors}), "`doc` and `chunk`"),
        (json!({"id": "a"}), "at least one column of vectors"),
        (json!({"id": "a", "chunk": "n", "vectors": vectors}), "`chunk` needs `doc`"),
        (json!({"id": "a", "doc": "d", "chunk_count": "n", "vectors": vectors}), "`chunk_count`"),
        (json!({"id": "a", "layout": "langchain", "vectors": vectors}), "`text`"),
        (json!({"id": "a", "vectors": {"x": "v"}, "sparse": {"x": "s"}}), "the vector `x`"),
    ] {
        let opened = TableWriter::open(&target, schema(wrong), options(json!({})), Budget::new(1));
        let error = opened.await.unwrap_err();
        assert!(error.code() == "schema" && error.to_string().contains(said), "{error}");
    }
    for (wrong, said) in [
        (json!({"batch_points": 0}), "batch_points"),
        (json!({"max_inflight": 17}), "max_inflight"),
        (json!({"server_wait_s": 45, "deadline_s": 45}), "server_wait_s"),
        (json!({"generation": (1_u64 << 53) + 1}), "2^53"),
        (json!({"cleanup": "scoped"}), "generation"),
    ] {
        let schema = schema(chunk_schema());
        let opened = TableWriter::open(&target, schema, options(wrong), Budget::new(1)).await;
        let error = opened.unwrap_err();
        assert!(error.code() == "schema" && error.to_string().contains(said), "{error}");
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_key_that_may_only_read_is_told_before_a_row_is_written() {
    let engine = Engine::start_with(|options| {
        options.api_key = Some("writes-and-reads-all".to_owned());
        options.read_only_api_key = Some("reads-and-does-no-more".to_owned());
    })
    .await;
    let with = |key: Option<&str>| Target { key: key.map(Secret::new), ..engine.target("c") };
    let admin = with(Some("writes-and-reads-all"));
    ensure(&admin, serde_json::from_str(PAIR).unwrap()).await;
    let writer_of = async |target: &Target| writer(target, chunk_schema(), json!({})).await;
    writer_of(&admin).await.check_key().await.unwrap();
    for (key, code) in [
        (Some("reads-and-does-no-more"), "forbidden"),
        (Some("nobody-has-this-key"), "unauthorized"),
        (None, "unauthorized"),
    ] {
        let writer = writer_of(&with(key)).await;
        assert_eq!(writer.check_key().await.unwrap_err().code(), code);
        let error = write(&writer, &[chunks(&[("a", 0, "a0")], &[1])]).await.unwrap_err();
        assert_eq!((error.code(), error.report().unwrap().points_acked), (code, 0));
    }
    assert_eq!(writer_of(&admin).await.count().await.unwrap(), 0);
    engine.stop().await;
}

fn can_be_spawned<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn a_write_can_run_on_any_thread() {
    let (engine, target) = start().await;
    let writer = can_be_spawned(writer(&target, chunk_schema(), json!({}))).await;
    can_be_spawned(writer.check(None)).await.unwrap();
    let table = chunks(&[("a", 0, "a0")], &[1]);
    can_be_spawned(write(&writer, &[table])).await.unwrap();
    engine.stop().await;
}
