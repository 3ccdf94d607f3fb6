//! Requests that two servers could take for different ones, at the raw socket, with the real engine behind.

use std::time::Duration;

use http::{Method, StatusCode};
use qmoor_plan::access::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LONG;
use crate::node::Node;

/// What must never be carried out: it has no key, or the search key.
fn smuggled(key: &str) -> [String; 2] {
    let bare = "DELETE /collections/c HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    [bare.to_owned(), bare.replace("host: x", &format!("host: x\r\napi-key: {key}"))]
}

/// Heads with `BODY` where the smuggled request goes, after `POST /collections/c/points/count HTTP/1.1`,
/// a host and the search key.
const CASES: &[(&str, &str)] = &[
    ("two lengths, the second longer", "content-length: 2\r\ncontent-length: 900\r\n\r\n{}BODY"),
    ("two lengths, the second shorter", "content-length: 900\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("two equal lengths", "content-length: 2\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("two lengths in one line", "content-length: 2, 900\r\n\r\n{}BODY"),
    ("a length with a sign", "content-length: +2\r\n\r\n{}BODY"),
    ("a length in hexadecimal", "content-length: 0x2\r\n\r\n{}BODY"),
    ("a negative length", "content-length: -2\r\n\r\n{}BODY"),
    ("an endless length", "content-length: 99999999999999999999999\r\n\r\n{}BODY"),
    (
        "chunks and a length",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nBODY",
    ),
    (
        "a length after chunks",
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\nBODY",
    ),
    ("xchunked", "transfer-encoding: xchunked\r\ncontent-length: 2\r\n\r\n{}BODY"),
    (
        "chunked, then identity",
        "transfer-encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\nBODY",
    ),
    (
        "identity, and chunked in a second line",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nBODY",
    ),
    (
        "chunked twice",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nBODY",
    ),
    (
        "a tab before chunked",
        "transfer-encoding:\tchunked\r\ncontent-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\nBODY",
    ),
    (
        "a vertical tab before chunked",
        "transfer-encoding: \x0bchunked\r\ncontent-length: 2\r\n\r\n{}BODY",
    ),
    ("a space before the colon", "transfer-encoding : chunked\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("a space before a length's colon", "content-length : 900\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("a folded line", "x: a\r\n transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("a folded length", "content-length:\r\n 2\r\n\r\n{}BODY"),
    ("a bare carriage return", "x: a\rcontent-length: 900\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("bare line feeds", "content-length: 2\n\n{}BODY"),
    ("a bare line feed in a value", "x: a\ncontent-length: 900\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("a null byte in a value", "x: a\0b\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("a null byte in a name", "content\0-length: 900\r\ncontent-length: 2\r\n\r\n{}BODY"),
    (
        "a chunk with a size too large",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{}BODY",
    ),
    (
        "a chunk with an overlong size",
        "transfer-encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\nBODY",
    ),
    ("a chunk with a negative size", "transfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\nBODY"),
    ("a chunk with no size", "transfer-encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\nBODY"),
    (
        "a chunk with a size that is none",
        "transfer-encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\nBODY",
    ),
    (
        "a chunk longer than its size",
        "transfer-encoding: chunked\r\n\r\n2\r\n{}}}\r\n0\r\n\r\nBODY",
    ),
    (
        "a chunk's extension with a line feed",
        "transfer-encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\nBODY",
    ),
    (
        "trailers that set a length",
        "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\ncontent-length: 900\r\n\r\nBODY",
    ),
    (
        "trailers that set a key",
        "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\napi-key: x\r\n\r\nBODY",
    ),
    (
        "an upgrade to HTTP/2",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: 2\r\n\r\n{}BODY",
    ),
    (
        "a key named as of one hop",
        "connection: api-key, content-length\r\ncontent-length: 2\r\n\r\n{}BODY",
    ),
    ("an expectation", "expect: 100-continue\r\ncontent-length: 2\r\n\r\n{}BODY"),
    ("a length of nothing", "content-length: 0\r\n\r\nBODY"),
    ("no length", "\r\nBODY"),
];

#[tokio::test]
async fn nothing_is_smuggled_past_the_gateway() {
    let node = Node::start().await;
    node.create("c").await;
    let key = node.key(Role::Search).to_owned();
    for (name, case) in CASES {
        for inner in smuggled(&key) {
            let head = format!(
                "POST /collections/c/points/count HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\ncontent-type: application/json\r\n"
            );
            let bytes = format!("{head}{}", case.replace("BODY", &inner));
            judge(&node, name, &bytes).await;
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn odd_versions_and_request_lines_smuggle_nothing() {
    let node = Node::start().await;
    node.create("c").await;
    let key = node.key(Role::Search).to_owned();
    let lines = [
        "POST /collections/c/points/count HTTP/1.0",
        "POST /collections/c/points/count HTTP/0.9",
        "POST /collections/c/points/count HTTP/1.2",
        "POST /collections/c/points/count HTTP/3.0",
        "POST /collections/c/points/count http/1.1",
        "POST /collections/c/points/count",
        "POST  /collections/c/points/count  HTTP/1.1",
        "POST /collections/c/points/count HTTP/1.1 ",
        "POST\t/collections/c/points/count\tHTTP/1.1",
        "\r\n\r\nPOST /collections/c/points/count HTTP/1.1",
        " POST /collections/c/points/count HTTP/1.1",
        "POST /collections/c/points/count?\0 HTTP/1.1",
        "POST /collections/c/points/count?a b HTTP/1.1",
        "POST /collections/c/points/count?\u{e9} HTTP/1.1",
        "POST http://a/collections/c/points/count HTTP/1.1\r\nhost: b",
    ];
    for line in lines {
        for coding in [
            "content-length: 2\r\n\r\n{}",
            "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ] {
            for inner in smuggled(&key) {
                let bytes = format!("{line}\r\nhost: x\r\napi-key: {key}\r\n{coding}{inner}");
                judge(&node, line, &bytes).await;
            }
        }
    }
    node.stop().await;
}

/// Refused, and the connection closed; or one request at most reached the engine besides, and it was a read.
async fn judge(node: &Node, name: &str, bytes: &str) {
    let before = node.engine_requests().await;
    let mut stream = TcpStream::connect(node.http).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await;
    // A reset is an end as well.
    read.unwrap_or_else(|_| panic!("{name}: still open")).ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let statuses: Vec<&str> = answer
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| answer[at..].split(' ').nth(1))
        .filter(|status| *status != "100")
        .collect();
    let let_in = statuses.iter().filter(|status| status.starts_with('2')).count();
    assert!(let_in <= 1, "{name}: {answer}");
    assert!(statuses.iter().skip(1).all(|status| status.starts_with('4')), "{name}: {answer}");
    let reached = node.engine_requests().await - before;
    assert!(reached <= 1, "{name}: {reached} requests reached the engine: {answer}");
    let key = Some(node.key(Role::Admin));
    let there = node.rest(Method::GET, "/collections/c", key, &json!(null)).await;
    assert_eq!(there.status, StatusCode::OK, "{name}: {answer}");
}

#[tokio::test]
async fn a_second_request_on_a_connection_has_its_own_key() {
    let node = Node::start().await;
    node.create("c").await;
    let (admin, search) = (node.key(Role::Admin), node.key(Role::Search));
    let get = format!("GET /collections HTTP/1.1\r\nhost: x\r\napi-key: {admin}\r\n\r\n");
    for second in ["", &format!("api-key: {search}\r\n"), "api-key: wrong\r\n"] {
        let delete = format!(
            "DELETE /collections/c HTTP/1.1\r\nhost: x\r\n{second}connection: close\r\n\r\n"
        );
        let answer = node.raw(format!("{get}{delete}").as_bytes()).await;
        let statuses: Vec<&str> = answer
            .match_indices("HTTP/1.1 ")
            .filter_map(|(at, _)| answer.get(at + 9..at + 12))
            .collect();
        let refused = if second.contains(search) { "403" } else { "401" };
        assert_eq!(statuses, ["200", refused], "{answer}");
    }
    let there = node.rest(Method::GET, "/collections/c", Some(admin), &json!(null)).await;
    assert_eq!(there.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn heads_that_are_too_large_or_have_too_many_lines_are_refused_and_cut() {
    let node = Node::start().await;
    let key = node.key(Role::Search);
    let line = format!("GET /collections HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\n");
    let many = (0..200).fold(String::new(), |text, number| text + &format!("x{number}: y\r\n"));
    let block = (0..90)
        .fold(String::new(), |text, number| text + &format!("x{number}: {}\r\n", "y".repeat(300)));
    let target = format!("GET /collections?{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000));
    let cases = [
        ("one line too long", format!("{line}x: {}\r\n\r\n", "y".repeat(20_000))),
        ("a name too long", format!("{line}{}: y\r\n\r\n", "x".repeat(70_000))),
        ("too many lines", format!("{line}{many}\r\n")),
        ("too much in all", format!("{line}{block}\r\n")),
        ("a target too long", target),
        ("never an end", format!("{line}x: {}", "y".repeat(300_000))),
    ];
    let before = node.engine_requests().await;
    for (name, bytes) in cases {
        let mut stream = TcpStream::connect(node.http).await.unwrap();
        // It may be cut while still sending.
        let _cut = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await;
        read.unwrap_or_else(|_| panic!("{name}: still open")).ok();
        let answer = String::from_utf8_lossy(&answer);
        let refused = ["HTTP/1.1 431", "HTTP/1.1 414", "HTTP/1.1 400"];
        let cut = answer.is_empty();
        assert!(cut || refused.iter().any(|status| answer.starts_with(status)), "{name}: {answer}");
    }
    assert_eq!(node.engine_requests().await, before);
    node.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_carried_out() {
    let node = Node::start().await;
    node.create("c").await;
    let key = node.key(Role::Index);
    let head = format!(
        "PUT /collections/c/points HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\ncontent-type: application/json\r\n"
    );
    let whole = json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}]}).to_string();
    let chunk = format!("{:x}\r\n{whole}\r\n", whole.len());
    for body in [
        format!("content-length: {}\r\n\r\n{whole}", whole.len() + 1),
        format!("transfer-encoding: chunked\r\n\r\n{chunk}"),
        format!("transfer-encoding: chunked\r\n\r\n{chunk}zz\r\n"),
    ] {
        let mut stream = TcpStream::connect(node.http).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        node_sees_the_end(stream).await;
    }
    node.counted(0, 0, 0).await;
    let ask = json!({"exact": true});
    let count = node.rest(Method::POST, "/collections/c/points/count", Some(key), &ask);
    assert_eq!(count.await.json()["result"]["count"], 0);
    node.stop().await;
}

async fn node_sees_the_end(mut stream: TcpStream) {
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    read.expect("still open").ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
}
