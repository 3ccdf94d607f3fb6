//! How a collection is made and set: the REST bodies, and what `collection.json` keeps.

use std::collections::BTreeMap;

use qdrant_edge::{
    Distance, Memory, Modifier, MultiVectorConfig, PayloadFieldSchema, QuantizationConfig,
    VectorStorageDatatype,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A dense (or multi) vector of a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct VectorParams {
    /// Dimensions, 1 to 65536.
    pub(crate) size: usize,
    pub(crate) distance: Distance,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hnsw_config: Option<HnswDiff>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quantization_config: Option<QuantizationConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_disk: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datatype: Option<VectorStorageDatatype>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) multivector_config: Option<MultiVectorConfig>,
}

/// The dense vectors: one without a name, or any number by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum VectorsConfig {
    Single(VectorParams),
    Named(BTreeMap<String, VectorParams>),
}

impl Default for VectorsConfig {
    fn default() -> Self {
        Self::Named(BTreeMap::new())
    }
}

impl<'de> Deserialize<'de> for VectorsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Option::<Map<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
        let single = object.get("size").is_some_and(Value::is_number);
        let value = Value::Object(object);
        if single {
            serde_json::from_value(value).map(Self::Single)
        } else {
            serde_json::from_value(value).map(Self::Named)
        }
        .map_err(serde::de::Error::custom)
    }
}

impl VectorsConfig {
    /// All dense vectors by name; the unnamed one is `""`.
    pub(crate) fn by_name(&self) -> BTreeMap<&str, &VectorParams> {
        match self {
            Self::Single(params) => BTreeMap::from([("", params)]),
            Self::Named(named) => named.iter().map(|(name, p)| (name.as_str(), p)).collect(),
        }
    }

    /// The params of one dense vector, to change them.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut VectorParams> {
        match self {
            Self::Single(params) => name.is_empty().then_some(params),
            Self::Named(named) => named.get_mut(name),
        }
    }
}

/// A sparse vector of a collection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SparseVectorParams {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<SparseIndexParams>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) modifier: Option<Modifier>,
}

/// How a sparse vector is indexed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SparseIndexParams {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) full_scan_threshold: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_disk: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datatype: Option<VectorStorageDatatype>,
}

/// HNSW settings; what is absent keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HnswDiff {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) m: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ef_construct: Option<usize>,
    /// Kilobytes.
    #[serde(default, alias = "full_scan_threshold_kb", skip_serializing_if = "Option::is_none")]
    pub(crate) full_scan_threshold: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_indexing_threads: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_disk: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload_m: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inline_storage: Option<bool>,
}

/// Optimizer settings; what is absent keeps its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OptimizersDiff {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vacuum_min_vector_number: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_segment_number: Option<usize>,
    /// Kilobytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_segment_size: Option<usize>,
    /// Kilobytes. Accepted and shown; upstream no longer uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memmap_threshold: Option<usize>,
    /// Kilobytes; 0 turns indexing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) indexing_threshold: Option<usize>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flush_interval_sec: Option<u64>,
    /// A number or `auto`; 0 turns optimizing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_optimization_threads: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prevent_unoptimized: Option<bool>,
}

/// Write-ahead log settings. Accepted and shown; the engine sizes its log itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WalDiff {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wal_capacity_mb: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wal_segments_ahead: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wal_retain_closed: Option<usize>,
}

/// The body that creates a collection.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct CreateCollection {
    #[serde(default)]
    pub(crate) vectors: VectorsConfig,
    #[serde(default)]
    pub(crate) sparse_vectors: Option<BTreeMap<String, SparseVectorParams>>,
    #[serde(default)]
    pub(crate) hnsw_config: Option<HnswDiff>,
    #[serde(default, alias = "optimizer_config")]
    pub(crate) optimizers_config: Option<OptimizersDiff>,
    #[serde(default)]
    pub(crate) wal_config: Option<WalDiff>,
    #[serde(default)]
    pub(crate) quantization_config: Option<QuantizationConfig>,
    #[serde(default)]
    pub(crate) on_disk_payload: Option<bool>,
    #[serde(default)]
    pub(crate) shard_number: Option<u32>,
    #[serde(default)]
    pub(crate) replication_factor: Option<u32>,
    #[serde(default)]
    pub(crate) write_consistency_factor: Option<u32>,
    /// `auto`; `custom` is refused.
    #[serde(default)]
    pub(crate) sharding_method: Option<String>,
    /// Refused when it would limit anything.
    #[serde(default)]
    pub(crate) strict_mode_config: Option<Map<String, Value>>,
    /// Anything the caller wants to keep with the collection.
    #[serde(default)]
    pub(crate) metadata: Option<Map<String, Value>>,
}

