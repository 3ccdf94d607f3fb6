//! Directories that cannot be written, for root neither: what, which, and what next.

use std::path::Path;
use std::time::Duration;

use crate::command::{Ended, run};
use crate::files::texts;
use crate::node::{Node, configured};
use crate::small_disk::Spaces;

const READ_ONLY: &str = "Read-only file system";
const BIND: &str = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";

/// A verb that finds one directory read-only.
fn refused(spaces: Spaces, dir: &Path, closed: &str, verb: &[&str]) -> Ended {
    let closed = dir.join(closed);
    let ended = run(&mut spaces.command(dir, BIND, &[&closed], verb));
    let ended = ended.refused(1, &[READ_ONLY, closed.file_name().unwrap().to_str().unwrap()]);
    assert!(!ended.hint().is_empty());
    assert!(ended.took < Duration::from_secs(10), "it took {:?} to say so", ended.took);
    ended
}

#[test]
fn a_node_whose_directory_is_read_only() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let dir = configured("");
    refused(spaces, dir.path(), "n", &["serve"]);
    assert_eq!(std::fs::read_dir(dir.path().join("n")).unwrap().count(), 0);
}

#[test]
fn a_node_whose_data_is_read_only_shows_its_keys_when_it_comes_up_after_all() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let dir = configured("");
    std::fs::create_dir(dir.path().join("n/data")).unwrap();
    refused(spaces, dir.path(), "n/data", &["serve"]);
    let node = Node::start_in(dir);
    assert!(node.key("search").starts_with("qm_search_"));
}

#[test]
fn an_engine_whose_data_is_read_only() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let dir = configured("");
    let engine = ["engine", "--data", "n", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    let closed = dir.path().join("n");
    let ended = run(&mut spaces.command(dir.path(), BIND, &[&closed], &engine));
    let said = ended.said();
    assert!(
        said.contains(READ_ONLY) && said.contains("hint: ") && !said.contains("panicked"),
        "{said}"
    );
}

#[test]
fn a_configuration_and_a_dead_letter_file_in_a_read_only_directory() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let node = Node::start();
    std::fs::create_dir(node.path().join("closed")).unwrap();
    refused(spaces, node.path(), "closed", &["init", "closed/new.toml"]);
    node.file("rows.jsonl", [texts(0..5).as_bytes(), b"no row\n"].concat().as_slice());
    let index = ["index", "rows.jsonl", "-c", "docs", "--dead-letter", "closed/aside.jsonl"];
    refused(spaces, node.path(), "closed", &index);
}

#[test]
fn a_backup_into_a_read_only_store() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let node = Node::with_mount(spaces, BIND, "store");
    node.file("rows.jsonl", texts(0..5).as_bytes());
    node.index("rows.jsonl", "docs").done();
    let ended = node.run(&["backup"]).refused(1, &[READ_ONLY, "store"]);
    assert!(!ended.hint().is_empty());
    assert_eq!(node.content("docs").len(), 5);
}
