//! What a client can cost at most.

use std::time::Duration;

use http::{Method, StatusCode};
use qdrant_client::Payload;
use qdrant_client::qdrant::{PointStruct, UpsertPointsBuilder};
use qmoor_plan::access::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LONG;
use crate::node::{self, Node};

#[tokio::test]
async fn a_body_larger_than_a_window_passes_and_one_too_large_is_413() {
    let node = Node::start().await;
    node.create("c").await;
    let text = "x".repeat(1_000_000);
    let upsert = |count: u64| {
        let points: Vec<_> = (0..count)
            .map(|id| json!({"id": id, "vector": [1.0, 0.0, 0.0, 0.0], "payload": {"t": text}}))
            .collect();
        json!({ "points": points })
    };
    let key = Some(node.key(Role::Index));
    let path = "/collections/c/points?wait=true";
    let answer = node.rest(Method::PUT, path, key, &upsert(20)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let scroll = json!({"limit": 20});
    let answer = node.rest(Method::POST, "/collections/c/points/scroll", key, &scroll).await;
    assert!(answer.text.len() > 20_000_000);
    let answer = node.rest(Method::PUT, path, key, &upsert(40)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text);

    let mut payload = Payload::new();
    payload.insert("t", text.as_str());
    let point = PointStruct::new(1000, vec![1.0, 0.0, 0.0, 0.0], payload);
    let request = UpsertPointsBuilder::new("c", vec![point; 20]).wait(true);
    node.client(Role::Index).upsert_points(request).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn clients_that_never_finish_a_request_are_let_go_and_keep_nobody_out() {
    let node = Node::start().await;
    let beginnings: [&[u8]; 4] =
        [b"", b"P", b"PRI * HTTP/2.0\r\n\r\n", b"GET /collections HTTP/1.1\r\napi-key: "];
    let mut slow = Vec::new();
    for beginning in beginnings {
        let mut stream = TcpStream::connect(node.http).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        slow.push(stream);
    }
    let key = Some(node.key(Role::Search));
    let answer = node.rest(Method::GET, "/collections", key, &json!(null)).await;
    assert_eq!(answer.status, StatusCode::OK);
    for mut stream in slow {
        let mut rest = Vec::new();
        // An answer such as 408 may come first; then the connection ends.
        let ended = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await;
        ended.expect("still open").ok();
    }
    node.stop().await;
}

#[tokio::test]
async fn garbage_and_oversized_heads_are_turned_away() {
    let node = Node::start().await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..100_usize {
        let mut bytes: Vec<u8> = (0..random() % 500).map(|_| random().to_le_bytes()[0]).collect();
        if round % 3 == 0 {
            // Random frames after a right preface.
            bytes.splice(0..0, *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        }
        let mut stream = TcpStream::connect(node.http).await.unwrap();
        // It may be cut while still sending.
        let _cut = stream.write_all(&bytes).await;
        let _cut = stream.shutdown().await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await;
        ended.expect("still open").ok();
    }
    let large = format!(
        "GET /collections HTTP/1.1\r\nhost: x\r\napi-key: {}\r\nx: {}\r\n\r\n",
        node.key(Role::Search),
        "y".repeat(20_000)
    );
    let answer = node.raw(large.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let key = Some(node.key(Role::Search));
    let answer = node.rest(Method::GET, "/collections", key, &json!(null)).await;
    assert_eq!(answer.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    config.gateway.max_connections = 2;
    let node = Node::start_in(dir, config).await;
    let mut first = TcpStream::connect(node.http).await.unwrap();
    let second = TcpStream::connect(node.http).await.unwrap();
    // Once it is answered it has its place for sure; the second one came after it.
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut begun = [0; 12];
    first.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    let mut third = TcpStream::connect(node.http).await.unwrap();
    third.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut early = [0; 1];
    let waited = tokio::time::timeout(Duration::from_millis(300), third.read(&mut early)).await;
    assert!(waited.is_err(), "a third connection was served");
    drop(second);
    let mut answer = String::new();
    let read = tokio::time::timeout(LONG, third.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(first);
    node.stop().await;
}
