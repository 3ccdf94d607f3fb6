//! The agent and the container killed in the middle of a backup: it comes back by itself, and nothing claims to be what
//! it is not.

use std::sync::atomic::{AtomicBool, Ordering};

use qmoor_agent::backup::BackupRequest;
use qmoor_plan::backup::Step;

use crate::host::{Agent, Place, image, ready, signal};

/// A backup during which these processes are killed when `step` begins.
async fn killed_at(agent: &Agent, step: Step, pids: &[u32]) -> bool {
    let killed = AtomicBool::new(false);
    let made = agent
        .control
        .backup(&BackupRequest::default(), |progress| {
            let now = progress.step == step.as_str() && progress.ms.is_none();
            if now && !killed.swap(true, Ordering::Relaxed) {
                for pid in pids {
                    signal(*pid, "KILL");
                }
            }
        })
        .await;
    assert!(killed.load(Ordering::Relaxed), "{step} was never taken");
    made.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_killed_at_any_step_leaves_a_container_that_the_next_one_brings_to_order() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let mut agent = Agent::start(&place, None).await;
    agent.fill(100).await;
    for step in [Step::HoldWrites, Step::Stop, Step::Snapshot, Step::Start, Step::Verify] {
        let made = killed_at(&agent, step, &[agent.pid()]).await;
        assert!(!made, "{step}: the agent was not killed");
        let key = agent.kill().await;
        agent = Agent::start(&place, Some(&key)).await;
        agent.idle().await;
        assert_eq!(agent.points().await.len(), 100, "{step}");
        let listed = agent.control.backups().await.unwrap();
        assert!(listed.iter().all(|backup| backup.complete), "{step}: {listed:?}");
    }
    agent.backup(&BackupRequest::default()).await.unwrap();
    assert!(agent.control.drill("latest", |_| {}).await.unwrap().ok);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_a_backup_fails_it_and_comes_back() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(100).await;
    for step in [Step::Manifest, Step::Stop] {
        let engine = agent.control.status().await.unwrap().engine.pid.unwrap();
        let made = killed_at(&agent, step, &[engine]).await;
        assert!(!made, "{step}: a killed server is no clean stop");
        agent.points_back(100).await;
    }
    agent.backup(&BackupRequest::default()).await.unwrap();
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_told_to_stop_while_it_holds_brings_the_backup_to_its_end_first() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(100).await;
    let pid = agent.pid();
    let told = AtomicBool::new(false);
    let made = agent
        .control
        .backup(&BackupRequest::default(), |progress| {
            if progress.step == "hold_all" && !told.swap(true, Ordering::Relaxed) {
                signal(pid, "TERM");
            }
        })
        .await;
    drop(made);
    let key = agent.stop_term_sent().await;
    let agent = Agent::start(&place, Some(&key)).await;
    agent.idle().await;
    assert_eq!(agent.points().await.len(), 100);
    let listed = agent.control.backups().await.unwrap();
    assert!(listed.iter().all(|backup| backup.complete), "{listed:?}");
    agent.stop().await;
}
