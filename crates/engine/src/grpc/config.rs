//! How a collection is made and changed: messages to the same settings that REST bodies give.
#![expect(deprecated, reason = "clients still send `on_disk` and its like")]

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::alias_operations::Action;
use qdrant_client::qdrant::max_optimization_threads::{Setting, Variant as Threads};
use qdrant_client::qdrant::quantization_config_diff::Quantization as QuantizationChange;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{self as proto, vectors_config_diff};
use qdrant_edge::{
    Distance, Modifier, MultiVectorComparator, MultiVectorConfig, VectorStorageDatatype,
};
use serde_json::{Map, Value as Json, json};

use super::index::memory_from;
use super::quantization::{quantization, quantization_kind};
use super::status::{Parsed, fit, fit_opt, required, unavailable, unknown_value};
use super::value::object;
use crate::model::collection::{
    AliasAction, CreateCollection, HnswDiff, OptimizersDiff, ParamsDiff, QuantizationDiff,
    SparseIndexParams, SparseVectorParams, UpdateCollection, VectorParams, VectorParamsDiff,
    VectorsConfig, WalDiff,
};

/// The settings of a new collection.
pub(super) fn create(message: proto::CreateCollection) -> Parsed<CreateCollection> {
    let proto::CreateCollection {
        collection_name: _,
        hnsw_config,
        wal_config,
        optimizers_config,
        shard_number,
        on_disk_payload,
        timeout: _,
        vectors_config,
        replication_factor,
        write_consistency_factor,
        quantization_config,
        sharding_method,
        sparse_vectors_config,
        strict_mode_config,
        metadata,
        payload,
        id_tracker,
    } = message;
    no_placement(payload.as_ref(), id_tracker.as_ref())?;
    Ok(CreateCollection {
        vectors: vectors_config.map(vectors).transpose()?.unwrap_or_default(),
        sparse_vectors: sparse_vectors_config.map(sparse_vectors).transpose()?,
        hnsw_config: hnsw_config.map(|diff| hnsw(&diff)).transpose()?,
        optimizers_config: optimizers_config.map(|diff| optimizers(&diff)).transpose()?,
        wal_config: wal_config.map(|diff| wal(&diff)).transpose()?,
        quantization_config: quantization_config.map(quantization).transpose()?,
        on_disk_payload,
        shard_number,
        replication_factor,
        write_consistency_factor,
        sharding_method: sharding_method.map(sharding).transpose()?,
        strict_mode_config: strict_mode_config.map(|config| strict_mode(&config)),
        metadata: metadata_from(metadata)?,
    })
}

/// The changes of a collection's settings.
pub(super) fn update(message: proto::UpdateCollection) -> Parsed<UpdateCollection> {
    let proto::UpdateCollection {
        collection_name: _,
        optimizers_config,
        timeout: _,
        params,
        hnsw_config,
        vectors_config,
        quantization_config,
        sparse_vectors_config,
        strict_mode_config,
        metadata,
    } = message;
    Ok(UpdateCollection {
        vectors: vectors_config.map(vectors_diff).transpose()?,
        sparse_vectors: sparse_vectors_config.map(sparse_vectors).transpose()?,
        hnsw_config: hnsw_config.map(|diff| hnsw(&diff)).transpose()?,
        optimizers_config: optimizers_config.map(|diff| optimizers(&diff)).transpose()?,
        quantization_config: quantization_config.map(quantization_diff).transpose()?,
        params: params.map(|diff| params_diff(&diff)).transpose()?,
        strict_mode_config: strict_mode_config.map(|config| strict_mode(&config)),
        metadata: metadata_from(metadata)?,
    })
}

