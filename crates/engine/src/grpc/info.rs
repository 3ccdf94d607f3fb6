//! What is told of a collection.
#![expect(deprecated, reason = "clients still read `on_disk` and its like")]

use std::collections::HashMap;

use qdrant_client::qdrant::max_optimization_threads::{Setting, Variant as Threads};
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{self as proto};
use qdrant_edge::{Distance, Modifier, MultiVectorComparator, VectorStorageDatatype};
use serde_json::Value as Json;

use super::index::memory_number;
use super::index_info::info_message;
use super::quantization::quantization_message;
use super::value::fields;
use crate::model::collection::{
    CollectionConfig, CollectionInfo, CollectionParams, CollectionStatus, HnswDiff, OptimizersDiff,
    SparseIndexParams, SparseVectorParams, VectorParams, VectorsConfig, WalDiff,
};

/// A collection's state and settings.
pub(super) fn info(info: CollectionInfo) -> proto::CollectionInfo {
    let status = match info.status {
        CollectionStatus::Green => proto::CollectionStatus::Green,
        CollectionStatus::Yellow => proto::CollectionStatus::Yellow,
        CollectionStatus::Grey => proto::CollectionStatus::Grey,
    };
    proto::CollectionInfo {
        status: status.into(),
        optimizer_status: Some(proto::OptimizerStatus { ok: true, error: String::new() }),
        segments_count: info.segments_count as u64,
        config: Some(config(info.config)),
        payload_schema: info
            .payload_schema
            .into_iter()
            .map(|(name, index)| (name, info_message(index)))
            .collect(),
        points_count: Some(info.points_count as u64),
        indexed_vectors_count: Some(info.indexed_vectors_count as u64),
        warnings: Vec::new(),
        update_queue: Some(proto::UpdateQueueInfo {
            length: info.update_queue_length as u64,
            deferred_points: None,
        }),
        created_at: None,
    }
}

fn config(config: CollectionConfig) -> proto::CollectionConfig {
    let CollectionConfig {
        params: collection_params,
        hnsw_config,
        optimizer_config,
        wal_config,
        quantization_config,
        metadata,
    } = config;
    proto::CollectionConfig {
        params: Some(params(collection_params)),
        hnsw_config: Some(hnsw(&hnsw_config)),
        optimizer_config: Some(optimizers(&optimizer_config)),
        wal_config: Some(wal(&wal_config)),
        quantization_config: quantization_config.as_ref().map(quantization_message),
        strict_mode_config: None,
        metadata: metadata.map(fields).unwrap_or_default(),
    }
}

fn params(params: CollectionParams) -> proto::CollectionParams {
    let CollectionParams {
        vectors,
        sparse_vectors,
        shard_number,
        replication_factor,
        write_consistency_factor,
        on_disk_payload,
    } = params;
    let vectors = match vectors {
        VectorsConfig::Single(params) => Config::Params(vector(&params)),
        VectorsConfig::Named(named) => Config::ParamsMap(proto::VectorParamsMap {
            map: named.iter().map(|(name, params)| (name.clone(), vector(params))).collect(),
        }),
    };
    proto::CollectionParams {
        shard_number,
        on_disk_payload,
        vectors_config: Some(proto::VectorsConfig { config: Some(vectors) }),
        replication_factor: Some(replication_factor),
        write_consistency_factor: Some(write_consistency_factor),
        read_fan_out_factor: None,
        sharding_method: None,
        sparse_vectors_config: sparse_vectors.map(|named| proto::SparseVectorConfig {
            map: named
                .iter()
                .map(|(name, params)| (name.clone(), sparse(params)))
                .collect::<HashMap<_, _>>(),
        }),
        read_fan_out_delay_ms: None,
        payload: None,
        id_tracker: None,
    }
}

