//! The agent killed with SIGKILL at the steps of a backup and of a restore.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use qmoor_agent::backup::BackupRequest;
use qmoor_agent::node::Progress;
use qmoor_agent::store::restic::ResticStore;
use qmoor_plan::backup::Step;

use crate::agent::Agent;
use crate::bench::{fill, names, points};

/// Kills once, when `step` begins.
fn at(step: &str, kill: impl Fn() + Send) -> impl FnMut(Progress) + Send {
    let done = AtomicBool::new(false);
    move |progress| {
        if progress.step == step && progress.ms.is_none() && !done.swap(true, Ordering::Relaxed) {
            kill();
        }
    }
}

async fn backups_killed_at(steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(dir.path(), None).await;
    fill(&agent.client(), "docs", 0..200).await;
    let expected = points(&agent.client(), "docs").await;
    for step in steps {
        let kill = agent.killer();
        let request = BackupRequest::default();
        let cut = agent.control.backup(&request, at(step.as_str(), kill)).await;
        // The last step may be over before the kill arrives.
        assert!(cut.is_err() || *step == Step::Prune, "{step}: the agent was not killed");
        let key = agent.key();
        agent.gone().await;
        agent = Agent::start(dir.path(), Some(&key)).await;
        assert_eq!(points(&agent.client(), "docs").await, expected, "{step}");
        agent.idle().await;
        let listed = agent.control.backups().await.unwrap();
        assert!(listed.iter().all(|backup| backup.complete), "{step}: {listed:?}");
        assert_eq!(first_passes(dir.path(), listed.is_empty()), 0, "{step}");
        let report = agent.control.backup(&request, |_| {}).await.unwrap();
        assert_eq!(report.warnings, Vec::<String>::new(), "{step}");
    }
    let drilled = agent.control.drill("latest", |_| {}).await.unwrap();
    assert!(drilled.ok, "{drilled:?}");
    agent.stop().await;
}

fn first_passes(dir: &Path, no_store_yet: bool) -> usize {
    let (path, key) = (dir.join("n/store"), dir.join("n/state/store.key"));
    if no_store_yet && !path.join("config").exists() {
        return 0;
    }
    ResticStore::open(&path, &key, true).unwrap().remove_first_passes().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_killed_while_the_engine_runs_leaves_nothing_and_holds_nothing() {
    backups_killed_at(&[Step::Gate, Step::FirstPass, Step::HoldWrites, Step::Manifest]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_killed_around_the_stop_brings_the_engine_back_with_everything() {
    backups_killed_at(&[Step::HoldAll, Step::Stop, Step::Sync, Step::Snapshot, Step::Start]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_killed_after_its_pause_is_whole_or_gone() {
    backups_killed_at(&[Step::Release, Step::Settle, Step::Verify, Step::Prune]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_killed_at_any_step_leaves_the_old_data_or_the_new_and_no_mixture() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(dir.path(), None).await;
    fill(&agent.client(), "docs", 0..200).await;
    let old = points(&agent.client(), "docs").await;
    agent.control.backup(&BackupRequest::default(), |_| {}).await.unwrap();
    for step in ["restore", "verify", "hold_all", "stop", "start", "release"] {
        fill(&agent.client(), "docs", 0..300).await;
        let new = points(&agent.client(), "docs").await;
        let kill = agent.killer();
        let cut = agent.control.restore("latest", at(step, kill)).await;
        assert!(cut.is_err() || step == "release", "{step}: the agent was not killed");
        let key = agent.key();
        agent.gone().await;
        agent = Agent::start(dir.path(), Some(&key)).await;
        let found = points(&agent.client(), "docs").await;
        assert!(found == old || found == new, "{step}: {} points", found.len());
        agent.idle().await;
        let left = names(&dir.path().join("n"));
        assert!(!left.iter().any(|name| name.contains("restore-")), "{step}: {left:?}");
    }
    let restored = agent.control.restore("latest", |_| {}).await.unwrap();
    assert_eq!(restored.points, 200);
    assert_eq!(points(&agent.client(), "docs").await, old);
    agent.stop().await;
}
