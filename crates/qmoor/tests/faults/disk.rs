//! Disks that are full: nothing acknowledged is lost, reads go on, and all is well again once there is room.

use serde_json::{Value, json};

use crate::command::{clean, run};
use crate::files::{noise, texts};
use crate::node::Node;
use crate::small_disk::Spaces;

const FULL: &str = "No space left on device";

/// The process of the node's engine.
fn engine(node: &Node) -> u64 {
    node.status()["engine"]["pid"].as_u64().expect("an engine that is up")
}

#[test]
fn a_node_on_a_full_disk_refuses_writes_and_serves_reads_until_there_is_room() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let (node, disk) = Node::on_small_disk(spaces, "data", 96);
    node.file("first.jsonl", texts(0..300).as_bytes());
    node.file("second.jsonl", texts(300..600).as_bytes());
    node.index("first.jsonl", "docs").done();
    let (before, pid) = (node.content("docs"), engine(&node));
    for room in [8 << 20, 0] {
        disk.fill(room);
        let refused = node.index("second.jsonl", "docs").refused(1, &[FULL, "disk is full"]);
        assert!(refused.hint().contains("free some space"), "{}", refused.hint());
        node.index("second.jsonl", "new").refused(1, &[FULL]);
        let delete = json!({ "points": [1] });
        let (status, answer) =
            node.rest("POST", "/collections/docs/points/delete?wait=true", &delete);
        assert_eq!(status, 500, "{answer}");
        assert!(answer["status"]["error"].as_str().unwrap().contains(FULL), "{answer}");
        let create = json!({ "vectors": { "size": 4, "distance": "Dot" } });
        assert_eq!(node.rest("PUT", "/collections/other", &create).0, 500);
        assert_eq!(node.content("docs"), before);
        let hits = node.run(&["--json", "search", "-c", "docs", "word7"]).json();
        assert_eq!(hits[0]["doc"], "d7");
        assert_eq!(engine(&node), pid, "the engine did not live through it");
        disk.empty();
    }
    assert_eq!(node.index("second.jsonl", "docs").json()["written"], 300);
    let after = node.content("docs");
    assert_eq!(after.len(), 600);
    assert!(before.iter().all(|(name, text)| after.get(name) == Some(text)));
    assert_eq!(engine(&node), pid);
    let list = node.rest("GET", "/collections", &().into()).1;
    assert_eq!(
        list["result"]["collections"],
        json!([{ "name": "docs" }]),
        "half a collection was left"
    );
}

#[test]
fn an_engine_that_is_killed_on_a_full_disk_comes_back_with_everything() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let (node, disk) = Node::on_small_disk(spaces, "data", 96);
    node.file("rows.jsonl", texts(0..500).as_bytes());
    node.index("rows.jsonl", "docs").done();
    let (before, pid) = (node.content("docs"), engine(&node));
    // What was written last is in the log alone, and cannot be brought from there into the segments.
    disk.fill(0);
    run(clean("sh", node.path()).args(["-c", &format!("kill -9 {pid}")])).done();
    node.until("seen dead, or alive again", |status| {
        let engine = &status["engine"];
        let trouble = engine["trouble"].as_str();
        assert!(trouble.is_none_or(|trouble| trouble.contains(FULL)), "{trouble:?}");
        trouble.is_some() || engine["pid"].as_u64().is_some_and(|now| now != pid)
    });
    disk.empty();
    node.until("up again", |status| status["engine"]["up"] == true);
    assert_eq!(node.content("docs"), before);
    assert_eq!(node.index("rows.jsonl", "docs").json()["unchanged"], 500);
}

/// The complete backups, the newest first.
fn complete(node: &Node) -> Vec<Value> {
    let listed = node.run(&["--json", "backups"]).json();
    let complete = listed.as_array().unwrap().iter().filter(|backup| backup["complete"] == true);
    complete.map(|backup| backup["id"].clone()).collect()
}

/// Serves, takes another hundred rows up to this one, and has no gate closed.
fn goes_on(node: &Node, end: u32) {
    let status = node.status();
    assert_eq!(status["engine"]["up"], true, "{status}");
    assert_eq!(status["gate"]["phase"], "open", "{status}");
    node.file("more.jsonl", texts(0..end).as_bytes());
    assert_eq!(node.index("more.jsonl", "docs").json()["written"], 100);
    assert_eq!(node.content("docs").len(), usize::try_from(end).unwrap());
}

#[test]
fn a_store_without_room_refuses_a_backup_before_anything_is_stopped() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let (node, store) = Node::on_small_disk(spaces, "store", 128);
    goes_on(&node, 100);
    let good = node.run(&["--json", "backup"]).json()["id"].clone();
    let pid = engine(&node);
    store.fill(1 << 20);
    let refused = node.run(&["backup"]).refused(1, &["n/store", "free"]);
    assert!(refused.hint().contains("larger disk"), "{}", refused.hint());
    assert_eq!(engine(&node), pid);
    assert_eq!(complete(&node), std::slice::from_ref(&good));
    goes_on(&node, 200);
    assert_eq!(node.run(&["--json", "drill"]).json()["id"], good, "as good as before");
    store.empty();
    let second = node.run(&["--json", "backup"]).json()["id"].clone();
    assert_eq!(complete(&node), [second, good]);
}

