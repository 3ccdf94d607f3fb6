//! What is done while the engine still runs, so that the pause is short and will not fail for want of room.

use std::time::Duration;

use crate::durable;
use crate::error::NodeError;
use crate::node::NodeContext;
use crate::restore::free_near;
use crate::store::{Labels, Prepared, SnapshotStore};

/// How fast changed files are read, hashed and stored at the least, in bytes a second.
const READ_BYTES_PER_SECOND: u64 = 100 * 1024 * 1024;
/// What is left free on the store's disk, in bytes: the engine may share it.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// Lets the store do beforehand what it can. Refuses a pause that would be longer than `max` by what is left then.
pub(super) fn prepare(
    node: &NodeContext,
    store: &dyn SnapshotStore,
    labels: &Labels,
    max: Duration,
) -> Result<Prepared, NodeError> {
    let data = &node.config().node.data;
    let prepared = store.prepare(data, labels)?;
    let forecast = Duration::from_secs(prepared.bytes_left / READ_BYTES_PER_SECOND);
    if forecast > max {
        return Err(NodeError::PauseTooLong { forecast, max });
    }
    // What other programs have written to the same disk must not wait for the pause to be synced.
    durable::sync_filesystem(data)
        .map_err(|source| NodeError::Io { doing: "syncing the data", source })?;
    Ok(prepared)
}

/// Whether the store has room for what is to come. A full disk would stop the engine, too, if it is the same one.
pub(super) fn room(node: &NodeContext) -> Result<(), NodeError> {
    let config = node.config();
    let free = free_near(&config.store.path)?;
    // Asked first, since the store may be about to be made.
    if free < SPARE_BYTES {
        return Err(NodeError::NoRoom {
            path: config.store.path.clone(),
            needed: SPARE_BYTES,
            free,
        });
    }
    let state = node.state();
    let last = state.completed.values().max_by_key(|backup| backup.at);
    let last_added = last.map(|last| last.bytes_added);
    let expected = node.store()?.room_needed(&config.node.data, last_added);
    let needed = expected.saturating_add(SPARE_BYTES);
    match free < needed {
        true => Err(NodeError::NoRoom { path: config.store.path.clone(), needed, free }),
        false => Ok(()),
    }
}
