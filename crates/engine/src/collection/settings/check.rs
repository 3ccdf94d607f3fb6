//! What is refused in a collection's settings before anything is made or changed.

use qdrant_edge::VectorStorageDatatype;

use super::invalid;
use crate::error::ApiError;
use crate::model::collection::{CreateCollection, HnswDiff, OptimizersDiff, VectorParams};

/// Upstream's largest dimension.
const DIMENSIONS_MAX: usize = 65_536;

pub(super) fn check_create(request: &CreateCollection) -> Result<(), ApiError> {
    for (name, params) in request.vectors.by_name() {
        check_dense(name, params)?;
    }
    let dense = request.vectors.by_name();
    for name in request.sparse_vectors.iter().flat_map(|sparse| sparse.keys()) {
        if name.is_empty() {
            return Err(ApiError::BadInput("Sparse vector name must not be empty".into()));
        }
        if dense.contains_key(name.as_str()) {
            return Err(ApiError::BadInput(format!(
                "Dense and sparse vector names must be unique - duplicate found with '{name}'"
            )));
        }
    }
    check_hnsw(request.hnsw_config.as_ref().unwrap_or(&HnswDiff::default()))?;
    if let Some(diff) = &request.optimizers_config {
        check_optimizers(diff)?;
    }
    for (what, number) in [
        ("shard_number", request.shard_number),
        ("replication_factor", request.replication_factor),
        ("write_consistency_factor", request.write_consistency_factor),
    ] {
        if number == Some(0) {
            return Err(invalid(what, "value 0 invalid, must be 1 or larger"));
        }
    }
    match request.sharding_method.as_deref() {
        None | Some("auto") => {}
        Some(other) => {
            return Err(ApiError::NotImplemented(format!("sharding_method `{other}`")));
        }
    }
    check_strict_mode(request.strict_mode_config.as_ref())
}

fn check_dense(name: &str, params: &VectorParams) -> Result<(), ApiError> {
    let shown = if name.is_empty() { "vectors".to_owned() } else { format!("vectors.{name}") };
    if params.size == 0 || params.size > DIMENSIONS_MAX {
        return Err(invalid(
            &format!("{shown}.size"),
            &format!("value {} invalid, must be from 1 to {DIMENSIONS_MAX}", params.size),
        ));
    }
    match params.datatype {
        None
        | Some(
            VectorStorageDatatype::Float32
            | VectorStorageDatatype::Float16
            | VectorStorageDatatype::Uint8,
        ) => {}
        Some(
            datatype @ (VectorStorageDatatype::Turbo4
            | VectorStorageDatatype::Turbo8
            | VectorStorageDatatype::Turbo16),
        ) => return Err(ApiError::NotImplemented(format!("vector datatype {datatype:?}"))),
    }
    check_hnsw(params.hnsw_config.as_ref().unwrap_or(&HnswDiff::default()))
}

pub(super) fn check_hnsw(diff: &HnswDiff) -> Result<(), ApiError> {
    match diff.ef_construct {
        Some(ef) if ef < 4 => Err(invalid(
            "hnsw_config.ef_construct",
            &format!("value {ef} invalid, must be 4 or larger"),
        )),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn check_optimizers(diff: &OptimizersDiff) -> Result<(), ApiError> {
    if let Some(threshold) = diff.deleted_threshold
        && !(0.0..=1.0).contains(&threshold)
    {
        return Err(invalid(
            "optimizers_config.deleted_threshold",
            &format!("value {threshold} invalid, must be from 0 to 1"),
        ));
    }
    if diff.prevent_unoptimized == Some(true) {
        return Err(ApiError::NotImplemented("prevent_unoptimized".into()));
    }
    Ok(())
}

/// Strict mode limits what requests may do; none of its limits are kept here, so none is accepted.
pub(super) fn check_strict_mode(
    config: Option<&serde_json::Map<String, serde_json::Value>>,
) -> Result<(), ApiError> {
    let enabled = config
        .and_then(|config| config.get("enabled"))
        .and_then(serde_json::Value::as_bool)
        .unwrap_or(false);
    if enabled {
        return Err(ApiError::NotImplemented("strict_mode_config".into()));
    }
    Ok(())
}
