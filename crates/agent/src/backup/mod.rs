//! Making a backup: one consistent point of the whole node.
//!
//! The steps, each journaled before and after it is taken: wait until the optimizers are idle (*gate*), copy
//! everything while the engine runs (*first pass*), *hold writes*, *drain* them, ask the engine for the
//! facts of the *manifest*, *hold all*, *stop* the engine, which must end by itself with exit code 0, *sync*, *freeze*
//! if the file system is one of its own, copy what changed (*snapshot*: the point is fixed), *thaw*, *start*, *compare*,
//! *release*. A backup by freezing leaves the engine running and holds no reads. What takes time comes after the
//! service is back: *settle*, *verify* (read it back, write the manifest beside it, last), *prune*.
//!
//! Which step is next is asked of `qmoor_plan::backup::next` after each one. Whatever fails, the service is brought
//! back first and the failure said afterwards.

mod finish;
mod first;
pub(crate) mod forecast;
mod point;
mod quiet;
pub(crate) mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::backup::{Course, Event, Mode, Next, Step, next};
use qmoor_plan::config::StoreKind;
use qmoor_plan::manifest::{Grade, Manifest, Phase};
use serde::{Deserialize, Serialize};

use crate::engine::EngineProcess;
use crate::error::NodeError;
use crate::gate::Gate;
use crate::node::{NodeContext, Watch};
use crate::prune::prune_claimed;
use crate::store::Labels;
use crate::volume::freeze::Freezable;
use point::{Made, Tools};
use steps::Steps;

/// How long the engine may take over one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BackupRequest {
    /// The indexing run it is made for.
    #[serde(default)]
    pub batch_id: Option<String>,
    /// Kept in the manifest.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Allows a longer pause than the configuration does.
    #[serde(default)]
    pub max_pause: Option<Duration>,
    /// How the point is made.
    #[serde(default)]
    pub mode: Mode,
    /// Takes a backup of grade crash where a better one cannot be had, instead of failing.
    #[serde(default)]
    pub allow_crash_consistent: bool,
    /// Who asks, or what for.
    #[serde(default)]
    pub why: String,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupReport {
    /// Its id.
    pub id: String,
    /// How the point was made.
    pub grade: Grade,
    /// How long writes waited: from their hold to the release.
    pub pause_ms: f64,
    /// How long reads waited; 0 if they did not.
    pub reads_pause_ms: f64,
    /// Time of each step.
    pub phases: Vec<Phase>,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// What the store grew by.
    pub bytes_added: u64,
    /// Bytes that had to be read while the engine stood still.
    pub bytes_read_stopped: u64,
    /// The backups that no rule kept any more.
    pub pruned: Vec<String>,
    /// What could not be done afterwards, though the backup is good.
    pub warnings: Vec<String>,
    /// What it must contain.
    pub manifest: Manifest,
}

/// What a backup would do, and in which order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupPlan {
    /// How the point would be made.
    pub mode: Mode,
    /// The grade it would have, if nothing goes wrong.
    pub grade: Grade,
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// How long the pause is forecast to be, in milliseconds; nothing before the first backup of this mode.
    pub pause_ms: Option<f64>,
    /// The longest pause that is accepted, in milliseconds.
    pub max_pause_ms: f64,
    /// How long a request is held before it is told to come again, in milliseconds.
    pub hold_budget_ms: f64,
}

/// Makes a backup and returns once it is complete and read back.
///
/// Must not be cancelled: run it in a task of its own, since a dropped future may leave the engine stopped until
/// the next start of the agent.
///
/// # Errors
/// Whatever failed, the service was brought back first, and what was left in the store was removed.
pub async fn backup(
    node: &NodeContext,
    engine: &EngineProcess,
    gate: &Gate,
    request: &BackupRequest,
    watch: Watch<'_>,
) -> Result<BackupReport, NodeError> {
    let _claim = node.claim(&format!("backup by {}", request.mode))?;
    backup_claimed(node, engine, gate, request, watch).await
}

/// As [`backup`], by whoever holds the claim already.
pub(crate) async fn backup_claimed(
    node: &NodeContext,
    engine: &EngineProcess,
    gate: &Gate,
    request: &BackupRequest,
    watch: Watch<'_>,
) -> Result<BackupReport, NodeError> {
    let id = new_id(Timestamp::now(), rand::random());
    let (course, volume) = course(node, request).await?;
    let begin = Event::Begin {
        batch_id: request.batch_id.clone(),
        labels: request.labels.clone(),
        why: request.why.clone(),
        course,
    };
    node.record(&id, begin).await?;
    tracing::info!(id, mode = %course.mode, why = request.why, "backup: begun");
    let tools = Tools { node, engine, gate, request, course, volume };
    let mut steps = Steps::new(node, &id, watch);
    match run(&tools, &mut steps, &id).await {
        Ok(report) => {
            tracing::info!(
                id,
                grade = %report.grade,
                pause_ms = report.pause_ms,
                bytes_added = report.bytes_added,
                "backup: done"
            );
            Ok(report)
        }
        Err(error) => {
            tracing::error!(id, %error, "backup: failed");
            abandon(node, &id).await;
            Err(error)
        }
    }
}