fn vector(params: &VectorParams) -> proto::VectorParams {
    let distance = match params.distance {
        Distance::Cosine => proto::Distance::Cosine,
        Distance::Euclid => proto::Distance::Euclid,
        Distance::Dot => proto::Distance::Dot,
        Distance::Manhattan => proto::Distance::Manhattan,
    };
    proto::VectorParams {
        size: params.size as u64,
        distance: distance.into(),
        hnsw_config: params.hnsw_config.as_ref().map(hnsw),
        quantization_config: params.quantization_config.as_ref().map(quantization_message),
        on_disk: params.on_disk,
        datatype: params.datatype.map(datatype),
        multivector_config: params.multivector_config.map(|config| proto::MultiVectorConfig {
            comparator: match config.comparator {
                MultiVectorComparator::MaxSim => proto::MultiVectorComparator::MaxSim.into(),
            },
        }),
        memory: memory_number(params.memory),
    }
}

fn datatype(datatype: VectorStorageDatatype) -> i32 {
    match datatype {
        VectorStorageDatatype::Float32 => proto::Datatype::Float32,
        VectorStorageDatatype::Float16 => proto::Datatype::Float16,
        VectorStorageDatatype::Uint8 => proto::Datatype::Uint8,
        VectorStorageDatatype::Turbo4 => proto::Datatype::Turbo4,
        VectorStorageDatatype::Turbo8 => proto::Datatype::Turbo8,
        VectorStorageDatatype::Turbo16 => proto::Datatype::Turbo16,
    }
    .into()
}

fn sparse(params: &SparseVectorParams) -> proto::SparseVectorParams {
    let SparseVectorParams { index, modifier } = params;
    proto::SparseVectorParams {
        index: index.as_ref().map(|index| {
            let SparseIndexParams { full_scan_threshold, on_disk, memory, datatype: kind } = index;
            proto::SparseIndexConfig {
                full_scan_threshold: full_scan_threshold.map(|kb| kb as u64),
                on_disk: *on_disk,
                datatype: kind.map(datatype),
                memory: memory_number(*memory),
            }
        }),
        modifier: modifier.map(|modifier| match modifier {
            Modifier::None => proto::Modifier::None.into(),
            Modifier::Idf => proto::Modifier::Idf.into(),
        }),
    }
}

fn hnsw(diff: &HnswDiff) -> proto::HnswConfigDiff {
    let &HnswDiff {
        m,
        ef_construct,
        full_scan_threshold,
        max_indexing_threads,
        on_disk,
        memory,
        payload_m,
        inline_storage,
    } = diff;
    proto::HnswConfigDiff {
        m: m.map(|m| m as u64),
        ef_construct: ef_construct.map(|ef| ef as u64),
        full_scan_threshold: full_scan_threshold.map(|kb| kb as u64),
        max_indexing_threads: max_indexing_threads.map(|count| count as u64),
        on_disk,
        payload_m: payload_m.map(|m| m as u64),
        inline_storage,
        memory: memory_number(memory),
    }
}

fn optimizers(diff: &OptimizersDiff) -> proto::OptimizersConfigDiff {
    let threads = diff.max_optimization_threads.as_ref().map(|threads| match threads {
        Json::Number(count) => Threads::Value(count.as_u64().unwrap_or_default()),
        Json::String(_) | Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            Threads::Setting(Setting::Auto.into())
        }
    });
    proto::OptimizersConfigDiff {
        deleted_threshold: diff.deleted_threshold,
        vacuum_min_vector_number: diff.vacuum_min_vector_number.map(|count| count as u64),
        default_segment_number: diff.default_segment_number.map(|count| count as u64),
        max_segment_size: diff.max_segment_size.map(|kb| kb as u64),
        memmap_threshold: diff.memmap_threshold.map(|kb| kb as u64),
        indexing_threshold: diff.indexing_threshold.map(|kb| kb as u64),
        flush_interval_sec: diff.flush_interval_sec,
        deprecated_max_optimization_threads: None,
        max_optimization_threads: threads
            .map(|variant| proto::MaxOptimizationThreads { variant: Some(variant) }),
        prevent_unoptimized: diff.prevent_unoptimized,
    }
}

fn wal(diff: &WalDiff) -> proto::WalConfigDiff {
    let &WalDiff { wal_capacity_mb, wal_segments_ahead, wal_retain_closed } = diff;
    proto::WalConfigDiff {
        wal_capacity_mb: wal_capacity_mb.map(|mb| mb as u64),
        wal_segments_ahead: wal_segments_ahead.map(|count| count as u64),
        wal_retain_closed: wal_retain_closed.map(|count| count as u64),
    }
}
