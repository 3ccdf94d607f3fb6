//! The clean cut, and the cut that is not clean.

use qmoor_agent::backup::BackupRequest;
use qmoor_plan::manifest::Grade;

use crate::host::{Agent, Place, docker, image, ready, stand_in};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_process_one_stops_cleanly_and_its_backup_drills_and_restores() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(200).await;
    let report = agent.backup(&BackupRequest::default()).await.unwrap();
    assert_eq!(report.grade, Grade::Clean);
    assert_eq!(report.manifest.engine.exit_code, Some(0));
    assert_eq!(report.manifest.engine.kind, "docker");
    assert!(report.manifest.engine.image.as_ref().unwrap().contains("@sha256:"));
    let drilled = agent.control.drill("latest", |_| {}).await.unwrap();
    assert!(drilled.ok, "{drilled:?}");
    let left = docker(&["ps", "-a", "--format", "{{.Names}}"]);
    assert!(!left.contains(&format!("{}-scratch", place.container())), "{left}");

    agent.fill(300).await;
    let restored = agent.control.restore("latest", |_| {}).await.unwrap();
    assert_eq!(restored.points, 200);
    assert_eq!(agent.points().await.len(), 200);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_as_process_one_makes_the_stop_unclean_which_is_seen_and_lowers_the_grade() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&stand_in("v1.19.1-entrypoint"), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(100).await;
    let refused = agent.backup(&BackupRequest::default()).await.unwrap_err().to_string();
    assert!(refused.contains("not clean"), "{refused}");
    agent.engine_up().await;
    assert_eq!(agent.points().await.len(), 100);
    assert_eq!(agent.control.backups().await.unwrap(), []);

    let request = BackupRequest { allow_crash_consistent: true, ..BackupRequest::default() };
    let report = agent.backup(&request).await.unwrap();
    assert_eq!(report.grade, Grade::Crash);
    assert_ne!(report.manifest.engine.exit_code, Some(0));
    let listed = agent.control.backups().await.unwrap();
    assert_eq!(listed[0].grade, Some(Grade::Crash), "said in the list");
    assert_eq!(agent.points().await.len(), 100);
    agent.stop_unclean().await;
}
