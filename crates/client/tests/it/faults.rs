//! What a run does when the node fails in the middle of it.

use std::time::Duration;

use qmoor_client::error::Error;
use qmoor_client::index::{IndexOptions, index};
use qmoor_client::source::{SourceError, SourceOptions, open};
use qmoor_client::target::Target;
use tempfile::TempDir;
use tonic::Status;

use crate::corpus::{Corpus, adds_up};
use crate::fake::{Fake, Fault};

fn target(fake: &Fake) -> Target {
    Target { grpc_url: fake.url.clone(), collection: "c".to_owned(), key: None, tls_ca: None }
}

/// Small batches, so that there are many.
fn options() -> IndexOptions {
    IndexOptions { batch_points: 2, mirror: true, ..IndexOptions::default() }
}

fn corpus() -> Corpus {
    let corpus = Corpus::new();
    corpus.write("a.txt", &["alpha one here", "alpha two here", "alpha three here"]);
    corpus.write("b.txt", &["beta one is here"]);
    corpus.write("deep/c.txt", &["gamma one here", "gamma two here"]);
    corpus.write("d.txt", &["delta one here", "delta two here", "delta three here"]);
    corpus
}

/// Edits, shrinkage, growth, a vanished document, an emptied one and a new one.
fn change(corpus: &Corpus) {
    corpus.write("a.txt", &["alpha one anew"]);
    corpus.remove("b.txt");
    corpus.write("deep/c.txt", &["gamma one here", "gamma two here", "gamma three here"]);
    corpus.write("d.txt", &[]);
    corpus.write("e.txt", &["epsilon one here"]);
}

#[tokio::test]
async fn a_second_run_writes_nothing() {
    let (fake, corpus) = (Fake::start().await, corpus());
    let first = corpus.index(&target(&fake), &options()).await.unwrap();
    adds_up(&first);
    assert_eq!((first.documents, first.written, first.unchanged), (4, 9, 0));
    assert_eq!(fake.texts(), corpus.expected());

    let upserts = fake.calls("Upsert");
    let second = corpus.index(&target(&fake), &options()).await.unwrap();
    adds_up(&second);
    assert_eq!((second.written, second.unchanged, second.removed), (0, 9, 0));
    assert_eq!((fake.calls("Upsert"), fake.calls("Delete")), (upserts, 0));
}

#[tokio::test]
async fn what_changed_is_written_and_what_is_gone_removed() {
    for mirror in [true, false] {
        let (fake, corpus) = (Fake::start().await, corpus());
        let options = IndexOptions { mirror, ..options() };
        corpus.index(&target(&fake), &options).await.unwrap();
        change(&corpus);
        let summary = corpus.index(&target(&fake), &options).await.unwrap();
        adds_up(&summary);
        assert_eq!((summary.written, summary.unchanged), (3, 2));
        // Two of a, three of d, and with `mirror` the one of b.
        assert_eq!(summary.removed, if mirror { 6 } else { 5 });
        let mut expected = corpus.expected();
        if !mirror {
            expected.push("b.txt/0: beta one is here".to_owned());
            expected.sort();
        }
        assert_eq!(fake.texts(), expected);
    }
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let (fake, corpus) = (Fake::start().await, corpus());
    let dry = IndexOptions { dry_run: true, ..options() };
    let before = corpus.index(&target(&fake), &dry).await.unwrap();
    assert_eq!((before.written, before.removed), (9, 0));
    assert!(fake.state.lock().config.is_none());

    corpus.index(&target(&fake), &options()).await.unwrap();
    let held = fake.texts();
    change(&corpus);
    let told = corpus.index(&target(&fake), &dry).await.unwrap();
    assert_eq!(fake.texts(), held);
    let done = corpus.index(&target(&fake), &options()).await.unwrap();
    assert_eq!(
        (told.written, told.unchanged, told.removed),
        (done.written, done.unchanged, done.removed)
    );
}

