//! After a crash: the service first, then what was left half-made.

use qmoor_plan::backup::{Event, RecoveryAction, Step, recovery};
use qmoor_plan::config::VolumeKind;

use crate::backup::abandon;
use crate::drill::scratch;
use crate::error::NodeError;
use crate::node::NodeContext;
use crate::restore::{remove, swap};

/// Finishes a swap that a crash cut short. To be called before the engine is started, which must not open
/// the old data or none.
///
/// # Errors
/// When the folders cannot be moved; the engine must not be started then.
pub async fn before_engine(node: &NodeContext) -> Result<(), NodeError> {
    for action in recovery(&node.state()) {
        match action {
            RecoveryAction::FinishSwap { id, incoming, data, aside } => {
                tracing::warn!(id, "recovery: finishing the swap of a restore");
                let old_data = aside.clone();
                node.blocking("swapping", move |node| {
                    swap(node.config(), &incoming, &data, &aside)
                })
                .await?;
                node.reopen_store();
                let is_kept = node.config().volume.kind == VolumeKind::Ebs || old_data.exists();
                let old_data = is_kept.then_some(old_data);
                node.record(&id, Event::Restored { id: id.clone(), old_data }).await?;
            }
            // What was frozen is thawed before the journal is read: whoever looks at the data waits till then.
            RecoveryAction::Thaw
            | RecoveryAction::StartEngine
            | RecoveryAction::ReleaseGate
            | RecoveryAction::UndoRestore { .. }
            | RecoveryAction::AbandonBackup(_)
            | RecoveryAction::FinishPrune(_) => {}
        }
    }
    Ok(())
}

/// Cleans up once the engine runs and the gate is open: closes what was open in the journal, and removes what
/// a backup, a restore or a drill left behind. Troubles are logged; the node serves all the same.
pub async fn after_engine(node: &NodeContext) {
    for action in recovery(&node.state()) {
        match action {
            RecoveryAction::FinishSwap { .. } => {}
            RecoveryAction::Thaw => done(node, Step::Thaw).await,
            RecoveryAction::StartEngine => done(node, Step::Start).await,
            RecoveryAction::ReleaseGate => done(node, Step::Release).await,
            RecoveryAction::UndoRestore { id, incoming } => {
                tracing::warn!(id, "recovery: undoing a restore that had not come to its swap");
                remove(node, incoming).await;
                let error = "the agent ended before the swap".to_owned();
                node.try_record(&id, Event::RestoreFailed { id: id.clone(), error }).await;
            }
            RecoveryAction::AbandonBackup(id) => {
                tracing::warn!(id, "recovery: giving up a backup that had not come to its end");
                abandon(node, &id).await;
            }
            RecoveryAction::FinishPrune(id) => {
                tracing::warn!(id, "recovery: finishing the removal of a backup");
                finish_prune(node, id).await;
            }
        }
    }
    clear_scratch(node).await;
}

/// What cannot be removed now stays open in the journal, and is tried again at the next start.
async fn finish_prune(node: &NodeContext, id: String) {
    let left = id.clone();
    let removed = node
        .blocking("finishing the removal of a backup", move |node| {
            Ok(node.store()?.remove(&[left])?)
        })
        .await;
    match removed {
        Ok(()) => node.try_record(&id, Event::Pruned { id: id.clone() }).await,
        Err(error) => tracing::warn!(id, %error, "recovery: the backup could not be removed"),
    }
}

/// What is in there may be a mounted volume.
async fn clear_scratch(node: &NodeContext) {
    let dir = scratch(node);
    let found = fs_err::read_dir(&dir).into_iter().flatten().flatten();
    for left in found.map(|left| left.path()).collect::<Vec<_>>() {
        remove(node, left).await;
    }
    // Unless something is in it still, which was said.
    fs_err::remove_dir(&dir).ok();
}

async fn done(node: &NodeContext, step: Step) {
    let note = "at the start of the agent".to_owned();
    node.try_record("", Event::Done { step, note }).await;
}
