//! Settings of a collection: checked, completed with Qdrant's defaults, changed, and turned into what
//! the storage engine wants to be told.

mod check;
mod merge;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::Path;

use qdrant_edge::{
    EdgeConfig, EdgeOptimizersConfig, EdgeSparseVectorParams, EdgeVectorParams, HnswIndexConfig,
    Memory, QuantizationConfig, ShardInfo, WalOptions,
};

use self::check::{check_create, check_hnsw, check_optimizers, check_strict_mode};
use self::merge::{merge_hnsw, merge_optimizers, merge_sparse};
use crate::disk::write_durable;
use crate::error::ApiError;
use crate::model::collection::{
    CollectionConfig, CollectionParams, CreateCollection, HnswDiff, OptimizersDiff,
    QuantizationDiff, SparseVectorParams, UpdateCollection, VectorParams, WalDiff,
};

/// A log file's size in bytes. The engine's own default of 32 MiB is paid by each collection twice;
/// an entry that is larger gets a larger file.
pub(super) const LOG_FILE_BYTES: usize = 8 * 1024 * 1024;

impl CollectionConfig {
    /// Checks a request and fills in the defaults.
    ///
    /// # Errors
    /// [`ApiError::Validation`] or [`ApiError::BadInput`] for what can never be made,
    /// [`ApiError::NotImplemented`] for what this engine cannot.
    pub(crate) fn create(request: CreateCollection) -> Result<Self, ApiError> {
        check_create(&request)?;
        let mut hnsw_config = default_hnsw();
        merge_hnsw(&mut hnsw_config, &request.hnsw_config.unwrap_or_default());
        let mut optimizer_config = default_optimizers();
        merge_optimizers(&mut optimizer_config, request.optimizers_config.unwrap_or_default());
        let wal = request.wal_config.unwrap_or_default();
        Ok(Self {
            params: CollectionParams {
                vectors: request.vectors,
                sparse_vectors: request.sparse_vectors.filter(|sparse| !sparse.is_empty()),
                shard_number: request.shard_number.unwrap_or(1),
                replication_factor: request.replication_factor.unwrap_or(1),
                write_consistency_factor: request.write_consistency_factor.unwrap_or(1),
                on_disk_payload: request.on_disk_payload.unwrap_or(true),
            },
            hnsw_config,
            optimizer_config,
            wal_config: WalDiff {
                wal_capacity_mb: wal.wal_capacity_mb.or(Some(32)),
                wal_segments_ahead: wal.wal_segments_ahead.or(Some(0)),
                wal_retain_closed: wal.wal_retain_closed.or(Some(1)),
            },
            quantization_config: request.quantization_config,
            metadata: request.metadata,
        })
    }

    /// The settings after a change.
    ///
    /// # Errors
    /// As [`CollectionConfig::create`], and [`ApiError::BadInput`] for a vector that does not exist.
    pub(super) fn updated(&self, request: UpdateCollection) -> Result<Self, ApiError> {
        let mut next = self.clone();
        check_strict_mode(request.strict_mode_config.as_ref())?;
        if let Some(diff) = request.hnsw_config {
            check_hnsw(&diff)?;
            merge_hnsw(&mut next.hnsw_config, &diff);
        }
        if let Some(diff) = request.optimizers_config {
            check_optimizers(&diff)?;
            merge_optimizers(&mut next.optimizer_config, diff);
        }
        match request.quantization_config {
            None => {}
            Some(QuantizationDiff::Disabled) => next.quantization_config = None,
            Some(QuantizationDiff::Set(config)) => next.quantization_config = Some(config),
        }
        if let Some(params) = request.params {
            let current = &mut next.params;
            current.on_disk_payload = params.on_disk_payload.unwrap_or(current.on_disk_payload);
            current.replication_factor =
                params.replication_factor.unwrap_or(current.replication_factor);
            current.write_consistency_factor =
                params.write_consistency_factor.unwrap_or(current.write_consistency_factor);
        }
        for (name, diff) in request.vectors.unwrap_or_default() {
            let params = next.params.vectors.get_mut(&name).ok_or_else(|| no_vector(&name))?;
            if let Some(hnsw) = diff.hnsw_config {
                check_hnsw(&hnsw)?;
                merge_hnsw(params.hnsw_config.get_or_insert_default(), &hnsw);
            }
            match diff.quantization_config {
                None => {}
                Some(QuantizationDiff::Disabled) => params.quantization_config = None,
                Some(QuantizationDiff::Set(config)) => params.quantization_config = Some(config),
            }
            params.on_disk = diff.on_disk.or(params.on_disk);
            params.memory = diff.memory.or(params.memory);
        }
        for (name, diff) in request.sparse_vectors.unwrap_or_default() {
            let params = next
                .params
                .sparse_vectors
                .as_mut()
                .and_then(|sparse| sparse.get_mut(&name))
                .ok_or_else(|| no_vector(&name))?;
            merge_sparse(params, diff);
        }
        if let Some(metadata) = request.metadata {
            let current = next.metadata.get_or_insert_default();
            current.extend(metadata);
            current.retain(|_, value| !value.is_null());
        }
        Ok(next)
    }

