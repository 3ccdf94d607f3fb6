//! The whole story, told by the real binary.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::process::{Command, Output};

use serde_json::Value;

fn quickstart(args: &[&str], dir: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qmoor"))
        .arg("quickstart")
        .args(args)
        .current_dir(dir)
        .env_remove("QMOOR_CONFIG")
        .output()
        .unwrap()
}

fn last_json(output: &Output) -> Value {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn the_story_ends_well_and_says_so_in_json() {
    let dir = tempfile::tempdir().unwrap();
    let report = last_json(&quickstart(&["--json"], dir.path()));
    let chunks = report["indexed"]["chunks"].as_u64().unwrap();
    assert!(report["indexed"]["documents"].as_u64().unwrap() >= 7, "{report}");
    assert!(chunks > 20, "{report}");
    assert_eq!(report["reindexed"]["written"], 0);
    assert_eq!(report["reindexed"]["unchanged"], chunks);
    let searches = report["searches"].as_array().unwrap();
    assert_eq!(searches.len(), 3);
    for search in searches {
        let hits = search["hits"].as_array().unwrap();
        assert!(!hits.is_empty(), "{search}");
        assert!(
            hits.iter().all(|hit| hit["score"].as_f64().unwrap() > 0.0 && hit["doc"].is_string())
        );
    }
    // Two pages of the manual tell how a key is replaced.
    let answer = searches[2]["hits"][0]["doc"].as_str().unwrap();
    assert!(["gateway.md", "security.md"].contains(&answer), "{searches:?}");
    assert_eq!(report["denied_write_status"], 403);
    assert_eq!(report["backup"]["grade"], "clean");
    assert!(report["backup"]["requests_during"].as_u64().unwrap() >= 100, "{report}");
    assert_eq!(report["backup"]["failed_requests"], 0);
    assert_eq!(report["restore"]["points_before"], chunks);
    assert_eq!(report["restore"]["points_after"], chunks);
    assert_eq!(report["restore"]["equal"], true);
    assert_eq!(report["drill"]["ok"], true);
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "it left something behind");
}

#[test]
fn a_folder_of_ones_own_is_told_in_words_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes");
    std::fs::create_dir(&notes).unwrap();
    for (name, text) in [
        ("anchors.md", "# Anchors\n\nA ship at rest is held by two anchors and a long chain."),
        ("ropes.txt", "Hawsers of hemp stretch when wet; those of steel do not."),
        ("tides.md", "# Tides\n\nThe tide turns about every six hours and twelve minutes."),
    ] {
        std::fs::write(notes.join(name), text).unwrap();
    }
    let output = quickstart(&["--keep", "--docs", "notes"], dir.path());
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    for fact in ["3 documents", "status 403", "grade clean", "0 failed", "qmoor serve"] {
        assert!(stdout.contains(fact), "`{fact}` is not in:\n{stdout}");
    }
    assert!(dir.path().join("qmoor-data/data").is_dir());

    let again = quickstart(&["--keep"], dir.path());
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
}
