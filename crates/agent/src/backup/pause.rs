//! The part of a backup that clients feel: from the hold of the writes to the release.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use qmoor_plan::backup::Step;
use qmoor_plan::manifest::{CollectionFacts, Difference};

use super::steps::millis;
use super::{QUESTION_TIMEOUT, Run};
use crate::durable;
use crate::engine::Endpoint;
use crate::error::NodeError;
use crate::gate::Hold;
use crate::probe::{self, Client, Facts, Scope};
use crate::store::{Prepared, SnapshotStore, Taken};

/// What is added to the sum of all deadlines for what has none.
const LEASE_MARGIN: Duration = Duration::from_secs(120);

/// The fixed point and what belongs to it.
pub(super) struct Paused {
    pub(super) at: Timestamp,
    pub(super) facts: Facts,
    pub(super) taken: Taken,
    pub(super) exit_code: Option<i32>,
    pub(super) pause_ms: f64,
}

/// Holds, stops, takes the point, starts, releases. The service is back when this returns, with an error too.
pub(super) async fn pause(
    run: &mut Run<'_>,
    store: &Arc<dyn SnapshotStore>,
    prepared: Prepared,
) -> Result<Paused, NodeError> {
    let begun = Instant::now();
    let (gate, lease) = (run.gate, lease(run));
    let hold = run
        .steps
        .take(Step::HoldWrites, async move { Ok((gate.hold_writes(lease).await, String::new())) })
        .await?;
    let point = point(run, &hold, store, prepared).await;
    let back = match &point {
        Ok(_) => start(run).await.map(Some),
        Err(_) if !run.engine.wanted() => start(run).await.map(Some),
        Err(_) => Ok(None),
    };
    // Held requests go on before anything else is looked at, unless the point itself is in doubt.
    let doubt = match (&point, &back) {
        (Ok((facts, ..)), Ok(Some(endpoint))) => lost_over_the_stop(facts, endpoint).await,
        (_, _) => Ok(()),
    };
    let released = run
        .steps
        .bring_back(Step::Release, async move {
            hold.release();
            Ok(())
        })
        .await;
    let pause_ms = millis(begun);
    let (facts, taken, exit_code, at) = point?;
    back?;
    released?;
    doubt?;
    Ok(Paused { at, facts, taken, exit_code, pause_ms })
}

type Point = (Facts, Taken, Option<i32>, Timestamp);

async fn point(
    run: &mut Run<'_>,
    hold: &Hold<'_>,
    store: &Arc<dyn SnapshotStore>,
    prepared: Prepared,
) -> Result<Point, NodeError> {
    drain(run, hold).await?;
    let facts = facts(run).await?;
    hold_all(run, hold).await?;
    let exit_code = stop(run, hold).await?;
    sync(run).await?;
    let at = Timestamp::now();
    let taken = snapshot(run, store, prepared).await?;
    Ok((facts, taken, exit_code, at))
}

/// All deadlines of the pause together: the gate opens by itself only when the pause itself is lost.
fn lease(run: &Run<'_>) -> Duration {
    let config = run.node.config();
    let engine = config.engine.stop_timeout + config.engine.start_timeout;
    let snapshot = run.request.max_pause.unwrap_or(config.backup.max_pause);
    2 * config.gateway.drain_timeout + engine + snapshot + LEASE_MARGIN
}

async fn drain(run: &mut Run<'_>, hold: &Hold<'_>) -> Result<(), NodeError> {
    let timeout = run.node.config().gateway.drain_timeout;
    run.steps
        .take(Step::Drain, async move {
            hold.drain(timeout).await.map_err(NodeError::Drain)?;
            Ok(((), String::new()))
        })
        .await
}

