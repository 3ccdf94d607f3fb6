//! Every place where a crash can cut the journal, and laws for journals that nobody wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    Course, Event, Mode, RECORD_VERSION, Record, RecoveryAction, State, Step, fold, recovery,
};
use crate::manifest::Grade;

fn journal(events: Vec<Event>) -> Vec<Record> {
    let at: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    (1..)
        .zip(events)
        .map(|(seq, event)| Record {
            version: RECORD_VERSION,
            seq,
            at,
            backup: "b1".to_owned(),
            event,
        })
        .collect()
}

fn begin() -> Event {
    Event::Begin {
        batch_id: None,
        labels: BTreeMap::new(),
        why: "test".to_owned(),
        course: Course::default(),
    }
}

fn intent(step: Step) -> Event {
    Event::Intent { step }
}

fn done(step: Step) -> Event {
    Event::Done { step, note: String::new() }
}

fn finished(ok: bool) -> Event {
    let (mode, grade) = (Mode::Freeze, Some(Grade::Frozen));
    Event::Finished { ok, pause_ms: 40.0, bytes_added: 10, points: 3, mode, grade }
}

fn whole_backup() -> Vec<Event> {
    let mut events = vec![begin()];
    for step in Step::ALL {
        events.extend([intent(step), done(step)]);
    }
    events.extend([finished(true), Event::Verified { id: "b1".to_owned() }]);
    events
}

fn whole_restore() -> Vec<Event> {
    let id = || "b1".to_owned();
    let path = PathBuf::from;
    vec![
        Event::RestoreBegin {
            id: id(),
            incoming: path("/n/data.restore-b1"),
            data: path("/n/data"),
            aside: path("/n/data.old-1"),
        },
        intent(Step::HoldAll),
        done(Step::HoldAll),
        intent(Step::Stop),
        done(Step::Stop),
        Event::RestoreSwap { id: id() },
        intent(Step::Start),
        done(Step::Start),
        intent(Step::Release),
        done(Step::Release),
        Event::Restored { id: id(), old_data: Some(path("/n/data.old-1")) },
    ]
}

/// What a crash after `events` may have left, by a second reading of the journal than the fold's.
fn may_be_down(events: &[Event]) -> bool {
    let last = |wanted: &Event| events.iter().rposition(|event| event == wanted);
    last(&intent(Step::Stop)) > last(&done(Step::Start))
}

fn may_be_held(events: &[Event]) -> bool {
    let last = |wanted: &Event| events.iter().rposition(|event| event == wanted);
    let held = last(&intent(Step::HoldWrites)).max(last(&intent(Step::HoldAll)));
    held > last(&done(Step::Release))
}

fn is_service(action: &RecoveryAction) -> bool {
    match action {
        RecoveryAction::FinishSwap { .. }
        | RecoveryAction::Thaw
        | RecoveryAction::StartEngine
        | RecoveryAction::ReleaseGate => true,
        RecoveryAction::UndoRestore { .. }
        | RecoveryAction::AbandonBackup(_)
        | RecoveryAction::FinishPrune(_) => false,
    }
}

/// What the agent journals when it has taken `action`.
fn taken(action: &RecoveryAction) -> Event {
    match action {
        RecoveryAction::FinishSwap { id, aside, .. } => {
            Event::Restored { id: id.clone(), old_data: Some(aside.clone()) }
        }
        RecoveryAction::Thaw => done(Step::Thaw),
        RecoveryAction::StartEngine => done(Step::Start),
        RecoveryAction::ReleaseGate => done(Step::Release),
        RecoveryAction::UndoRestore { id, .. } => {
            Event::RestoreFailed { id: id.clone(), error: "interrupted".to_owned() }
        }
        RecoveryAction::AbandonBackup(_) => finished(false),
        RecoveryAction::FinishPrune(id) => Event::Pruned { id: id.clone() },
    }
}

