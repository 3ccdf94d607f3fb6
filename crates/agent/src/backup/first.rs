//! Reading the data while the engine runs, as often as it takes for the pause to be short.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::durable;
use crate::error::NodeError;
use crate::node::NodeContext;
use crate::restore::free_near;
use crate::store::{FirstPass, Labels, Store};

/// How many passes there are at most before the pause.
const PASSES_MAX: usize = 3;
/// So much may be left for the pause without another pass, in bytes.
const LEFT_BYTES: u64 = 256 * 1024 * 1024;
/// How fast changed files are read, hashed and stored at the least, in bytes a second.
const READ_BYTES_PER_SECOND: u64 = 100 * 1024 * 1024;
/// What is left free on the store's disk, in bytes: the engine may share it.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// Passes over the data until little is left to be read, or another pass would not help. Refuses a pause that
/// would be longer than `max` by what is left then.
pub(super) fn passes(
    node: &NodeContext,
    store: Store,
    labels: &Labels,
    max: Duration,
) -> Result<(Store, FirstPass, String), NodeError> {
    let data = &node.config().node.data;
    let mut first = store.first_pass(data, labels, None)?;
    let mut left = first.bytes_to_read(data)?;
    let mut passes = 1;
    while left > LEFT_BYTES && passes < PASSES_MAX {
        first = store.first_pass(data, labels, Some(&first))?;
        passes += 1;
        let still = first.bytes_to_read(data)?;
        let helps = still < left / 2;
        left = still;
        if !helps {
            break;
        }
    }
    let forecast = Duration::from_secs(left / READ_BYTES_PER_SECOND);
    if forecast > max {
        return Err(NodeError::PauseTooLong { forecast, max });
    }
    // What other programs have written to the same disk must not wait for the pause to be synced.
    durable::sync_filesystem(data)
        .map_err(|source| NodeError::Io { doing: "syncing the data", source })?;
    Ok((store, first, format!("{passes} passes, {left} bytes left to read")))
}

/// Whether the store has room for what is to come: as much as there is at the first backup, twice what the last
/// one added at others. A full disk would stop the engine, too, if it is the same one.
pub(super) fn room(node: &NodeContext) -> Result<(), NodeError> {
    let config = node.config();
    let state = node.state();
    let last = state.completed.values().max_by_key(|backup| backup.at);
    let expected = match last {
        Some(last) => last.bytes_added.saturating_mul(2),
        None => allocated(&config.node.data),
    };
    let needed = expected.saturating_add(SPARE_BYTES);
    let free = free_near(&config.store.path)?;
    match free < needed {
        true => Err(NodeError::NoRoom { path: config.store.path.clone(), needed, free }),
        false => Ok(()),
    }
}

/// Bytes that the files below `dir` take on the disk. What cannot be looked at is found out by the first pass.
fn allocated(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let meta = entry.metadata().ok()?;
            Some(if meta.is_dir() { allocated(&entry.path()) } else { meta.blocks() * 512 })
        })
        .sum()
}
