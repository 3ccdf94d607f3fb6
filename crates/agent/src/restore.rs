//! Putting a backup in the place of the data: into a new folder, checked there by an engine, then swapped.
//!
//! The data that was there is moved aside and kept. Until the swap the node is untouched; a swap that a
//! crash cut short is finished at the next start, since the journal says so before the first rename.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use qmoor_plan::backup::{Event, Step};
use qmoor_plan::config::{Config, StoreKind, VolumeKind};
use qmoor_plan::manifest::{Grade, Manifest, compare};
use serde::{Deserialize, Serialize};

use crate::backup::steps::{Steps, millis};
use crate::catalogue;
use crate::durable;
use crate::engine::EngineProcess;
use crate::error::NodeError;
use crate::gate::{Gate, Hold};
use crate::node::{NodeContext, Progress, Watch};
use crate::probe::{self, Client, Scope};
use crate::store::{self, Entry};
use crate::volume;

/// How long the restored engine may take over one question.
pub(crate) const QUESTION_TIMEOUT: Duration = Duration::from_secs(60);
/// What is left free on the disk, in bytes.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// What a restore would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// The backup.
    pub id: String,
    /// When its point was fixed.
    pub at: Timestamp,
    /// How its point was made.
    pub grade: Grade,
    /// When it was last proved.
    pub verified: Option<Timestamp>,
    /// Points of all collections.
    pub points: u64,
    /// Bytes to be written.
    pub bytes: u64,
    /// Bytes that are free there.
    pub bytes_free: u64,
    /// Where the data will be.
    pub data: PathBuf,
    /// Where the data that is there now will be kept, a folder or the id of a volume; nothing if there is none.
    pub old_data: Option<PathBuf>,
    /// Why it cannot be done; empty if it can.
    pub refusals: Vec<String>,
    #[serde(skip)]
    incoming: PathBuf,
    #[serde(skip)]
    aside: PathBuf,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreReport {
    /// The backup.
    pub id: String,
    /// Points of all collections.
    pub points: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Where the data that was there is kept, a folder or the id of a volume. Nothing removes it but the operator.
    pub old_data: Option<PathBuf>,
    /// How long all of it took.
    pub total_ms: f64,
    /// How long the node did not serve.
    pub pause_ms: f64,
}

/// Says what a restore of the backup `id`, or of the newest complete one, would do.
pub async fn plan_restore(node: &NodeContext, id: Option<&str>) -> Result<RestorePlan, NodeError> {
    let (entry, manifest) = catalogue::find(node, id).await?;
    node.blocking("planning a restore", move |node| plan_of(node, &entry, &manifest)).await
}

/// Restores the backup `id`, or the newest complete one. `engine` and `gate` are those of a running agent;
/// without them only the data is put in its place.
///
/// Must not be cancelled: run it in a task of its own.
///
/// # Errors
/// The node is then as it was before, and serves if it served.
pub async fn restore(
    node: &NodeContext,
    engine: Option<&EngineProcess>,
    gate: Option<&Gate>,
    id: Option<&str>,
    watch: Watch<'_>,
) -> Result<RestoreReport, NodeError> {
    let _claim = node.claim("restore")?;
    restore_claimed(node, engine, gate, id, watch).await
}

/// As [`restore`], by whoever holds the claim already.
pub(crate) async fn restore_claimed(
    node: &NodeContext,
    engine: Option<&EngineProcess>,
    gate: Option<&Gate>,
    id: Option<&str>,
    watch: Watch<'_>,
) -> Result<RestoreReport, NodeError> {
    let begun = Instant::now();
    let (entry, manifest) = catalogue::find(node, id).await?;
    let (planned_entry, planned_manifest) = (entry.clone(), manifest.clone());
    let plan = node
        .blocking("planning a restore", move |node| {
            plan_of(node, &planned_entry, &planned_manifest)
        })
        .await?;
    if !plan.refusals.is_empty() {
        return Err(NodeError::Refused { id: plan.id, why: plan.refusals.join("; ") });
    }
    let begin = Event::RestoreBegin {
        id: plan.id.clone(),
        incoming: plan.incoming.clone(),
        data: plan.data.clone(),
        aside: plan.aside.clone(),
    };
    node.record(&plan.id, begin).await?;
    tracing::info!(id = plan.id, "restore: begun");
    // What a restore that was cut off before may have left, under the name that is ours.
    remove(node, plan.incoming.clone()).await;
    let run = Run { node, engine, gate, plan: &plan, watch };
    match run.all(entry, &manifest).await {
        Ok(pause_ms) => {
            let total_ms = millis(begun);
            tracing::info!(id = plan.id, total_ms, pause_ms, "restore: done");
            let RestorePlan { id, points, bytes, old_data, .. } = plan;
            Ok(RestoreReport { id, points, bytes, old_data, total_ms, pause_ms })
        }
        Err(error) => {
            tracing::error!(id = plan.id, %error, "restore: failed");
            remove(node, plan.incoming.clone()).await;
            let failed = Event::RestoreFailed { id: plan.id.clone(), error: error.to_string() };
            node.try_record(&plan.id, failed).await;
            Err(error)
        }
    }
}