/// Cuts `events` everywhere, recovers, and cuts the recovery everywhere too.
fn crash_everywhere(events: &[Event]) {
    for cut in 0..=events.len() {
        let before = &events[..cut];
        let actions = recovery(&fold(&journal(before.to_vec())));
        let starts = actions.contains(&RecoveryAction::StartEngine);
        let releases = actions.contains(&RecoveryAction::ReleaseGate);
        assert_eq!(starts, may_be_down(before), "cut at {cut}: {actions:?}");
        assert_eq!(releases, may_be_held(before), "cut at {cut}: {actions:?}");
        let service = actions.iter().filter(|action| is_service(action)).count();
        assert!(actions.iter().take(service).all(is_service), "service first: {actions:?}");

        for steps_taken in 0..=actions.len() {
            let mut again = before.to_vec();
            again.extend(actions.iter().take(steps_taken).map(taken));
            let left = recovery(&fold(&journal(again)));
            let expected: Vec<_> = actions.iter().skip(steps_taken).cloned().collect();
            assert_eq!(left, expected, "cut at {cut}, crashed again after {steps_taken}");
        }
    }
}

#[test]
fn a_backup_cut_anywhere_brings_the_service_back_first() {
    crash_everywhere(&whole_backup());
}

#[test]
fn a_restore_cut_anywhere_brings_the_service_back_first() {
    crash_everywhere(&whole_restore());
}

#[test]
fn a_backup_that_fails_at_any_step_is_abandoned_after_the_service_is_back() {
    for (i, failing) in Step::ALL.into_iter().enumerate() {
        let mut events = vec![begin()];
        for step in &Step::ALL[..i] {
            events.extend([intent(*step), done(*step)]);
        }
        events.push(intent(failing));
        events.push(Event::Failed { step: failing, error: "disk full".to_owned() });
        crash_everywhere(&events);
        let state = fold(&journal(events.clone()));
        let current = state.current.clone().unwrap();
        assert_eq!(current.failed, Some((failing, "disk full".to_owned())));
        assert_eq!(recovery(&state).last(), Some(&RecoveryAction::AbandonBackup("b1".to_owned())));

        events.push(finished(false));
        let state = fold(&journal(events));
        assert_eq!(state.current, None);
        assert_eq!(state.last_abandoned, Some(current), "whoever began it learns why");
    }
}

#[test]
fn a_swap_that_has_begun_is_finished_before_the_engine_starts() {
    let events = whole_restore();
    let after_swap =
        1 + events.iter().position(|e| matches!(e, Event::RestoreSwap { .. })).unwrap();
    let actions = recovery(&fold(&journal(events[..after_swap].to_vec())));
    assert!(matches!(actions[0], RecoveryAction::FinishSwap { .. }), "{actions:?}");
    assert_eq!(actions[1], RecoveryAction::StartEngine);

    let actions = recovery(&fold(&journal(events[..after_swap - 1].to_vec())));
    assert_eq!(actions[0], RecoveryAction::StartEngine, "on the old data");
    assert!(matches!(actions.last(), Some(RecoveryAction::UndoRestore { .. })), "{actions:?}");
}

#[test]
fn a_whole_backup_leaves_nothing_to_do_and_is_remembered() {
    let state = fold(&journal(whole_backup()));
    assert_eq!(recovery(&state), []);
    assert_eq!(state.current, None);
    assert!(state.completed.contains_key("b1") && state.verified.contains_key("b1"));
    assert!(state.abandoned.is_empty());
    assert_eq!(state.last_seq, 2 * 18 + 3);
}

#[test]
fn a_second_begin_abandons_the_first_and_keeps_what_it_did_to_the_service() {
    let mut records = journal(vec![begin(), intent(Step::HoldWrites), intent(Step::Stop), begin()]);
    records[3].backup = "b2".to_owned();
    let state = fold(&records);
    assert_eq!(state.current.as_ref().unwrap().id, "b2");
    assert!(state.abandoned.contains("b1"));
    assert_eq!(state.last_abandoned.unwrap().id, "b1");
    assert!(state.engine_down && state.gate_held);
}

#[test]
fn a_failed_drill_takes_the_proof_back_and_pruning_forgets_all() {
    let id = || "b1".to_owned();
    let drilled = |ok| Event::Drilled { id: id(), ok, rto_ms: 900.0, differences: u64::from(!ok) };
    let mut events = whole_backup();
    events.extend([drilled(true), Event::Pinned { id: id() }]);
    let state = fold(&journal(events.clone()));
    assert!(state.verified.contains_key("b1") && state.pinned.contains("b1"));
    assert!(state.drilled["b1"].ok);

    events.extend([drilled(false), Event::Unpinned { id: id() }]);
    let state = fold(&journal(events.clone()));
    assert!(!state.verified.contains_key("b1") && !state.pinned.contains("b1"));
    assert_eq!(state.drilled["b1"].differences, 1);

    events.push(Event::PruneBegin { id: id() });
    let state = fold(&journal(events.clone()));
    assert_eq!(recovery(&state), [RecoveryAction::FinishPrune(id())]);

    events.push(Event::Pruned { id: id() });
    let state = fold(&journal(events));
    let (last_seq, last_attempt) = (state.last_seq, state.last_attempt);
    assert_eq!(state, State { last_seq, last_attempt, ..State::default() });
    assert_eq!(recovery(&state), []);
}