    /// What the storage engine is told.
    pub(super) fn to_edge(&self) -> EdgeConfig {
        let global = hnsw(&HnswDiff::default(), &self.hnsw_config);
        let vectors = self
            .params
            .vectors
            .by_name()
            .into_iter()
            .map(|(name, params)| (name.to_owned(), self.dense(params)))
            .collect();
        let sparse_vectors: HashMap<_, _> = self
            .params
            .sparse_vectors
            .iter()
            .flatten()
            .map(|(name, params)| (name.clone(), sparse(params)))
            .collect();
        let payload = if self.params.on_disk_payload { Memory::Cold } else { Memory::Cached };
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        EdgeConfig {
            payload_memory: Some(payload),
            vectors,
            sparse_vectors,
            hnsw_config: Some(global),
            quantization_config: self.quantization_config.clone(),
            optimizers: Some(self.optimizers()),
            wal_options: Some(WalOptions {
                segment_capacity: LOG_FILE_BYTES,
                segment_queue_len: 0,
                retain_closed: NonZeroUsize::MIN,
            }),
            // Requests already run beside each other; more threads would only help a lone one.
            max_search_threads: Some((threads / 2).clamp(1, 4)),
            ..EdgeConfig::default()
        }
    }

    /// The optimizer's part of [`CollectionConfig::to_edge`].
    pub(super) fn optimizers(&self) -> EdgeOptimizersConfig {
        let settings = &self.optimizer_config;
        EdgeOptimizersConfig {
            deleted_threshold: settings.deleted_threshold,
            vacuum_min_vector_number: settings.vacuum_min_vector_number,
            default_segment_number: settings.default_segment_number,
            max_segment_size: settings.max_segment_size,
            indexing_threshold: settings.indexing_threshold,
            prevent_unoptimized: None,
        }
    }

    /// The index settings that apply to all vectors.
    pub(super) fn hnsw(&self) -> HnswIndexConfig {
        hnsw(&HnswDiff::default(), &self.hnsw_config)
    }

    /// The index settings of one vector, where it has its own.
    pub(super) fn vector_hnsw(&self, params: &VectorParams) -> Option<HnswIndexConfig> {
        params.hnsw_config.as_ref().map(|own| hnsw(own, &self.hnsw_config))
    }

    /// Whether the optimizer may run at all.
    pub(super) fn optimizes(&self) -> bool {
        self.optimizer_config.max_optimization_threads.as_ref().and_then(serde_json::Value::as_u64)
            != Some(0)
    }

    /// Whether so many vectors have no index yet that the optimizer will make one. It counts every
    /// point as having every vector, so it may say yes too early, never too late.
    pub(super) fn may_index(&self, info: &ShardInfo) -> bool {
        let threshold = self.optimizers().get_indexing_threshold_kb();
        let dense = self.params.vectors.by_name();
        let unindexed = info
            .points_count
            .saturating_mul(dense.len())
            .saturating_sub(info.indexed_vectors_count);
        let bytes = dense.values().map(|params| params.size).max().unwrap_or(0) * size_of::<f32>();
        unindexed.saturating_mul(bytes) / 1024 >= threshold
    }

