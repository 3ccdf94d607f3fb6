//! What clients notice of a backup.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use qdrant_client::QdrantError;
use qdrant_client::qdrant::{CountPointsBuilder, QueryPointsBuilder, UpsertPointsBuilder};
use qmoor_plan::access::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LONG;
use crate::node::{self, Node, points};

#[tokio::test]
async fn a_backup_holds_clients_and_fails_none_of_them() {
    let node = Node::start().await;
    node.create("c").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for lane in 0..4_u64 {
        let (client, stop) = (node.client(Role::Index), Arc::clone(&stop));
        writers.push(tokio::spawn(async move {
            let mut acknowledged = 0;
            while !stop.load(Ordering::Relaxed) {
                let first = lane * 1_000_000 + acknowledged;
                let request = UpsertPointsBuilder::new("c", points(first..first + 10)).wait(true);
                client.upsert_points(request).await.map_err(|error| error.to_string())?;
                acknowledged += 10;
            }
            Ok::<u64, String>(acknowledged)
        }));
    }
    let reads = {
        let (client, stop) = (node.client(Role::Search), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut answered = 0;
            while !stop.load(Ordering::Relaxed) {
                let query = QueryPointsBuilder::new("c").query(vec![1.0, 0.0, 0.0, 0.0]);
                client.query(query).await.map_err(|error| error.to_string())?;
                answered += 1;
            }
            Ok::<u64, String>(answered)
        })
    };
    let body = json!({"batch_id": "batch-1", "labels": {"corpus": "test"}});
    let key = Some(node.key(Role::Index));
    let answer = node.rest(Method::POST, "/qmoor/v1/backups", key, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let report = answer.json();
    assert_eq!(report["grade"], "clean", "{report}");
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.await.unwrap().unwrap();
    }
    assert!(reads.await.unwrap().unwrap() > 0);
    let client = node.client(Role::Search);
    let count = client.count(CountPointsBuilder::new("c").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, acknowledged);

    let path = format!("/qmoor/v1/backups/{}", report["id"].as_str().unwrap());
    let state = node.rest(Method::GET, &path, key, &json!(null)).await.json();
    assert_eq!(state["state"], "complete", "{state}");
    assert_eq!(state["backup"]["batch_id"], "batch-1", "{state}");
    let status = node.control().status().await.unwrap();
    assert_eq!(status.last_backup.unwrap().id, report["id"].as_str().unwrap());
    node.stop().await;
}

#[tokio::test]
async fn whoever_began_a_backup_that_fails_learns_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    config.backup.max_pause = Duration::ZERO;
    let node = Node::start_in(dir, config).await;
    node.create("c").await;
    let client = node.client(Role::Index);
    client.upsert_points(UpsertPointsBuilder::new("c", points(0..10)).wait(true)).await.unwrap();
    let key = Some(node.key(Role::Index));
    // From the first one it is known how long the pause of the second would be.
    let first = node.rest(Method::POST, "/qmoor/v1/backups", key, &json!({})).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let second = node.rest(Method::POST, "/qmoor/v1/backups", key, &json!({})).await;
    assert_eq!(second.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", second.text);
    // Its id is in the journal, as whoever began it without waiting has it.
    let journal = std::fs::read_to_string(node.config.node.state.join("journal.jsonl")).unwrap();
    let last: Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    let path = format!("/qmoor/v1/backups/{}", last["backup"].as_str().unwrap());
    let answer = node.rest(Method::GET, &path, key, &json!(null)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let failed = answer.json();
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(failed["step"], "gate", "{failed}");
    assert!(failed["error"].as_str().unwrap().contains("max_pause"), "{failed}");
    node.stop().await;
}

#[tokio::test]
async fn past_the_hold_budget_clients_are_told_when_to_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    config.gateway.hold_budget = Duration::from_millis(1);
    let node = Node::start_in(dir, config).await;
    node.create("c").await;
    let control = node.control();
    let backup = tokio::spawn(async move { control.backup(&Default::default(), |_| {}).await });
    let client = node.client(Role::Index);
    let (mut rest, mut grpc) = (0, 0);
    while !backup.is_finished() {
        let body = json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}]});
        let key = Some(node.key(Role::Index));
        let path = "/collections/c/points?wait=true";
        let answer = node.rest(Method::PUT, path, key, &body).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.headers["retry-after"], "1");
            rest += 1;
        } else {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        }
        let request = UpsertPointsBuilder::new("c", points(0..1)).wait(true);
        match client.upsert_points(request).await {
            Ok(_) => {}
            Err(QdrantError::ResourceExhaustedError { retry_after_seconds, .. }) => {
                assert_eq!(retry_after_seconds, 1);
                grpc += 1;
            }
            Err(other) => panic!("{other}"),
        }
        for path in ["/", "/healthz", "/readyz"] {
            let answer = node.rest(Method::GET, path, None, &json!(null)).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
        }
        client.health_check().await.unwrap();
    }
    backup.await.unwrap().unwrap();
    assert!(rest > 0 && grpc > 0, "the backup held nobody for long");
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_or_reads_too_slowly_does_not_stop_a_backup() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    config.gateway.hold_budget = Duration::from_millis(500);
    let node = Node::start_in(dir, config).await;
    node.create("c").await;
    let text = "x".repeat(1_000_000);
    let many: Vec<_> = (0..20)
        .map(|id| json!({"id": id, "vector": [1.0, 0.0, 0.0, 0.0], "payload": {"t": text}}))
        .collect();
    let key = node.key(Role::Index);
    let body = json!({ "points": many });
    let path = "/collections/c/points?wait=true";
    assert_eq!(node.rest(Method::PUT, path, Some(key), &body).await.status, StatusCode::OK);

    let head = format!("host: x\r\napi-key: {key}\r\ncontent-type: application/json\r\n");
    let mut reader = TcpStream::connect(node.http).await.unwrap();
    let ask = "{\"limit\":20}";
    let scroll = format!(
        "POST /collections/c/points/scroll HTTP/1.1\r\n{head}content-length: {}\r\n\r\n{ask}",
        ask.len()
    );
    reader.write_all(scroll.as_bytes()).await.unwrap();
    reader.readable().await.unwrap();
    let mut writer = TcpStream::connect(node.http).await.unwrap();
    let upsert =
        format!("PUT /collections/c/points HTTP/1.1\r\n{head}content-length: 1000\r\n\r\n{{");
    writer.write_all(upsert.as_bytes()).await.unwrap();
    let both_in_flight = async {
        loop {
            let gate = node.control().status().await.unwrap().gate;
            if (gate.reads_in_flight, gate.writes_in_flight) == (1, 1) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, both_in_flight).await.unwrap();

    let report = node.control().backup(&Default::default(), |_| {}).await.unwrap();
    assert!(report.pause_ms < 10_000.0, "{}", report.pause_ms);
    let mut answer = vec![0; 512];
    let count = writer.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    drop(reader);
    node.stop().await;
}
