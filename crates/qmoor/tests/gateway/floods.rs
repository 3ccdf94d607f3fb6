//! HTTP/2 frames by the thousand, written by hand: the agent's memory and time stay bounded, and other
//! clients are served meanwhile.

use std::time::{Duration, Instant};

use qdrant_client::qdrant::CreateCollectionBuilder;
use qdrant_client::qdrant::{Distance, VectorParamsBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LONG;
use crate::node::{self, Process};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What one attacker may cost the agent: memory, and processor time in which others are still served.
const MEMORY_MAX: u64 = 64 * 1024 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block without compression.
fn block(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x")];
    let mut bytes = Vec::new();
    for (name, value) in pseudo.iter().chain(headers) {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

struct Attack {
    name: &'static str,
    /// Sent once.
    first: Vec<u8>,
    /// Made for each number, and sent until the time is over or the connection is cut.
    each: Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>,
    /// Whether the attacker reads what comes back.
    reads: bool,
}

fn attack(
    name: &'static str,
    reads: bool,
    first: Vec<u8>,
    each: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> Attack {
    let first = [PREFACE.to_vec(), first].concat();
    Attack { name, first, each: Box::new(each), reads }
}

fn stream(number: u32) -> u32 {
    number * 2 + 1
}

/// Requests that are opened by the thousand, and taken back or left.
fn requests(key: &str) -> Vec<Attack> {
    let settings = frame(SETTINGS, 0, 0, &[]);
    let tiny = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]);
    let get = block("GET", "/collections", &[("api-key", key)]);
    let nobody = block("GET", "/collections", &[]);
    let json = ("content-type", "application/json");
    let write = block("PUT", "/collections/c/points", &[("api-key", key), json]);
    let reset = |block: &Vec<u8>, flags: u8| {
        let block = block.clone();
        move |number: u32| {
            let headers = frame(HEADERS, END_HEADERS | flags, stream(number), &block);
            [headers, frame(RST_STREAM, 0, stream(number), &[0, 0, 0, 8])].concat()
        }
    };
    let open = |block: &Vec<u8>, flags: u8| {
        let block = block.clone();
        move |number: u32| frame(HEADERS, END_HEADERS | flags, stream(number), &block)
    };
    let dribble = {
        let write = write.clone();
        move |number: u32| match number {
            0 => frame(HEADERS, END_HEADERS, 1, &write),
            _ => frame(DATA, 0, 1, b""),
        }
    };
    let first = || settings.clone();
    vec![
        attack("rapid reset with a key", true, first(), reset(&get, END_STREAM)),
        attack("rapid reset without a key", true, first(), reset(&nobody, END_STREAM)),
        attack("rapid reset of writes", true, first(), reset(&write, 0)),
        attack("rapid reset, never reading", false, first(), reset(&get, END_STREAM)),
        attack("more streams than allowed", true, first(), open(&get, END_STREAM)),
        attack("tiny windows, never reading", false, tiny, open(&get, END_STREAM)),
        attack("writes that never end", true, first(), open(&write, 0)),
        attack("empty data", true, first(), dribble),
    ]
}

/// Heads without an end, and frames that are about the connection alone.
fn frames(key: &str) -> Vec<Attack> {
    let settings = || frame(SETTINGS, 0, 0, &[]);
    let get = block("GET", "/collections", &[("api-key", key)]);
    let begun = [settings(), frame(HEADERS, 0, 1, &get)].concat();
    let cookie = ("cookie", "x".repeat(120));
    let large: Vec<u8> =
        (0..100).flat_map(|_| block("a", "b", &[(cookie.0, &cookie.1)])).take(16_000).collect();
    let ping = |number: u32| frame(PING, 0, 0, &u64::from(number).to_be_bytes());
    let set = |_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]);
    vec![
        attack("endless continuation", true, begun.clone(), |_| {
            frame(CONTINUATION, 0, 1, &[0, 1, b'x', 4, b'y', b'y', b'y', b'y'])
        }),
        attack("empty continuation", true, begun, |_| frame(CONTINUATION, 0, 1, &[])),
        attack("large heads", true, settings(), move |number| {
            frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &large)
        }),
        attack("settings", true, settings(), set),
        attack("settings, never reading", false, settings(), set),
        attack("pings", true, settings(), ping),
        attack("pings, never reading", false, settings(), ping),
        attack("window updates", true, settings(), |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
    ]
}

/// Attacks for a while, or until cut. Says how many frames were sent.
async fn run(address: std::net::SocketAddr, attack: Attack, until: Instant) -> u64 {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while attack.reads && from.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        // The half that does not read keeps the connection open.
        if !attack.reads {
            tokio::time::sleep_until(until.into()).await;
        }
    });
    let mut sent = 0;
    let writing = async {
        to.write_all(&attack.first).await?;
        let mut number = 0_u32;
        while Instant::now() < until && number < 1_000_000_000 {
            let batch: Vec<u8> = (0..100).flat_map(|more| (attack.each)(number + more)).collect();
            to.write_all(&batch).await?;
            number += 100;
            sent = u64::from(number);
        }
        std::io::Result::Ok(())
    };
    // Being cut, or not being read any more, is an end.
    let _cut = tokio::time::timeout_at(until.into(), writing).await;
    drop(to);
    reader.abort();
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_cost_little_and_keep_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Process::start(dir.path()).await;
    let client = node::client(agent.grpc, &agent.index_key);
    let vectors = VectorParamsBuilder::new(4, Distance::Cosine);
    client
        .create_collection(CreateCollectionBuilder::new("c").vectors_config(vectors))
        .await
        .unwrap();
    let calm = agent.resident();
    let key = agent.index_key.clone();
    for attack in requests(&key).into_iter().chain(frames(&key)) {
        let name = attack.name;
        let (begun, before) = (Instant::now(), agent.processor());
        let until = begun + Duration::from_secs(3);
        let attacker = tokio::spawn(run(agent.http, attack, until));
        let mut slowest = Duration::ZERO;
        let mut most = 0;
        let mut served = 0;
        while !attacker.is_finished() || served == 0 {
            let asked = Instant::now();
            let there = tokio::time::timeout(LONG, client.collection_exists("c")).await;
            assert!(there.unwrap_or_else(|_| panic!("{name}: not served")).unwrap(), "{name}");
            slowest = slowest.max(asked.elapsed());
            most = most.max(agent.resident());
            served += 1;
        }
        let sent = attacker.await.unwrap();
        let used = agent.processor() - before;
        println!(
            "{name}: {sent} frames in {:?}; {served} requests of others, the slowest {slowest:?}; \
             {} KiB more memory, {used:?} of the processor",
            begun.elapsed(),
            most.saturating_sub(calm) / 1024
        );
        assert!(most < calm + MEMORY_MAX, "{name}: {calm} -> {most} bytes");
        assert!(slowest < Duration::from_secs(5), "{name}: {slowest:?}");
    }
    // Nothing of it is left over.
    let left = async {
        loop {
            let gate = agent.control().status().await.unwrap().gate;
            if (gate.reads_in_flight, gate.writes_in_flight, gate.held) == (0, 0, 0) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, left).await.expect("requests are still in flight");
    agent.kill().await;
}