/// Says what a backup would do; nothing is done.
///
/// # Errors
/// When it would be refused before it begins.
pub async fn explain(
    node: &NodeContext,
    engine: &EngineProcess,
    request: &BackupRequest,
) -> Result<BackupPlan, NodeError> {
    let (course, _) = course(node, request).await?;
    let endpoint = engine.endpoint().ok_or(NodeError::EngineDown)?;
    let client = crate::probe::Client::new(&endpoint, QUESTION_TIMEOUT);
    let points = crate::probe::points(&client).await?;
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let config = node.config();
    let steps = course.steps().into_iter().chain([Step::Prune]).collect();
    Ok(BackupPlan {
        mode: course.mode,
        grade: course.grade(),
        steps,
        pause_ms: forecast::forecast(&node.state(), course.mode, points).map(millis),
        max_pause_ms: millis(request.max_pause.unwrap_or(config.backup.max_pause)),
        hold_budget_ms: millis(config.gateway.hold_budget),
    })
}

/// Which steps the backup takes, and the file system that is frozen. A mode that this node cannot do is refused
/// before anything begins, unless a backup of grade crash will do.
async fn course(
    node: &NodeContext,
    request: &BackupRequest,
) -> Result<(Course, Option<Freezable>), NodeError> {
    let found = node
        .blocking("looking at the volume", |node| Ok(Freezable::of_node(node.config())))
        .await?;
    let holds = node.config().gateway.enabled;
    let crash = request.allow_crash_consistent;
    let volume = match (request.mode, found) {
        (Mode::Freeze, Err(error)) if !crash => return Err(error.into()),
        // A store that reads file by file needs them to stand still.
        (Mode::Freeze, Err(error)) if node.config().store.kind == StoreKind::Restic => {
            return Err(error.into());
        }
        (Mode::Freeze, _) if !holds && !crash => return Err(NodeError::CannotHold),
        (_, found) => found.ok(),
    };
    Ok((Course { mode: request.mode, freezes: volume.is_some(), holds }, volume))
}

/// Takes step after step until there is none left. The first failure is what is told.
async fn run(
    tools: &Tools<'_>,
    steps: &mut Steps<'_>,
    id: &str,
) -> Result<BackupReport, NodeError> {
    let labels = Labels {
        id: id.to_owned(),
        host: tools.node.config().node.name.clone(),
        batch: tools.request.batch_id.clone(),
        grade: String::new(),
    };
    let mut made = Made::default();
    made.labels = labels;
    let mut failure = None;
    loop {
        made.phases.clone_from(&steps.phases);
        let outcome = match next(steps.state()) {
            Some(Next::Take(step)) => {
                let work = async { Ok(((), Box::pin(point::take(tools, &mut made, step)).await?)) };
                steps.take(step, work).await
            }
            Some(Next::BringBack(step)) => {
                let work = async { Ok(((), Box::pin(point::take(tools, &mut made, step)).await?)) };
                steps.bring_back(step, work).await
            }
            Some(Next::Finish { ok: true }) => return report(tools, steps, &made).await,
            Some(Next::Finish { ok: false }) | None => {
                return Err(failure.unwrap_or(NodeError::BrokeOff { doing: "a backup" }));
            }
        };
        if let Err(error) = outcome {
            failure.get_or_insert(error);
        }
    }
}

/// The backup is good from its record on, and pruning may count on it.
async fn report(
    tools: &Tools<'_>,
    steps: &mut Steps<'_>,
    made: &Made,
) -> Result<BackupReport, NodeError> {
    let manifest = finish::manifest(tools, made)?;
    let (pause_ms, bytes_added) = (manifest.pause_ms, manifest.bytes_added);
    let points = manifest.collections.values().map(|facts| facts.points).sum();
    let mode = tools.course.mode;
    let grade = Some(manifest.grade);
    steps.record(Event::Finished { ok: true, pause_ms, bytes_added, points, mode, grade }).await?;
    tools.node.holds_points(
        manifest.collections.iter().map(|(name, facts)| (name.clone(), facts.points)).collect(),
    );
    let mut warnings = protect(tools, &manifest.id).await;
    let pruned = steps
        .take(Step::Prune, async {
            let report = prune_claimed(tools.node, false).await?;
            let note = format!("{} removed", report.removed.len());
            Ok((report.removed, note))
        })
        .await
        .unwrap_or_else(|error| {
            warnings.push(format!("old backups were not pruned: {error}"));
            Vec::new()
        });
    Ok(BackupReport {
        id: manifest.id.clone(),
        grade: manifest.grade,
        pause_ms,
        reads_pause_ms: made.reads_pause_ms,
        phases: steps.phases.clone(),
        bytes_total: manifest.bytes_total,
        bytes_added,
        bytes_read_stopped: made.taken.as_ref().map_or(0, |taken| taken.bytes_read_stopped),
        pruned,
        warnings,
        manifest,
    })
}

/// A backup is good without it, so what could not be done is only said.
async fn protect(tools: &Tools<'_>, id: &str) -> Vec<String> {
    let id = id.to_owned();
    let protected = tools
        .node
        .blocking("protecting a backup", move |node| Ok(node.store()?.protect(&id)))
        .await;
    protected.unwrap_or_else(|error| vec![error.to_string()])
}

/// Removes what a backup that came to no end has left in the store, and closes it in the journal.
pub(crate) async fn abandon(node: &NodeContext, id: &str) {
    let left = id.to_owned();
    let cleaned = node
        .blocking("cleaning up after a backup", move |node| Ok(node.store()?.sweep(&left)?))
        .await;
    let ok = match cleaned {
        Ok(complete) => complete,
        Err(error) => {
            tracing::warn!(id, %error, "backup: what is left in the store is removed by the next prune");
            false
        }
    };
    node.try_record(id, Event::given_up(ok)).await;
}

/// Sorts by time; the end keeps two of one second apart.
fn new_id(now: Timestamp, random: u16) -> String {
    format!("b-{}-{random:04x}", now.strftime("%Y%m%dT%H%M%SZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(new_id(at, 0xab), "b-20260102T030405Z-00ab");
    }
}