/// Starts an engine on `data` and holds what it answers against the manifest. The engine is stopped again.
pub(crate) async fn check_with_engine(
    engine: &EngineProcess,
    manifest: &Manifest,
) -> Result<Checked, NodeError> {
    let endpoint = engine.start().await?;
    let up = Instant::now();
    let client = Client::new(&endpoint, QUESTION_TIMEOUT);
    let observed = probe::observe(&client, Scope::Like(manifest)).await;
    let stopped = engine.stop().await;
    let found = observed?.in_place_of(manifest);
    let clean = stopped?.clean;
    Ok(Checked { up, clean, differences: compare(manifest, &found) })
}

/// What a look through an engine showed.
pub(crate) struct Checked {
    /// When the engine was ready.
    pub(crate) up: Instant,
    /// Whether it ended by itself.
    pub(crate) clean: bool,
    /// What is not as the manifest says.
    pub(crate) differences: Vec<qmoor_plan::manifest::Difference>,
}

/// Puts the restored data in its place: another volume, or two renames, or what is left of them. May be called again
/// after a crash.
pub(crate) fn swap(
    config: &Config,
    incoming: &Path,
    data: &Path,
    aside: &Path,
) -> Result<(), NodeError> {
    match config.volume.kind {
        VolumeKind::Ebs => Ok(volume::ebs::swap(config, incoming)?),
        VolumeKind::Directory | VolumeKind::Image => swap_folders(incoming, data, aside),
    }
}

fn swap_folders(incoming: &Path, data: &Path, aside: &Path) -> Result<(), NodeError> {
    if !incoming.exists() {
        return Ok(());
    }
    if data.exists() && !aside.exists() {
        rename(data, aside)?;
    }
    rename(incoming, data).inspect_err(|_| {
        if !data.exists() && aside.exists() && rename(aside, data).is_err() {
            tracing::error!(kept = %aside.display(), "restore: the old data is still aside");
        }
    })?;
    let parent = data.parent().unwrap_or(Path::new("/"));
    durable::sync_dir(parent)
        .map_err(|source| NodeError::Io { doing: "syncing the swapped folders", source })
}

/// Removes what was restored and is not needed any more; what is not there is fine.
pub(crate) async fn remove(node: &NodeContext, path: PathBuf) {
    let shown = path.display().to_string();
    let removed = node
        .blocking("removing what was restored", move |node| match node.config().store.kind {
            StoreKind::Ebs => Ok(node.store()?.forget(&path)?),
            // Without opening the store, which need not be there for this.
            StoreKind::Restic | StoreKind::Clone => Ok(store::remove_folder(&path)?),
        })
        .await;
    if let Err(error) = removed {
        tracing::warn!(path = shown, %error, "a folder that is not needed any more is still there");
    }
}

struct Run<'a> {
    node: &'a NodeContext,
    engine: Option<&'a EngineProcess>,
    gate: Option<&'a Gate>,
    plan: &'a RestorePlan,
    watch: Watch<'a>,
}