/// One change of the aliases.
pub(super) fn alias_action(message: proto::AliasOperations) -> Parsed<AliasAction> {
    Ok(match required(message.action, "alias action")? {
        Action::CreateAlias(proto::CreateAlias { collection_name, alias_name }) => {
            AliasAction::CreateAlias { collection_name, alias_name }
        }
        Action::RenameAlias(proto::RenameAlias { old_alias_name, new_alias_name }) => {
            AliasAction::RenameAlias { old_alias_name, new_alias_name }
        }
        Action::DeleteAlias(proto::DeleteAlias { alias_name }) => {
            AliasAction::DeleteAlias { alias_name }
        }
    })
}

fn vectors(message: proto::VectorsConfig) -> Parsed<VectorsConfig> {
    Ok(match required(message.config, "vectors_config")? {
        Config::Params(params) => VectorsConfig::Single(vector_params(params)?),
        Config::ParamsMap(proto::VectorParamsMap { map }) => {
            VectorsConfig::Named(named(map, vector_params)?)
        }
    })
}

fn named<M, T>(
    map: HashMap<String, M>,
    one: impl Fn(M) -> Parsed<T>,
) -> Parsed<BTreeMap<String, T>> {
    map.into_iter().map(|(name, message)| Ok((name, one(message)?))).collect()
}

fn vector_params(message: proto::VectorParams) -> Parsed<VectorParams> {
    let proto::VectorParams {
        size,
        distance: distance_number,
        hnsw_config,
        quantization_config,
        on_disk,
        datatype: datatype_number,
        multivector_config,
        memory,
    } = message;
    Ok(VectorParams {
        size: fit(size, "size")?,
        distance: distance(distance_number)?,
        hnsw_config: hnsw_config.map(|diff| hnsw(&diff)).transpose()?,
        quantization_config: quantization_config.map(quantization).transpose()?,
        on_disk,
        memory: memory_from(memory)?,
        datatype: datatype(datatype_number)?,
        multivector_config: multivector_config.map(|config| multivector(&config)).transpose()?,
    })
}

fn distance(number: i32) -> Parsed<Distance> {
    match proto::Distance::try_from(number) {
        Ok(proto::Distance::Cosine) => Ok(Distance::Cosine),
        Ok(proto::Distance::Euclid) => Ok(Distance::Euclid),
        Ok(proto::Distance::Dot) => Ok(Distance::Dot),
        Ok(proto::Distance::Manhattan) => Ok(Distance::Manhattan),
        Ok(proto::Distance::UnknownDistance) | Err(_) => Err(unknown_value("distance", number)),
    }
}

fn datatype(number: Option<i32>) -> Parsed<Option<VectorStorageDatatype>> {
    let Some(number) = number else { return Ok(None) };
    match proto::Datatype::try_from(number) {
        Ok(proto::Datatype::Default) => Ok(None),
        Ok(proto::Datatype::Float32) => Ok(Some(VectorStorageDatatype::Float32)),
        Ok(proto::Datatype::Uint8) => Ok(Some(VectorStorageDatatype::Uint8)),
        Ok(proto::Datatype::Float16) => Ok(Some(VectorStorageDatatype::Float16)),
        Ok(proto::Datatype::Turbo4) => Ok(Some(VectorStorageDatatype::Turbo4)),
        Ok(proto::Datatype::Turbo8) => Ok(Some(VectorStorageDatatype::Turbo8)),
        Ok(proto::Datatype::Turbo16) => Ok(Some(VectorStorageDatatype::Turbo16)),
        Err(_) => Err(unknown_value("datatype", number)),
    }
}

fn multivector(message: &proto::MultiVectorConfig) -> Parsed<MultiVectorConfig> {
    match proto::MultiVectorComparator::try_from(message.comparator) {
        Ok(proto::MultiVectorComparator::MaxSim) => {
            Ok(MultiVectorConfig { comparator: MultiVectorComparator::MaxSim })
        }
        Err(_) => Err(unknown_value("comparator", message.comparator)),
    }
}

