use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use qmoor_plan::audit::Wanted;
use serde_json::json;

use super::*;

fn user() -> Actor {
    Actor::user(0, Some(7))
}

fn all(dir: &Path) -> Vec<(String, Outcome, bool)> {
    let entries = read(dir, Wanted::default()).unwrap();
    entries
        .into_iter()
        .map(|entry| (entry.record.action, entry.record.result, entry.ended.is_some()))
        .collect()
}

#[tokio::test]
async fn what_is_done_stands_there_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::new(dir.path()).unwrap();
    let begun = audit.begin(user(), "pin", json!({ "id": "b-1" })).await;
    assert_eq!(all(dir.path()), [("pin".to_owned(), Outcome::Begun, false)]);
    begun.end(None);
    let failed: Result<(), String> =
        audit.around(user(), "hold", Value::Null, async { Err("busy".to_owned()) }).await;
    failed.unwrap_err();
    audit.denied(Actor::nobody([10, 0, 0, 7].into()), "points.query", "no key", 3);
    audit.settle().await;
    assert_eq!(
        all(dir.path()),
        [
            ("pin".to_owned(), Outcome::Done, true),
            ("hold".to_owned(), Outcome::Failed, true),
            ("points.query".to_owned(), Outcome::Denied, true),
        ]
    );
    let mode = fs_err::metadata(dir.path().join(file::NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(audit.lost(), 0);
}

#[tokio::test]
async fn what_was_cut_short_stays_begun_after_another_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = Audit::new(dir.path()).unwrap();
    drop(first.begin(user(), "restore", Value::Null).await);
    drop(first);
    // The power went in the middle of a line.
    let path = dir.path().join(file::NAME);
    let mut bytes = fs_err::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"at\":\"2026-");
    fs_err::write(&path, bytes).unwrap();
    let second = Audit::new(dir.path()).unwrap();
    second.begin(user(), "pin", Value::Null).await.end(None);
    second.settle().await;
    let entries = all(dir.path());
    assert_eq!(entries[0], ("restore".to_owned(), Outcome::Begun, false));
    assert_eq!(entries[1], ("pin".to_owned(), Outcome::Done, true));
    assert_eq!(entries.len(), 2);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_keeps_nothing_from_being_done() {
    let dir = tempfile::tempdir().unwrap();
    // A folder is in the place of the file.
    fs_err::create_dir(dir.path().join(file::NAME)).unwrap();
    let audit = Audit::new(dir.path()).unwrap();
    let begun = Instant::now();
    let done: Result<u8, String> =
        audit.around(user(), "backup", Value::Null, async { Ok(5) }).await;
    assert_eq!(done, Ok(5));
    assert!(begun.elapsed() < WAIT, "it waited for what had failed");
    audit.settle().await;
    assert_eq!(audit.lost(), 2);
    // And when the disk takes something again, it is written.
    fs_err::remove_dir(dir.path().join(file::NAME)).unwrap();
    audit.begin(user(), "pin", Value::Null).await.end(None);
    audit.settle().await;
    assert_eq!(all(dir.path()), [("pin".to_owned(), Outcome::Done, true)]);
}

#[test]
fn full_files_are_set_aside_and_only_so_many_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = file::File::new(dir.path()).full_at(10);
    let line = |number: u32| {
        let mut line = serde_json::to_vec(&Record {
            what: json!(number),
            ..record(user(), "pin", Value::Null, Outcome::Done)
        })
        .unwrap();
        line.push(b'\n');
        line
    };
    for number in 0..20 {
        file.append(&line(number)).unwrap();
    }
    assert_eq!(file::before(dir.path()).unwrap().len(), 8);
    let entries = read(dir.path(), Wanted::default()).unwrap();
    let numbers: Vec<u64> =
        entries.iter().map(|entry| entry.record.what.as_u64().unwrap()).collect();
    assert_eq!(numbers, (11..20).collect::<Vec<u64>>());
}
