//! Proving that a backup restores: into scratch, opened by an engine, held against the manifest, thrown away.

use std::path::PathBuf;
use std::time::Instant;

use qmoor_plan::backup::Event;
use qmoor_plan::manifest::Difference;
use serde::{Deserialize, Serialize};

use crate::backup::steps::millis;
use crate::catalogue;
use crate::error::NodeError;
use crate::node::{NodeContext, Progress, Watch};
use crate::restore::{check_with_engine, free_near, remove};
use crate::store::{Entry, Restored, StoreError};
use crate::volume::VolumeError;

/// What a drill showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The backup.
    pub id: String,
    /// Whether everything was as the manifest says.
    pub ok: bool,
    /// From the start of the restore until the engine answered.
    pub rto_ms: f64,
    /// How long all of it took, with the comparison.
    pub total_ms: f64,
    /// Points that were there.
    pub points: u64,
    /// What was not as the manifest says.
    pub differences: Vec<Difference>,
}

/// Drills the backup `id`, or the newest complete one. The node goes on serving.
///
/// A backup that cannot be restored is a report with `ok` false, and is recorded.
///
/// # Errors
/// When nothing was proved either way: no such backup, no room for scratch.
pub async fn drill(
    node: &NodeContext,
    id: Option<&str>,
    watch: Watch<'_>,
) -> Result<DrillReport, NodeError> {
    let _claim = node.claim("drill")?;
    let (entry, manifest) = catalogue::find(node, id).await?;
    let scratch = scratch(node).join(format!("drill-{}", entry.id));
    remove(node, scratch.clone()).await;
    let say = |step: &str, note: &str| {
        watch(Progress { step: step.to_owned(), ms: None, note: note.to_owned() });
    };
    let begun = Instant::now();
    say("restore", &format!("into {}", scratch.display()));
    let id = entry.id.clone();
    let checked = match into_scratch(node, entry, scratch.clone()).await {
        Ok(restored) => {
            say("verify", "an engine opens it and is held against the manifest");
            let engine = node.engine_on(restored.data, "drill-engine.log");
            check_with_engine(&engine, &manifest).await
        }
        Err(error) => Err(error),
    };
    let (rto_ms, differences) = match checked {
        Ok(checked) => {
            let rto = checked.up.duration_since(begun).as_secs_f64() * 1000.0;
            let mut differences = checked.differences;
            if !checked.clean {
                differences.push(difference("the engine's stop", "exit code 0", "another end"));
            }
            (rto, differences)
        }
        Err(error) if proves_nothing(&error) => {
            remove(node, scratch).await;
            return Err(error);
        }
        Err(error) => {
            (0.0, vec![difference("the restore", "a running engine", &error.to_string())])
        }
    };
    remove(node, scratch).await;
    // The folder of scratches goes too, unless something else is in it.
    std::fs::remove_dir(self::scratch(node)).ok();
    let report = DrillReport {
        ok: differences.is_empty(),
        rto_ms,
        total_ms: millis(begun),
        points: manifest.collections.values().map(|facts| facts.points).sum(),
        differences,
        id,
    };
    let event = Event::Drilled {
        id: report.id.clone(),
        ok: report.ok,
        rto_ms,
        differences: report.differences.len() as u64,
    };
    node.record(&report.id, event).await?;
    tracing::info!(id = report.id, ok = report.ok, rto_ms, "drill: done");
    Ok(report)
}

async fn into_scratch(
    node: &NodeContext,
    entry: Entry,
    into: PathBuf,
) -> Result<Restored, NodeError> {
    node.blocking("restoring into scratch", move |node| {
        let store = node.store()?;
        let (free, needed) = (free_near(&into)?, store.room_to_restore(&entry));
        if free < needed {
            let why = format!("scratch needs {needed} bytes and {free} are free");
            return Err(NodeError::Refused { id: entry.id, why });
        }
        if let Some(parent) = into.parent() {
            fs_err::create_dir_all(parent)
                .map_err(|source| NodeError::Io { doing: "making a folder", source })?;
        }
        Ok(store.restore(&entry, &into)?)
    })
    .await
}

/// Where drills restore to. Nothing in it outlives a drill.
pub(crate) fn scratch(node: &NodeContext) -> PathBuf {
    node.config().node.dir.join("scratch")
}

/// Whether the failure says nothing about the backup.
fn proves_nothing(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Busy(_)
            | NodeError::Journal(_)
            | NodeError::Io { .. }
            | NodeError::Refused { .. }
            | NodeError::Store(
                StoreError::Io { .. }
                    | StoreError::KeyMissing { .. }
                    | StoreError::WrongKey { .. }
                    | StoreError::Vanished { .. }
                    | StoreError::Unfit { .. }
                    | StoreError::NoImage
                    // AWS that cannot be asked, or is slow, says nothing about a snapshot.
                    | StoreError::Aws(_)
                    | StoreError::VolumeStuck { .. }
                    | StoreError::Volume(
                        VolumeError::Io { .. }
                            | VolumeError::ToolMissing { .. }
                            | VolumeError::NoClone { .. }
                    )
            )
    )
}

fn difference(what: &str, expected: &str, found: &str) -> Difference {
    Difference { what: what.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}
