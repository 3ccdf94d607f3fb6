//! What each step of a backup does. In which order, and what comes after a failure, `qmoor_plan::backup::next` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use qmoor_plan::backup::{Course, Mode, Step};
use qmoor_plan::manifest::Grade;

use super::steps::millis;
use super::{BackupRequest, QUESTION_TIMEOUT, finish, first, quiet};
use crate::durable;
use crate::engine::EngineProcess;
use crate::error::NodeError;
use crate::gate::{Gate, Hold};
use crate::node::NodeContext;
use crate::probe::{self, Client, Facts, Scope};
use crate::store::{Labels, Prepared, SnapshotStore, Taken};
use crate::volume::freeze::{Freezable, Frozen};

/// What is added to the sum of all deadlines for what has none.
const LEASE_MARGIN: Duration = Duration::from_secs(120);

/// What a backup works with.
pub(super) struct Tools<'a> {
    pub(super) node: &'a NodeContext,
    pub(super) engine: &'a EngineProcess,
    pub(super) gate: &'a Gate,
    pub(super) request: &'a BackupRequest,
    pub(super) course: Course,
    pub(super) volume: Option<Freezable>,
}

/// What the steps so far have made.
#[derive(Default)]
pub(super) struct Made {
    pub(super) labels: Labels,
    pub(super) store: Option<Arc<dyn SnapshotStore>>,
    prepared: Option<Prepared>,
    hold: Option<Hold>,
    frozen: Option<Frozen>,
    /// When the service began to be less than whole, and when reads did.
    paused_at: Option<Instant>,
    reads_paused_at: Option<Instant>,
    /// How the engine's stop was, if there was one.
    stop: Option<Stop>,
    pub(super) pause_ms: f64,
    pub(super) reads_pause_ms: f64,
    pub(super) facts: Option<Facts>,
    pub(super) at: Option<Timestamp>,
    pub(super) taken: Option<Taken>,
    pub(super) phases: Vec<qmoor_plan::manifest::Phase>,
}

#[derive(Debug, Clone, Copy)]
struct Stop {
    exit_code: Option<i32>,
    clean: bool,
}

impl Tools<'_> {
    pub(super) fn max_pause(&self) -> Duration {
        self.request.max_pause.unwrap_or(self.node.config().backup.max_pause)
    }

    /// All deadlines of the pause together: the gate opens by itself only when the pause itself is lost.
    fn lease(&self) -> Duration {
        let config = self.node.config();
        let engine = config.engine.stop_timeout + config.engine.start_timeout;
        3 * config.gateway.drain_timeout + engine + self.max_pause() + LEASE_MARGIN
    }

    fn client(&self) -> Result<Client, NodeError> {
        let endpoint = self.engine.endpoint().ok_or(NodeError::EngineDown)?;
        Ok(Client::new(&endpoint, QUESTION_TIMEOUT))
    }
}

impl Made {
    pub(super) fn exit_code(&self) -> Option<i32> {
        self.stop.and_then(|stop| stop.exit_code)
    }

    /// What may be claimed of the point, from what was seen when it was made.
    pub(super) fn grade(&self, course: Course) -> Grade {
        match (course.mode, self.stop) {
            (Mode::Stop, Some(Stop { clean: true, .. })) | (Mode::Freeze, _) => course.grade(),
            (Mode::Stop, _) => Grade::Crash,
        }
    }

    /// The requests that the hold holds must still be those that it held when the facts were asked.
    fn still_held(&self) -> Result<(), NodeError> {
        match self.hold.as_ref().is_none_or(Hold::active) {
            true => Ok(()),
            false => Err(NodeError::LeaseLost),
        }
    }

    fn need<T>(value: Option<&T>) -> Result<&T, NodeError> {
        value.ok_or(NodeError::BrokeOff { doing: "a backup" })
    }

    fn paused(&mut self) {
        self.paused_at.get_or_insert_with(Instant::now);
    }

    fn resumed(&mut self) {
        self.pause_ms = self.paused_at.take().map_or(self.pause_ms, millis);
        self.reads_pause_ms = self.reads_paused_at.take().map_or(self.reads_pause_ms, millis);
    }
}

