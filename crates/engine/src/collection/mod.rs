//! One collection: a shard of the storage engine, its settings, and what keeps it durable.
//!
//! Every operation is one function here that both doors call. All of them block: call them through
//! [`crate::node::blocking`].
//!
//! On the disk a collection is a folder with `collection.json` (its name and settings) and `shard/`
//! (the storage engine's). It exists from the moment `collection.json` does until that is removed; a
//! folder without it is what a crash left of making or removing one.

mod bm25;
mod checks;
mod log_sync;
mod query;
mod read;
mod schema;
mod settings;
mod shard;
mod upkeep;
mod warm;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fs_err as fs;
use parking_lot::{MappedRwLockReadGuard, Mutex, RwLock};
use qdrant_edge::{EdgeShard, ShardInfo};
use serde::{Deserialize, Serialize};

use self::log_sync::LogSync;
use self::schema::Schema;
use self::shard::ShardSlot;
use self::upkeep::Upkeep;
use crate::disk::{remove_durable, sync_tree, write_durable};
use crate::error::ApiError;
use crate::model::collection::{
    CollectionConfig, CollectionInfo, CollectionStatus, UpdateCollection,
};

const SETTINGS_FILE: &str = "collection.json";
const SHARD_FOLDER: &str = "shard";
/// Where the storage engine builds segments; a crash leaves them there.
const UNFINISHED_FOLDER: &str = "temp_segments";

/// How long removing a collection waits for reads under way.
const CLEAR: Duration = Duration::from_secs(5);

/// One collection.
#[derive(Debug)]
pub(crate) struct Collection {
    name: String,
    dir: PathBuf,
    schema: Schema,
    settings: RwLock<CollectionConfig>,
    shard: ShardSlot,
    log: LogSync,
    /// Held for every change of points, and while the shard is flushed: the storage engine's flush
    /// would otherwise count half of a change as done.
    writes: Mutex<Writes>,
    /// Changes that wait for `writes`.
    waiting: AtomicUsize,
    /// Something was written since the last flush.
    dirty: AtomicBool,
    /// Something was written, or set, since the optimizer looked.
    unoptimized: AtomicBool,
    /// It was removed: whoever still holds it must not write to it.
    dropped: AtomicBool,
    upkeep: Upkeep,
    /// The data directory stays locked as long as anybody works on this. Last, so that it is let go last.
    _data_lock: Arc<std::fs::File>,
}

#[derive(Debug, Default)]
struct Writes {
    next_operation: u64,
}

/// What `collection.json` holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    config: CollectionConfig,
}

impl Collection {
    /// Makes a collection in a folder that is not there yet. Durable when it returns, but for the
    /// name of the folder itself.
    pub(crate) fn create(
        dir: PathBuf,
        name: &str,
        config: CollectionConfig,
        lock: &Arc<std::fs::File>,
    ) -> Result<Self, ApiError> {
        let failed =
            |error: std::io::Error| ApiError::internal("cannot make the collection", &error);
        fs::create_dir_all(&dir).map_err(failed)?;
        let shard = ShardSlot::create(&dir.join(SHARD_FOLDER), &config)?;
        sync_tree(&dir).map_err(failed)?;
        let collection = Self::holding(dir, name.to_owned(), config, shard, lock);
        collection.keep_settings(&collection.settings.read())?;
        Ok(collection)
    }

    /// Opens a collection. `None` when the folder is none: what a crash left of one is removed.
    pub(crate) fn load(dir: &Path, lock: &Arc<std::fs::File>) -> Result<Option<Self>, ApiError> {
        let failed =
            |error: std::io::Error| ApiError::internal("cannot open the collection", &error);
        let file = dir.join(SETTINGS_FILE);
        if !file.try_exists().map_err(failed)? {
            tracing::info!(folder = %dir.display(), "removing what is left of a collection");
            fs::remove_dir_all(dir).map_err(failed)?;
            return Ok(None);
        }
        let bytes = fs::read(&file).map_err(failed)?;
        let Kept { name, config } = serde_json::from_slice(&bytes).map_err(|error| {
            ApiError::Internal(format!(
                "{} cannot be read: {error}. hint: restore it from a backup",
                file.display()
            ))
        })?;
        let path = dir.join(SHARD_FOLDER);
        let unfinished = path.join(UNFINISHED_FOLDER);
        if unfinished.try_exists().map_err(failed)? {
            fs::remove_dir_all(&unfinished).map_err(failed)?;
        }
        let shard = ShardSlot::load(&path, &config)?;
        Ok(Some(Self::holding(dir.to_owned(), name, config, shard, lock)))
    }