    /// Writes the settings for the storage engine to find when it loads the shard: what it is told
    /// while loading cannot take a setting away.
    pub(super) fn write_for_edge(&self, shard: &Path) -> Result<(), ApiError> {
        let file = shard.join("edge_config.json");
        let config = self.to_edge();
        let bytes = serde_json::to_vec(&config)
            .map_err(|error| ApiError::internal("cannot write the settings", &error))?;
        let kept = fs_err::read(&file)
            .ok()
            .and_then(|kept| serde_json::from_slice::<EdgeConfig>(&kept).ok());
        if kept.as_ref() == Some(&config) {
            return Ok(());
        }
        write_durable(&file, &bytes)
            .map_err(|error| ApiError::internal("cannot write the settings", &error))
    }

    fn dense(&self, params: &VectorParams) -> EdgeVectorParams {
        let mut edge = EdgeVectorParams::builder(params.size, params.distance).build();
        // Without a wish the vectors are kept in memory, but by `warm` and not by the storage engine.
        let wish = params.memory.or(params.on_disk.map(cold_or_cached));
        edge.memory = wish.or(Some(Memory::Cold));
        edge.multivector_config = params.multivector_config;
        edge.datatype = params.datatype;
        edge.quantization_config = params
            .quantization_config
            .as_ref()
            .or(self.quantization_config.as_ref())
            .cloned()
            .map(|config| if wish.is_none() { pinned(config) } else { config });
        edge.hnsw_config = self.vector_hnsw(params);
        edge
    }
}

fn sparse(params: &SparseVectorParams) -> EdgeSparseVectorParams {
    let index = params.index.clone().unwrap_or_default();
    let placed = index.on_disk.map(|on_disk| if on_disk { Memory::Cold } else { Memory::Pinned });
    EdgeSparseVectorParams {
        full_scan_threshold: index.full_scan_threshold,
        memory: index.memory.or(placed),
        modifier: params.modifier,
        datatype: index.datatype,
        ..EdgeSparseVectorParams::default()
    }
}

/// Quantized vectors follow the placement of the others where they have none of their own.
fn pinned(mut config: QuantizationConfig) -> QuantizationConfig {
    if config.memory_placement().is_none() {
        let memory = match &mut config {
            QuantizationConfig::Scalar(config) => &mut config.scalar.memory,
            QuantizationConfig::Product(config) => &mut config.product.memory,
            QuantizationConfig::Binary(config) => &mut config.binary.memory,
            QuantizationConfig::Turbo(config) => &mut config.turbo.memory,
        };
        *memory = Some(Memory::Pinned);
    }
    config
}

const fn cold_or_cached(on_disk: bool) -> Memory {
    if on_disk { Memory::Cold } else { Memory::Cached }
}

/// One vector's settings over the collection's over the defaults.
fn hnsw(own: &HnswDiff, global: &HnswDiff) -> HnswIndexConfig {
    let default = HnswIndexConfig::default();
    let on_disk = own.on_disk.or(global.on_disk);
    let mut config = HnswIndexConfig {
        m: own.m.or(global.m).unwrap_or(default.m),
        ef_construct: own.ef_construct.or(global.ef_construct).unwrap_or(default.ef_construct),
        full_scan_threshold: own
            .full_scan_threshold
            .or(global.full_scan_threshold)
            .unwrap_or(default.full_scan_threshold),
        max_indexing_threads: own
            .max_indexing_threads
            .or(global.max_indexing_threads)
            .unwrap_or(default.max_indexing_threads),
        ..default
    };
    config.memory = own.memory.or(global.memory).or(on_disk.map(cold_or_cached));
    config.payload_m = own.payload_m.or(global.payload_m);
    config.inline_storage = own.inline_storage.or(global.inline_storage);
    config
}

fn default_hnsw() -> HnswDiff {
    let default = HnswIndexConfig::default();
    HnswDiff {
        m: Some(default.m),
        ef_construct: Some(default.ef_construct),
        full_scan_threshold: Some(default.full_scan_threshold),
        max_indexing_threads: Some(default.max_indexing_threads),
        on_disk: Some(false),
        ..HnswDiff::default()
    }
}

/// Upstream's defaults, as it shows them.
fn default_optimizers() -> OptimizersDiff {
    OptimizersDiff {
        deleted_threshold: Some(0.2),
        vacuum_min_vector_number: Some(1000),
        default_segment_number: Some(0),
        indexing_threshold: Some(10_000),
        flush_interval_sec: Some(5),
        ..OptimizersDiff::default()
    }
}

