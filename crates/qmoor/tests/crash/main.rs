//! `qmoor engine` as a process: killed at random moments while it is written to, asked to stop, and
//! started beside another one.
//!
//! What is random comes from a seed that is printed; `QMOOR_CRASH_SEED` runs one again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod churn;
mod ledger;
mod power;
mod process;
mod writers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, Distance, VectorParamsBuilder,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::churn::Churn;
use crate::process::Engine;
use crate::writers::{COLLECTION, Writer};

/// How often the engine is killed.
const KILLS: u32 = 50;

/// How many write at once.
const WRITERS: u64 = 4;

/// What the writers of one life of the engine share.
#[derive(Clone)]
struct Round {
    /// Set before the kill: from then on a request may fail.
    killed: Arc<AtomicBool>,
    /// Acknowledged writes, watched by the killer.
    acknowledged: watch::Sender<u64>,
    /// Numbers every write, over all rounds.
    version: Arc<AtomicU64>,
}

impl Round {
    /// Panics when a request failed although nobody had killed the engine yet.
    fn may_fail(&self, error: &qdrant_client::QdrantError) {
        assert!(self.killed.load(Ordering::SeqCst), "failed on a living engine: {error}");
    }

    /// Only the kill ends it.
    fn is_over(&self) -> bool {
        false
    }

    fn next_version(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst)
    }

    fn acknowledge(&self) {
        self.acknowledged.send_modify(|count| *count += 1);
    }
}

fn seed() -> u64 {
    match std::env::var("QMOOR_CRASH_SEED") {
        Ok(seed) => seed.parse().expect("QMOOR_CRASH_SEED is a number"),
        Err(_) => rand::random(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_kill() {
    let seed = seed();
    eprintln!("QMOOR_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let dir = TempDir::new().unwrap();
    let engine = Engine::start(dir.path()).await;
    writers::create_collection(&engine.client()).await;
    let mut engine = Some(engine);
    let version = Arc::new(AtomicU64::new(1));
    let mut writers: Vec<_> = (0..WRITERS).map(Writer::new).collect();
    let mut churn = Churn::default();
    let (mut written, mut indexed) = (0, 0);

    for kill in 1..=KILLS {
        let mut living = engine.take().expect("started");
        let round = Round {
            killed: Arc::default(),
            acknowledged: watch::channel(0).0,
            version: Arc::clone(&version),
        };
        let mut tasks = JoinSet::new();
        for mut writer in writers.drain(..) {
            let (client, round, seed) = (living.client(), round.clone(), random.random());
            tasks.spawn(async move {
                writer.write(&client, &round, StdRng::seed_from_u64(seed)).await;
                writer
            });
        }
        let churning = {
            let (client, round, seed) = (living.client(), round.clone(), random.random());
            tokio::spawn(async move {
                churn.run(&client, &round, StdRng::seed_from_u64(seed)).await;
                churn
            })
        };
        // Some die in their first moments, and some while the engine flushes and optimizes.
        let writes = if random.random_ratio(2, 3) {
            random.random_range(1..100)
        } else {
            random.random_range(300..800)
        };
        written += kill_after(&mut living, &round, writes).await;
        writers = tasks.join_all().await;
        churn = churning.await.unwrap();

        // One in four is killed again while it loads.
        if kill.is_multiple_of(4) {
            let pause = Duration::from_micros(random.random_range(0..150_000));
            Engine::spawn(dir.path()).kill_while_it_starts(pause).await;
        }
        let again = Engine::start(dir.path()).await;
        let client = again.client();
        let found = writers::read_all(&client).await;
        for writer in &mut writers {
            writer.ledger.settle(&found).unwrap_or_else(|lost| {
                panic!("seed {seed}, kill {kill}: {lost}");
            });
        }
        let known: usize = writers.iter().map(|writer| writer.ledger.len()).sum();
        assert_eq!(found.len(), known, "seed {seed}, kill {kill}: points that nobody wrote");
        writers::check_index(&client, &found).await;
        churn.settle(&client).await;
        // Kills come faster than the optimizer gets to work: now and then it is given the time, and what it has made is
        // what the next kills hit.
        if kill % 10 == 5 {
            indexed = indexed.max(writers::until_indexed(&client).await);
        }
        engine = Some(again);
    }
    let left = writers.iter().map(|writer| writer.ledger.len()).sum::<usize>();
    eprintln!("{KILLS} kills, {written} acknowledged writes, {left} points");
    assert!(written > u64::from(KILLS) * 50, "too few writes to mean anything: {written}");
    assert!(indexed > 0, "the optimizer never got to work");
    engine.expect("started").terminate().await;
}

/// Lets so many writes be acknowledged, kills, and says how many were.
async fn kill_after(engine: &mut Engine, round: &Round, writes: u64) -> u64 {
    let mut acknowledged = round.acknowledged.subscribe();
    let reached = acknowledged.wait_for(|count| *count >= writes);
    let reached = tokio::time::timeout(process::DEADLINE, reached).await;
    reached.expect("writes go on").expect("the sender lives");
    round.killed.store(true, Ordering::SeqCst);
    engine.kill().await;
    *round.acknowledged.borrow()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_order_ends_with_0_and_keeps_what_nobody_waited_for() {
    let dir = TempDir::new().unwrap();
    let mut expected = 0;
    // TERM, INT, and the end of standard input.
    for how in [Some("-TERM"), Some("-INT"), None] {
        let engine = Engine::start(dir.path()).await;
        let client = engine.client();
        if expected == 0 {
            writers::create_collection(&client).await;
        }
        for start in (expected..expected + 400).step_by(100) {
            writers::upsert(&client, start..start + 100, false).await;
        }
        expected += 400;
        match how {
            Some(signal) => engine.stop_by(signal).await,
            None => engine.stop_by_closing_its_input().await,
        }
        let engine = Engine::start(dir.path()).await;
        let count = CountPointsBuilder::new(COLLECTION).exact(true);
        let count = engine.client().count(count).await.unwrap().result.unwrap().count;
        assert_eq!(count, expected, "after {how:?}");
        engine.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_engine_on_the_same_directory_says_so_and_ends() {
    let dir = TempDir::new().unwrap();
    let first = Engine::start(dir.path()).await;
    let (code, message) = Engine::spawn(dir.path()).refused().await;
    assert_eq!(code, Some(3), "somebody else holds the lock: {message}");
    assert!(message.contains("error:") && message.contains("data"), "{message}");
    let create = CreateCollectionBuilder::new("c")
        .vectors_config(VectorParamsBuilder::new(1, Distance::Dot));
    first.client().create_collection(create).await.expect("the first goes on");
    first.terminate().await;
    Engine::start(dir.path()).await.terminate().await;
}