async fn facts(run: &mut Run<'_>) -> Result<Facts, NodeError> {
    let (engine, config) = (run.engine, &run.node.config().backup);
    let scope = Scope::First { points: config.sample_points, queries: config.golden_queries };
    run.steps
        .take(Step::Manifest, async move {
            let endpoint = engine.endpoint().ok_or(NodeError::EngineDown)?;
            let facts = probe::observe(&Client::new(&endpoint, QUESTION_TIMEOUT), scope).await?;
            let note = format!("{} collections", facts.collections.len());
            Ok((facts, note))
        })
        .await
}

async fn hold_all(run: &mut Run<'_>, hold: &Hold<'_>) -> Result<(), NodeError> {
    let timeout = run.node.config().gateway.drain_timeout;
    run.steps
        .take(Step::HoldAll, async move {
            hold.hold_all();
            hold.drain(timeout).await.map_err(NodeError::Drain)?;
            Ok(((), String::new()))
        })
        .await
}

async fn stop(run: &mut Run<'_>, hold: &Hold<'_>) -> Result<Option<i32>, NodeError> {
    let engine = run.engine;
    run.steps
        .take(Step::Stop, async move {
            // Had the gate opened by itself, the facts in the manifest would be those of another moment.
            if !hold.active() {
                return Err(NodeError::LeaseLost);
            }
            let report = engine.stop().await?;
            match report.clean {
                true => Ok((report.exit_code, format!("took {:?}", report.took))),
                false => Err(NodeError::UncleanStop { exit_code: report.exit_code }),
            }
        })
        .await
}

async fn sync(run: &mut Run<'_>) -> Result<(), NodeError> {
    let node = run.node;
    run.steps
        .take(Step::Sync, async move {
            node.blocking("syncing the data", |node| {
                durable::sync_filesystem(&node.config().node.data)
                    .map_err(|source| NodeError::Io { doing: "syncing the data", source })
            })
            .await?;
            Ok(((), String::new()))
        })
        .await
}

async fn snapshot(
    run: &mut Run<'_>,
    store: &Arc<dyn SnapshotStore>,
    prepared: Prepared,
) -> Result<Taken, NodeError> {
    let (node, store, labels) = (run.node, Arc::clone(store), run.labels.clone());
    run.steps
        .take(Step::Snapshot, async move {
            let taken = node
                .blocking("taking the snapshot", move |node| {
                    Ok(store.take(&prepared, &node.config().node.data, &labels)?)
                })
                .await?;
            let note = format!("{} bytes read", taken.bytes_read_stopped);
            Ok((taken, note))
        })
        .await
}

/// Once the engine is asked for it stays asked for: should this start fail, whoever supervises it goes on
/// trying, for ever, and the gateway answers 503 meanwhile.
async fn start(run: &mut Run<'_>) -> Result<Endpoint, NodeError> {
    let engine = run.engine;
    run.steps.bring_back(Step::Start, async move { Ok(engine.start().await?) }).await
}

/// Counts, names and configuration must be after the stop what they were before it. If not, the engine lost
/// something, and this backup with it.
async fn lost_over_the_stop(before: &Facts, endpoint: &Endpoint) -> Result<(), NodeError> {
    let after = probe::observe(&Client::new(endpoint, QUESTION_TIMEOUT), Scope::Counts).await?;
    let mut differences = Vec::new();
    let mut differ = |what: String, expected: String, found: String| {
        if expected != found {
            differences.push(Difference { what, expected, found });
        }
    };
    let told = |facts: Option<&CollectionFacts>| {
        facts.map_or_else(
            || "nothing".to_owned(),
            |facts| format!("{} points, configuration {}", facts.points, facts.config_hash),
        )
    };
    for name in before.collections.keys().chain(after.collections.keys()) {
        let (expected, found) = (before.collections.get(name), after.collections.get(name));
        differ(format!("collection `{name}`"), told(expected), told(found));
    }
    differ("aliases".to_owned(), format!("{:?}", before.aliases), format!("{:?}", after.aliases));
    if differences.is_empty() {
        return Ok(());
    }
    differences.dedup();
    Err(NodeError::Differs { what: "the engine is not what it was before its stop", differences })
}
