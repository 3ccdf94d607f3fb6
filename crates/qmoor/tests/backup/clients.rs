//! Clients of a whole node through backups back to back: the official one in Rust with its own time-outs, and
//! `qmoor index`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qdrant_client::Qdrant;
use qdrant_client::qdrant::{QueryPointsBuilder, ScrollPointsBuilder, UpsertPointsBuilder};
use qmoor_agent::backup::BackupRequest;
use qmoor_agent::control::client::Client as Control;
use qmoor_plan::manifest::Grade;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::bench::{create, fill, point, points, program};
use crate::load::Served;

const BACKUPS: usize = 6;
/// Points of one writer; no writer comes near.
const LANE: u64 = 1_000_000;
/// Documents of one indexing run, and of one of its requests: many requests a run.
const DOCUMENTS: usize = 2000;
const BATCH: &str = "32";
/// No run and no writer goes on for longer, should the backups hang.
const RUNS_MAX: usize = 1000;

/// What one client did: its calls, and how long the longest took.
#[derive(Default)]
struct Lane {
    calls: u64,
    longest: Duration,
}

impl Lane {
    /// Notes a call that ended well.
    fn called(&mut self, begun: Instant) {
        self.calls += 1;
        self.longest = self.longest.max(begun.elapsed());
    }
}

/// The official client as a user has it.
fn stock(served: &Served) -> Qdrant {
    Qdrant::from_url(&format!("http://{}", served.address))
        .api_key(served.key.as_str())
        .skip_compatibility_check()
        .build()
        .unwrap()
}

fn write(client: Qdrant, first: u64, done: &Arc<AtomicBool>) -> JoinHandle<Lane> {
    let done = Arc::clone(done);
    tokio::spawn(async move {
        let mut lane = Lane::default();
        while !done.load(Ordering::Relaxed) {
            let upsert = UpsertPointsBuilder::new("written", vec![point(first + lane.calls)]);
            let begun = Instant::now();
            client.upsert_points(upsert.wait(true)).await.unwrap();
            lane.called(begun);
        }
        lane
    })
}

fn search(client: Qdrant, done: &Arc<AtomicBool>) -> JoinHandle<Lane> {
    let done = Arc::clone(done);
    tokio::spawn(async move {
        let mut lane = Lane::default();
        while !done.load(Ordering::Relaxed) {
            let query = QueryPointsBuilder::new("still").query(vec![1.0; 8]).using("dense");
            let begun = Instant::now();
            let found = client.query(query.limit(3)).await.unwrap();
            assert_eq!(found.result.len(), 3);
            lane.called(begun);
        }
        lane
    })
}

fn documents(run: usize) -> Range<usize> {
    run * DOCUMENTS..(run + 1) * DOCUMENTS
}

fn text(number: usize) -> String {
    format!("document {number} of the corpus")
}

/// Runs `qmoor index`, with other documents each time, until it is told to end. What the runs said.
fn index(served: &Served, done: &Arc<AtomicBool>) -> JoinHandle<Vec<Value>> {
    let (url, key, done) =
        (format!("http://{}", served.address), served.key.clone(), Arc::clone(done));
    tokio::spawn(async move {
        let dir = tempfile::tempdir().unwrap();
        let mut runs = Vec::new();
        while !done.load(Ordering::Relaxed) && runs.len() < RUNS_MAX {
            let source = source(dir.path(), runs.len());
            let ended = tokio::process::Command::new(program())
                .args(["--json", "--quiet", "index", &source, "-c", "indexed"])
                .args(["--url", &url, "--batch-points", BATCH])
                .env("QMOOR_KEY", &key)
                .current_dir(dir.path())
                .kill_on_drop(true)
                .output()
                .await
                .unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            runs.push(serde_json::from_slice(&ended.stdout).unwrap());
        }
        runs
    })
}

