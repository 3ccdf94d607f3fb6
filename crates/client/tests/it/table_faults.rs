//! What a write of a table does when the node fails in the middle of it.

use qmoor_client::error::Error;
use qmoor_client::target::Target;
use serde_json::{Value, json};
use tonic::Status;

use crate::fake::{Fake, Fault};
use crate::tables::{chunk_schema, chunks, ensure, plain, told, write, writer};

async fn start() -> (Fake, Target) {
    let fake = Fake::start().await;
    let target =
        Target { grpc_url: fake.url.clone(), collection: "c".to_owned(), key: None, tls_ca: None };
    ensure(&target, json!({"vectors": {"": {"size": 2}}})).await;
    (fake, target)
}

fn held(fake: &Fake) -> Vec<String> {
    let state = fake.state.lock();
    let payload = |point: &std::collections::HashMap<String, _>| {
        let fields = point.iter().map(|(key, value)| (key.clone(), plain(Clone::clone(value))));
        Value::Object(fields.collect())
    };
    let mut held: Vec<_> = state.points.values().map(|point| told(&payload(point))).collect();
    held.sort();
    held
}

/// Twelve chunks of four documents.
fn table() -> arrow_array::RecordBatch {
    let names = ["a", "b", "c", "d"];
    let rows: Vec<_> = names.iter().flat_map(|doc| (0..3).map(|n| (*doc, n, "words"))).collect();
    chunks(&rows, &[3; 12])
}

fn all() -> Vec<String> {
    let names = ["a", "b", "c", "d"];
    names.iter().flat_map(|doc| (0..3).map(move |n| format!("{doc}/{n}: words (1)"))).collect()
}

fn small() -> Value {
    json!({"batch_points": 2, "generation": 1, "cleanup": "scoped", "give_up_after_s": 5})
}

#[tokio::test]
async fn what_passes_is_sent_again() {
    for fault in [
        Fault::Refuse(Status::unavailable("restarting")),
        Fault::Refuse(Status::internal("hiccup")),
        Fault::LoseAnswer,
    ] {
        let (fake, target) = start().await;
        fake.fault("Upsert", fault.clone());
        let writer = writer(&target, chunk_schema(), small()).await;
        let report = write(&writer, &[table()]).await.unwrap();
        assert_eq!((report.points_acked, report.retried), (12, 1), "{fault:?}");
        assert_eq!((held(&fake), fake.calls("Upsert")), (all(), 7), "{fault:?}");
    }
}

#[tokio::test]
async fn a_node_that_asks_to_wait_is_waited_for() {
    let (fake, target) = start().await;
    let mut later = Status::resource_exhausted("held for a backup");
    later.metadata_mut().insert("retry-after", "1".parse().unwrap());
    fake.fault("Upsert", Fault::Refuse(later));
    let writer = writer(&target, chunk_schema(), small()).await;
    let report = write(&writer, &[table()]).await.unwrap();
    assert!(report.throttled_s >= 1.0 && report.retried == 1, "{report:?}");
    assert_eq!(held(&fake), all());
}

#[tokio::test]
async fn what_is_accepted_and_applied_late_is_waited_for_and_not_sent_again() {
    let (fake, target) = start().await;
    fake.fault("Upsert", Fault::Late);
    let writer = writer(&target, chunk_schema(), small()).await;
    let report = write(&writer, &[table()]).await.unwrap();
    assert_eq!((report.points_acked, report.points_pending), (12, 0));
    assert_eq!((held(&fake), fake.calls("Upsert")), (all(), 6));
}

#[tokio::test]
async fn what_is_only_logged_counts_as_pending() {
    let (fake, target) = start().await;
    let mut options = small();
    options["durability"] = json!("wal");
    for _ in 0..6 {
        fake.fault("Upsert", Fault::Late);
    }
    let writer = writer(&target, chunk_schema(), options).await;
    let report = write(&writer, &[table()]).await.unwrap();
    assert_eq!((report.points_acked, report.points_pending), (0, 12));
    assert_eq!(fake.calls("Upsert"), 6);
}

#[tokio::test]
async fn an_error_says_what_was_written_and_nothing_is_removed() {
    let (fake, target) = start().await;
    let first = writer(&target, chunk_schema(), small()).await;
    write(&first, &[table()]).await.unwrap();
    for refusal in [
        Status::permission_denied("revoked"),
        Status::unauthenticated("expired"),
        Status::internal("No space left on device"),
    ] {
        let mut options = small();
        options["generation"] = json!(2);
        options["max_inflight"] = json!(1);
        let second = writer(&target, chunk_schema(), options).await;
        // Document `a` shrinks to two chunks; the second request is refused.
        fake.fault("Upsert", Fault::Refuse(refusal.clone()));
        let rows = [("b", 0, "new"), ("a", 0, "new"), ("a", 1, "new"), ("b", 1, "new")];
        let error = write(&second, &[chunks(&rows, &[2; 4])]).await.unwrap_err();
        let report = error.report().unwrap();
        assert_eq!((report.points_acked, report.stale_deleted), (0, 0), "{error}");
        assert!(matches!(error, Error::Write { .. }) && error.hint().is_some(), "{error}");
        assert!(held(&fake).iter().filter(|told| told.starts_with("a/")).count() == 3);
        assert_eq!(fake.calls("Delete"), 0);
    }
}

#[tokio::test]
async fn patience_with_a_node_that_is_down_ends_with_an_account() {
    let (fake, target) = start().await;
    let mut options = small();
    options["give_up_after_s"] = json!(1);
    options["max_inflight"] = json!(1);
    let writer = writer(&target, chunk_schema(), options).await;
    let upserts = fake.calls("Upsert");
    assert_eq!(upserts, 0);
    fake.state.lock().down_after = Some(3);
    let error = write(&writer, &[table()]).await.unwrap_err();
    assert_eq!(error.code(), "gave_up", "{error}");
    let report = error.report().unwrap();
    assert_eq!(report.points_acked, u64::try_from(held(&fake).len()).unwrap());
    assert!(report.points_acked > 0 && report.points_acked < 12, "{report:?}");
}

#[tokio::test]
async fn the_row_a_node_refuses_is_found() {
    for dead_letter in [false, true] {
        let (fake, target) = start().await;
        fake.state.lock().hated = Some("hated".to_owned());
        let mut options = small();
        options["batch_points"] = json!(100);
        options["on_bad_row"] = json!(if dead_letter { "dead_letter" } else { "raise" });
        let writer = writer(&target, chunk_schema(), options).await;
        let mut rows: Vec<_> = (0..20).map(|n| ("a", n, "words")).collect();
        rows[13].2 = "hated";
        let outcome = write(&writer, &[chunks(&rows, &[20; 20])]).await;
        if dead_letter {
            let report = outcome.unwrap();
            assert_eq!((report.points_acked, report.bad_rows), (19, 1));
            assert_eq!(report.bad_row_list[0].row, 13);
            assert!(report.bad_row_list[0].why.contains("a text that is hated"));
            assert_eq!(report.set_aside, report.bad_row_list);
            // What the row should have replaced may be there still: the tail is not ours to judge.
            assert_eq!(report.open_documents, [("a".to_owned(), Some(20))]);
            assert_eq!(held(&fake).len(), 19);
        } else {
            let error = outcome.unwrap_err();
            assert_eq!((error.code(), error.row()), ("bad_row", Some(13)), "{error}");
            let report = error.report().unwrap();
            assert_eq!(report.points_acked, u64::try_from(held(&fake).len()).unwrap());
        }
    }
}
