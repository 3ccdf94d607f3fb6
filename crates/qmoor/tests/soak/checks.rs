//! What must hold after every kill, whoever was killed and when.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use jiff::Timestamp;
use qmoor_agent::catalogue::BackupInfo;
use qmoor_agent::gate::Phase;
use qmoor_plan::backup::{Event, RECORD_VERSION, Record, Step};
use qmoor_plan::manifest::Grade;
use serde_json::Value;

use crate::journal::Journal;
use crate::node::{Agent, Place};

/// The node is idle: nothing is held, and what is in the store is whole.
pub(crate) async fn backups(agent: &Agent, journal: &mut Journal) -> Vec<BackupInfo> {
    let status = agent.idle().await;
    assert_eq!(status.gate.phase, Phase::Open);
    assert_eq!(status.gate.held, 0);
    let listed = agent.control.backups().await.unwrap();
    let mut ids = BTreeSet::new();
    for backup in &listed {
        assert!(ids.insert(&backup.id), "two snapshots of one backup: {listed:?}");
        assert!(backup.complete, "a snapshot without a manifest is left: {backup:?}");
        assert!(!backup.in_progress && backup.trouble.is_none(), "{backup:?}");
    }
    journal.look();
    listed
}

/// What was reported as made is listed, unless it was pruned since.
pub(crate) fn nothing_made_is_missing(
    made: &mut BTreeSet<String>,
    listed: &[BackupInfo],
    records: &[Record],
) {
    for record in records {
        if let Event::PruneBegin { id } = &record.event {
            made.remove(id);
        }
    }
    for id in made.iter() {
        assert!(
            listed.iter().any(|backup| backup.id == *id),
            "{id} was made and is gone: {listed:?}"
        );
    }
}

/// Says of which backups the grade is `clean` and the engine's end was not. The journal must show the stop; of an
/// embedded engine the log must show, in that time, the one process that ended, by itself and with 0.
pub(crate) fn false_grades(
    place: &Place,
    listed: &[BackupInfo],
    records: &[Record],
    known: &mut BTreeSet<String>,
) -> Vec<String> {
    let new = listed.iter().filter(|backup| !known.contains(&backup.id));
    let clean: Vec<_> = new.filter(|backup| backup.grade == Some(Grade::Clean)).collect();
    if clean.is_empty() {
        return Vec::new();
    }
    let ends = engine_ends(&std::fs::read_to_string(place.log()).unwrap());
    let mut wrong = Vec::new();
    for backup in clean {
        let stopped = stop_of(&backup.id, records).is_some();
        if stopped && (!place.is_embedded || is_borne_out(&backup.id, records, &ends)) {
            known.insert(backup.id.clone());
        } else {
            wrong.push(backup.id.clone());
        }
    }
    wrong
}

/// Whether one engine ended in the time in which it was stopped for this backup, by itself and with 0.
fn is_borne_out(id: &str, records: &[Record], ends: &[End]) -> bool {
    stop_of(id, records).is_some_and(|(from, to)| {
        let inside: Vec<_> = ends.iter().filter(|end| from <= end.at && end.at <= to).collect();
        matches!(inside.as_slice(), [end] if end.clean)
    })
}

/// From when to when the engine was stopped for this backup, if the journal says that it was and did not fail.
fn stop_of(id: &str, records: &[Record]) -> Option<(Timestamp, Timestamp)> {
    let mut from = None;
    for record in records.iter().filter(|record| record.backup == id) {
        match &record.event {
            Event::Intent { step: Step::Stop } => from = Some(record.at),
            Event::Done { step: Step::Stop, .. } => return Some((from?, record.at)),
            Event::Failed { .. } => return None,
            _ => {}
        }
    }
    None
}

/// The end of an engine, as the agent logged it.
struct End {
    at: Timestamp,
    clean: bool,
}

fn engine_ends(log: &str) -> Vec<End> {
    log.lines()
        .filter(|line| line.contains("engine: up -> down"))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|line| End {
            at: line["timestamp"].as_str().unwrap().parse().unwrap(),
            clean: line["fields"]["exit_code"] == "Some(0)" && line["fields"]["clean"] == true,
        })
        .collect()
}

/// The newest backup restores, and is what its manifest says.
pub(crate) async fn drill(agent: &Agent, id: &str) {
    let report = agent.control.drill(id, |_| {}).await.unwrap();
    assert!(report.ok, "a backup that is called complete does not restore: {report:?}");
}

/// What plain `restic` sees in an idle node's repository: one snapshot of data and one manifest for each backup that
/// is listed, and nothing else.
pub(crate) fn repository(place: &Place, listed: &[BackupInfo]) {
    let output = Command::new("restic")
        .args(["--no-cache", "--no-lock", "--json", "--repo"])
        .arg(&place.config.store.path)
        .arg("--password-file")
        .arg(place.config.node.state.join("store.key"))
        .arg("snapshots")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let snapshots: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = BTreeMap::new();
    for snapshot in &snapshots {
        let tags: Vec<_> =
            snapshot["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let id =
            tags.iter().find_map(|tag| tag.strip_prefix("id=")).expect("it says of which backup");
        let kinds = ["qmoor", "qmoor-manifest", "qmoor-pass1"];
        let kind = kinds.into_iter().find(|kind| tags.contains(kind));
        *found.entry((id, kind)).or_insert(0) += 1;
    }
    let parts = |backup| [(backup, Some("qmoor")), (backup, Some("qmoor-manifest"))];
    let expected = listed.iter().flat_map(|backup| parts(backup.id.as_str()));
    assert_eq!(
        found,
        expected.map(|part| (part, 1)).collect(),
        "more or less than the listed backups"
    );
}

#[test]
fn a_grade_is_not_borne_out_by_a_stop_that_failed_or_an_engine_that_was_killed() {
    let record = |second: i64, event| Record {
        version: RECORD_VERSION,
        seq: 1,
        at: Timestamp::from_second(second).unwrap(),
        backup: "b".to_owned(),
        event,
    };
    let stop = Step::Stop;
    let intent = || record(10, Event::Intent { step: stop });
    let done = || record(20, Event::Done { step: stop, note: String::new() });
    let failed = record(20, Event::Failed { step: stop, error: String::new() });
    let ends = |second: i64, exit: &str, clean: bool| {
        let at = Timestamp::from_second(second).unwrap();
        engine_ends(&format!(
            r#"{{"timestamp":"{at}","fields":{{"message":"engine: up -> down","exit_code":"{exit}","clean":{clean}}}}}"#
        ))
    };
    let good = ends(15, "Some(0)", true);
    let stopped = [intent(), done()];
    assert!(is_borne_out("b", &stopped, &good));
    assert!(!is_borne_out("another", &stopped, &good));
    assert!(!is_borne_out("b", &[intent(), failed], &good));
    assert!(!is_borne_out("b", &[intent()], &good));
    assert!(!is_borne_out("b", &[done()], &good));
    for bad in [ends(15, "None", false), ends(15, "Some(1)", false), ends(25, "Some(0)", true)] {
        assert!(!is_borne_out("b", &stopped, &bad));
    }
}
