//! Keys that end while somebody uses them, and keys that are wrong.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use qdrant_client::QdrantError;
use qmoor_agent::control::wire::RotateRequest;
use qmoor_plan::access::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::LONG;
use crate::node::{self, Node};

/// One answer on a connection that stays open: its status.
async fn ask(stream: &mut TcpStream, key: &str) -> u16 {
    let request = format!("GET /collections HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await
}

async fn answer(stream: &mut TcpStream) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(LONG, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_revoked_key_ends_on_connections_that_are_open() {
    let node = Node::start().await;
    let key = node.key(Role::Search).to_owned();
    let mut alive = TcpStream::connect(node.http).await.unwrap();
    assert_eq!(ask(&mut alive, &key).await, 200);
    let client = node.client(Role::Search);
    client.list_collections().await.unwrap();
    node.control().rotate_key(Role::Search).await.unwrap();
    assert_eq!(ask(&mut alive, &key).await, 200);
    let keys = node.control().keys().await.unwrap();
    let first = keys.iter().find(|key| key.role == Role::Search).unwrap();
    node.control().revoke_key(&first.id).await.unwrap();
    assert_eq!(ask(&mut alive, &key).await, 401);
    let refused = client.list_collections().await.unwrap_err();
    let QdrantError::ResponseError { status } = refused else { panic!("{refused}") };
    assert_eq!(status.code() as i32, 16, "{status}");
    node.stop().await;
}

#[tokio::test]
async fn a_key_that_is_revoked_while_its_request_is_held_is_refused_after_the_hold() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    config.gateway.hold_budget = Duration::from_secs(50);
    let node = Node::start_in(dir, config).await;
    node.create("c").await;
    let key = node.key(Role::Index).to_owned();
    node.control().rotate_key(Role::Index).await.unwrap();
    let old = node.control().keys().await.unwrap();
    let old = old.iter().find(|key| key.role == Role::Index).unwrap().id.clone();
    let blocker = node.block_drain().await;
    let mut held = TcpStream::connect(node.http).await.unwrap();
    let body = json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}]}).to_string();
    let request = format!(
        "PUT /collections/c/points?wait=true HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let backup = {
        let control = node.control();
        tokio::spawn(async move { control.backup(&Default::default(), |_| {}).await })
    };
    node.holds().await;
    held.write_all(request.as_bytes()).await.unwrap();
    node.counted(0, 1, 1).await;
    node.control().revoke_key(&old).await.unwrap();
    drop(blocker);
    backup.await.unwrap().unwrap();
    assert_eq!(answer(&mut held).await, 401);
    let admin = Some(node.key(Role::Admin));
    let ask = json!({"exact": true});
    let count = node.rest(Method::POST, "/collections/c/points/count", admin, &ask);
    assert_eq!(count.await.json()["result"]["count"], 0);
    node.stop().await;
}

#[tokio::test]
async fn with_an_overlap_the_old_key_ends_by_itself() {
    let node = Node::start().await;
    let key = node.key(Role::Search).to_owned();
    let mut alive = TcpStream::connect(node.http).await.unwrap();
    let wanted = RotateRequest { role: Role::Search, collections: None, overlap_ms: Some(1500) };
    let fresh = node.control().rotate_key_to(&wanted).await.unwrap();
    let shown = node.control().keys().await.unwrap();
    let ends: Vec<_> = shown.iter().filter_map(|key| key.until).collect();
    assert_eq!(ends.len(), 1);
    assert_eq!(ask(&mut alive, &key).await, 200);
    let ended = async { while ask(&mut alive, &key).await == 200 {} };
    tokio::time::timeout(LONG, ended).await.unwrap();
    assert!(jiff::Timestamp::now() >= ends[0]);
    assert_eq!(ask(&mut alive, &key).await, 401);
    assert_eq!(ask(&mut alive, &fresh.key).await, 200);
    assert_eq!(node.control().keys().await.unwrap().len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn an_address_with_many_wrong_keys_is_answered_shortly_and_its_right_keys_pass() {
    let node = Node::start().await;
    let right = node.key(Role::Search).to_owned();
    let mut statuses = Vec::new();
    for number in 0..60 {
        let wrong = format!("wrong-{number}");
        statuses.push(node.rest(Method::GET, "/collections", Some(&wrong), &json!(null)).await);
        let answer = node.rest(Method::GET, "/collections", Some(&right), &json!(null)).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(statuses[0].status, StatusCode::UNAUTHORIZED);
    let stopped: Vec<_> =
        statuses.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!stopped.is_empty());
    for answer in &stopped {
        // The official uploaders come again for ever when they are told when.
        assert!(!answer.headers.contains_key("retry-after"));
        assert_eq!(answer.headers["connection"], "close");
    }
    let wrong = node.client_with("wrong").list_collections().await.unwrap_err();
    let QdrantError::ResponseError { status } = wrong else { panic!("{wrong}") };
    assert!([8, 16].contains(&(status.code() as i32)), "{status}");
    // Another address is told what is wrong.
    let socket = TcpSocket::new_v4().unwrap();
    let other = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99)), 0);
    socket.bind(other).unwrap();
    let mut stream = socket.connect(node.http).await.unwrap();
    assert_eq!(ask(&mut stream, "wrong").await, 401);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_keys_needs_no_memory_and_few_lines_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = node::Process::start(dir.path()).await;
    let client = node::client(agent.grpc, &agent.index_key);
    client.list_collections().await.unwrap();
    let before = agent.resident();
    let until = Instant::now() + Duration::from_secs(10);
    let mut guessers = Vec::new();
    for lane in 0..8_u8 {
        let address = agent.http;
        guessers.push(tokio::spawn(async move {
            let mut tried = 0_u32;
            while Instant::now() < until && tried < 125_000 {
                let from = Ipv4Addr::new(
                    127,
                    1 + lane,
                    (tried / 20 / 250) as u8,
                    (1 + tried / 20 % 250) as u8,
                );
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::new(from.into(), 0)).unwrap();
                let mut stream = socket.connect(address).await.unwrap();
                for _ in 0..20 {
                    assert!(
                        [401, 429]
                            .contains(&ask(&mut stream, &format!("wrong-{lane}-{tried}")).await)
                    );
                    tried += 1;
                }
            }
            tried
        }));
    }
    let mut tried = 0;
    for guesser in guessers {
        tried += guesser.await.unwrap();
    }
    client.list_collections().await.unwrap();
    let after = agent.resident();
    let lines = std::fs::read_to_string(dir.path().join("agent.log")).unwrap().lines().count();
    println!(
        "{tried} wrong keys: {} KiB more memory, {lines} lines of the log",
        after.saturating_sub(before) / 1024
    );
    assert!(tried > 1000);
    assert!(after < before + 32 * 1024 * 1024, "{before} -> {after}");
    assert!(lines < 500, "{lines} lines");
    agent.kill().await;
}
