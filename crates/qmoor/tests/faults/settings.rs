//! Mistakes in qmoor.toml: the key's path, what is wrong with it, and the nearest right name.

use crate::command::{qmoor, run};

/// What stands in the file, and what must be said about it.
const MISTAKES: [(&str, &[&str]); 14] = [
    ("[gatway]\nhttp_port = 1", &["qmoor.toml:1", "gatway"]),
    ("[gateway]\nhttp_prot = 1", &["qmoor.toml:2", "gateway.http_prot"]),
    ("[gateway]\nhttp_port = \"x\"", &["qmoor.toml:2", "gateway.http_port", "from 0 to 65535"]),
    ("[gateway]\nhttp_port = 99999", &["gateway.http_port", "99999"]),
    ("[gateway]\nhttp_port = 7000\ngrpc_port = 7000", &["gateway.grpc_port", "gateway.http_port"]),
    ("[gateway]\nlisten = \"nowhere\"", &["gateway.listen", "nowhere"]),
    ("[gateway]\nhold_budget = \"soon\"", &["gateway.hold_budget", "soon"]),
    ("[backup]\nmax_pause = 4", &["backup.max_pause", "\"4s\""]),
    ("[retention]\nlast = -1", &["retention.last", "-1"]),
    ("[store]\nkind = \"tape\"", &["store.kind", "tape", "restic"]),
    ("[engine]\nkind = \"steam\"", &["engine.kind", "steam", "embedded"]),
    ("[node]\ndir = \"\"", &["node.dir", "empty"]),
    ("[node", &["qmoor.toml:1", "TOML"]),
    ("node = 1", &["qmoor.toml:1", "node"]),
];

#[test]
fn each_is_named_by_every_verb_and_nothing_is_made() {
    for (text, words) in MISTAKES {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("qmoor.toml"), text).unwrap();
        for verb in [&["serve"][..], &["status"], &["search", "-c", "docs", "words"]] {
            let ended = run(&mut qmoor(dir.path(), verb)).refused(2, words);
            assert!(ended.hint().contains("docs/config.md"), "{}", ended.hint());
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{text}");
    }
}

#[test]
fn the_nearest_right_name_is_told() {
    for (text, nearest) in [("[gatway]", "gateway"), ("[gateway]\nhttp_prot = 1", "http_port")] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("qmoor.toml"), text).unwrap();
        let ended = run(&mut qmoor(dir.path(), &["serve"])).refused(2, &[]);
        assert!(ended.hint().contains(nearest), "{}", ended.hint());
    }
}

#[test]
fn a_file_that_is_no_text_or_no_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("qmoor.toml"), b"\xff\xfe").unwrap();
    run(&mut qmoor(dir.path(), &["serve"])).refused(2, &["qmoor.toml", "UTF-8"]);
    run(&mut qmoor(dir.path(), &["--config", ".", "serve"])).refused(2, &["`.`", "directory"]);
    let ended =
        run(&mut qmoor(dir.path(), &["--config", "none.toml", "serve"])).refused(2, &["none.toml"]);
    assert!(ended.hint().contains("qmoor init none.toml"), "{}", ended.hint());
}
