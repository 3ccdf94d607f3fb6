//! Indexing into the real engine and finding it again.

use std::fmt::Write as _;

use qdrant_client::qdrant::points_client::PointsClient;
use qdrant_client::qdrant::{ScrollPoints, WithPayloadSelector, with_payload_selector};
use qmoor_client::ensure::Distance;
use qmoor_client::error::Error;
use qmoor_client::index::{IndexOptions, index};
use qmoor_client::search::{search, search_vector};
use qmoor_client::source::{Document, Source, SourceOptions, open};
use qmoor_client::target::Target;
use serde_json::json;
use tempfile::TempDir;

use crate::corpus::{Corpus, adds_up};
use crate::engine::Engine;

/// Everything in a collection, as `document/chunk: text`.
async fn texts(target: &Target) -> Vec<String> {
    let mut client = PointsClient::connect(target.grpc_url.clone()).await.unwrap();
    let mut scroll = ScrollPoints {
        collection_name: target.collection.clone(),
        limit: Some(5000),
        with_payload: Some(WithPayloadSelector {
            selector_options: Some(with_payload_selector::SelectorOptions::Enable(true)),
        }),
        ..Default::default()
    };
    let mut texts = Vec::new();
    loop {
        let page = client.scroll(scroll.clone()).await.unwrap().into_inner();
        for point in page.result {
            let get = |key: &str| point.payload.get(key).unwrap();
            let (doc, chunk) = (get("_doc").as_str().unwrap(), get("_ix").as_integer().unwrap());
            texts.push(format!("{doc}/{chunk}: {}", get("text").as_str().unwrap()));
        }
        match page.next_page_offset {
            Some(offset) => scroll.offset = Some(offset),
            None => break,
        }
    }
    texts.sort();
    texts
}

const FILES: usize = 10_000;

