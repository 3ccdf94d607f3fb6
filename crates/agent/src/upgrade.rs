//! Another version of the docker engine: a backup first, one minor version at a time, checked against the manifest of that
//! backup, and back again by restoring it if anything is not as it was.

use std::time::Instant;

use qmoor_plan::backup::{Event, Mode, Step};
use qmoor_plan::config::EngineKind;
use qmoor_plan::engine::{Image, Lineage};
use qmoor_plan::manifest::{Difference, Manifest, compare};
use serde::{Deserialize, Serialize};

use crate::backup::steps::{Steps, millis};
use crate::backup::{BackupReport, BackupRequest, backup_claimed};
use crate::engine::EngineProcess;
use crate::error::NodeError;
use crate::gate::Gate;
use crate::node::{NodeContext, Watch};
use crate::probe::{self, Client, Scope};
use crate::restore::{QUESTION_TIMEOUT, hold_lease, restore_claimed};

/// What an upgrade did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpgradeReport {
    /// The image before.
    pub from: String,
    /// The image now.
    pub to: String,
    /// The backup that was made before anything was changed.
    pub backup: String,
    /// How long the node did not serve, in milliseconds.
    pub pause_ms: f64,
}

/// Upgrades to `version`, as `1.19.0` or the whole tag.
///
/// Must not be cancelled: run it in a task of its own.
///
/// # Errors
/// The node then runs what it ran before, on the data it had.
pub async fn upgrade(
    node: &NodeContext,
    engine: &EngineProcess,
    gate: &Gate,
    version: &str,
    watch: Watch<'_>,
) -> Result<UpgradeReport, NodeError> {
    let _claim = node.claim(&format!("upgrade to {version}"))?;
    let (from, to) = images(node, version)?;
    // What takes long, and what can be refused, comes before anything is touched.
    engine.fetch(&to).await?;
    let request = BackupRequest {
        labels: [("upgrade".to_owned(), format!("{from} to {to}"))].into(),
        mode: Mode::Stop,
        why: format!("before the upgrade to {to}"),
        ..BackupRequest::default()
    };
    let made = backup_claimed(node, engine, gate, &request, watch).await?;
    let begun =
        Event::UpgradeBegin { backup: made.id.clone(), from: from.to_string(), to: to.to_string() };
    node.record(&made.id, begun).await?;
    tracing::info!(%from, %to, backup = made.id, "upgrade: begun");
    let change = Change { node, engine, gate, to: &to, made: &made, watch };
    let (tried, pause_ms) = change.under_hold().await;
    let ok = tried.is_ok();
    node.try_record(&made.id, Event::UpgradeEnd { ok }).await;
    match tried {
        Ok(()) => {
            tracing::info!(%from, %to, pause_ms, "upgrade: done");
            let (from, to) = (from.to_string(), to.to_string());
            Ok(UpgradeReport { from, to, backup: made.id, pause_ms })
        }
        Err(why) => {
            tracing::error!(%from, %to, %why, "upgrade: taken back");
            Err(NodeError::UpgradeTakenBack { to: to.to_string(), why: Box::new(why) })
        }
    }
}

/// Takes back an upgrade that a crash has cut short. To be called before the engine is started.
///
/// # Errors
/// When the data cannot be put back; the engine must not be started then.
pub async fn take_back(node: &NodeContext, engine: &EngineProcess) -> Result<(), NodeError> {
    let Some(open) = node.state().upgrade else { return Ok(()) };
    tracing::warn!(
        backup = open.backup,
        to = open.to,
        "recovery: taking back an upgrade that was cut short"
    );
    engine.finish_stop().await?;
    node.use_image(None)?;
    restore_claimed(node, None, None, Some(&open.backup), &|_| {}).await?;
    node.record(&open.backup, Event::UpgradeEnd { ok: false }).await
}

fn images(node: &NodeContext, version: &str) -> Result<(Image, Image), NodeError> {
    let refused = |why: String| NodeError::UpgradeRefused { to: version.to_owned(), why };
    if node.config().engine.kind == EngineKind::Embedded {
        let why = "the embedded engine is a part of qmoor (hint: install a newer qmoor)".to_owned();
        return Err(refused(why));
    }
    let from = node.effective_image();
    let to = from.at(version).ok_or_else(|| refused("it is no version like 1.19.0".to_owned()))?;
    if to == from {
        return Err(refused("it is what runs already".to_owned()));
    }
    let of = |image: &Image| Lineage { kind: EngineKind::Docker, version: image.version };
    of(&from).may_open(of(&to)).map_err(|error| refused(error.to_string()))?;
    Ok((from, to))
}

struct Change<'a> {
    node: &'a NodeContext,
    engine: &'a EngineProcess,
    gate: &'a Gate,
    to: &'a Image,
    made: &'a BackupReport,
    watch: Watch<'a>,
}

impl Change<'_> {
    /// Changes the engine while everything is held, or puts all back as it was.
    async fn under_hold(&self) -> (Result<(), NodeError>, f64) {
        let begun = Instant::now();
        let hold = self.gate.hold_writes(2 * hold_lease(self.node.config())).await;
        hold.hold_all();
        let drain = self.node.config().gateway.drain_timeout;
        let tried = match hold.drain(drain).await {
            Ok(()) => self.change().await,
            Err(late) => Err(NodeError::Drain(late)),
        };
        let back = match &tried {
            Ok(()) => Ok(()),
            Err(_) => self.put_back().await,
        };
        hold.release();
        (tried.and(back), millis(begun))
    }

    async fn change(&self) -> Result<(), NodeError> {
        let mut steps = Steps::new(self.node, &self.made.id, self.watch);
        steps
            .take(Step::Stop, async {
                let report = self.engine.stop().await?;
                match report.clean {
                    true => Ok(((), String::new())),
                    false => Err(NodeError::UncleanStop {
                        exit_code: report.exit_code,
                        out_of_memory: report.out_of_memory,
                    }),
                }
            })
            .await?;
        self.node.use_image(Some(self.to))?;
        let endpoint = steps
            .bring_back(Step::Start, async { Ok((self.engine.start().await?, String::new())) })
            .await?;
        steps
            .take(Step::Compare, async {
                let manifest = &self.made.manifest;
                let client = Client::new(&endpoint, QUESTION_TIMEOUT);
                let observed = probe::observe(&client, Scope::Like(manifest)).await?;
                let differences = unlike(manifest, observed.in_place_of(manifest));
                match differences.is_empty() {
                    true => Ok(((), String::new())),
                    false => Err(NodeError::Differs {
                        what: "the new version does not have what the old one had",
                        differences,
                    }),
                }
            })
            .await
    }

    /// The image of before on the data of before.
    async fn put_back(&self) -> Result<(), NodeError> {
        let stopped = self.engine.stop().await?;
        tracing::warn!(exit_code = ?stopped.exit_code, "upgrade: the new version is stopped");
        self.engine.finish_stop().await?;
        self.node.use_image(None)?;
        restore_claimed(self.node, None, None, Some(&self.made.id), self.watch).await?;
        let mut steps = Steps::new(self.node, &self.made.id, self.watch);
        let start = async { Ok((self.engine.start().await?, String::new())) };
        steps.bring_back(Step::Start, start).await.map(drop)
    }
}

/// A newer version may tell more of a configuration than the older one did, so that only its content is compared.
fn unlike(manifest: &Manifest, mut found: Manifest) -> Vec<Difference> {
    for (name, facts) in &mut found.collections {
        if let Some(expected) = manifest.collections.get(name) {
            facts.config_hash.clone_from(&expected.config_hash);
        }
    }
    compare(manifest, &found)
}
