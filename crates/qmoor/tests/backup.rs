//! Backups of a real engine: made under load, lost, restored, drilled, and made to fail at every step.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "backup/bench.rs"]
mod bench;

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bench::{Bench, client, client_at, create, engine, fill, names, point, points, program};
use qdrant_client::qdrant::{DeletePointsBuilder, PointsIdsList, UpsertPointsBuilder};
use qmoor_agent::backup::BackupRequest;
use qmoor_agent::catalogue;
use qmoor_agent::control::client::Client as Control;
use qmoor_agent::drill::drill;
use qmoor_agent::error::NodeError;
use qmoor_agent::gate::Phase;
use qmoor_agent::node::NodeContext;
use qmoor_agent::prune::prune;
use qmoor_agent::recover;
use qmoor_agent::restore::plan_restore;
use qmoor_agent::serve::{ServeError, serve};
use qmoor_plan::access::Effect;
use qmoor_plan::backup::Event;
use qmoor_plan::config::Config;
use qmoor_plan::manifest::Grade;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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
    served.stop.send(()).unwrap();
    served.ended.await.unwrap().unwrap();
}

/// A whole agent, gateway and all.
struct Served {
    config: Config,
    address: String,
    key: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
    _dir: tempfile::TempDir,
}

impl Served {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_dir(dir.path());
        (config.gateway.http_port, config.gateway.grpc_port) = (0, 0);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let on_ready = move |info| drop(tell.send(info));
        let ended = tokio::spawn(serve(config.clone(), program(), on_ready, async {
            drop(stopped.await);
        }));
        let ready = told.await.unwrap();
        let key = ready.new_keys.unwrap().admin.expose().to_owned();
        Self { config, address: ready.grpc.to_string(), key, stop, ended, _dir: dir }
    }

    fn connect(&self) -> qdrant_client::Qdrant {
        client_at(&self.address, &self.key)
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

/// What can be made to go wrong when a step begins.
fn faults(bench: &Bench) -> Vec<(&'static str, Fault)> {
    let (data, store) = (bench.data(), bench.node.config().store.path.clone());
    let socket = move |data: PathBuf| -> Fault {
        Box::new(move || drop(UnixListener::bind(data.join("odd.sock"))))
    };
    let break_store = move |store: PathBuf| -> Fault {
        Box::new(move || {
            std::fs::rename(store.join("data"), store.join("data-away")).ok();
            std::fs::write(store.join("data"), "not a folder").ok();
        })
    };
    let kill = |engine: Arc<qmoor_agent::engine::EngineProcess>| -> Fault {
        Box::new(move || {
            let pid = engine.pid().unwrap().to_string();
            assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        })
    };
    vec![
        ("first_pass", socket(data.clone())),
        ("manifest", kill(Arc::clone(&bench.engine))),
        ("stop", kill(Arc::clone(&bench.engine))),
        ("snapshot", socket(data)),
        ("snapshot", break_store(store.clone())),
        ("verify", break_store(store)),
    ]
}

type Fault = Box<dyn Fn() + Send + Sync>;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_step_fails_the_service_is_back_and_nothing_claims_to_be_a_backup() {
    let bench = Bench::new().await;
    let expected = bench.points("docs").await;
    bench.backup().await.unwrap();
    let store = bench.node.config().store.path.clone();
    for (number, (step, fault)) in faults(&bench).into_iter().enumerate() {
        let begun = AtomicBool::new(false);
        let failed = bench
            .backup_watched(&|progress| {
                if progress.step == step && !begun.swap(true, Ordering::Relaxed) {
                    fault();
                }
            })
            .await;
        let error = failed.err().map(|error| error.to_string());
        std::fs::remove_file(bench.data().join("odd.sock")).ok();
        if store.join("data-away").exists() {
            std::fs::remove_file(store.join("data")).unwrap();
            std::fs::rename(store.join("data-away"), store.join("data")).unwrap();
        }
        assert!(error.is_some(), "fault {number}, at {step}, did no harm");
        assert_eq!(bench.gate.status().phase, Phase::Open, "{step}");
        if bench.engine.endpoint().is_none() {
            // What the supervisor of an agent does.
            bench.engine.start().await.unwrap();
        }
        assert_eq!(bench.points("docs").await, expected, "{step}");
        let complete = catalogue::list(&bench.node).await.unwrap();
        let complete = complete.iter().filter(|backup| backup.complete).count();
        assert_eq!(complete, 1, "{step}");
        assert_eq!(bench.node.state().current, None, "{step}");
    }
    bench.backup().await.unwrap();
    assert!(drill(&bench.node, None, &|_| {}).await.unwrap().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_does_not_end_stops_the_backup_and_not_the_engine() {
    let bench =
        Bench::with(|config| config.gateway.drain_timeout = Duration::from_millis(100)).await;
    let pid = bench.engine.pid();
    let _writing = bench.gate.admit(Effect::Write, tokio::time::Instant::now()).await.unwrap();
    let error = bench.backup().await.unwrap_err();
    assert!(matches!(error, NodeError::Drain(_)), "{error}");
    assert_eq!(bench.engine.pid(), pid);
    assert_eq!(bench.gate.status().phase, Phase::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_would_be_too_long_is_refused_before_anything_is_held() {
    let bench = Bench::new().await;
    bench.backup().await.unwrap();
    let request =
        BackupRequest { max_pause: Some(Duration::from_millis(1)), ..BackupRequest::default() };
    let error =
        qmoor_agent::backup::backup(&bench.node, &bench.engine, &bench.gate, &request, &|_| {})
            .await
            .unwrap_err();
    assert!(matches!(error, NodeError::PauseTooLong { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_at_the_same_time_is_told_who_is_at_it() {
    let bench = Bench::new().await;
    let _claim = bench.node.claim("drill").unwrap();
    let error = bench.backup().await.unwrap_err();
    assert!(error.is_busy() && error.to_string().contains("drill"), "{error}");
    let error = NodeContext::open(bench.node.config().clone(), program(), "restore").unwrap_err();
    assert!(error.is_busy() && error.to_string().contains("drill"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_at_any_record_the_next_start_closes_what_was_open() {
    let bench = Bench::new().await;
    let report = bench.backup().await.unwrap();
    let bench = bench.reopened().await;
    let journal = bench.node.config().node.state.join("journal.jsonl");
    let lines: Vec<String> = std::fs::read_to_string(&journal)
        .unwrap()
        .lines()
        .map(|line| format!("{line}\n"))
        .collect();
    let Bench { dir, node, .. } = bench;
    let config = node.config().clone();
    drop(node);
    // From the last record to the first: what recovery removes from the store was not there before either.
    for cut in (1..=lines.len()).rev().filter(|cut| cut % 4 == 1 || *cut > lines.len() - 4) {
        let torn: String = lines[..cut].concat() + "{\"seq\":99,\"at\":\"20";
        std::fs::write(&journal, torn).unwrap();
        let node = NodeContext::open(config.clone(), program(), "test").unwrap();
        recover::before_engine(&node).await.unwrap();
        recover::after_engine(&node).await;
        let state = node.state();
        assert_eq!(state.current, None, "cut after {cut}");
        assert!(!state.engine_down && !state.gate_held, "cut after {cut}");
        let listed = catalogue::list(&node).await.unwrap();
        assert!(listed.iter().all(|backup| backup.complete), "cut after {cut}");
        assert!(listed.iter().any(|backup| backup.id == report.id), "cut after {cut}");
    }
    drop(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backup_cut_off_left_in_the_store_is_removed_at_the_next_start() {
    let bench = Bench::new().await;
    bench.backup().await.unwrap();
    let (data, node) = (bench.data(), bench.node.clone());
    let labels = qmoor_agent::store::Labels {
        id: "b-cut".to_owned(),
        host: "node".to_owned(),
        batch: None,
        grade: "clean".to_owned(),
    };
    let begin = Event::Begin { batch_id: None, labels: BTreeMap::new(), why: "test".to_owned() };
    node.record("b-cut", begin).await.unwrap();
    node.blocking("leaving a half backup", move |node| {
        let store = node.store()?;
        let first = store.first_pass(&data, &labels, None)?;
        store.second_pass(&first, &data, &labels)?;
        Ok(())
    })
    .await
    .unwrap();
    drop(node);
    let bench = bench.reopened().await;
    let ids = async || -> Vec<(String, bool)> {
        let listed = catalogue::list(&bench.node).await.unwrap();
        listed.into_iter().map(|backup| (backup.id, backup.complete)).collect()
    };
    assert_eq!(ids().await.last().unwrap(), &("b-cut".to_owned(), false));
    recover::before_engine(&bench.node).await.unwrap();
    recover::after_engine(&bench.node).await;
    assert_eq!(ids().await.len(), 1);
    let left = bench.node.store().unwrap().remove_first_passes().unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_cut_between_its_renames_is_finished_at_the_next_start() {
    let bench = Bench::new().await;
    let expected = bench.points("docs").await;
    let bench = bench.reopened().await;
    let data = bench.data();
    let (incoming, aside) =
        (data.with_file_name("data.restore-x"), data.with_file_name("data.old-x"));
    std::fs::rename(&data, &incoming).unwrap();
    std::fs::create_dir(&aside).unwrap();
    let begin = Event::RestoreBegin {
        id: "x".to_owned(),
        incoming: incoming.clone(),
        data: data.clone(),
        aside: aside.clone(),
    };
    bench.node.record("x", begin).await.unwrap();
    bench.node.record("x", Event::RestoreSwap { id: "x".to_owned() }).await.unwrap();
    let bench = bench.reopened().await;
    recover::before_engine(&bench.node).await.unwrap();
    bench.engine.start().await.unwrap();
    recover::after_engine(&bench.node).await;
    assert_eq!(bench.points("docs").await, expected);
    assert_eq!(bench.node.state().restore, None);
    assert!(!incoming.exists() && aside.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_fails_its_drill_and_its_restore_and_the_node_stays_as_it_was() {
    let bench = Bench::new().await;
    let report = bench.backup().await.unwrap();
    assert!(drill(&bench.node, None, &|_| {}).await.unwrap().ok);
    let expected = bench.points("docs").await;
    let pid = bench.engine.pid();
    damage(&bench.node.config().store.path.join("data"));

    let drilled = drill(&bench.node, None, &|_| {}).await.unwrap();
    assert!(!drilled.ok && !drilled.differences.is_empty());
    assert!(!bench.node.state().verified.contains_key(&report.id));
    let error = bench.restore(None).await;
    eprintln!("{}", error.unwrap_err());
    assert_eq!(bench.engine.pid(), pid);
    assert_eq!(bench.points("docs").await, expected);
    let mut left = names(bench.dir.path());
    left.retain(|name| !name.ends_with(".log") && name != "scratch");
    assert_eq!(left, ["data", "state", "store"]);
    assert_eq!(names(&bench.dir.path().join("scratch")), Vec::<String>::new());
}

/// Flips a bit in the middle of every large pack.
fn damage(packs: &std::path::Path) {
    let mut damaged = 0;
    for folder in names(packs) {
        for name in names(&packs.join(&folder)) {
            let path = packs.join(&folder).join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            if bytes.len() > 20_000 {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&path, bytes).unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_keeps_what_a_rule_or_a_pin_keeps_and_the_rest_still_restores() {
    let bench = Bench::with(|config| {
        let rules = &mut config.retention;
        (rules.last, rules.hourly, rules.daily) = (1, 0, 0);
        (rules.weekly, rules.monthly, rules.min_verified) = (0, 0, 1);
    })
    .await;
    let one = bench.backup().await.unwrap();
    let as_of_one = bench.points("docs").await;
    catalogue::pin(&bench.node, &one.id).await.unwrap();
    fill(&client(&bench.endpoint()), "docs", 500..600).await;
    let two = bench.backup().await.unwrap();
    fill(&client(&bench.endpoint()), "docs", 600..700).await;
    let three = bench.backup().await.unwrap();
    assert_eq!(three.pruned, std::slice::from_ref(&two.id));
    let ids: Vec<String> =
        catalogue::list(&bench.node).await.unwrap().into_iter().map(|backup| backup.id).collect();
    assert_eq!(ids, [one.id.clone(), three.id.clone()]);
    assert!(catalogue::pin(&bench.node, &two.id).await.is_err());
    assert!(drill(&bench.node, Some(&three.id), &|_| {}).await.unwrap().ok);

    catalogue::unpin(&bench.node, &one.id).await.unwrap();
    let look = prune(&bench.node, true).await.unwrap();
    assert_eq!(look.removed, Vec::<String>::new());
    assert!(look.decisions.iter().any(|decision| decision.id == one.id && !decision.keep));
    catalogue::pin(&bench.node, &one.id).await.unwrap();
    bench.restore(Some(&one.id)).await.unwrap();
    assert_eq!(bench.points("docs").await, as_of_one);
}
