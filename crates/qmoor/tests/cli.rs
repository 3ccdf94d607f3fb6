//! What the command line says and how it ends, without a node.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::{Command, Output};

fn qmoor(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qmoor"))
        .args(args)
        .current_dir(dir)
        .env_remove("QMOOR_CONFIG")
        .env_remove("QMOOR_KEY")
        .env_remove("QMOOR_URL")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn init_writes_a_file_that_is_read_again_and_never_overwrites_one() {
    let dir = tempfile::tempdir().unwrap();
    assert!(qmoor(dir.path(), &["init"]).status.success());
    let unit = qmoor(dir.path(), &["render", "systemd"]);
    assert!(unit.status.success(), "{}", stderr(&unit));
    assert!(stdout(&unit).contains("serve --config"), "{}", stdout(&unit));
    let again = qmoor(dir.path(), &["init"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("qmoor init --force"), "{}", stderr(&again));
    assert!(qmoor(dir.path(), &["init", "--force"]).status.success());
}

#[test]
fn a_misspelt_key_is_named_with_the_nearest_right_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("qmoor.toml"), "[gateway]\nhttp_prot = 6333\n").unwrap();
    let output = qmoor(dir.path(), &["status"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("gateway.http_prot") && text.contains("http_port"), "{text}");
}

#[test]
fn a_named_configuration_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let output = qmoor(dir.path(), &["--config", "missing.toml", "status"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing.toml"), "{}", stderr(&output));
}

#[test]
fn without_a_node_every_verb_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.md"), "text").unwrap();
    for args in [
        &["status"][..],
        &["backup"],
        &["backups"],
        &["restore"],
        &["drill"],
        &["prune"],
        &["pin", "latest"],
        &["keys", "list"],
        &["index", "a.md", "-c", "notes"],
        &["search", "-c", "notes", "words"],
    ] {
        let output = qmoor(dir.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).contains("qmoor serve"), "{args:?}: {}", stderr(&output));
    }
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["a.md"], "a verb that failed left something behind");
}

#[test]
fn a_node_that_is_down_is_one_clear_message() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let output = qmoor(dir.path(), &["search", "-c", "notes", "--url", &url, "words"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&url) && text.contains("hint:"), "{text}");
}

#[test]
fn a_key_on_the_command_line_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        qmoor(dir.path(), &["search", "-c", "notes", "--key", "qm_search_secret", "words"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).contains("qm_search_secret"), "{}", stderr(&output));
}

#[test]
fn completions_know_the_verbs() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = qmoor(dir.path(), &["completions", shell]);
        assert!(output.status.success());
        assert!(stdout(&output).contains("quickstart"), "{shell}");
    }
}

#[test]
fn usage_errors_end_with_two() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["no-such-verb"][..],
        &["search"],
        &["index"],
        &["backup", "--label", "no-equals"],
        &["keys", "rotate", "root"],
    ] {
        let output = qmoor(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    }
}
