//! A container whose volume is an image: cut by freezing and by stopping, under readers and writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use qmoor_agent::backup::BackupRequest;
use qmoor_plan::backup::Mode;
use qmoor_plan::manifest::Grade;
use serde_json::json;

use crate::disk::Disk;
use crate::host::{Agent, Place, ask, image, ready};

/// Asks one after the other until it is told to stop; counts answers, remembers the longest, and fails on any other
/// status than 200.
fn client(
    agent: &Agent,
    going: &Arc<AtomicBool>,
    kind: &'static str,
) -> tokio::task::JoinHandle<(u64, Duration)> {
    let (http, key, going) = (agent.http.clone(), agent.key.clone(), Arc::clone(going));
    tokio::spawn(async move {
        let next = AtomicU64::new(1_000_000);
        let (mut count, mut longest) = (0, Duration::ZERO);
        while going.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let (method, path, body) = match kind {
                "read" => (
                    Method::POST,
                    "/collections/docs/points/query",
                    json!({"query": [1.0, 2.0], "limit": 3}),
                ),
                _ => {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    let points = json!([{"id": id, "vector": [1.0, 2.0]}]);
                    (Method::PUT, "/collections/docs/points?wait=true", json!({ "points": points }))
                }
            };
            let (status, answer) = ask(&http, &key, method, path, &body).await;
            assert_eq!(status, 200, "{kind}: {answer}");
            count += 1;
            longest = longest.max(begun.elapsed());
        }
        (count, longest)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_through_a_freeze_nothing_fails_and_the_snapshot_restores() {
    if !ready() {
        return;
    }
    let Some(disk) = Disk::or_skip("xfs", 4096) else { return };
    for store in ["clone", "restic"] {
        let place = Place::within(&disk.path());
        let settings = format!(
            "volume.kind = \"image\"\nvolume.size = \"1GiB\"\nstore.kind = \"{store}\"\nbackup.gate_timeout = \"30s\""
        );
        place.configure(&image(), &settings);
        let agent = Agent::start(&place, None).await;
        agent.fill(300).await;
        for (mode, grade) in [(Mode::Freeze, Grade::Frozen), (Mode::Stop, Grade::Clean)] {
            let going = Arc::new(AtomicBool::new(true));
            let clients = ["read", "write"].map(|kind| client(&agent, &going, kind));
            let request = BackupRequest { mode, ..BackupRequest::default() };
            let report = agent
                .backup(&request)
                .await
                .unwrap_or_else(|error| panic!("{error}: {}", place.log()));
            going.store(false, Ordering::Relaxed);
            for client in clients {
                let (count, longest) = client.await.unwrap();
                eprintln!("{store} {mode}: {count} answers, the longest {longest:?}");
                assert!(count > 0);
            }
            assert_eq!(report.grade, grade, "{store} {mode}");
            eprintln!("{store} {mode}: {:?}", report.phases);
            assert_eq!(report.reads_pause_ms > 0.0, mode == Mode::Stop, "{store} {mode}");
            let names: Vec<&str> = report.phases.iter().map(|phase| phase.name.as_str()).collect();
            assert!(names.contains(&"freeze") && names.contains(&"thaw"), "{names:?}");
            let drilled = agent.control.drill("latest", |_| {}).await.unwrap();
            assert!(drilled.ok, "{drilled:?}");
        }
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_while_frozen_leaves_a_volume_that_thaws_by_itself() {
    if !ready() {
        return;
    }
    let Some(disk) = Disk::or_skip("xfs", 4096) else { return };
    let place = Place::within(&disk.path());
    place.configure(
        &image(),
        "volume.kind = \"image\"\nvolume.size = \"1GiB\"\nstore.kind = \"clone\"",
    );
    let mut agent = Agent::start(&place, None).await;
    agent.fill(200).await;
    for step in ["freeze", "snapshot", "thaw"] {
        let killed = AtomicBool::new(false);
        let pid = agent.pid();
        let request = BackupRequest { mode: Mode::Freeze, ..BackupRequest::default() };
        let made = agent
            .control
            .backup(&request, |progress| {
                let now = progress.step == step && progress.ms.is_none();
                if now && !killed.swap(true, Ordering::Relaxed) {
                    crate::host::signal(pid, "KILL");
                }
            })
            .await;
        assert!(made.is_err(), "{step}: it was not killed");
        let key = agent.kill().await;
        // The container has outlived it, and can write.
        let http = crate::host::docker(&["port", &place.container(), "6333"]);
        let settings = place.path().join(format!("n/state/container/{}.yaml", place.container()));
        let settings: serde_json::Value =
            serde_json::from_slice(&std::fs::read(settings).unwrap()).unwrap();
        let engine_key = settings["service"]["api_key"].as_str().unwrap();
        crate::host::fill(&http, engine_key, 200).await;
        agent = Agent::start(&place, Some(&key)).await;
        agent.idle().await;
        assert_eq!(agent.points().await.len(), 200, "{step}");
        let listed = agent.control.backups().await.unwrap();
        assert!(listed.iter().all(|backup| backup.complete), "{step}: {listed:?}");
    }
    let request = BackupRequest { mode: Mode::Freeze, ..BackupRequest::default() };
    assert_eq!(agent.backup(&request).await.unwrap().grade, Grade::Frozen);
    agent.stop().await;
}