fn sparse_vectors(
    message: proto::SparseVectorConfig,
) -> Parsed<BTreeMap<String, SparseVectorParams>> {
    named(message.map, sparse_vector)
}

fn sparse_vector(message: proto::SparseVectorParams) -> Parsed<SparseVectorParams> {
    let proto::SparseVectorParams { index, modifier } = message;
    let modifier = match modifier {
        None => None,
        Some(number) => match proto::Modifier::try_from(number) {
            Ok(proto::Modifier::None) => Some(Modifier::None),
            Ok(proto::Modifier::Idf) => Some(Modifier::Idf),
            Err(_) => return Err(unknown_value("modifier", number)),
        },
    };
    Ok(SparseVectorParams { index: index.map(|index| sparse_index(&index)).transpose()?, modifier })
}

fn sparse_index(message: &proto::SparseIndexConfig) -> Parsed<SparseIndexParams> {
    let &proto::SparseIndexConfig { full_scan_threshold, on_disk, datatype: number, memory } =
        message;
    Ok(SparseIndexParams {
        full_scan_threshold: fit_opt(full_scan_threshold, "full_scan_threshold")?,
        on_disk,
        memory: memory_from(memory)?,
        datatype: datatype(number)?,
    })
}

fn hnsw(message: &proto::HnswConfigDiff) -> Parsed<HnswDiff> {
    let &proto::HnswConfigDiff {
        m,
        ef_construct,
        full_scan_threshold,
        max_indexing_threads,
        on_disk,
        payload_m,
        inline_storage,
        memory,
    } = message;
    Ok(HnswDiff {
        m: fit_opt(m, "m")?,
        ef_construct: fit_opt(ef_construct, "ef_construct")?,
        full_scan_threshold: fit_opt(full_scan_threshold, "full_scan_threshold")?,
        max_indexing_threads: fit_opt(max_indexing_threads, "max_indexing_threads")?,
        on_disk,
        memory: memory_from(memory)?,
        payload_m: fit_opt(payload_m, "payload_m")?,
        inline_storage,
    })
}

fn optimizers(message: &proto::OptimizersConfigDiff) -> Parsed<OptimizersDiff> {
    let &proto::OptimizersConfigDiff {
        deleted_threshold,
        vacuum_min_vector_number,
        default_segment_number,
        max_segment_size,
        memmap_threshold,
        indexing_threshold,
        flush_interval_sec,
        deprecated_max_optimization_threads,
        max_optimization_threads,
        prevent_unoptimized,
    } = message;
    let threads = match max_optimization_threads {
        None => deprecated_max_optimization_threads.map(Json::from),
        Some(threads) => Some(match required(threads.variant, "max_optimization_threads")? {
            Threads::Value(count) => Json::from(count),
            Threads::Setting(number) => match Setting::try_from(number) {
                Ok(Setting::Auto) => Json::from("auto"),
                Err(_) => return Err(unknown_value("max_optimization_threads", number)),
            },
        }),
    };
    Ok(OptimizersDiff {
        deleted_threshold,
        vacuum_min_vector_number: fit_opt(vacuum_min_vector_number, "vacuum_min_vector_number")?,
        default_segment_number: fit_opt(default_segment_number, "default_segment_number")?,
        max_segment_size: fit_opt(max_segment_size, "max_segment_size")?,
        memmap_threshold: fit_opt(memmap_threshold, "memmap_threshold")?,
        indexing_threshold: fit_opt(indexing_threshold, "indexing_threshold")?,
        flush_interval_sec,
        max_optimization_threads: threads,
        prevent_unoptimized,
    })
}

fn wal(message: &proto::WalConfigDiff) -> Parsed<WalDiff> {
    let &proto::WalConfigDiff { wal_capacity_mb, wal_segments_ahead, wal_retain_closed } = message;
    Ok(WalDiff {
        wal_capacity_mb: fit_opt(wal_capacity_mb, "wal_capacity_mb")?,
        wal_segments_ahead: fit_opt(wal_segments_ahead, "wal_segments_ahead")?,
        wal_retain_closed: fit_opt(wal_retain_closed, "wal_retain_closed")?,
    })
}