fn source(dir: &Path, run: usize) -> String {
    let mut lines = String::new();
    for number in documents(run) {
        let line = json!({"doc": number.to_string(), "text": text(number)});
        writeln!(lines, "{line}").unwrap();
    }
    let path = dir.join("corpus.jsonl");
    std::fs::write(&path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every document of all runs is there, and nothing else.
async fn all_indexed(client: &Qdrant, runs: usize) {
    let mut found = BTreeSet::new();
    let mut offset = None;
    loop {
        let mut scroll = ScrollPointsBuilder::new("indexed").limit(5000).with_payload(true);
        if let Some(offset) = offset {
            scroll = scroll.offset::<qdrant_client::qdrant::PointId>(offset);
        }
        let page = client.scroll(scroll).await.unwrap();
        for point in page.result {
            let field = |name: &str| point.payload[name].as_str().unwrap().clone();
            assert!(found.insert((field("_doc"), field("text"))), "twice: {point:?}");
        }
        match page.next_page_offset {
            Some(next) => offset = Some(next),
            None => break,
        }
    }
    let expected = (0..runs).flat_map(documents).map(|number| (number.to_string(), text(number)));
    assert!(found == expected.collect(), "{} documents are there, of {runs} runs", found.len());
}

/// Backups back to back; how long each one held requests.
async fn backups(served: &Served) -> Vec<f64> {
    let control = Control::new(&served.config.node.state);
    let mut pauses = Vec::new();
    for _ in 0..BACKUPS {
        let report = control.backup(&BackupRequest::default(), |_| {}).await.unwrap();
        assert_eq!((report.grade, report.warnings), (Grade::Clean, Vec::new()));
        pauses.push(report.pause_ms);
    }
    pauses
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_back_to_back_hold_every_rust_client_and_fail_none() {
    let served = Served::with(|_| {}).await;
    let client = served.connect();
    fill(&client, "still", 0..200).await;
    create(&client, "written").await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3).map(|lane| write(stock(&served), lane * LANE, &done)).collect();
    let searchers: Vec<_> = (0..2).map(|_| search(stock(&served), &done)).collect();
    let indexing = index(&served, &done);

    let pauses = backups(&served).await;
    done.store(true, Ordering::Relaxed);
    let budget = served.config.gateway.hold_budget.as_secs_f64() * 1000.0;
    assert!(pauses.iter().all(|pause| *pause < budget), "this machine is too slow: {pauses:?}");

    let runs = indexing.await.unwrap();
    assert!(!runs.is_empty());
    for run in &runs {
        assert_eq!((&run["written"], &run["retries"]), (&json!(DOCUMENTS), &json!(0)), "{run}");
    }
    all_indexed(&client, runs.len()).await;
    let shortest = pauses.iter().copied().fold(f64::INFINITY, f64::min);
    let mut written = 0;
    for writer in writers {
        let lane = writer.await.unwrap();
        let longest = lane.longest.as_secs_f64() * 1000.0;
        assert!(longest > shortest / 2.0, "never held: {longest} ms of {pauses:?}");
        written += lane.calls;
    }
    for searcher in searchers {
        let lane = searcher.await.unwrap();
        assert!(lane.calls > 0 && lane.longest > Duration::from_millis(50), "{:?}", lane.longest);
    }
    let there = points(&client, "written").await;
    assert_eq!(there.len() as u64, written);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_hold_budget_an_indexing_run_waits_as_it_is_told_and_loses_nothing() {
    let served = Served::with(|config| {
        config.gateway.hold_budget = Duration::from_millis(1);
    })
    .await;
    let client = served.connect();
    fill(&client, "still", 0..200).await;
    let done = Arc::new(AtomicBool::new(false));
    let indexing = index(&served, &done);
    backups(&served).await;
    done.store(true, Ordering::Relaxed);
    let runs = indexing.await.unwrap();
    let sum = |field: &str| runs.iter().map(|run| run[field].as_f64().unwrap()).sum::<f64>();
    assert!(sum("retries") > 0.0 && sum("throttled_seconds") > 0.0, "nobody was refused: {runs:?}");
    all_indexed(&client, runs.len()).await;
    served.stop().await;
}