/// Takes one step. Returns a note for the journal.
pub(super) async fn take(
    tools: &Tools<'_>,
    made: &mut Made,
    step: Step,
) -> Result<String, NodeError> {
    match step {
        Step::Gate => quiet::gate(tools, &tools.client()?).await,
        Step::FirstPass => first_pass(tools, made).await,
        Step::HoldWrites => {
            made.paused();
            made.hold = Some(tools.gate.hold_writes(tools.lease()).await);
            Ok(String::new())
        }
        Step::Drain => drain(tools, made).await,
        Step::Manifest => {
            let config = &tools.node.config().backup;
            let scope =
                Scope::First { points: config.sample_points, queries: config.golden_queries };
            let facts = probe::observe(&tools.client()?, scope).await?;
            let note = format!("{} collections", facts.collections.len());
            made.facts = Some(facts);
            let (store, id) =
                (Arc::clone(Made::need(made.store.as_ref())?), made.labels.id.clone());
            let draft = finish::draft(tools, made)?;
            let keep = move |_: &NodeContext| Ok(store.keep_draft(&id, &draft)?);
            tools.node.blocking("writing down what the snapshot must have", keep).await?;
            Ok(note)
        }
        Step::HoldAll => {
            made.reads_paused_at = Some(Instant::now());
            let hold = Made::need(made.hold.as_ref())?;
            hold.hold_all();
            let timeout = tools.node.config().gateway.drain_timeout;
            hold.drain(timeout).await.map_err(NodeError::Drain)?;
            Ok(String::new())
        }
        Step::Stop => stop(tools, made).await,
        Step::Sync => {
            let sync = |node: &NodeContext| durable::sync_filesystem(&node.config().node.data);
            let io = |source| NodeError::Io { doing: "syncing the data", source };
            tools.node.blocking("syncing the data", move |node| sync(node).map_err(io)).await?;
            Ok(String::new())
        }
        Step::Freeze => freeze(tools, made).await,
        Step::Snapshot => snapshot(tools, made).await,
        Step::Thaw => thaw(tools, made).await,
        Step::Start => {
            // Once it is asked for it stays asked for: should this start fail, its supervisor goes on trying.
            tools.engine.start().await?;
            if !tools.course.holds {
                made.resumed();
            }
            Ok(String::new())
        }
        Step::Compare => {
            let before = Made::need(made.facts.as_ref())?;
            let after = probe::observe(&tools.client()?, Scope::Counts).await?;
            before.same_counts(&after).map(|()| String::new())
        }
        Step::Release => {
            if let Some(hold) = made.hold.take() {
                hold.release();
            }
            made.resumed();
            Ok(String::new())
        }
        Step::Settle => finish::settle(tools, made).await,
        Step::Observe => finish::observe(tools, made).await,
        Step::Verify => finish::verify(tools, made).await,
        Step::Prune => Ok(String::new()),
    }
}

async fn first_pass(tools: &Tools<'_>, made: &mut Made) -> Result<String, NodeError> {
    let (labels, max) = (made.labels.clone(), tools.max_pause());
    let passed = tools.node.blocking("the first pass", move |node| {
        let store = node.store()?;
        let prepared = first::prepare(node, store.as_ref(), &labels, max)?;
        Ok((store, prepared))
    });
    let (store, prepared) = passed.await?;
    let note = prepared.note.clone();
    (made.store, made.prepared) = (Some(store), Some(prepared));
    Ok(note)
}

/// Waits for the writes in flight, and then for what the engine has acknowledged and not yet applied.
async fn drain(tools: &Tools<'_>, made: &Made) -> Result<String, NodeError> {
    let timeout = tools.node.config().gateway.drain_timeout;
    Made::need(made.hold.as_ref())?.drain(timeout).await.map_err(NodeError::Drain)?;
    quiet::applied(&tools.client()?, timeout).await?;
    if tools.course.mode == Mode::Freeze {
        quiet::optimized(&tools.client()?, timeout).await?;
    }
    Ok(String::new())
}

async fn stop(tools: &Tools<'_>, made: &mut Made) -> Result<String, NodeError> {
    // Had the gate opened by itself, the facts in the manifest would be those of another moment.
    made.still_held()?;
    made.paused();
    let report = tools.engine.stop().await?;
    let (exit_code, clean) = (report.exit_code, report.clean);
    made.stop = Some(Stop { exit_code, clean });
    let told = exit_code
        .map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}"));
    match clean {
        true => Ok(format!("{told} after {:?}", report.took)),
        false if tools.request.allow_crash_consistent => {
            tracing::warn!(
                exit_code,
                report.out_of_memory,
                "backup: the stop was not clean: grade crash"
            );
            Ok(format!("not clean: {told} after {:?}", report.took))
        }
        false => Err(NodeError::UncleanStop { exit_code, out_of_memory: report.out_of_memory }),
    }
}

async fn freeze(tools: &Tools<'_>, made: &mut Made) -> Result<String, NodeError> {
    made.still_held()?;
    made.paused();
    let volume = Made::need(tools.volume.as_ref())?.clone();
    let max = tools.max_pause();
    let frozen = tools
        .node
        .blocking("freezing the volume", move |node| Ok(volume.freeze(node.program(), max)?))
        .await?;
    made.frozen = Some(frozen);
    Ok(String::new())
}

async fn snapshot(tools: &Tools<'_>, made: &mut Made) -> Result<String, NodeError> {
    made.labels.grade = made.grade(tools.course).to_string();
    made.still_held()?;
    made.at = Some(Timestamp::now());
    let store = Arc::clone(Made::need(made.store.as_ref())?);
    let prepared = made.prepared.take().ok_or(NodeError::BrokeOff { doing: "a backup" })?;
    let labels = made.labels.clone();
    let taken = tools
        .node
        .blocking("the second pass", move |node| {
            Ok(store.take(&prepared, &node.config().node.data, &labels)?)
        })
        .await?;
    // Somebody else may have started the container, by hand or by its restart policy.
    if tools.course.mode == Mode::Stop && !tools.engine.is_down().await? {
        return Err(NodeError::StartedMeanwhile);
    }
    made.still_held()?;
    let note = format!("{} bytes read", taken.bytes_read_stopped);
    made.taken = Some(taken);
    Ok(note)
}

/// A volume that was thawed before this was not frozen for all of the snapshot. With the engine stopped nobody wrote.
async fn thaw(tools: &Tools<'_>, made: &mut Made) -> Result<String, NodeError> {
    let Some(frozen) = made.frozen.take() else { return Ok("it was not frozen".to_owned()) };
    let thawed = tools.node.blocking("thawing the volume", move |_| Ok(frozen.thaw())).await?;
    match thawed {
        Ok(took) => Ok(format!("frozen for {took:?}")),
        Err(error) if tools.course.mode == Mode::Stop => {
            Ok(format!("the engine was stopped: {error}"))
        }
        Err(error) => Err(error.into()),
    }
}
