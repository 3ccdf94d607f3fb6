//! Taking out the backups that no rule keeps.

use qmoor_plan::backup::Event;
use qmoor_plan::retention::{Candidate, Decision, plan};
use serde::{Deserialize, Serialize};

use crate::catalogue;
use crate::error::NodeError;
use crate::node::NodeContext;

/// What was taken out, or would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PruneReport {
    /// Whether it was only a look.
    pub dry_run: bool,
    /// Every backup, newest first, with the reasons to keep it or to let it go.
    pub decisions: Vec<Decision>,
    /// The ids of those that are gone now.
    pub removed: Vec<String>,
    /// Bytes that the store gave back.
    pub bytes_freed: u64,
}

/// Removes what no rule keeps; with `dry_run` only says what that would be.
pub async fn prune(node: &NodeContext, dry_run: bool) -> Result<PruneReport, NodeError> {
    let _claim = node.claim("prune")?;
    prune_claimed(node, dry_run).await
}

/// As [`prune`], by whoever holds the claim already.
pub(crate) async fn prune_claimed(
    node: &NodeContext,
    dry_run: bool,
) -> Result<PruneReport, NodeError> {
    let candidates: Vec<Candidate> = catalogue::list(node)
        .await?
        .into_iter()
        .map(|backup| Candidate {
            at: backup.at,
            id: backup.id,
            pinned: backup.pinned || backup.locked_until.is_some(),
            verified: backup.verified.is_some(),
            // One whose manifest cannot be read is not thrown away as a half-made one: it may be the disk.
            complete: backup.complete || backup.trouble.is_some(),
            in_progress: backup.in_progress,
        })
        .collect();
    let decisions = plan(&node.config().retention, &candidates);
    let gone: Vec<String> = decisions
        .iter()
        .filter(|decision| !decision.keep)
        .map(|decision| decision.id.clone())
        .collect();
    if dry_run || gone.is_empty() {
        return Ok(PruneReport { dry_run, decisions, removed: Vec::new(), bytes_freed: 0 });
    }
    // A removal takes more than one file: a start after a crash finishes what has begun here.
    for id in &gone {
        node.record(id, Event::PruneBegin { id: id.clone() }).await?;
    }
    let ids = gone.clone();
    let bytes_freed = node
        .blocking("removing backups", move |node| {
            let store = node.store()?;
            store.remove(&ids)?;
            Ok(store.reclaim()?)
        })
        .await?;
    for id in &gone {
        node.record(id, Event::Pruned { id: id.clone() }).await?;
        tracing::info!(id, "backup: pruned");
    }
    Ok(PruneReport { dry_run, decisions, removed: gone, bytes_freed })
}
