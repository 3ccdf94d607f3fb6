//! However a request ends, it is counted out again.

use std::time::Duration;

use http::{Method, StatusCode};
use qdrant_client::qdrant::UpsertPointsBuilder;
use qmoor_plan::access::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LONG;
use crate::node::{self, Node, Process, points};

const UPSERT: &str = "/collections/c/points?wait=true";

/// A node whose held requests wait long enough to look at them.
async fn patient_node(hold_budget: Duration) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    config.gateway.hold_budget = hold_budget;
    let node = Node::start_in(dir, config).await;
    node.create("c").await;
    node
}

/// A request that is begun and not waited for.
async fn begin(node: &Node, line: &str, body: &str, announced: usize) -> TcpStream {
    let mut stream = TcpStream::connect(node.http).await.unwrap();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: x\r\napi-key: {}\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n\r\n{body}",
        node.key(Role::Index)
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn one_point() -> String {
    json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}]}).to_string()
}

/// An engine that does nothing until it may go on.
struct Stopped(Option<u32>);

impl Stopped {
    /// It may not go on.
    fn kill(mut self) {
        node::kill(self.0.take().unwrap());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            node::signal(pid, "CONT");
        }
    }
}

async fn stop_engine(node: &Node) -> Stopped {
    let pid = node.control().status().await.unwrap().engine.pid.unwrap();
    node::signal(pid, "STOP");
    // Its threads stop one by one.
    let stopped = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks
            .map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")))
            .all(|stat| stat.is_ok_and(|stat| stat.rsplit(") ").next().unwrap().starts_with('T')))
    };
    let waited = async {
        while !stopped() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, waited).await.expect("the engine does not stop");
    Stopped(Some(pid))
}