fn sharding(number: i32) -> Parsed<String> {
    match proto::ShardingMethod::try_from(number) {
        Ok(proto::ShardingMethod::Auto) => Ok("auto".to_owned()),
        Ok(proto::ShardingMethod::Custom) => Ok("custom".to_owned()),
        Err(_) => Err(unknown_value("sharding_method", number)),
    }
}

/// Only whether it is on: the core refuses a strict mode that is on, whatever it would limit.
fn strict_mode(message: &proto::StrictModeConfig) -> Map<String, Json> {
    Map::from_iter(message.enabled.map(|enabled| ("enabled".to_owned(), json!(enabled))))
}

fn metadata_from(fields: HashMap<String, proto::Value>) -> Parsed<Option<Map<String, Json>>> {
    let object = object(fields)?;
    Ok((!object.is_empty()).then_some(object))
}

fn no_placement(
    payload: Option<&proto::PayloadStorageParams>,
    id_tracker: Option<&proto::IdTrackerParams>,
) -> Parsed<()> {
    if payload.is_some_and(|params| params.memory.is_some()) {
        return Err(unavailable("`payload.memory`"));
    }
    if id_tracker.is_some_and(|params| params.memory.is_some()) {
        return Err(unavailable("`id_tracker.memory`"));
    }
    Ok(())
}

fn vectors_diff(message: proto::VectorsConfigDiff) -> Parsed<BTreeMap<String, VectorParamsDiff>> {
    match required(message.config, "vectors_config")? {
        vectors_config_diff::Config::Params(diff) => {
            Ok(BTreeMap::from([(String::new(), vector_diff(diff)?)]))
        }
        vectors_config_diff::Config::ParamsMap(proto::VectorParamsDiffMap { map }) => {
            named(map, vector_diff)
        }
    }
}

fn vector_diff(message: proto::VectorParamsDiff) -> Parsed<VectorParamsDiff> {
    let proto::VectorParamsDiff { hnsw_config, quantization_config, on_disk, memory } = message;
    Ok(VectorParamsDiff {
        hnsw_config: hnsw_config.map(|diff| hnsw(&diff)).transpose()?,
        quantization_config: quantization_config.map(quantization_diff).transpose()?,
        on_disk,
        memory: memory_from(memory)?,
    })
}

fn quantization_diff(message: proto::QuantizationConfigDiff) -> Parsed<QuantizationDiff> {
    use qdrant_client::qdrant::quantization_config::Quantization;
    let kind = match required(message.quantization, "quantization_config")? {
        QuantizationChange::Disabled(proto::Disabled {}) => return Ok(QuantizationDiff::Disabled),
        QuantizationChange::Scalar(scalar) => Quantization::Scalar(scalar),
        QuantizationChange::Product(product) => Quantization::Product(product),
        QuantizationChange::Binary(binary) => Quantization::Binary(binary),
        QuantizationChange::Turboquant(turbo) => Quantization::Turboquant(turbo),
    };
    quantization_kind(kind).map(QuantizationDiff::Set)
}

fn params_diff(message: &proto::CollectionParamsDiff) -> Parsed<ParamsDiff> {
    let &proto::CollectionParamsDiff {
        replication_factor,
        write_consistency_factor,
        on_disk_payload,
        read_fan_out_factor,
        read_fan_out_delay_ms,
        payload,
        id_tracker,
    } = message;
    no_placement(payload.as_ref(), id_tracker.as_ref())?;
    if read_fan_out_factor.is_some() || read_fan_out_delay_ms.is_some() {
        return Err(unavailable("`read_fan_out`"));
    }
    Ok(ParamsDiff { replication_factor, write_consistency_factor, on_disk_payload })
}