#[test]
fn a_record_from_before_there_were_grades_is_read() {
    let text =
        r#"{"type":"finished","ok":true,"pause_ms":1.0,"bytes_added":2,"points":3,"mode":"stop"}"#;
    let event: Event = serde_json::from_str(text).unwrap();
    assert!(matches!(event, Event::Finished { grade: None, points: 3, .. }), "{event:?}");
}

#[test]
fn the_last_attempt_is_the_last_one_begun_however_it_ended() {
    let mut records = journal(vec![begin(), finished(true), begin(), finished(false)]);
    let later: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    for record in &mut records[2..] {
        record.at = later;
    }
    let state = fold(&records);
    assert_eq!(state.last_attempt, Some(later));
    assert!(state.completed["b1"].at < later);
}

#[test]
fn the_lines_of_the_journal_keep_their_form() {
    let lines: Vec<String> = journal(vec![
        begin(),
        intent(Step::HoldWrites),
        done(Step::Stop),
        finished(true),
        Event::Drilled { id: "b1".to_owned(), ok: true, rto_ms: 1.5, differences: 0 },
    ])
    .iter()
    .map(|record| serde_json::to_string(record).unwrap())
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"v":1,"seq":1,"at":"2026-11-20T10:00:00Z","backup":"b1","event":{"type":"begin","batch_id":null,"labels":{},"why":"test","course":{"mode":"stop","freezes":false,"holds":true}}}
    {"v":1,"seq":2,"at":"2026-11-20T10:00:00Z","backup":"b1","event":{"type":"intent","step":"hold_writes"}}
    {"v":1,"seq":3,"at":"2026-11-20T10:00:00Z","backup":"b1","event":{"type":"done","step":"stop","note":""}}
    {"v":1,"seq":4,"at":"2026-11-20T10:00:00Z","backup":"b1","event":{"type":"finished","ok":true,"pause_ms":40.0,"bytes_added":10,"points":3,"mode":"freeze","grade":"frozen"}}
    {"v":1,"seq":5,"at":"2026-11-20T10:00:00Z","backup":"b1","event":{"type":"drilled","id":"b1","ok":true,"rto_ms":1.5,"differences":0}}
    "#);
}

#[test]
fn every_record_survives_being_written_and_read() {
    let mut events = whole_backup();
    events.extend(whole_restore());
    for record in journal(events) {
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
    }
}

#[test]
fn steps_have_the_same_name_in_the_journal_and_in_messages() {
    for step in Step::ALL {
        assert_eq!(serde_json::to_string(&step).unwrap(), format!("\"{step}\""));
    }
    assert!(Step::ALL.is_sorted());
}

fn any_record() -> impl Strategy<Value = Record> {
    let mut events = whole_backup();
    events.extend(whole_restore());
    events.extend([finished(false), Event::Pruned { id: "b1".to_owned() }]);
    let backup = prop::sample::select(vec!["b1", "b2", ""]);
    (any::<u64>(), backup, prop::sample::select(events)).prop_map(|(seq, backup, event)| Record {
        version: RECORD_VERSION,
        seq,
        at: Timestamp::UNIX_EPOCH,
        backup: backup.to_owned(),
        event,
    })
}

proptest! {
    #[test]
    fn any_list_of_records_folds_and_recovery_ends_it(
        records in prop::collection::vec(any_record(), 0..60)
    ) {
        let mut state = fold(&records);
        let mut one_by_one = State::default();
        for record in &records {
            one_by_one.apply(record);
        }
        prop_assert_eq!(&state, &one_by_one);

        for action in recovery(&state) {
            let backup = match &action {
                RecoveryAction::AbandonBackup(id) => id.clone(),
                _ => String::new(),
            };
            let (seq, at) = (0, Timestamp::UNIX_EPOCH);
            state.apply(&Record { version: RECORD_VERSION, seq, at, backup, event: taken(&action) });
        }
        prop_assert_eq!(recovery(&state), vec![]);
    }
}
