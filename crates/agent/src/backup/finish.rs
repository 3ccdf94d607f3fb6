//! What takes time and comes after the service is back: settle, observe, verify.

use std::sync::Arc;

use jiff::Timestamp;
use qmoor_plan::backup::Event;
use qmoor_plan::manifest::{self, EngineInfo, Manifest};

use super::point::{Made, Tools};
use super::{BackupRequest, QUESTION_TIMEOUT};
use crate::drill::scratch;
use crate::error::NodeError;
use crate::probe::{self, Client, Facts, Scope};
use crate::restore::remove;

const BROKE_OFF: NodeError = NodeError::BrokeOff { doing: "a backup" };

/// Waits until the store has everything.
pub(super) async fn settle(tools: &Tools<'_>, made: &Made) -> Result<String, NodeError> {
    let store = Arc::clone(made.store.as_ref().ok_or(BROKE_OFF)?);
    tools.node.blocking("settling the store", move |_| Ok(store.settle()?)).await?;
    Ok(String::new())
}

/// Asks an engine on a copy of the snapshot for the facts of the manifest. Where nobody holds the writes they cannot be
/// asked of the running engine: they would be those of another moment.
pub(super) async fn observe(tools: &Tools<'_>, made: &mut Made) -> Result<String, NodeError> {
    let node = tools.node;
    let (store, id) = (Arc::clone(made.store.as_ref().ok_or(BROKE_OFF)?), made.labels.id.clone());
    let into = scratch(node).join(format!("observe-{id}"));
    remove(node, into.clone()).await;
    let target = into.clone();
    let facts = async {
        let restored = node.blocking("restoring into scratch", move |node| {
            let io = |source| NodeError::Io { doing: "making a folder", source };
            fs_err::create_dir_all(scratch(node)).map_err(io)?;
            Ok(store.restore(&store.find(&id)?, &target)?)
        });
        let engine = node.engine_on(restored.await?.data, "observe-engine.log");
        let endpoint = engine.start().await?;
        let config = &node.config().backup;
        let scope = Scope::First { points: config.sample_points, queries: config.golden_queries };
        let observed = probe::observe(&Client::new(&endpoint, QUESTION_TIMEOUT), scope).await;
        engine.stop().await?;
        Ok::<Facts, NodeError>(observed?)
    };
    let facts = facts.await;
    remove(node, into).await;
    let facts = facts?;
    let note = format!("{} collections", facts.collections.len());
    made.facts = Some(facts);
    Ok(note)
}

/// The snapshot is read back before the manifest makes it count, and the manifest after it is written.
pub(super) async fn verify(tools: &Tools<'_>, made: &Made) -> Result<String, NodeError> {
    let manifest = manifest(tools, made)?;
    let store = Arc::clone(made.store.as_ref().ok_or(BROKE_OFF)?);
    let taken = made.taken.clone().ok_or(BROKE_OFF)?;
    let labels = made.labels.clone();
    tools
        .node
        .blocking("reading the backup back", move |_| {
            store.verify(&store.find(&labels.id)?, Some(&taken), false)?;
            let unreadable =
                |message: String| NodeError::Manifest { id: labels.id.clone(), message };
            let bytes = serde_json::to_vec(&manifest).map_err(|err| unreadable(err.to_string()))?;
            store.write_manifest(&labels, &bytes, manifest.created_at)?;
            match store.manifest(&store.find(&labels.id)?)? == Some(bytes) {
                true => Ok(()),
                false => Err(unreadable("it reads back otherwise than it was written".to_owned())),
            }
        })
        .await?;
    let id = made.labels.id.clone();
    tools.node.record(&id, Event::Verified { id: id.clone() }).await?;
    Ok(String::new())
}

/// What the snapshot must contain, and how it was made.
pub(super) fn manifest(tools: &Tools<'_>, made: &Made) -> Result<Manifest, NodeError> {
    let taken = made.taken.as_ref().ok_or(BROKE_OFF)?;
    Ok(Manifest {
        created_at: made.at.ok_or(BROKE_OFF)?,
        grade: made.grade(tools.course),
        bytes_total: taken.bytes_total,
        bytes_added: taken.bytes_added,
        snapshot: taken.snapshot.clone(),
        ..before_the_cut(tools, made)?
    })
}

/// The manifest as far as it is known before the cut, for a store that wants it inside the snapshot.
pub(super) fn draft(tools: &Tools<'_>, made: &Made) -> Result<Vec<u8>, NodeError> {
    let unwritable = |error: serde_json::Error| NodeError::Manifest {
        id: made.labels.id.clone(),
        message: error.to_string(),
    };
    serde_json::to_vec(&before_the_cut(tools, made)?).map_err(unwritable)
}

fn before_the_cut(tools: &Tools<'_>, made: &Made) -> Result<Manifest, NodeError> {
    let BackupRequest { batch_id, labels, .. } = tools.request;
    let facts = made.facts.as_ref().ok_or(BROKE_OFF)?;
    let engine = &tools.node.config().engine;
    Ok(Manifest {
        version: manifest::VERSION,
        id: made.labels.id.clone(),
        batch_id: batch_id.clone(),
        labels: labels.clone(),
        created_at: Timestamp::now(),
        grade: tools.course.grade(),
        engine: EngineInfo {
            kind: engine.kind.as_str().to_owned(),
            version: facts.version.clone(),
            image: tools.node.image(),
            exit_code: made.exit_code(),
        },
        collections: facts.collections.clone(),
        aliases: facts.aliases.clone(),
        phases: made.phases.clone(),
        pause_ms: made.pause_ms,
        bytes_total: 0,
        bytes_added: 0,
        snapshot: String::new(),
    })
}
