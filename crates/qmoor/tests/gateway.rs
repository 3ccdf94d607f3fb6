//! The door of a whole node, with the real engine behind it: who gets in, what passes, and what survives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "gateway/node.rs"]
mod node;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use node::{Node, points};
use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, Distance, PointStruct, QueryPointsBuilder,
    UpsertPointsBuilder, VectorParamsBuilder,
};
use qdrant_client::{Payload, QdrantError};
use qmoor_plan::access::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything here takes, shorter than a test may.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn each_role_may_do_what_it_may_and_no_more() {
    let node = Node::start().await;
    node.create("c").await;
    let upsert = json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}]});
    let query = json!({"query": [1.0, 0.0, 0.0, 0.0]});
    let nothing = json!(null);
    let cases = [
        (Method::GET, "/collections", &nothing, [200, 200, 200]),
        (Method::GET, "/collections/c", &nothing, [200, 200, 200]),
        (Method::PUT, "/collections/c/points?wait=true", &upsert, [403, 200, 200]),
        (Method::POST, "/collections/c/points/query", &query, [200, 200, 200]),
        (Method::GET, "/collections/c/points/1", &nothing, [200, 200, 200]),
        (Method::GET, "/collections/c/snapshots", &nothing, [403, 403, 501]),
        (Method::GET, "/telemetry", &nothing, [403, 403, 200]),
        (Method::GET, "/qmoor/v1/status", &nothing, [403, 403, 200]),
        (Method::GET, "/qmoor/v1/nothing", &nothing, [403, 403, 404]),
        (Method::DELETE, "/collections/c", &nothing, [403, 403, 200]),
    ];
    for (method, path, body, expected) in cases {
        for (role, status) in Role::ALL.into_iter().zip(expected) {
            let answer = node.rest(method.clone(), path, Some(node.key(role)), body).await;
            assert_eq!(answer.status.as_u16(), status, "{role} {method} {path}: {}", answer.text);
            if status == 403 {
                let error = answer.json()["status"]["error"].as_str().unwrap().to_owned();
                assert!(error.starts_with("Forbidden: "), "{error}");
            }
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn one_right_key_opens_and_nothing_else_does() {
    let node = Node::start().await;
    let (search, admin) = (node.key(Role::Search), node.key(Role::Admin));
    let cases: [(&[(&str, String)], u16); 9] = [
        (&[], 401),
        (&[("api-key", String::new())], 401),
        (&[("api-key", format!("{search}x"))], 401),
        (&[("api-key", search.to_owned())], 200),
        (&[("authorization", format!("Bearer {search}"))], 200),
        (&[("authorization", format!("Basic {search}"))], 401),
        (&[("api-key", search.to_owned()), ("authorization", format!("Bearer {search}"))], 200),
        (&[("api-key", search.to_owned()), ("authorization", format!("Bearer {admin}"))], 401),
        (&[("api-key", search.to_owned()), ("api-key", admin.to_owned())], 401),
    ];
    for (headers, status) in cases {
        let answer = node.rest_with(Method::GET, "/collections", headers, &json!(null)).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
    }
    for path in ["/", "/healthz", "/livez", "/readyz"] {
        let answer = node.rest(Method::GET, path, None, &json!(null)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    for path in ["/metrics", "/telemetry", "/health", "/dashboard", "/qmoor/v1/status"] {
        let answer = node.rest(Method::GET, path, None, &json!(null)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    node.stop().await;
}

#[tokio::test]
async fn no_spelling_of_a_path_raises_the_search_role() {
    let node = Node::start().await;
    node.create("c").await;
    let lines = [
        "DELETE /collections/c",
        "DELETE //collections/c",
        "DELETE /collections//c",
        "DELETE /collections/c/",
        "DELETE /Collections/c",
        "DELETE /collections/c/points/query/../../..",
        "DELETE /collections/c/points/%2e%2e/%2e%2e",
        "DELETE /%63ollections/c",
        "delete /collections/c",
        "DELETE http://elsewhere/collections/c",
        "PUT /collections/c/points/query",
        "PUT /collections/c/points?x=/points/query",
        "PUT /collections/c/points#/points/query",
        "POST /collections/c/points/payload;/points/query",
        "POST /collections/c/points/delete?/query",
        "POST /collections/c/points/query/../delete",
        "POST /collections/c%2fpoints/query",
        "GET /collections/c/snapshots",
        "GET /collections/..%2fsnapshots",
        "OPTIONS *",
        "CONNECT collections:443",
    ];
    for line in lines {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: x\r\napi-key: {}\r\nx-http-method-override: GET\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            node.key(Role::Search)
        );
        let answer = node.raw(request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status == "403" || status == "400", "{line}: {answer}");
    }
    let answer =
        node.rest(Method::GET, "/collections/c", Some(node.key(Role::Admin)), &json!(null));
    assert_eq!(answer.await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn a_smuggled_second_request_is_judged_by_itself() {
    let node = Node::start().await;
    node.create("c").await;
    let inner = "DELETE /collections/c HTTP/1.1\r\nhost: x\r\n\r\n";
    let both = format!(
        "POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\napi-key: {}\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        node.key(Role::Search),
        inner.len() + 5,
    );
    let answer = node.raw(both.as_bytes()).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    let there = node.rest(Method::GET, "/collections/c", Some(node.key(Role::Admin)), &json!(null));
    assert_eq!(there.await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn rest_and_grpc_come_through_either_port() {
    let node = Node::start().await;
    for (number, address) in [node.http, node.grpc].into_iter().enumerate() {
        let name = format!("c{number}");
        let client = node.client_at(address, Role::Index);
        let vectors = VectorParamsBuilder::new(4, Distance::Cosine);
        client
            .create_collection(CreateCollectionBuilder::new(&name).vectors_config(vectors))
            .await
            .unwrap();
        client
            .upsert_points(UpsertPointsBuilder::new(&name, points(0..50)).wait(true))
            .await
            .unwrap();
        let reader = node.client_at(address, Role::Search);
        let query = QueryPointsBuilder::new(&name).query(vec![1.0, 0.0, 0.0, 0.0]).limit(3);
        assert_eq!(reader.query(query).await.unwrap().result.len(), 3);
        let path = format!("http://{address}/collections/{name}");
        let answer =
            node.rest(Method::GET, &path, Some(node.key(Role::Search)), &json!(null)).await;
        assert_eq!(answer.json()["result"]["points_count"], 50, "{}", answer.text);
    }
    node.stop().await;
}

#[tokio::test]
async fn grpc_refusals_have_grpc_codes() {
    let node = Node::start().await;
    node.create("c").await;
    let reader = node.client(Role::Search);
    let refused = reader.upsert_points(UpsertPointsBuilder::new("c", points(0..1))).await;
    assert_eq!(code(refused.unwrap_err()), PERMISSION_DENIED);
    let refused = reader.delete_collection("c").await;
    assert_eq!(code(refused.unwrap_err()), PERMISSION_DENIED);
    let nobody = qdrant_client::Qdrant::from_url(&format!("http://{}", node.grpc))
        .skip_compatibility_check()
        .build()
        .unwrap();
    assert_eq!(code(nobody.list_collections().await.unwrap_err()), UNAUTHENTICATED);
    nobody.health_check().await.unwrap();
    node.stop().await;
}

const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;

fn code(error: QdrantError) -> i32 {
    match error {
        QdrantError::ResponseError { status } => status.code() as i32,
        other => panic!("{other}"),
    }
}

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
async fn an_engine_that_was_killed_comes_back_with_what_it_acknowledged() {
    let node = Node::start().await;
    node.create("c").await;
    let client = node.client(Role::Index);
    client.upsert_points(UpsertPointsBuilder::new("c", points(0..100)).wait(true)).await.unwrap();
    let before = node.control().status().await.unwrap().engine;
    node::kill(before.pid.unwrap());
    let counted = async {
        loop {
            let request = CountPointsBuilder::new("c").exact(true);
            // While it is down the gateway holds the request; the one in flight at the kill may fail.
            if let Ok(answer) = client.count(request).await {
                break answer.result.unwrap().count;
            }
        }
    };
    assert_eq!(tokio::time::timeout(LONG, counted).await.unwrap(), 100);
    let after = node.control().status().await.unwrap().engine;
    assert_ne!(after.pid, before.pid);
    assert_eq!(after.starts, 2);
    node.stop().await;
}

#[tokio::test]
async fn an_engine_whose_data_is_removed_is_ended_and_a_restore_brings_it_back() {
    let node = Node::start().await;
    node.create("c").await;
    let client = node.client(Role::Index);
    client.upsert_points(UpsertPointsBuilder::new("c", points(0..100)).wait(true)).await.unwrap();
    node.control().backup(&Default::default(), |_| {}).await.unwrap();
    std::fs::remove_dir_all(&node.config.node.data).unwrap();
    let trouble = async {
        loop {
            let status = node.control().status().await.unwrap();
            if let Some(trouble) = status.engine.trouble {
                break trouble;
            }
            tokio::task::yield_now().await;
        }
    };
    let trouble = tokio::time::timeout(LONG, trouble).await.unwrap();
    assert!(trouble.contains("is missing") && trouble.contains("qmoor restore"), "{trouble}");
    assert!(!node.config.node.data.exists(), "an empty engine was started");
    let key = Some(node.key(Role::Search));
    let answer = node.rest(Method::GET, "/collections", key, &json!(null)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "1");
    node.control().restore("latest", |_| {}).await.unwrap();
    let count = client.count(CountPointsBuilder::new("c").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, 100);
    node.stop().await;
}

#[tokio::test]
async fn both_keys_of_a_rotation_open_and_a_revoked_one_does_not() {
    let node = Node::start().await;
    let control = node.control();
    let first = node.key(Role::Search).to_owned();
    let second = control.rotate_key(Role::Search).await.unwrap();
    let status = async |key: &str| {
        node.rest(Method::GET, "/collections", Some(key), &json!(null)).await.status.as_u16()
    };
    assert_eq!((status(&first).await, status(&second.key).await), (200, 200));
    let keys = control.keys().await.unwrap();
    let oldest = keys.iter().find(|key| key.role == Role::Search).unwrap();
    control.revoke_key(&oldest.id).await.unwrap();
    assert_eq!((status(&first).await, status(&second.key).await), (401, 200));
    let last = control.revoke_key(&second.info.id).await.unwrap_err();
    assert!(last.to_string().contains("only search key"), "{last}");
    let session = control.session_key(Role::Index).await.unwrap();
    assert_eq!(status(&session.key).await, 200);
    assert_eq!(control.keys().await.unwrap().len(), 3);
    node.stop().await;
}

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
async fn a_node_has_one_agent_and_a_taken_port_is_said() {
    let node = Node::start().await;
    let second = node::serve_once(node.config.clone()).await.unwrap_err();
    assert!(second.is_busy(), "{second}");
    let other = tempfile::tempdir().unwrap();
    let mut config = node::config(other.path());
    config.gateway.http_port = node.http.port();
    let taken = node::serve_once(config).await.unwrap_err();
    assert!(!taken.is_busy());
    assert!(taken.to_string().contains(&node.http.to_string()), "{taken}");
    node.stop().await;
}

#[tokio::test]
async fn a_shutdown_ends_the_engine_and_removes_the_socket() {
    let node = Node::start().await;
    node.create("c").await;
    let client = node.client(Role::Index);
    client.upsert_points(UpsertPointsBuilder::new("c", points(0..10)).wait(false)).await.unwrap();
    let engine = node.control().status().await.unwrap().engine.pid.unwrap();
    let (dir, config) = node.stop().await;
    assert!(!node::alive(engine));
    assert!(!config.node.state.join("agent.sock").exists());
    let again = Node::start_in(dir, config).await;
    let count = again.client_with(&node::session(&again).await);
    let count = count.count(CountPointsBuilder::new("c").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, 10);
    again.stop().await;
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
async fn an_agent_that_is_killed_leaves_no_engine_and_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let config = node::config(dir.path());
    let mut agent = node::Process::start(dir.path()).await;
    let client = node::client(agent.grpc, agent.index_key.as_str());
    let vectors = VectorParamsBuilder::new(4, Distance::Cosine);
    let create = CreateCollectionBuilder::new("c").vectors_config(vectors);
    client.create_collection(create).await.unwrap();
    client.upsert_points(UpsertPointsBuilder::new("c", points(0..100)).wait(true)).await.unwrap();
    let control = qmoor_agent::control::client::Client::new(&config.node.state);
    let engine = control.status().await.unwrap().engine.pid.unwrap();
    agent.kill().await;
    // Started at once: the engine that is left may still be flushing.
    let again = Node::start_in(dir, config).await;
    tokio::time::timeout(LONG, node::ended(engine)).await.expect("the engine outlives its agent");
    let client = again.client_with(&node::session(&again).await);
    let count = client.count(CountPointsBuilder::new("c").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, 100);
    again.stop().await;
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
