//! What was backed up under load is one moment of all writers, for us and for plain `restic`.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use qdrant_client::qdrant::{DeletePointsBuilder, PointsIdsList, UpsertPointsBuilder};
use qmoor_agent::backup::BackupRequest;
use qmoor_agent::control::client::Client as Control;
use qmoor_agent::gate::Phase;
use qmoor_agent::restore::plan_restore;
use qmoor_agent::serve::{ServeError, serve};
use qmoor_plan::config::Config;
use qmoor_plan::manifest::Grade;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bench::{Bench, client, client_at, create, engine, fill, point, points, program};

#[tokio::test(flavor = "multi_thread")]
async fn under_load_nothing_fails_and_the_restored_point_is_one_moment_of_all_writers() {
    let served = Served::new().await;
    let (connect, control) = (|| served.connect(), Control::new(&served.config.node.state));
    fill(&connect(), "before", 0..2000).await;
    create(&connect(), "left").await;
    create(&connect(), "right").await;
    // Each writer writes a point to the left, waits, and writes the same to the right.
    let done = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let writer = {
        let (client, done, acknowledged) = (connect(), done.clone(), acknowledged.clone());
        tokio::spawn(async move {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                for collection in ["left", "right"] {
                    let upsert = UpsertPointsBuilder::new(collection, vec![point(number)]);
                    client.upsert_points(upsert.wait(true)).await.unwrap();
                }
                number += 1;
                acknowledged.store(number, Ordering::Relaxed);
            }
        })
    };
    let reader = {
        let (client, done) = (connect(), done.clone());
        tokio::spawn(async move {
            let mut reads = 0_u64;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(points(&client, "before").await.len(), 2000);
                reads += 1;
            }
            reads
        })
    };
    while acknowledged.load(Ordering::Relaxed) < 20 {
        tokio::task::yield_now().await;
    }
    let acknowledged_before = acknowledged.load(Ordering::Relaxed);
    let request =
        BackupRequest { batch_id: Some("batch 7, of 9".to_owned()), ..BackupRequest::default() };
    let report = control.backup(&request, |_| {}).await.unwrap();
    let acknowledged_after = acknowledged.load(Ordering::Relaxed);
    done.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(reader.await.unwrap() > 0);
    assert_eq!(report.grade, Grade::Clean);
    assert_eq!(report.manifest.batch_id.as_deref(), Some("batch 7, of 9"));
    assert_eq!(report.warnings, Vec::<String>::new());

    let before = points(&connect(), "before").await;
    std::fs::remove_dir_all(&served.config.node.data).unwrap();
    control.restore(&report.id, |_| {}).await.unwrap();
    assert_eq!(points(&connect(), "before").await, before);
    let (left, right) = (points(&connect(), "left").await, points(&connect(), "right").await);
    assert!(left.len() - right.len() <= 1, "{} left, {} right", left.len(), right.len());
    let kept = u64::try_from(right.len()).unwrap();
    assert!(acknowledged_before <= kept && kept <= acknowledged_after + 1);
    // Everything the writers wrote up to that moment, and nothing after it: compared with the same points anew.
    let fresh = Bench::new().await;
    create(&client(&fresh.endpoint()), "left").await;
    fill(&client(&fresh.endpoint()), "left", 0..u64::try_from(left.len()).unwrap()).await;
    assert_eq!(left, fresh.points("left").await);
    let drilled = control.drill("latest", |_| {}).await.unwrap();
    assert_eq!((drilled.ok, drilled.differences), (true, Vec::new()));
    served.stop().await;
}

/// A whole agent, gateway and all.
pub(crate) struct Served {
    pub(crate) config: Config,
    pub(crate) address: String,
    pub(crate) key: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
    _dir: tempfile::TempDir,
}

impl Served {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_dir(dir.path());
        (config.gateway.http_port, config.gateway.grpc_port) = (0, 0);
        change(&mut config);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let on_ready = move |info| drop(tell.send(info));
        let ended = tokio::spawn(serve(config.clone(), program(), None, on_ready, async {
            drop(stopped.await);
        }));
        let ready = told.await.unwrap();
        let key = ready.new_keys.unwrap().admin.expose().to_owned();
        Self { config, address: ready.grpc.to_string(), key, stop, ended, _dir: dir }
    }

    pub(crate) fn connect(&self) -> qdrant_client::Qdrant {
        client_at(&self.address, &self.key)
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_restic_restores_it_and_an_engine_opens_the_result() {
    if Command::new("restic").arg("version").output().is_err() {
        eprintln!("SKIPPED: `restic` is not installed, so nobody but us has restored this backup");
        return;
    }
    let bench = Bench::new().await;
    bench.backup().await.unwrap();
    fill(&client(&bench.endpoint()), "docs", 500..700).await;
    let report = bench.backup().await.unwrap();
    let expected = bench.points("docs").await;
    let config = bench.node.config().clone();
    let into = bench.dir.path().join("by-restic");
    let restic = |arguments: &[&str]| {
        let output = Command::new("restic")
            .args(["--no-cache", "--password-file"])
            .arg(config.node.state.join("store.key"))
            .arg("--repo")
            .arg(&config.store.path)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "restic {arguments:?}: {output:?}");
    };
    restic(&["check", "--read-data"]);
    restic(&["restore", &report.manifest.snapshot, "--target", into.to_str().unwrap()]);
    let restored = engine(&config, into.join("data"));
    let endpoint = restored.start().await.unwrap();
    assert_eq!(points(&client(&endpoint), "docs").await, expected);
    assert_eq!(points(&client(&endpoint), "docs-now").await, expected);
    restored.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_back_in_time_and_keeps_what_was_there() {
    let bench = Bench::new().await;
    let then = bench.points("docs").await;
    let report = bench.backup().await.unwrap();
    let engine_client = client(&bench.endpoint());
    fill(&engine_client, "docs", 1000..1100).await;
    let gone = PointsIdsList { ids: (0..50).map(Into::into).collect() };
    let delete = DeletePointsBuilder::new("docs").points(gone).wait(true);
    engine_client.delete_points(delete).await.unwrap();
    fill(&engine_client, "new", 0..10).await;

    let plan = plan_restore(&bench.node, Some(&report.id)).await.unwrap();
    assert_eq!((plan.points, plan.refusals.as_slice()), (500, [].as_slice()));
    let restored = bench.restore(None).await.unwrap();
    assert_eq!(bench.points("docs").await, then);
    assert_eq!(bench.gate.status().phase, Phase::Open);
    let listed = client(&bench.endpoint()).list_collections().await.unwrap();
    assert_eq!(listed.collections.len(), 1);

    let old = engine(bench.node.config(), restored.old_data.unwrap());
    let endpoint = old.start().await.unwrap();
    assert_eq!(points(&client(&endpoint), "docs").await.len(), 550);
    old.stop().await.unwrap();
}