    fn holding(
        dir: PathBuf,
        name: String,
        config: CollectionConfig,
        shard: ShardSlot,
        lock: &Arc<std::fs::File>,
    ) -> Self {
        let log = LogSync::new(dir.join(SHARD_FOLDER).join(qdrant_edge::WAL_PATH));
        Self {
            name,
            dir,
            schema: Schema::of(&config),
            settings: RwLock::new(config),
            shard,
            log,
            writes: Mutex::default(),
            waiting: AtomicUsize::new(0),
            dirty: AtomicBool::new(true),
            unoptimized: AtomicBool::new(true),
            dropped: AtomicBool::new(false),
            upkeep: Upkeep::default(),
            _data_lock: Arc::clone(lock),
        }
    }

    /// The shard, for one operation.
    ///
    /// # Errors
    /// As for a name that does not exist when the collection was removed meanwhile.
    fn open_shard(&self) -> Result<MappedRwLockReadGuard<'_, EdgeShard>, ApiError> {
        self.check_there()?;
        self.shard.get().or_else(|error| self.check_there().and(Err(error)))
    }

    fn check_there(&self) -> Result<(), ApiError> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(ApiError::no_collection(&self.name));
        }
        Ok(())
    }

    /// Its own name, never an alias.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends the collection: durable when this returns. Its files go later, with [`Collection::clear`].
    pub(crate) fn end(&self) -> Result<(), ApiError> {
        let _writes = self.writes.lock();
        remove_durable(&self.dir.join(SETTINGS_FILE))
            .map_err(|error| ApiError::internal("cannot remove the collection", &error))?;
        self.dropped.store(true, Ordering::Release);
        Ok(())
    }

    /// Closes a collection that was ended, and removes its files. What cannot be removed now goes at the
    /// next start.
    pub(crate) fn clear(&self) {
        self.shard.close(CLEAR);
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::debug!(collection = self.name, %error, "files are left for the next start");
        }
    }

    /// Changes settings. Durable when it returns.
    pub(crate) fn update_settings(&self, request: UpdateCollection) -> Result<(), ApiError> {
        let mut settings = self.settings.write();
        let next = settings.updated(request)?;
        self.keep_settings(&next)?;
        let before = std::mem::replace(&mut *settings, next.clone());
        drop(settings);
        {
            let shard = self.open_shard()?;
            shard.set_optimizers_config(next.optimizers())?;
            shard.set_hnsw_config(next.hnsw())?;
            for (name, params) in next.params.vectors.by_name() {
                if let Some(hnsw) = next.vector_hnsw(params) {
                    shard.set_vector_hnsw_config(name, hnsw)?;
                }
            }
        }
        if needs_reload(&before, &next) {
            self.upkeep.want_reload();
            self.reload_if_wanted()?;
        }
        self.unoptimized.store(true, Ordering::Release);
        Ok(())
    }

    /// Its settings and how it is.
    pub(crate) fn info(&self) -> Result<CollectionInfo, ApiError> {
        let info = self.open_shard()?.info()?;
        let config = self.settings.read().clone();
        let status = self.status(&config, &info);
        Ok(CollectionInfo {
            status,
            points_count: info.points_count,
            indexed_vectors_count: info.indexed_vectors_count,
            segments_count: info.segments_count,
            update_queue_length: self.waiting.load(Ordering::Relaxed),
            config,
            payload_schema: info
                .payload_schema
                .into_iter()
                .map(|(key, info)| (key.to_string(), info))
                .collect::<BTreeMap<_, _>>(),
        })
    }

    /// A look of the optimizer that finds nothing to do is over in milliseconds, and is not shown: a
    /// small collection is green all the time, as upstream.
    fn status(&self, config: &CollectionConfig, info: &ShardInfo) -> CollectionStatus {
        let work_left = self.unoptimized.load(Ordering::Acquire) && config.may_index(info);
        if self.upkeep.optimizing_for_long() {
            CollectionStatus::Yellow
        } else if !work_left {
            CollectionStatus::Green
        } else if config.optimizes() {
            CollectionStatus::Yellow
        } else {
            CollectionStatus::Grey
        }
    }

    fn keep_settings(&self, config: &CollectionConfig) -> Result<(), ApiError> {
        let kept = Kept { name: self.name.clone(), config: config.clone() };
        let bytes = serde_json::to_vec_pretty(&kept)
            .map_err(|error| ApiError::internal("cannot write the settings", &error))?;
        write_durable(&self.dir.join(SETTINGS_FILE), &bytes)
            .map_err(|error| ApiError::internal("cannot write the settings", &error))
    }
}

/// The storage engine takes index and optimizer settings as it runs, and all others when it opens.
fn needs_reload(before: &CollectionConfig, after: &CollectionConfig) -> bool {
    let mut before = before.to_edge();
    let after = after.to_edge();
    before.hnsw_config = after.hnsw_config;
    before.optimizers.clone_from(&after.optimizers);
    for (name, params) in &mut before.vectors {
        params.hnsw_config = after.vectors.get(name).and_then(|params| params.hnsw_config);
    }
    before != after
}

/// Counts something while it lives.
struct Counter<'a>(&'a AtomicUsize);

impl<'a> Counter<'a> {
    fn up(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
