//! Making a backup: one consistent point of the whole node.
//!
//! The steps, each journaled before and after it is taken: wait until the optimizers are idle (*gate*), copy
//! everything while the engine runs (*first pass*), *hold writes*, *drain* them, ask the engine for the
//! facts of the *manifest*, *hold all*, *stop* the engine, which must end by itself with exit code 0, *sync*,
//! copy what changed (*snapshot*: the point is fixed), *start*, *release*. What takes time comes after the
//! service is back: *settle*, *verify* (read it back, write the manifest beside it, last), *prune*.
//!
//! Whatever fails, the service is brought back first and the failure said afterwards.

mod first;
mod pause;
pub(crate) mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use qmoor_plan::backup::{Event, Step};
use qmoor_plan::manifest::{self, EngineInfo, Grade, Manifest, Phase};
use serde::{Deserialize, Serialize};

use crate::engine::EngineProcess;
use crate::error::NodeError;
use crate::gate::Gate;
use crate::node::{NodeContext, Watch};
use crate::probe::{self, Client};
use crate::prune::prune_claimed;
use crate::store::{Labels, Prepared, SnapshotStore};
use pause::Paused;
use steps::Steps;

/// How long the engine may take over one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How often busy optimizers are looked at.
const BUSY_POLL: Duration = Duration::from_millis(250);
/// How many past pauses the forecast looks at.
const FORECAST_OF: usize = 5;

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
    /// From the hold of the writes to the release.
    pub pause_ms: f64,
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
    let id = new_id(Timestamp::now(), rand::random());
    let _claim = node.claim(&format!("backup {id}"))?;
    let begin = Event::Begin {
        batch_id: request.batch_id.clone(),
        labels: request.labels.clone(),
        why: request.why.clone(),
    };
    node.record(&id, begin).await?;
    tracing::info!(id, why = request.why, "backup: begun");
    let mut run = Run {
        node,
        engine,
        gate,
        request,
        labels: Labels {
            id: id.clone(),
            host: node.config().node.name.clone(),
            batch: request.batch_id.clone(),
            grade: Grade::Clean.to_string(),
        },
        steps: Steps::new(node, &id, watch),
    };
    match run.all().await {
        Ok(report) => {
            tracing::info!(
                id,
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
    node.try_record(id, Event::Finished { ok, pause_ms: 0.0, bytes_added: 0 }).await;
}

/// One backup on its way.
struct Run<'a> {
    node: &'a NodeContext,
    engine: &'a EngineProcess,
    gate: &'a Gate,
    request: &'a BackupRequest,
    labels: Labels,
    steps: Steps<'a>,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<BackupReport, NodeError> {
        self.wait_at_the_gate().await?;
        let (store, first) = self.first_pass().await?;
        let paused = pause::pause(self, &store, first).await?;
        self.settle(&store).await?;
        let manifest = self.manifest(&paused);
        let manifest = self.verify(&store, &paused, manifest).await?;
        // From here on it is a backup like the others, and pruning may count on it.
        let (pause_ms, bytes_added) = (manifest.pause_ms, manifest.bytes_added);
        self.node
            .record(&self.labels.id, Event::Finished { ok: true, pause_ms, bytes_added })
            .await?;
        let mut warnings = Vec::new();
        let pruned = self.prune().await.unwrap_or_else(|error| {
            warnings.push(format!("old backups were not pruned: {error}"));
            Vec::new()
        });
        Ok(BackupReport {
            id: self.labels.id.clone(),
            grade: manifest.grade,
            pause_ms,
            phases: self.steps.phases.clone(),
            bytes_total: manifest.bytes_total,
            bytes_added,
            bytes_read_stopped: paused.taken.bytes_read_stopped,
            pruned,
            warnings,
            manifest,
        })
    }

    /// Optimizers that stay busy do not hinder a backup: they only make the stop longer.
    async fn wait_at_the_gate(&mut self) -> Result<(), NodeError> {
        let (node, engine, max) = (self.node, self.engine, self.max_pause());
        let patience = node.config().backup.gate_timeout;
        self.steps
            .take(Step::Gate, async move {
                if let Some(forecast) = forecast(node).filter(|forecast| *forecast > max) {
                    return Err(NodeError::PauseTooLong { forecast, max });
                }
                let endpoint = engine.endpoint().ok_or(NodeError::EngineDown)?;
                node.blocking("looking for free space", first::room).await?;
                let client = Client::new(&endpoint, QUESTION_TIMEOUT);
                let begun = Instant::now();
                loop {
                    let busy = probe::optimizers_busy(&client).await?;
                    if busy.is_empty() {
                        return Ok(((), String::new()));
                    }
                    if begun.elapsed() >= patience {
                        let note =
                            format!("still optimizing after {patience:?}: {}", busy.join(", "));
                        return Ok(((), note));
                    }
                    tokio::time::sleep(BUSY_POLL).await;
                }
            })
            .await
    }

    async fn first_pass(&mut self) -> Result<(Arc<dyn SnapshotStore>, Prepared), NodeError> {
        let (node, labels, max) = (self.node, self.labels.clone(), self.max_pause());
        self.steps
            .take(Step::FirstPass, async move {
                let passed = node.blocking("the first pass", move |node| {
                    let store = node.store()?;
                    let prepared = first::prepare(node, store.as_ref(), &labels, max)?;
                    Ok((store, prepared))
                });
                let (store, prepared) = passed.await?;
                let note = prepared.note.clone();
                Ok(((store, prepared), note))
            })
            .await
    }

    fn max_pause(&self) -> Duration {
        self.request.max_pause.unwrap_or(self.node.config().backup.max_pause)
    }

    async fn settle(&mut self, store: &Arc<dyn SnapshotStore>) -> Result<(), NodeError> {
        let (node, store) = (self.node, Arc::clone(store));
        self.steps
            .take(Step::Settle, async move {
                node.blocking("settling the store", move |_| Ok(store.settle()?)).await?;
                Ok(((), String::new()))
            })
            .await
    }

    fn manifest(&self, paused: &Paused) -> Manifest {
        Manifest {
            version: manifest::VERSION,
            id: self.labels.id.clone(),
            batch_id: self.request.batch_id.clone(),
            labels: self.request.labels.clone(),
            created_at: paused.at,
            grade: Grade::Clean,
            engine: EngineInfo {
                kind: "embedded".to_owned(),
                version: paused.facts.version.clone(),
                exit_code: paused.exit_code,
            },
            collections: paused.facts.collections.clone(),
            aliases: paused.facts.aliases.clone(),
            phases: self.steps.phases.clone(),
            pause_ms: paused.pause_ms,
            bytes_total: paused.taken.bytes_total,
            bytes_added: paused.taken.bytes_added,
            snapshot: paused.taken.snapshot.clone(),
        }
    }

    /// The snapshot is read back before the manifest makes it count, and the manifest after it is written.
    async fn verify(
        &mut self,
        store: &Arc<dyn SnapshotStore>,
        paused: &Paused,
        manifest: Manifest,
    ) -> Result<Manifest, NodeError> {
        let (node, store, labels) = (self.node, Arc::clone(store), self.labels.clone());
        let (taken, id) = (paused.taken.clone(), self.labels.id.clone());
        let manifest = self
            .steps
            .take(Step::Verify, async move {
                let manifest = node
                    .blocking("reading the backup back", move |_| {
                        store.verify(&store.find(&labels.id)?, Some(&taken), false)?;
                        let unreadable = |message: String| NodeError::Manifest {
                            id: labels.id.clone(),
                            message,
                        };
                        let bytes = serde_json::to_vec(&manifest)
                            .map_err(|err| unreadable(err.to_string()))?;
                        store.write_manifest(&labels, &bytes, manifest.created_at)?;
                        if store.manifest(&store.find(&labels.id)?)? == Some(bytes) {
                            Ok(manifest)
                        } else {
                            Err(unreadable(
                                "it reads back otherwise than it was written".to_owned(),
                            ))
                        }
                    })
                    .await?;
                Ok((manifest, String::new()))
            })
            .await?;
        self.node.record(&id, Event::Verified { id: id.clone() }).await?;
        Ok(manifest)
    }

    async fn prune(&mut self) -> Result<Vec<String>, NodeError> {
        let node = self.node;
        self.steps
            .take(Step::Prune, async move {
                let report = prune_claimed(node, false).await?;
                let note = format!("{} removed", report.removed.len());
                Ok((report.removed, note))
            })
            .await
    }
}

/// The median of the last pauses; nothing before the first backup.
fn forecast(node: &NodeContext) -> Option<Duration> {
    let completed = node.state().completed;
    let mut last: Vec<_> = completed.values().collect();
    last.sort_by_key(|backup| std::cmp::Reverse(backup.at));
    let mut pauses: Vec<f64> =
        last.iter().take(FORECAST_OF).map(|backup| backup.pause_ms).collect();
    pauses.sort_by(f64::total_cmp);
    let median = pauses.get(pauses.len() / 2)?;
    Duration::try_from_secs_f64(median / 1000.0).ok()
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
