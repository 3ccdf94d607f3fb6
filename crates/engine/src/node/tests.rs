//! The node on a real directory, without its doors.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::model::points::{CountRequest, RetrieveRequest};
use crate::model::query::QueryRequest;
use crate::model::update::UpdateOp;

#[expect(clippy::needless_pass_by_value, reason = "shorter tests")]
fn body<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

/// A node with a collection `c` of three points, each with a dense and a sparse vector.
fn node(data: &Path) -> Node {
    let node = Node::open(data).unwrap();
    let settings = json!({
        "vectors": {"size": 2, "distance": "Dot"},
        "sparse_vectors": {"s": {}},
    });
    node.create_collection("c", body(settings)).unwrap();
    let points: Vec<Value> = (1..=3)
        .map(|n| {
            json!({
                "id": n,
                "vector": {"": [n, 1], "s": {"indices": [n], "values": [1.0]}},
                "payload": {"n": n},
            })
        })
        .collect();
    update(&node, json!({"upsert": {"points": points}}));
    node
}

fn update(node: &Node, op: Value) {
    let op: UpdateOp = body(op);
    node.collection("c").unwrap().update(op, true).unwrap();
}

fn ids(node: &Node, query: Value) -> Vec<String> {
    let query: QueryRequest = body(query);
    let found = node.collection("c").unwrap().query(query).unwrap();
    found.into_iter().map(|point| point.id.to_string()).collect()
}

fn count(node: &Node) -> usize {
    let request: CountRequest = body(json!({}));
    node.collection("c").unwrap().count(request).unwrap()
}

fn by_term(term: u32) -> Value {
    json!({"query": {"indices": [term], "values": [1.0]}, "using": "s"})
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path());
    let create = json!([{"create_alias": {"collection_name": "c", "alias_name": "live"}}]);
    node.change_aliases(body(create)).unwrap();
    node.close().unwrap();
    assert_eq!(node.collection("c").unwrap().info().unwrap_err().status(), 503);
    node.keeper.stop_wholly();
    drop(node);

    let node = Node::open(data.path()).unwrap();
    assert_eq!(node.list(), ["c"]);
    assert_eq!(node.aliases(), [("live".into(), "c".into())]);
    assert_eq!(count(&node), 3);
    assert_eq!(ids(&node, by_term(2)), ["2"]);
}

#[test]
fn one_process_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    let first = Node::open(data.path()).unwrap();
    let error = Node::open(data.path()).unwrap_err();
    assert!(error.to_string().contains("open in another process"), "{error}");
    drop(first);
    Node::open(data.path()).unwrap();
}

#[test]
fn whoever_still_works_on_a_collection_keeps_other_processes_out() {
    let data = tempfile::tempdir().unwrap();
    // The collection is made in the first round and loaded in the second.
    let mut next = Some(node(data.path()));
    for _ in 0..2 {
        let node = next.take().unwrap();
        let at_work = node.collection("c").unwrap();
        node.close().unwrap();
        node.keeper.stop_wholly();
        drop(node);
        let error = Node::open(data.path()).unwrap_err();
        assert!(error.to_string().contains("open in another process"), "{error}");
        drop(at_work);
        next = Some(Node::open(data.path()).unwrap());
    }
}

#[test]
fn a_half_made_and_a_half_removed_collection_are_tidied_away() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path());
    let create = json!([{"create_alias": {"collection_name": "c", "alias_name": "live"}}]);
    node.change_aliases(body(create)).unwrap();
    node.close().unwrap();
    node.keeper.stop_wholly();
    drop(node);
    let folder = data.path().join(COLLECTIONS_FOLDER);
    let half = folder.join("half").join("shard");
    fs::create_dir_all(&half).unwrap();
    let whole = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("collection.json").exists())
        .unwrap();
    fs::remove_file(whole.join("collection.json")).unwrap();

    let node = Node::open(data.path()).unwrap();
    assert!(node.list().is_empty());
    assert!(node.aliases().is_empty());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_removed_collection_leaves_nothing_and_its_name_is_free() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path());
    let held = node.collection("c").unwrap();
    assert!(node.delete_collection("c").unwrap());
    assert!(!node.delete_collection("c").unwrap());
    let op: UpdateOp = body(json!({"delete": {"points": [1]}}));
    assert_eq!(held.update(op, true).unwrap_err().status(), 404);
    drop(held);
    assert_eq!(fs::read_dir(data.path().join(COLLECTIONS_FOLDER)).unwrap().count(), 0);
    let settings = json!({"vectors": {"size": 3, "distance": "Dot"}});
    node.create_collection("c", body(settings)).unwrap();
    assert_eq!(count(&node), 0);
}

