//! Whatever fails, the service comes back and nothing claims to be a backup that is none.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qmoor_agent::backup::BackupRequest;
use qmoor_agent::catalogue;
use qmoor_agent::drill::drill;
use qmoor_agent::error::NodeError;
use qmoor_agent::gate::Phase;
use qmoor_agent::node::NodeContext;
use qmoor_plan::access::Effect;

use crate::bench::{Bench, names, program};

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
