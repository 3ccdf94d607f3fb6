//! What to do when a backup or a restore did not come to its end: after a failed step, and when the
//! agent starts and finds one open in the journal. The service comes back first.

use std::path::PathBuf;

use super::State;

/// Something to do, in the order given. Each may be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoveryAction {
    /// Take a restore back: remove what is in `incoming`; the data in place was not touched.
    UndoRestore {
        /// Id of the backup that was restored.
        id: String,
        /// What to remove.
        incoming: PathBuf,
    },
    /// Finish the swap of a restore whose data is verified: if `incoming` is still there, move
    /// `data` (if there) to `aside` unless that is there already, then `incoming` to `data`. Comes
    /// before the engine, which must not start on the old data or on none.
    FinishSwap {
        /// Id of the backup that was restored.
        id: String,
        /// The restored, verified data.
        incoming: PathBuf,
        /// Where it goes.
        data: PathBuf,
        /// Where the old data goes.
        aside: PathBuf,
    },
    /// Thaw the file system, unless it is not frozen. Comes before anything touches it.
    Thaw,
    /// Start the engine, unless it runs. Retried for ever.
    StartEngine,
    /// Release the gate, unless it is open.
    ReleaseGate,
    /// Remove what the backup has left in the store (`current` or `abandoned` in the state), and
    /// journal that it finished, not well.
    AbandonBackup(String),
    /// Finish the removal of this backup from the store, and journal that it was pruned.
    FinishPrune(String),
}

/// What to do so that the node serves again and nothing half-made is left, from `state` folded at
/// the crash or the failure; empty when nothing is open.
///
/// Order: the thaw, a swap that has begun (two renames, at once), the engine, the gate, and only then what
/// takes time.
#[must_use]
pub fn recovery(state: &State) -> Vec<RecoveryAction> {
    let mut actions = Vec::new();
    if state.frozen {
        actions.push(RecoveryAction::Thaw);
    }
    let restore = state.restore.as_ref();
    if let Some(restore) = restore.filter(|restore| restore.swapping) {
        actions.push(RecoveryAction::FinishSwap {
            id: restore.id.clone(),
            incoming: restore.incoming.clone(),
            data: restore.data.clone(),
            aside: restore.aside.clone(),
        });
    }
    if state.engine_down {
        actions.push(RecoveryAction::StartEngine);
    }
    if state.gate_held {
        actions.push(RecoveryAction::ReleaseGate);
    }
    if let Some(restore) = restore.filter(|restore| !restore.swapping) {
        let (id, incoming) = (restore.id.clone(), restore.incoming.clone());
        actions.push(RecoveryAction::UndoRestore { id, incoming });
    }
    if let Some(current) = &state.current {
        actions.push(RecoveryAction::AbandonBackup(current.id.clone()));
    }
    actions.extend(state.pruning.iter().cloned().map(RecoveryAction::FinishPrune));
    actions
}