#[tokio::test]
async fn answers_and_refusals_are_counted_out() {
    let node = patient_node(Duration::from_secs(4)).await;
    let key = Some(node.key(Role::Index));
    let right = json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}]});
    let wrong = json!({"points": [{"id": 1, "vector": [1.0]}]});
    let large = json!({"points": "x".repeat(33 * 1024 * 1024)});
    for (method, path, body, status) in [
        (Method::PUT, UPSERT, &right, 200),
        (Method::PUT, UPSERT, &wrong, 400),
        (Method::PUT, UPSERT, &large, 413),
        (Method::POST, "/collections/c/points/query", &json!({"limit": 1}), 200),
        (Method::GET, "/collections/none", &json!(null), 404),
        (Method::DELETE, "/collections/c", &json!(null), 403),
    ] {
        let answer = node.rest(method.clone(), path, key, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {:.200}", answer.text);
        node.counted(0, 0, 0).await;
    }
    node.client(Role::Index)
        .upsert_points(UpsertPointsBuilder::new("c", points(0..5)))
        .await
        .unwrap();
    node.counted(0, 0, 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_sends_is_counted_out() {
    let node = patient_node(Duration::from_secs(4)).await;
    let half = begin(&node, &format!("PUT {UPSERT}"), "{", 1000).await;
    node.counted(0, 1, 0).await;
    drop(half);
    node.counted(0, 0, 0).await;
    let half = begin(&node, "POST /collections/c/points/query", "{", 1000).await;
    node.counted(1, 0, 0).await;
    drop(half);
    node.counted(0, 0, 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_is_held_is_forgotten() {
    let node = patient_node(Duration::from_secs(50)).await;
    let blocker = node.block_drain().await;
    let control = node.control();
    let backup = tokio::spawn(async move { control.backup(&Default::default(), |_| {}).await });
    node.holds().await;
    let body = one_point();
    let first = begin(&node, &format!("PUT {UPSERT}"), &body, body.len()).await;
    node.counted(0, 1, 1).await;
    let second = begin(&node, &format!("PUT {UPSERT}"), &body, body.len()).await;
    node.counted(0, 1, 2).await;
    drop(first);
    node.counted(0, 1, 1).await;
    // By HTTP/2, with a stream that is reset because its client lost its patience.
    let client = node.client(Role::Index);
    let upsert = client.upsert_points(UpsertPointsBuilder::new("c", points(5..6)).wait(true));
    let impatient = async {
        tokio::select! {
            answer = upsert => panic!("{answer:?}"),
            () = node.counted(0, 1, 2) => {}
        }
    };
    impatient.await;
    node.counted(0, 1, 1).await;
    for path in ["/", "/healthz", "/livez", "/readyz"] {
        let answer = node.rest(Method::GET, path, None, &json!(null)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    client.health_check().await.unwrap();
    drop(blocker);
    backup.await.unwrap().unwrap();
    let mut answer = [0; 12];
    let mut second = second;
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    node.counted(0, 0, 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_reads_is_counted_out() {
    let node = patient_node(Duration::from_secs(4)).await;
    let text = "x".repeat(1_000_000);
    let many: Vec<_> = (0..20)
        .map(|id| json!({"id": id, "vector": [1.0, 0.0, 0.0, 0.0], "payload": {"t": text}}))
        .collect();
    let key = Some(node.key(Role::Index));
    let answer = node.rest(Method::PUT, UPSERT, key, &json!({ "points": many })).await;
    assert_eq!(answer.status, StatusCode::OK);
    let ask = "{\"limit\":20}";
    let mut reader = begin(&node, "POST /collections/c/points/scroll", ask, ask.len()).await;
    let mut some = [0; 1000];
    reader.read_exact(&mut some).await.unwrap();
    node.counted(1, 0, 0).await;
    drop(reader);
    node.counted(0, 0, 0).await;
    node.stop().await;
}

#[tokio::test]
async fn requests_of_an_engine_that_is_killed_are_counted_out() {
    let node = patient_node(Duration::from_secs(20)).await;
    let engine = stop_engine(&node).await;
    let body = one_point();
    let mut write = begin(&node, &format!("PUT {UPSERT}"), &body, body.len()).await;
    let mut read = begin(&node, "POST /collections/c/points/query", "{}", 2).await;
    node.counted(1, 1, 0).await;
    engine.kill();
    for stream in [&mut write, &mut read] {
        let mut answer = [0; 12];
        tokio::time::timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 502");
    }
    node.counted(0, 0, 0).await;
    let new = async {
        loop {
            let engine = node.control().status().await.unwrap().engine;
            if engine.up && engine.starts == 2 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, new).await.expect("there is no new engine");
    let key = Some(node.key(Role::Search));
    let answer = node.rest(Method::GET, "/collections/c", key, &json!(null)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    node.counted(0, 0, 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_deadline_of_the_client_ends_reads_at_once_and_writes_with_the_engine() {
    let node = patient_node(Duration::from_secs(4)).await;
    let engine = stop_engine(&node).await;
    let client = node.client_patient_for(Role::Index, Duration::from_millis(500));
    client.collection_info("c").await.unwrap_err();
    node.counted(0, 0, 0).await;
    client.upsert_points(UpsertPointsBuilder::new("c", points(0..5)).wait(true)).await.unwrap_err();
    // The client tries twice.
    assert!(node.control().status().await.unwrap().gate.writes_in_flight > 0);
    drop(engine);
    node.counted(0, 0, 0).await;
    node.stop().await;
}

#[tokio::test]
async fn requests_past_the_budget_and_over_the_bound_are_counted_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    config.gateway.hold_budget = Duration::from_secs(5);
    config.gateway.max_held = 3;
    let node = Node::start_in(dir, config).await;
    node.create("c").await;
    let blocker = node.block_drain().await;
    let control = node.control();
    let backup = tokio::spawn(async move { control.backup(&Default::default(), |_| {}).await });
    node.holds().await;
    let body = one_point();
    let mut held = Vec::new();
    for count in 1..=3 {
        held.push(begin(&node, &format!("PUT {UPSERT}"), &body, body.len()).await);
        node.counted(0, 1, count).await;
    }
    let key = Some(node.key(Role::Index));
    let more = node.rest(Method::PUT, UPSERT, key, &serde_json::from_str(&body).unwrap()).await;
    assert_eq!(more.status, StatusCode::TOO_MANY_REQUESTS, "{}", more.text);
    assert_eq!(more.headers["retry-after"], "1");
    drop(held);
    node.counted(0, 1, 0).await;
    drop(blocker);
    backup.await.unwrap().unwrap();
    node.counted(0, 0, 0).await;
    node.stop().await;
}

const MANY: usize = 10_000;

/// Whether this process, and what it starts, may open so many files.
fn may_open(files: usize) -> bool {
    let raise = format!("prlimit --pid {} --nofile={files}:", std::process::id());
    let hard = std::process::Command::new("sh").args(["-c", &raise]).status();
    hard.is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_held_requests_cost_their_sockets() {
    // Each has a connection to the engine as well once it is let go.
    if !may_open(2 * MANY) {
        println!("SKIPPED: {} open files are not allowed here; raise the hard limit", 2 * MANY);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let more = format!(
        "[gateway]\nmax_held = {}\nmax_connections = {}\nhold_budget = \"1m\"\ndrain_timeout = \"2m\"\n",
        MANY + 1,
        MANY + 100
    );
    let mut agent = Process::start_with(dir.path(), &more).await;
    let key = agent.index_key.clone();
    let head = |length: usize| {
        format!(
            "PUT /collections/c/points HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let connect = async || TcpStream::connect(agent.http).await.unwrap();
    let mut blocker = connect().await;
    blocker.write_all(format!("{}{{", head(1000)).as_bytes()).await.unwrap();
    let wait_for = async |held: usize| {
        let waited = tokio::time::timeout(LONG, async {
            loop {
                let gate = agent.control().status().await.unwrap().gate;
                if gate.held == held && (held > 0 || gate.writes_in_flight == 1) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.expect("not all are held");
    };
    wait_for(0).await;
    let idle = agent.resident();
    let backup = {
        let control = agent.control();
        tokio::spawn(async move { control.backup(&Default::default(), |_| {}).await })
    };
    let begun = async {
        while agent.control().status().await.unwrap().gate.phase == qmoor_agent::gate::Phase::Open {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, begun).await.unwrap();
    let mut held = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let mut stream = connect().await;
        // A body that is announced, and of which nothing is read.
        stream.write_all(format!("{}{{}}", head(2)).as_bytes()).await.unwrap();
        held.push(stream);
    }
    wait_for(MANY).await;
    let full = agent.resident();
    let each = (full.saturating_sub(idle)) / MANY as u64;
    println!(
        "agent: {} KiB idle, {} KiB with {MANY} held: {each} bytes each",
        idle / 1024,
        full / 1024
    );
    // The buffers and the state of a connection; nothing of the bodies.
    assert!(each < 32 * 1024, "{each} bytes for each held request");
    drop(blocker);
    backup.await.unwrap().unwrap();
    for mut stream in held {
        let mut answer = [0; 12];
        tokio::time::timeout(LONG, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    agent.kill().await;
}
