//! Doors that are taken, closed, or opened with the wrong key; directories that somebody else has open.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::command::{qmoor, run};
use crate::files::texts;
use crate::node::{Node, configured};

#[test]
fn a_taken_port_is_named_and_the_keys_are_shown_when_the_node_comes_up() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let dir = configured("");
    for flag in ["--http-port", "--grpc-port"] {
        let ended = run(&mut qmoor(dir.path(), &["serve", flag, &port]));
        let ended = ended.refused(1, &[&address.to_string()]);
        assert!(ended.hint().contains("port"), "{}", ended.hint());
    }
    let node = Node::start_in(dir);
    assert!(node.key("index").starts_with("qm_index_"), "whoever failed first never saw its keys");
}

#[test]
fn a_node_that_is_down_is_named_with_what_to_do() {
    let dir = configured("");
    std::fs::write(dir.path().join("a.md"), "words\n").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    for verb in [&["search", "words"][..], &["index", "a.md"]] {
        let elsewhere = [verb, &["-c", "notes", "--url", &url]].concat();
        let ended = run(&mut qmoor(dir.path(), &elsewhere)).refused(1, &[&url]);
        assert!(ended.hint().contains("running"), "{}", ended.hint());
        let here = [verb, &["-c", "notes"]].concat();
        let ended = run(&mut qmoor(dir.path(), &here)).refused(1, &["agent"]);
        assert!(ended.hint().contains("qmoor serve"), "{}", ended.hint());
    }
    // A node that was there and is not any more.
    let node = Node::start_in(dir);
    let (url, dir) = (node.url(), node.stop());
    let ended = run(&mut qmoor(dir.path(), &["search", "words", "-c", "notes", "--url", &url]));
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
    ended.refused(1, &[&url]);
    run(&mut qmoor(dir.path(), &["backup"])).refused(1, &["agent"]);
}

#[test]
fn a_wrong_key_and_one_that_may_only_search_write_nothing() {
    let node = Node::start();
    node.file("rows.jsonl", texts(0..5).as_bytes());
    node.file("more.jsonl", texts(0..9).as_bytes());
    node.index("rows.jsonl", "docs").done();
    let url = node.url();
    let with = |key: &str, verb: &[&str]| {
        let arguments = [verb, &["-c", "docs", "--url", &url]].concat();
        let ended = run(qmoor(node.path(), &arguments).env("QMOOR_KEY", key));
        assert!(key.is_empty() || !ended.said().contains(key), "it shows the key");
        ended
    };
    let wrong = format!("{}0", node.key("admin"));
    for verb in [&["index", "more.jsonl"][..], &["search", "word1"]] {
        for key in [wrong.as_str(), "", "not a key", "\u{e9}"] {
            let ended = with(key, verb).refused(1, &["key", &url]);
            assert!(ended.hint().contains("qmoor keys list"), "{}", ended.hint());
        }
    }
    let search = node.key("search").to_owned();
    let ended = with(&search, &["index", "more.jsonl"]).refused(1, &["key may not write"]);
    assert!(ended.hint().contains("index key"), "{}", ended.hint());
    with(&search, &["search", "word1"]).done();
    let upsert = json!({ "points": [{ "id": 1, "vector": {}, "payload": { "a": 1 } }] });
    let (status, answer) =
        node.rest_with(&search, "PUT", "/collections/docs/points?wait=true", &upsert);
    assert_eq!(status, 403, "{answer}");
    assert_eq!(node.rest_with("nobody's", "PUT", "/collections/docs/points", &upsert).0, 401);
    assert_eq!(node.content("docs").len(), 5);
}

/// An engine alone; it ends when this does.
struct Engine(Child);

impl Engine {
    fn start(dir: &std::path::Path) -> Self {
        let mut command = qmoor(dir, &["engine", "--data", "n/data", "--until-stdin-closes"]);
        command.args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("127.0.0.1"), "{line}");
        Self(child)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

#[test]
fn data_that_another_engine_has_open_is_left_alone() {
    let dir = configured("[engine]\nstart_timeout = \"1s\"");
    let first = Engine::start(dir.path());
    let second = ["engine", "--data", "n/data", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    let said = run(&mut qmoor(dir.path(), &second)).ended_with(3);
    assert!(said.contains("n/data is open in another process") && said.contains("hint"), "{said}");
    let ended =
        run(&mut qmoor(dir.path(), &["serve"])).refused(1, &["n/data is open in another process"]);
    assert!(ended.hint().contains("stop that one first"), "{}", ended.hint());
    drop(first);
    Node::start_in(dir);
}

#[test]
fn a_second_agent_of_a_node_is_told_who_is_first() {
    let node = Node::start();
    let pid = node.status()["pid"].to_string();
    let said = node.run(&["serve"]).ended_with(3);
    assert!(said.contains("n/state/lock") && said.contains(&pid), "{said}");
    node.file("rows.jsonl", texts(0..5).as_bytes());
    node.index("rows.jsonl", "docs").done();
}

#[test]
fn a_reader_that_went_away_or_is_full_is_no_panic() {
    let dir = configured("");
    for (verb, code) in [("completions bash", 1), ("render systemd", 1)] {
        let script = format!("\"$0\" {verb} > /dev/full");
        let mut command = crate::command::clean("sh", dir.path());
        let said = run(command.args(["-c", &script, env!("CARGO_BIN_EXE_qmoor")])).ended_with(code);
        assert!(said.contains("No space left on device") && !said.contains("panicked"), "{said}");
        let script = format!("\"$0\" {verb} | true");
        let mut command = crate::command::clean("sh", dir.path());
        let said = run(command.args(["-c", &script, env!("CARGO_BIN_EXE_qmoor")])).ended_with(0);
        assert!(said.is_empty(), "{said}");
    }
}