impl Run<'_> {
    async fn all(&self, entry: Entry, manifest: &Manifest) -> Result<f64, NodeError> {
        let data = self.fetch(entry).await?;
        self.check(data, manifest).await?;
        let begun = Instant::now();
        let hold = self.hold().await?;
        let swapped = self.stop_and_swap().await;
        if let Some(engine) = self.engine {
            let mut steps = self.steps();
            let start = async { Ok((engine.start().await?, String::new())) };
            if let Err(error) = steps.bring_back(Step::Start, start).await {
                tracing::error!(%error, "restore: the engine did not start; its supervisor goes on trying");
            }
        }
        if let Some(hold) = hold {
            let mut steps = self.steps();
            let release = async {
                hold.release();
                Ok(((), String::new()))
            };
            steps.bring_back(Step::Release, release).await?;
        }
        swapped?;
        let pause = millis(begun);
        let tidied = self.node.blocking("tidying up", |node| Ok(node.store()?.swapped()?)).await;
        if let Err(error) = tidied {
            tracing::warn!(%error, "restore: what is left to tidy up is left to the next backup");
        }
        Ok(pause)
    }

    fn steps(&self) -> Steps<'_> {
        Steps::new(self.node, &self.plan.id, self.watch)
    }

    async fn fetch(&self, entry: Entry) -> Result<PathBuf, NodeError> {
        let begun = Instant::now();
        self.say("restore", None, &format!("into {}", self.plan.incoming.display()));
        let incoming = self.plan.incoming.clone();
        let restored = self
            .node
            .blocking("restoring", move |node| {
                if let Some(parent) = incoming.parent() {
                    fs_err::create_dir_all(parent)
                        .map_err(|source| NodeError::Io { doing: "making a folder", source })?;
                }
                Ok(node.store()?.restore(&entry, &incoming)?)
            })
            .await?;
        self.say("restore", Some(millis(begun)), "");
        Ok(restored.data)
    }

    async fn check(&self, data: PathBuf, manifest: &Manifest) -> Result<(), NodeError> {
        let begun = Instant::now();
        self.say("verify", None, "an engine opens it and is held against the manifest");
        let engine = self.node.engine_on(data, "restore-engine.log");
        let checked = check_with_engine(&engine, manifest).await?;
        if !checked.differences.is_empty() {
            let what = "the restored data is not what the manifest says";
            return Err(NodeError::Differs { what, differences: checked.differences });
        }
        self.say("verify", Some(millis(begun)), "");
        Ok(())
    }

    async fn hold(&self) -> Result<Option<Hold>, NodeError> {
        let Some(gate) = self.gate else { return Ok(None) };
        let config = self.node.config();
        let lease = hold_lease(config);
        let mut steps = self.steps();
        let hold = steps
            .take(Step::HoldAll, async move {
                let hold = gate.hold_writes(lease).await;
                hold.hold_all();
                Ok((hold, String::new()))
            })
            .await?;
        // The data they talk to is about to be set aside: those that do not end are cut off by the stop.
        if let Err(late) = hold.drain(config.gateway.drain_timeout).await {
            tracing::warn!(%late, "restore: requests in flight are cut off");
        }
        Ok(Some(hold))
    }

    /// The old data is kept, so a stop that was not clean does not hinder.
    async fn stop_and_swap(&self) -> Result<(), NodeError> {
        if let Some(engine) = self.engine {
            let mut steps = self.steps();
            steps
                .take(Step::Stop, async {
                    let report = engine.stop().await?;
                    Ok(((), format!("clean: {}", report.clean)))
                })
                .await?;
        }
        let RestorePlan { id, incoming, data, aside, old_data, .. } = self.plan.clone();
        let announced = incoming.clone();
        self.node
            .blocking("announcing the swap", move |node| {
                Ok(volume::ebs::announce_swap(node.config(), &announced)?)
            })
            .await?;
        self.node.record(&id, Event::RestoreSwap { id: id.clone() }).await?;
        self.node
            .blocking("swapping", move |node| swap(node.config(), &incoming, &data, &aside))
            .await?;
        self.node.reopen_store();
        self.node.record(&id, Event::Restored { id: id.clone(), old_data }).await
    }

    fn say(&self, step: &str, ms: Option<f64>, note: &str) {
        (self.watch)(Progress { step: step.to_owned(), ms, note: note.to_owned() });
    }
}