#[test]
fn a_store_that_fills_up_during_a_backup_never_holds_half_a_one_that_counts() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let (node, store) = Node::on_small_disk(spaces, "store", 192);
    node.file("noise.npy", &noise(8000, 256));
    node.index("noise.npy", "noise").done();
    goes_on(&node, 100);
    let mut backup = node.command(&["--json", "backup"]);
    let running = std::thread::spawn(move || run(&mut backup));
    // Something else takes all the room once the backup has looked, and found enough.
    let journal = node.path().join("n/state/journal.jsonl");
    let is_looking = || std::fs::read_to_string(&journal).unwrap().contains("\"first_pass\"");
    while !is_looking() && !running.is_finished() {
        std::thread::yield_now();
    }
    store.fill(0);
    let ended = running.join().unwrap();
    if ended.is_done() {
        // It was quicker.
        assert_eq!(complete(&node), [ended.json()["id"].clone()]);
    } else {
        let refused = ended.refused(1, &["n/store"]);
        assert!(!refused.hint().is_empty());
        assert_eq!(complete(&node), [] as [Value; 0]);
    }
    goes_on(&node, 200);
    store.empty();
    node.run(&["--json", "backup"]).done();
    let drilled = node.run(&["--json", "drill"]).json();
    assert_eq!((&drilled["ok"], &drilled["points"]), (&true.into(), &8200.into()));
}

#[test]
fn a_node_all_of_which_is_on_a_full_disk_says_so_to_every_verb_and_recovers() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let (node, disk) = Node::on_small_disk(spaces, "", 320);
    goes_on(&node, 100);
    node.run(&["--json", "backup"]).done();
    let (before, pid) = (node.content("docs"), engine(&node));
    disk.fill(0);
    for verb in
        [&["backup"][..], &["drill"], &["restore", "--yes"], &["index", "more.jsonl", "-c", "new"]]
    {
        let ended = node.run(verb).refused(1, &[]);
        assert!(!ended.hint().is_empty(), "{verb:?}");
    }
    assert_eq!((node.content("docs"), engine(&node)), (before, pid));
    disk.empty();
    goes_on(&node, 200);
    node.run(&["--json", "backup"]).done();
    assert_eq!(node.run(&["--json", "drill"]).json()["ok"], true);
}

#[test]
fn rows_that_cannot_be_set_aside_end_the_run() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let node = Node::start();
    node.file("rows.jsonl", [texts(0..5).as_bytes(), b"no row\n"].concat().as_slice());
    let full = node.path().join("full");
    std::fs::create_dir(&full).unwrap();
    let fill = "mount -t tmpfs -o size=64k tmpfs \"$1\" && { cat /dev/zero > \"$1/ballast\" || true; } 2>&1";
    let index = ["index", "rows.jsonl", "-c", "docs", "--dead-letter", "full/aside.jsonl"];
    let mut command = spaces.command(node.path(), fill, &[&full], &index);
    let said = run(&mut command).refused(1, &["full/aside.jsonl", FULL]).said();
    assert!(said.contains("not full"), "{said}");
    let elsewhere = ["--json", "index", "rows.jsonl", "-c", "docs", "--dead-letter", "aside.jsonl"];
    assert_eq!(node.run(&elsewhere).json()["rejected_count"], 1);
    assert_eq!(node.content("docs").len(), 5);
}

#[test]
fn a_node_and_a_configuration_that_do_not_fit_on_the_disk_say_so() {
    let Some(spaces) = Spaces::or_skip() else { return };
    let dir = crate::node::configured("");
    let fill = "mount -t tmpfs -o size=64k tmpfs \"$1\" && { cat /dev/zero > \"$1/ballast\" || true; } 2>&1";
    let full = dir.path().join("n");
    for verb in [&["serve"][..], &["init", "n/new.toml"]] {
        let ended =
            run(&mut spaces.command(dir.path(), fill, &[&full], verb)).refused(1, &[FULL, "/"]);
        assert!(ended.hint().contains("free some space"), "{}", ended.hint());
    }
    // A file that could not be written is not there, and so is no hindrance afterwards.
    let again = format!("{fill} && ! qmoor init n/new.toml 2> /dev/null && rm \"$1/ballast\"");
    let again = again.replace("qmoor", env!("CARGO_BIN_EXE_qmoor"));
    run(&mut spaces.command(dir.path(), &again, &[&full], &["init", "n/new.toml"])).done();
}