fn no_vector(name: &str) -> ApiError {
    ApiError::BadInput(format!("Not existing vector name error: {name}"))
}

fn invalid(what: &str, reason: &str) -> ApiError {
    ApiError::Validation(format!("Validation error in JSON body: [{what}: {reason}]"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn create(body: serde_json::Value) -> Result<CollectionConfig, ApiError> {
        CollectionConfig::create(serde_json::from_value(body).unwrap())
    }

    #[test]
    fn defaults_are_upstreams() {
        let config = create(json!({"vectors": {"size": 4, "distance": "Cosine"}})).unwrap();
        let shown = serde_json::to_value(&config).unwrap();
        assert_eq!(
            shown["hnsw_config"],
            json!({"m": 16, "ef_construct": 100, "full_scan_threshold": 10000,
                   "max_indexing_threads": 0, "on_disk": false})
        );
        assert_eq!(shown["optimizer_config"]["indexing_threshold"], json!(10000));
        assert_eq!(shown["params"]["vectors"], json!({"size": 4, "distance": "Cosine"}));
        assert_eq!(shown["params"]["on_disk_payload"], json!(true));
    }

    #[test]
    fn what_is_kept_is_read_back_the_same() {
        let config = create(json!({
            "vectors": {"a": {"size": 4, "distance": "Dot", "on_disk": true,
                              "quantization_config": {"scalar": {"type": "int8"}}}},
            "sparse_vectors": {"s": {"modifier": "idf", "index": {"on_disk": true}}},
            "quantization_config": {"binary": {"always_ram": true}},
            "metadata": {"who": "me"},
        }))
        .unwrap();
        let kept = serde_json::to_vec(&config).unwrap();
        assert_eq!(serde_json::from_slice::<CollectionConfig>(&kept).unwrap(), config);
    }

    #[test]
    fn impossible_settings_are_refused_with_their_kind() {
        let status = |body| create(body).unwrap_err().status();
        assert_eq!(status(json!({"vectors": {"size": 0, "distance": "Dot"}})), 422);
        assert_eq!(
            status(json!({"vectors": {"a": {"size": 1, "distance": "Dot"}},
                          "sparse_vectors": {"a": {}}})),
            400
        );
        assert_eq!(status(json!({"sharding_method": "custom"})), 501);
        assert_eq!(status(json!({"strict_mode_config": {"enabled": true}})), 501);
        assert!(create(json!({"strict_mode_config": {"enabled": false}})).is_ok());
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let config = create(json!({
            "vectors": {"size": 4, "distance": "Dot"},
            "hnsw_config": {"m": 8},
            "quantization_config": {"scalar": {"type": "int8"}},
        }))
        .unwrap();
        let request: UpdateCollection = serde_json::from_value(json!({
            "hnsw_config": {"ef_construct": 50},
            "optimizers_config": {"indexing_threshold": 0},
            "vectors": {"": {"on_disk": true}},
            "quantization_config": "Disabled",
        }))
        .unwrap();
        let next = config.updated(request).unwrap();
        assert_eq!(next.hnsw_config.m, Some(8));
        assert_eq!(next.hnsw_config.ef_construct, Some(50));
        assert_eq!(next.optimizer_config.indexing_threshold, Some(0));
        assert_eq!(next.quantization_config, None);
        assert_eq!(next.to_edge().vectors[""].memory, Some(Memory::Cold));
        assert_eq!(next.to_edge().hnsw_config().m, 8);
        let unknown: UpdateCollection =
            serde_json::from_value(json!({"vectors": {"nope": {}}})).unwrap();
        assert_eq!(config.updated(unknown).unwrap_err().status(), 400);
    }

    #[test]
    fn one_vectors_index_settings_stand_over_the_collections() {
        let config = create(json!({
            "vectors": {"a": {"size": 4, "distance": "Dot", "hnsw_config": {"m": 32}}},
            "hnsw_config": {"m": 8, "ef_construct": 64},
        }))
        .unwrap();
        let own = config.to_edge().vectors["a"].hnsw_config.unwrap();
        assert_eq!((own.m, own.ef_construct), (32, 64));
    }
}