/// Whatever call fails and however: every text that is in both the old and the new source stays
/// found throughout, and one more run brings exactly the right chunks.
#[tokio::test]
async fn no_failure_at_any_step_loses_text() {
    let kept = ["alpha one", "gamma one here", "gamma two here"];
    for fault in [
        Fault::Refuse(Status::internal("crashed")),
        Fault::Refuse(Status::permission_denied("no more")),
        Fault::LoseAnswer,
        Fault::Late,
    ] {
        for step in 0.. {
            let (fake, corpus) = (Fake::start().await, corpus());
            corpus.index(&target(&fake), &options()).await.unwrap();
            change(&corpus);
            let begun = fake.state.lock().calls.len();
            fake.state.lock().fault_at = Some((begun + step, fault.clone()));
            let outcome = corpus.index(&target(&fake), &options()).await;
            let texts = fake.texts();
            for text in kept {
                assert!(
                    texts.iter().any(|held| held.contains(text)),
                    "{fault:?} {step}: {texts:?}"
                );
            }
            let was_hit = fake.state.lock().fault_at.take().is_none();
            if outcome.is_err() {
                assert!(matches!(fault, Fault::Refuse(_)), "{fault:?} {step}: {outcome:?}");
                corpus.index(&target(&fake), &options()).await.unwrap();
            }
            assert_eq!(fake.texts(), corpus.expected(), "{fault:?} {step}");
            if !was_hit {
                assert!(step > 10, "{step}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_node_that_asks_to_wait_is_waited_for() {
    let (fake, corpus) = (Fake::start().await, corpus());
    let mut held = Status::resource_exhausted("held for a backup");
    held.metadata_mut().insert("retry-after", "1".parse().unwrap());
    for _ in 0..3 {
        fake.fault("Upsert", Fault::Refuse(held.clone()));
    }
    let summary = corpus.index(&target(&fake), &options()).await.unwrap();
    assert_eq!(summary.retries, 3);
    assert!(summary.throttled_seconds >= 1.0, "{summary:?}");
    assert_eq!(fake.texts(), corpus.expected());
}

#[tokio::test]
async fn a_write_that_is_applied_late_is_not_sent_again() {
    let (fake, corpus) = (Fake::start().await, corpus());
    corpus.index(&target(&fake), &options()).await.unwrap();
    corpus.write("b.txt", &["beta one anew ."]);
    let upserts = fake.calls("Upsert");
    fake.fault("Upsert", Fault::Late);
    let summary = corpus.index(&target(&fake), &options()).await.unwrap();
    assert_eq!((summary.written, fake.calls("Upsert") - upserts), (1, 1));
    assert_eq!(fake.texts(), corpus.expected());
}

#[tokio::test]
async fn patience_with_a_node_that_is_down_ends() {
    let (fake, corpus) = (Fake::start().await, corpus());
    for _ in 0..100 {
        fake.fault("Upsert", Fault::Refuse(Status::unavailable("down")));
    }
    let options = IndexOptions { give_up_after: Duration::from_millis(500), ..options() };
    let error = corpus.index(&target(&fake), &options).await.unwrap_err();
    assert!(matches!(error, Error::GaveUp { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_full_disk_is_said_at_once() {
    let (fake, corpus) = (Fake::start().await, corpus());
    fake.fault("Upsert", Fault::Refuse(Status::internal("No space left on device")));
    let error = corpus.index(&target(&fake), &options()).await.unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    corpus.index(&target(&fake), &options()).await.unwrap();
    assert_eq!(fake.texts(), corpus.expected());
}

#[tokio::test]
async fn a_key_that_is_refused_ends_the_run_at_once() {
    for (status, code) in [
        (Status::unauthenticated("Invalid API key"), "unauthorized"),
        (Status::permission_denied("Forbidden"), "forbidden"),
    ] {
        let (fake, corpus) = (Fake::start().await, corpus());
        fake.fault("Upsert", Fault::Refuse(status));
        let error = corpus.index(&target(&fake), &options()).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test]
async fn the_row_a_node_refuses_is_found_and_named() {
    let (fake, corpus) = (Fake::start().await, corpus());
    fake.state.lock().hated = Some("alpha three".to_owned());
    let options = IndexOptions { batch_points: 100, ..options() };
    let error = corpus.index(&target(&fake), &options).await.unwrap_err();
    assert!(matches!(&error, Error::Refused { place, .. } if place.contains("a.txt")), "{error}");

    let folder = TempDir::new().unwrap();
    let dead_letter = folder.path().join("dead.jsonl");
    let options = IndexOptions { dead_letter: Some(dead_letter.clone()), ..options };
    let summary = corpus.index(&target(&fake), &options).await.unwrap();
    adds_up(&summary);
    assert_eq!(summary.rejected_count, 1);
    let mut expected = corpus.expected();
    expected.retain(|text| !text.contains("alpha three"));
    assert_eq!(fake.texts(), expected);
    let dead = std::fs::read_to_string(dead_letter).unwrap();
    let dead: serde_json::Value = serde_json::from_str(&dead).unwrap();
    assert_eq!(dead["why"], "a text that is hated");
}

async fn index_rows(
    fake: &Fake,
    rows: &str,
    options: &IndexOptions,
) -> Result<qmoor_client::index::Summary, Error> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, rows).unwrap();
    let source = open(&path, &SourceOptions::default())?;
    index(&target(fake), source, options, &|_| {}).await
}

#[tokio::test]
async fn a_bad_row_ends_the_run_or_is_set_aside() {
    let fake = Fake::start().await;
    let rows = "{\"id\": 1, \"text\": \"one\"}\n{bad\n{\"id\": 2, \"text\": \"two\"}\n";
    let error = index_rows(&fake, rows, &options()).await.unwrap_err();
    assert!(error.to_string().contains("rows.jsonl: row 2"), "{error}");

    let folder = TempDir::new().unwrap();
    let dead_letter = Some(folder.path().join("dead.jsonl"));
    let options = IndexOptions { dead_letter, ..options() };
    let summary = index_rows(&fake, rows, &options).await.unwrap();
    adds_up(&summary);
    assert_eq!((summary.chunks, summary.rejected_count), (3, 1));
    assert!(summary.removals_left.is_some());
    assert_eq!(fake.texts(), ["1/0: one", "2/0: two"]);
}

#[tokio::test]
async fn a_rejected_row_keeps_its_old_text() {
    let fake = Fake::start().await;
    let row =
        |chunk: u32| format!("{{\"doc\": \"d\", \"chunk\": {chunk}, \"text\": \"t{chunk}\"}}\n");
    let rows: String = (0..3).map(row).collect();
    index_rows(&fake, &rows, &options()).await.unwrap();
    let folder = TempDir::new().unwrap();
    let dead_letter = Some(folder.path().join("dead.jsonl"));
    let rows = [row(0), "{bad\n".to_owned(), row(2)].concat();
    let options = IndexOptions { dead_letter, ..options() };
    let summary = index_rows(&fake, &rows, &options).await.unwrap();
    assert_eq!((summary.removed, fake.texts().len()), (0, 3));
}

#[tokio::test]
async fn the_same_chunk_twice_is_an_error_that_names_both_rows() {
    let fake = Fake::start().await;
    let rows = "{\"id\": 1, \"text\": \"one\"}\n".repeat(2);
    let error = index_rows(&fake, &rows, &options()).await.unwrap_err();
    let Error::Source(SourceError::Duplicate { place, earlier, .. }) = &error else {
        panic!("{error}");
    };
    assert_eq!((place.row, *earlier), (Some(2), 1));
}

#[tokio::test]
async fn chunks_of_a_document_may_stand_apart() {
    let fake = Fake::start().await;
    let row = |doc: &str, chunk: u32| {
        format!("{{\"doc\": \"{doc}\", \"chunk\": {chunk}, \"text\": \"{doc}{chunk}\"}}\n")
    };
    let rows: String = [0, 1, 2].iter().flat_map(|n| [row("a", *n), row("b", *n)]).collect();
    for _ in 0..2 {
        index_rows(&fake, &rows, &options()).await.unwrap();
        assert_eq!(fake.texts().len(), 6);
    }
    let rows = [row("a", 0), row("b", 0), row("a", 2), row("b", 1)].concat();
    let summary = index_rows(&fake, &rows, &IndexOptions { mirror: false, ..options() }).await;
    assert_eq!(summary.unwrap().removed, 2);
    assert_eq!(fake.texts(), ["a/0: a0", "a/2: a2", "b/0: b0", "b/1: b1"]);
}

#[tokio::test]
async fn what_others_wrote_stays() {
    let (fake, corpus) = (Fake::start().await, corpus());
    corpus.index(&target(&fake), &options()).await.unwrap();
    let other = "00000000-0000-4000-8000-000000000001".to_owned();
    fake.state.lock().points.insert(other.clone(), std::collections::HashMap::new());
    corpus.index(&target(&fake), &options()).await.unwrap();
    assert!(fake.state.lock().points.contains_key(&other));
}

fn threshold(fake: &Fake) -> Option<u64> {
    let state = fake.state.lock();
    state.config.as_ref()?.optimizer_config.as_ref()?.indexing_threshold
}

#[tokio::test]
async fn bulk_puts_the_settings_back() {
    let (fake, corpus) = (Fake::start().await, corpus());
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("bulk.json");
    let options = IndexOptions { bulk: true, bulk_state: Some(state.clone()), ..options() };
    corpus.index(&target(&fake), &options).await.unwrap();
    assert_eq!((threshold(&fake), state.exists()), (Some(777), false));
    assert_eq!(fake.calls("Collections.Update"), 2);
}

#[tokio::test]
async fn bulk_puts_the_settings_back_after_a_crash() {
    let (fake, corpus) = (Fake::start().await, corpus());
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("bulk.json");
    corpus.index(&target(&fake), &options()).await.unwrap();
    // As a run leaves it that was killed while it wrote.
    std::fs::write(&state, r#"{"collection":"c","indexing_threshold":777}"#).unwrap();
    let config = fake.state.lock().config.clone();
    let mut config = config.unwrap();
    config.optimizer_config.as_mut().unwrap().indexing_threshold = Some(0);
    fake.state.lock().config = Some(config);

    let options = IndexOptions { bulk: true, bulk_state: Some(state.clone()), ..options() };
    corpus.index(&target(&fake), &options).await.unwrap();
    assert_eq!((threshold(&fake), state.exists()), (Some(777), false));
}

#[tokio::test]
async fn bulk_puts_the_settings_back_when_writing_fails() {
    let (fake, corpus) = (Fake::start().await, corpus());
    fake.fault("Upsert", Fault::Refuse(Status::permission_denied("no")));
    let options = IndexOptions { bulk: true, ..options() };
    let error = corpus.index(&target(&fake), &options).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    assert_eq!(threshold(&fake), Some(777));
}