fn plan_of(
    node: &NodeContext,
    entry: &Entry,
    manifest: &Manifest,
) -> Result<RestorePlan, NodeError> {
    let data = node.config().node.data.clone();
    let beside = |what: &str| {
        let mut name = data.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{what}"));
        data.with_file_name(name)
    };
    if let Some(spec) = volume::ebs::EbsSpec::of(node.config())? {
        return plan_of_volume(node, entry, manifest, &spec);
    }
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    // Two restores may begin within one second, and what the first one has kept must not stand in the way.
    let aside = (1..)
        .map(|number| match number {
            1 => beside(&format!("old-{now}")),
            number => beside(&format!("old-{now}-{number}")),
        })
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| beside(&format!("old-{now}")));
    let bytes = entry.bytes_total;
    let bytes_free = free_near(&data)?;
    let mut refusals = Vec::new();
    if bytes_free < bytes.saturating_add(SPARE_BYTES) {
        refusals.push(format!(
            "{} needs {bytes} bytes and has {bytes_free} free (hint: remove an older `{}.old-*`)",
            data.display(),
            data.display()
        ));
    }
    if let Some(why) = volume::trouble(node.config()) {
        refusals.push(why);
    }
    if is_mount_point(&data) {
        refusals.push(format!("{} is a mount point and cannot be swapped", data.display()));
    }
    Ok(RestorePlan {
        id: entry.id.clone(),
        at: entry.at,
        grade: manifest.grade,
        verified: node.state().verified.get(&entry.id).copied(),
        points: manifest.collections.values().map(|facts| facts.points).sum(),
        bytes,
        bytes_free,
        old_data: data.exists().then(|| aside.clone()),
        incoming: beside(&format!("restore-{}", entry.id)),
        aside,
        data,
        refusals,
    })
}

/// The data comes on a volume of its own, so there need be no room for it on the one in use.
fn plan_of_volume(
    node: &NodeContext,
    entry: &Entry,
    manifest: &Manifest,
    spec: &volume::ebs::EbsSpec,
) -> Result<RestorePlan, NodeError> {
    let config = node.config();
    Ok(RestorePlan {
        id: entry.id.clone(),
        at: entry.at,
        grade: manifest.grade,
        verified: node.state().verified.get(&entry.id).copied(),
        points: manifest.collections.values().map(|facts| facts.points).sum(),
        bytes: entry.bytes_total,
        bytes_free: free_near(&config.node.data)?,
        old_data: Some(PathBuf::from(&spec.id)),
        incoming: config.node.state.join(format!("restore-{}", entry.id)),
        aside: PathBuf::from(&spec.id),
        data: config.node.data.clone(),
        refusals: volume::trouble(config).into_iter().collect(),
    })
}

/// All deadlines of a stop and a start together.
pub(crate) fn hold_lease(config: &Config) -> Duration {
    let engine = config.engine.stop_timeout + config.engine.start_timeout;
    config.gateway.drain_timeout + engine + QUESTION_TIMEOUT
}

/// Free bytes where `path` is or will be.
pub(crate) fn free_near(path: &Path) -> Result<u64, NodeError> {
    let there = path.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    durable::free_bytes(there)
        .map_err(|source| NodeError::Io { doing: "looking for free space", source })
}

fn is_mount_point(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| path.metadata().ok().map(|meta| meta.dev());
    match (device(path), path.parent().and_then(device)) {
        (Some(own), Some(above)) => own != above,
        (_, _) => false,
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), NodeError> {
    std::fs::rename(from, to).map_err(|source| NodeError::Move {
        from: from.to_owned(),
        to: to.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("is"), name).unwrap();
        }
        dir
    }

    fn swapped(dir: &tempfile::TempDir) -> (Option<String>, Option<String>) {
        let at = |name: &str| dir.path().join(name);
        swap_folders(&at("new"), &at("data"), &at("old")).unwrap();
        swap_folders(&at("new"), &at("data"), &at("old")).unwrap();
        let is = |name: &str| std::fs::read_to_string(at(name).join("is")).ok();
        (is("data"), is("old"))
    }

    #[test]
    fn a_swap_comes_to_the_same_end_from_wherever_it_was_cut() {
        let new_and_old = (Some("new".to_owned()), Some("data".to_owned()));
        assert_eq!(swapped(&folders(&["new", "data"])), new_and_old);

        let cut_between = folders(&["new", "data"]);
        std::fs::rename(cut_between.path().join("data"), cut_between.path().join("old")).unwrap();
        assert_eq!(swapped(&cut_between), new_and_old);

        assert_eq!(swapped(&folders(&["new"])), (Some("new".to_owned()), None));
    }
}
