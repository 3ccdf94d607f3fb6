//! Starts, stops, and ends that nobody asked for.

use http::{Method, StatusCode};
use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, Distance, UpsertPointsBuilder, VectorParamsBuilder,
};
use qmoor_plan::access::Role;
use serde_json::json;

use crate::LONG;
use crate::node::{self, Node, points};

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
async fn a_shutdown_under_load_loses_nothing_acknowledged() {
    let node = Node::start().await;
    node.create("c").await;
    let mut writers = Vec::new();
    for lane in 0..4_u64 {
        let client = node.client(Role::Index);
        writers.push(tokio::spawn(async move {
            let mut acknowledged = 0;
            loop {
                let first = lane * 1_000_000 + acknowledged;
                let request = UpsertPointsBuilder::new("c", points(first..first + 10)).wait(true);
                match client.upsert_points(request).await {
                    Ok(_) => acknowledged += 10,
                    Err(_) => return acknowledged,
                }
            }
        }));
    }
    let written = async {
        let client = node.client(Role::Search);
        while client.count(CountPointsBuilder::new("c")).await.unwrap().result.unwrap().count < 200
        {
        }
    };
    tokio::time::timeout(LONG, written).await.unwrap();
    let (dir, config) = node.stop().await;
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.await.unwrap();
    }
    assert!(acknowledged >= 200 - 40);
    let again = Node::start_in(dir, config).await;
    let client = again.client_with(&node::session(&again).await);
    let count = client.count(CountPointsBuilder::new("c").exact(true)).await.unwrap();
    assert!(count.result.unwrap().count >= acknowledged);
    again.stop().await;
}

#[tokio::test]
async fn a_node_whose_data_is_gone_comes_up_without_an_engine_to_be_restored() {
    let node = Node::start().await;
    node.create("c").await;
    let client = node.client(Role::Index);
    client.upsert_points(UpsertPointsBuilder::new("c", points(0..100)).wait(true)).await.unwrap();
    node.control().backup(&Default::default(), |_| {}).await.unwrap();
    let (dir, config) = node.stop().await;
    std::fs::remove_dir_all(&config.node.data).unwrap();
    let again = Node::start_in(dir, config).await;
    let engine = again.control().status().await.unwrap().engine;
    assert!(!engine.up);
    assert!(engine.trouble.unwrap().contains("is missing"));
    let refused = again.control().backup(&Default::default(), |_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("not running"), "{refused}");
    again.control().restore("latest", |_| {}).await.unwrap();
    let client = again.client_with(&node::session(&again).await);
    let count = client.count(CountPointsBuilder::new("c").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, 100);
    again.stop().await;
}