/// Document `n` in edition `edition`: one to three paragraphs.
fn write(corpus: &Corpus, n: usize, edition: usize, paragraphs: usize) {
    let texts: Vec<_> = (0..paragraphs).map(|p| format!("text {n:05} {edition} par {p}")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    corpus.write(&format!("{:02}/{n:05}.txt", n % 100), &texts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_files_end_as_exactly_the_right_chunks() {
    let engine = Engine::start().await;
    let target = engine.target("files");
    let corpus = Corpus::new();
    for n in 0..FILES {
        write(&corpus, n, 0, 1 + n % 3);
    }
    let options = IndexOptions { mirror: true, ..IndexOptions::default() };
    let expected = corpus.expected();
    let chunks = u64::try_from(expected.len()).unwrap();

    let first = corpus.index(&target, &options).await.unwrap();
    adds_up(&first);
    assert_eq!((first.documents, first.written, first.removed), (10_000, chunks, 0));
    assert_eq!(texts(&target).await, expected);

    let second = corpus.index(&target, &options).await.unwrap();
    adds_up(&second);
    assert_eq!((second.written, second.unchanged, second.removed), (0, chunks, 0));

    for n in (0..FILES).step_by(7) {
        match n % 5 {
            0 => corpus.remove(&format!("{:02}/{n:05}.txt", n % 100)),
            1 => write(&corpus, n, 1, 3),
            2 => write(&corpus, n, 0, 1),
            3 => write(&corpus, n, 0, 0),
            _ => write(&corpus, n + FILES, 0, 2),
        }
    }
    let third = corpus.index(&target, &options).await.unwrap();
    adds_up(&third);
    assert!(third.removed > 0 && third.written > 0 && third.unchanged > third.written);
    assert_eq!(texts(&target).await, corpus.expected());

    let fourth = corpus.index(&target, &options).await.unwrap();
    assert_eq!((fourth.written, fourth.removed), (0, 0));
    engine.stop().await;
}

fn document(id: &str, text: &str) -> Document {
    Document { id: id.to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn what_was_indexed_is_found_by_its_words() {
    let engine = Engine::start().await;
    let target = engine.target("manual");
    let documents = vec![
        document("harbour.md", "# Harbour\n\nA ship is moored with ropes at the quay."),
        document("bread.md", "# Bread\n\nFlour, water, salt and time make a loaf."),
        document("stars.md", "# Stars\n\nOld sailors found their way by the stars."),
        document("marks.md", "… — !?"),
    ];
    let source = Source::documents(documents, &SourceOptions::default()).unwrap();
    let summary = index(&target, source, &IndexOptions::default(), &|_| {}).await.unwrap();
    assert_eq!((summary.documents, summary.written), (4, 4));

    let hits = search(&target, "how is a ship moored", 2, None).await.unwrap();
    assert_eq!((hits[0].doc.as_str(), hits[0].chunk), ("harbour.md", 0));
    assert!(hits[0].text.contains("ropes") && hits[0].score > 0.0, "{hits:?}");

    let filter = json!({"must_not": [{"key": "_doc", "match": {"value": "harbour.md"}}]});
    let hits = search(&target, "ship sailors", 3, Some(&filter)).await.unwrap();
    assert_eq!(hits[0].doc, "stars.md");
    assert!(hits.iter().all(|hit| hit.doc != "harbour.md"));

    let missing = search(&engine.target("none"), "x", 1, None).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
    engine.stop().await;
}

#[tokio::test]
async fn vectors_with_text_and_payload_are_found_both_ways() {
    let engine = Engine::start().await;
    let target = engine.target("both");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("rows.jsonl");
    let mut rows = String::new();
    for (id, vector, text) in
        [("a", [1.0, 0.0], "red apples"), ("b", [0.0, 1.0], "green pears"), ("c", [0.7, 0.7], "")]
    {
        let row = json!({"id": id, "vector": vector, "text": text, "kind": {"name": id}});
        writeln!(rows, "{row}").unwrap();
    }
    std::fs::write(&path, rows).unwrap();
    let options = IndexOptions::default();
    for written in [3, 0] {
        let source = open(&path, &SourceOptions::default()).unwrap();
        let summary = index(&target, source, &options, &|_| {}).await.unwrap();
        assert_eq!(summary.written, written);
    }
    let hits = search_vector(&target, &[0.1, 0.9], 1, None).await.unwrap();
    assert_eq!((hits[0].doc.as_str(), &hits[0].payload["kind"]["name"]), ("b", &json!("b")));
    let hits = search(&target, "apples", 1, None).await.unwrap();
    assert_eq!(hits[0].doc, "a");
    let wrong = search_vector(&target, &[1.0], 1, None).await.unwrap_err();
    assert!(matches!(wrong, Error::Invalid { .. }), "{wrong}");
    engine.stop().await;
}

#[tokio::test]
async fn a_distance_once_given_need_not_be_given_again() {
    let engine = Engine::start().await;
    let target = engine.target("c");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, r#"{"id": 1, "vector": [1, 2]}"#).unwrap();
    let run = async |distance| {
        let source = open(&path, &SourceOptions::default()).unwrap();
        let options = IndexOptions { distance, ..IndexOptions::default() };
        index(&target, source, &options, &|_| {}).await
    };
    run(Some(Distance::Euclid)).await.unwrap();
    assert_eq!(run(None).await.unwrap().unchanged, 1);
    for other in [Distance::Dot, Distance::Cosine] {
        let error = run(Some(other)).await.unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_collection_that_does_not_fit_is_left_alone() {
    let engine = Engine::start().await;
    let target = engine.target("c");
    let folder = TempDir::new().unwrap();
    let rows = |name: &str, row: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, row).unwrap();
        open(&path, &SourceOptions::default()).unwrap()
    };
    let options = IndexOptions::default();
    let source = rows("a.jsonl", r#"{"id": 1, "vector": [1, 2]}"#);
    index(&target, source, &options, &|_| {}).await.unwrap();
    let error = search(&target, "words", 1, None).await.unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    for row in [
        r#"{"id": 2, "vector": [1, 2, 3]}"#,
        r#"{"id": 2, "text": "words"}"#,
        r#"{"id": 2, "text": "words", "vector": [1, 2]}"#,
    ] {
        let error = index(&target, rows("b.jsonl", row), &options, &|_| {}).await.unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{row}: {error}");
    }
    engine.stop().await;
}
