//! What backups there are, and what is known about each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qmoor_plan::backup::{Event, State};
use qmoor_plan::manifest::{Grade, Manifest};
use serde::{Deserialize, Serialize};

use crate::error::NodeError;
use crate::node::NodeContext;
use crate::store::{Entry, StoreError};

/// One backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// Its id.
    pub id: String,
    /// When the point was fixed.
    pub at: Timestamp,
    /// Whether it has its manifest; without one it is not to be restored.
    pub complete: bool,
    /// Why its manifest, which is there, cannot be read; it cannot be restored by us then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Whether it is being made at this moment.
    pub in_progress: bool,
    /// How the point was made; not known of an incomplete one.
    pub grade: Option<Grade>,
    /// The indexing run it was made for.
    pub batch_id: Option<String>,
    /// The user's own.
    pub labels: BTreeMap<String, String>,
    /// Points of each collection.
    pub collections: BTreeMap<String, u64>,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// What the store grew by.
    pub bytes_added: u64,
    /// From the hold of the writes to the release.
    pub pause_ms: f64,
    /// When it was last proved, by reading it back or by a drill.
    pub verified: Option<Timestamp>,
    /// When it was last restored in a drill, and how that went.
    pub drilled: Option<DrillInfo>,
    /// Whether the operator keeps it whatever the rules say.
    pub pinned: bool,
    /// Until when the store refuses to remove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Timestamp>,
    /// The store's own id, for plain `restic`.
    pub snapshot: String,
}

/// The last drill of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillInfo {
    /// When.
    pub at: Timestamp,
    /// Whether everything was as the manifest says.
    pub ok: bool,
    /// From the start of the restore to the first answer.
    pub rto_ms: f64,
}

/// All backups, oldest first.
pub async fn list(node: &NodeContext) -> Result<Vec<BackupInfo>, NodeError> {
    node.blocking("listing the backups", |node| {
        let store = node.store()?;
        let entries = store.list()?;
        let mut manifests = store.manifests(&entries)?;
        let state = node.state();
        Ok(entries
            .into_iter()
            .map(|entry| {
                let manifest = manifests.remove(&entry.id).map(|read| {
                    read.map_err(NodeError::from).and_then(|bytes| parsed(&entry, &bytes))
                });
                let (manifest, failure) = match manifest {
                    None => (None, None),
                    Some(Ok(manifest)) => (Some(manifest), None),
                    Some(Err(error)) => (None, Some(error)),
                };
                // It has one, which whoever asks for this backup gets.
                let inside =
                    matches!(failure, Some(NodeError::Store(StoreError::ManifestInside { .. })));
                let info = info(entry, manifest.as_ref(), &state);
                let trouble = failure.map(|error| error.to_string());
                BackupInfo { trouble, complete: info.complete || inside, ..info }
            })
            .collect())
    })
    .await
}

/// The backup called `id`, or the newest complete one.
pub async fn find(node: &NodeContext, id: Option<&str>) -> Result<(Entry, Manifest), NodeError> {
    let id = id.map(str::to_owned);
    node.blocking("looking for a backup", move |node| {
        let store = node.store()?;
        let entry = match &id {
            Some(id) => store.find(id)?,
            None => {
                let newest = store.list()?.into_iter().rev().find(|entry| entry.manifest.is_some());
                newest.ok_or_else(|| NodeError::Refused {
                    id: "latest".to_owned(),
                    why: "there is no complete backup (hint: `qmoor backup` makes one)".to_owned(),
                })?
            }
        };
        match store.manifest(&entry)? {
            Some(bytes) => {
                let manifest = parsed(&entry, &bytes)?;
                Ok((entry, manifest))
            }
            None => Err(NodeError::Refused {
                id: entry.id,
                why: "it is incomplete: it has no manifest".to_owned(),
            }),
        }
    })
    .await
}

/// Pins a backup, or takes its pin away.
pub async fn set_pinned(node: &NodeContext, id: &str, pinned: bool) -> Result<(), NodeError> {
    match pinned {
        true => pin(node, id).await,
        false => unpin(node, id).await,
    }
}

/// Keeps a backup whatever the retention rules say.
pub async fn pin(node: &NodeContext, id: &str) -> Result<(), NodeError> {
    exists(node, id).await?;
    note_pin(node, id, true).await?;
    node.record(id, Event::Pinned { id: id.to_owned() }).await
}

/// Leaves a backup to the retention rules again.
pub async fn unpin(node: &NodeContext, id: &str) -> Result<(), NodeError> {
    exists(node, id).await?;
    // The note last: what is cut short leaves it pinned.
    node.record(id, Event::Unpinned { id: id.to_owned() }).await?;
    note_pin(node, id, false).await
}

async fn note_pin(node: &NodeContext, id: &str, pinned: bool) -> Result<(), NodeError> {
    let id = id.to_owned();
    node.blocking("noting a pin", move |node| Ok(node.store()?.pin(&id, pinned)?)).await
}

async fn exists(node: &NodeContext, id: &str) -> Result<(), NodeError> {
    let id = id.to_owned();
    node.blocking("looking for a backup", move |node| Ok(node.store()?.find(&id).map(drop)?)).await
}

fn parsed(entry: &Entry, bytes: &[u8]) -> Result<Manifest, NodeError> {
    serde_json::from_slice(bytes)
        .map_err(|err| NodeError::Manifest { id: entry.id.clone(), message: err.to_string() })
}

fn info(entry: Entry, manifest: Option<&Manifest>, state: &State) -> BackupInfo {
    let points = |manifest: &Manifest| {
        manifest.collections.iter().map(|(name, facts)| (name.clone(), facts.points)).collect()
    };
    BackupInfo {
        at: entry.at,
        complete: manifest.is_some(),
        trouble: None,
        in_progress: state.current.as_ref().is_some_and(|current| current.id == entry.id),
        grade: manifest.map(|manifest| manifest.grade),
        batch_id: manifest.and_then(|manifest| manifest.batch_id.clone()),
        labels: manifest.map(|manifest| manifest.labels.clone()).unwrap_or_default(),
        collections: manifest.map(points).unwrap_or_default(),
        bytes_total: entry.bytes_total,
        bytes_added: manifest.map_or(0, |manifest| manifest.bytes_added),
        pause_ms: manifest.map_or(0.0, |manifest| manifest.pause_ms),
        verified: state.verified.get(&entry.id).copied(),
        drilled: state.drilled.get(&entry.id).map(|drill| DrillInfo {
            at: drill.at,
            ok: drill.ok,
            rto_ms: drill.rto_ms,
        }),
        pinned: entry.pinned || state.pinned.contains(&entry.id),
        locked_until: entry.locked_until,
        snapshot: entry.snapshot,
        id: entry.id,
    }
}
