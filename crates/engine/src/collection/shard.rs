//! The shard of a collection, which can be closed and opened anew while requests wait.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use qdrant_edge::EdgeShard;

use crate::error::ApiError;
use crate::model::collection::CollectionConfig;

/// Holds the shard of one collection.
#[derive(Debug)]
pub(super) struct ShardSlot {
    path: PathBuf,
    slot: RwLock<Option<Arc<EdgeShard>>>,
}

impl ShardSlot {
    /// Makes a new shard; its folder must not be there.
    pub(super) fn create(path: &Path, config: &CollectionConfig) -> Result<Self, ApiError> {
        let shard = EdgeShard::new(path, config.to_edge())?;
        Ok(Self::holding(path, shard))
    }

    /// Opens a shard: what its log has and its segments have not is applied again.
    pub(super) fn load(path: &Path, config: &CollectionConfig) -> Result<Self, ApiError> {
        config.write_for_edge(path)?;
        let shard = EdgeShard::load(path, None)?;
        Ok(Self::holding(path, shard))
    }

    fn holding(path: &Path, shard: EdgeShard) -> Self {
        Self { path: path.to_owned(), slot: RwLock::new(Some(Arc::new(shard))) }
    }

    /// The shard, for one operation. It stays open while the guard lives.
    pub(super) fn get(&self) -> Result<MappedRwLockReadGuard<'_, EdgeShard>, ApiError> {
        RwLockReadGuard::try_map(self.slot.read(), |slot| slot.as_deref()).map_err(|_| {
            ApiError::Unavailable(
                "the collection is closed, because the engine stops or because it could not be opened again with new settings. hint: start the engine again".into(),
            )
        })
    }

    /// The shard, for work that goes on beside everything else. [`ShardSlot::reload`] fails meanwhile.
    pub(super) fn share(&self) -> Option<Arc<EdgeShard>> {
        self.slot.read().clone()
    }

    /// Closes the shard, once nobody uses it any more; past the time it is left to the end of the
    /// process. The storage engine flushes it as it closes.
    pub(super) fn close(&self, time: Duration) {
        if let Some(mut slot) = self.slot.try_write_for(time) {
            drop(slot.take());
        }
    }

    /// Closes the shard and opens it with other settings. Requests wait meanwhile.
    ///
    /// Returns false, with nothing done, when the shard is [shared](ShardSlot::share) at the moment.
    pub(super) fn reload(&self, config: &CollectionConfig) -> Result<bool, ApiError> {
        let mut slot = self.slot.write();
        let Some(shared) = slot.take() else { return Ok(false) };
        match Arc::try_unwrap(shared) {
            Err(shared) => {
                *slot = Some(shared);
                Ok(false)
            }
            Ok(shard) => {
                shard.flush()?;
                // The log is locked by whoever has it open.
                drop(shard);
                config.write_for_edge(&self.path)?;
                *slot = Some(Arc::new(EdgeShard::load(&self.path, None)?));
                Ok(true)
            }
        }
    }
}