#[test]
fn settings_that_need_a_new_shard_keep_the_points() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path());
    let change = json!({
        "quantization_config": {"scalar": {"type": "int8"}},
        "hnsw_config": {"m": 8},
        "vectors": {"": {"on_disk": true}},
    });
    node.update_collection("c", body(change)).unwrap();
    assert_eq!(count(&node), 3);
    update(&node, json!({"upsert": {"points": [{"id": 4, "vector": [9, 9]}]}}));
    assert_eq!(ids(&node, json!({"query": [1, 1], "limit": 1})), ["4"]);
    node.update_collection("c", body(json!({"quantization_config": "Disabled"}))).unwrap();
    let config = node.collection("c").unwrap().info().unwrap().config;
    assert_eq!(config.quantization_config, None);
    assert_eq!(config.hnsw_config.m, Some(8));
    node.close().unwrap();
    node.keeper.stop_wholly();
    drop(node);
    let node = Node::open(data.path()).unwrap();
    assert_eq!(node.collection("c").unwrap().info().unwrap().config, config);
    assert_eq!(count(&node), 4);
}

/// The storage engine alone would find the point by its old terms again.
#[test]
fn the_terms_of_a_removed_sparse_vector_do_not_come_back() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path());
    for (term, removal) in [
        (7, json!({"points": [1], "vector": ["s"]})),
        (8, json!({"filter": {"must": [{"key": "n", "match": {"value": 1}}]}, "vector": ["s"]})),
    ] {
        update(&node, json!({"delete_vectors": removal}));
        assert!(ids(&node, by_term(1)).is_empty());
        let sparse = json!({"s": {"indices": [term], "values": [1.0]}});
        update(&node, json!({"update_vectors": {"points": [{"id": 1, "vector": sparse}]}}));
        assert!(ids(&node, by_term(1)).is_empty());
        assert_eq!(ids(&node, by_term(term)), ["1"]);
    }
    assert!(ids(&node, by_term(7)).is_empty());
}

#[test]
fn points_are_changed_by_filter() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path());
    let filter = json!({"must": [{"key": "n", "range": {"gte": 2}}]});
    update(&node, json!({"set_payload": {"payload": {"seen": true}, "filter": filter}}));
    let request: RetrieveRequest = body(json!({"ids": [1, 2, 3]}));
    let found = node.collection("c").unwrap().retrieve(request).unwrap();
    let seen = |at: usize| found[at].payload.as_ref().unwrap().0.contains_key("seen");
    assert_eq!([seen(0), seen(1), seen(2)], [false, true, true]);
    update(&node, json!({"delete": {"filter": filter}}));
    assert_eq!(count(&node), 1);
    update(&node, json!({"delete": {"filter": filter}}));
    assert_eq!(count(&node), 1);
}

#[test]
fn an_entry_larger_than_a_log_file_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path());
    let text = "x".repeat(20 << 20);
    update(&node, json!({"set_payload": {"payload": {"t": text}, "points": [1]}}));
    update(&node, json!({"set_payload": {"payload": {"u": 1}, "points": [1]}}));
    node.keeper.stop_wholly();
    drop(node);
    let node = Node::open(data.path()).unwrap();
    let request: RetrieveRequest = body(json!({"ids": [1]}));
    let found = node.collection("c").unwrap().retrieve(request).unwrap();
    let payload = &found[0].payload.as_ref().unwrap().0;
    assert_eq!(payload["t"].as_str().unwrap().len(), 20 << 20);
    assert_eq!(payload["u"], 1);
}

#[test]
fn bad_names_are_refused() {
    for name in ["", "a/b", "a\\b", "a:b", "a\0b", &"x".repeat(256)] {
        assert_eq!(check_name(name).unwrap_err().status(), 422, "{name:?}");
    }
    for name in ["a", "..", "ünïcode", "a b.c-d_e"] {
        assert!(check_name(name).is_ok(), "{name:?}");
    }
}