/// What a change of a dense vector's settings may say.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct VectorParamsDiff {
    #[serde(default)]
    pub(crate) hnsw_config: Option<HnswDiff>,
    #[serde(default)]
    pub(crate) quantization_config: Option<QuantizationDiff>,
    #[serde(default)]
    pub(crate) on_disk: Option<bool>,
    #[serde(default)]
    pub(crate) memory: Option<Memory>,
}

/// Quantization set anew, or turned off.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum QuantizationDiff {
    Set(QuantizationConfig),
    Disabled,
}

impl<'de> Deserialize<'de> for QuantizationDiff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word.eq_ignore_ascii_case("disabled") => Ok(Self::Disabled),
            value => serde_json::from_value(value).map(Self::Set).map_err(serde::de::Error::custom),
        }
    }
}

/// Collection-wide settings that may change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ParamsDiff {
    #[serde(default)]
    pub(crate) replication_factor: Option<u32>,
    #[serde(default)]
    pub(crate) write_consistency_factor: Option<u32>,
    #[serde(default)]
    pub(crate) on_disk_payload: Option<bool>,
}

/// The body that changes a collection's settings.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct UpdateCollection {
    #[serde(default)]
    pub(crate) vectors: Option<BTreeMap<String, VectorParamsDiff>>,
    #[serde(default)]
    pub(crate) sparse_vectors: Option<BTreeMap<String, SparseVectorParams>>,
    #[serde(default)]
    pub(crate) hnsw_config: Option<HnswDiff>,
    #[serde(default, alias = "optimizer_config")]
    pub(crate) optimizers_config: Option<OptimizersDiff>,
    #[serde(default)]
    pub(crate) quantization_config: Option<QuantizationDiff>,
    #[serde(default)]
    pub(crate) params: Option<ParamsDiff>,
    #[serde(default)]
    pub(crate) strict_mode_config: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) metadata: Option<Map<String, Value>>,
}

/// Everything that is set for a collection: what `GET /collections/{name}` shows and
/// `collection.json` keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CollectionConfig {
    pub(crate) params: CollectionParams,
    pub(crate) hnsw_config: HnswDiff,
    pub(crate) optimizer_config: OptimizersDiff,
    pub(crate) wal_config: WalDiff,
    #[serde(default)]
    pub(crate) quantization_config: Option<QuantizationConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Map<String, Value>>,
}

/// The part of the settings that says what a collection holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CollectionParams {
    pub(crate) vectors: VectorsConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sparse_vectors: Option<BTreeMap<String, SparseVectorParams>>,
    pub(crate) shard_number: u32,
    pub(crate) replication_factor: u32,
    pub(crate) write_consistency_factor: u32,
    pub(crate) on_disk_payload: bool,
}

/// One change of the aliases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the words of the API")]
pub(crate) enum AliasAction {
    CreateAlias { collection_name: String, alias_name: String },
    DeleteAlias { alias_name: String },
    RenameAlias { old_alias_name: String, new_alias_name: String },
}

/// Changes of the aliases, made all together or not at all.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ChangeAliases {
    pub(crate) actions: Vec<AliasAction>,
}

/// The body that makes a payload index.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CreateFieldIndex {
    pub(crate) field_name: qdrant_edge::JsonPath,
    #[serde(default, alias = "field_type")]
    pub(crate) field_schema: Option<PayloadFieldSchema>,
}

/// Whether a collection is ready, busy or idle with work left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CollectionStatus {
    /// All is optimized.
    Green,
    /// The optimizer works.
    Yellow,
    /// There is something to optimize, and nothing does.
    Grey,
}

/// What `GET /collections/{name}` tells.
#[derive(Debug, Clone)]
pub(crate) struct CollectionInfo {
    pub(crate) status: CollectionStatus,
    pub(crate) points_count: usize,
    pub(crate) indexed_vectors_count: usize,
    pub(crate) segments_count: usize,
    /// Changes that wait for their turn.
    pub(crate) update_queue_length: usize,
    pub(crate) config: CollectionConfig,
    pub(crate) payload_schema: BTreeMap<String, qdrant_edge::PayloadIndexInfo>,
}
