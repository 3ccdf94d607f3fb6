//! One engine and what is needed to back it up, with nothing in between: faults can be put anywhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qdrant_client::qdrant::vectors_config::Config as VectorsKind;
use qdrant_client::qdrant::{
    CreateAliasBuilder, CreateCollectionBuilder, Distance, NamedVectors, PointStruct,
    ScrollPointsBuilder, SparseVectorParamsBuilder, SparseVectorsConfigBuilder,
    UpsertPointsBuilder, Vector, VectorParamsBuilder, VectorsConfig, VectorsConfigBuilder,
};
use qdrant_client::{Payload, Qdrant};
use qmoor_agent::backup::{BackupReport, BackupRequest, backup};
use qmoor_agent::engine::{Endpoint, EngineProcess, EngineSpec, RunsIn};
use qmoor_agent::error::NodeError;
use qmoor_agent::gate::{Gate, GateLimits};
use qmoor_agent::node::{NodeContext, Progress};
use qmoor_agent::restore::{RestoreReport, restore};
use qmoor_plan::config::Config;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Everything a scroll says of every point: id, then payload and vectors as text.
pub(crate) type Points = BTreeMap<String, String>;

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) node: NodeContext,
    pub(crate) engine: Arc<EngineProcess>,
    pub(crate) gate: Gate,
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_qmoor"))
}

impl Bench {
    /// With a running engine that holds some points.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_dir(dir.path());
        config.backup.gate_timeout = Duration::from_secs(1);
        change(&mut config);
        let bench = Self::open(dir, config);
        bench.engine.start().await.unwrap();
        fill(&client(&bench.endpoint()), "docs", 0..500).await;
        bench
    }

    pub(crate) fn open(dir: TempDir, config: Config) -> Self {
        let engine = Arc::new(engine(&config, config.node.data.clone()));
        let limits = GateLimits { hold_budget: Duration::from_secs(4), max_held: 100 };
        let node = NodeContext::open(config, program(), "test").unwrap();
        Self { dir, node, engine, gate: Gate::new(limits) }
    }

    /// As after a crash: everything let go, and opened again. The engine is down.
    pub(crate) async fn reopened(self) -> Self {
        let Self { dir, node, engine, gate: _ } = self;
        engine.stop().await.unwrap();
        let config = node.config().clone();
        drop((engine, node));
        Self::open(dir, config)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.engine.endpoint().expect("a running engine")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.node.config().node.data.clone()
    }

    pub(crate) async fn backup(&self) -> Result<BackupReport, NodeError> {
        self.backup_watched(&|_| {}).await
    }

    pub(crate) async fn backup_watched(
        &self,
        watch: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<BackupReport, NodeError> {
        backup(&self.node, &self.engine, &self.gate, &BackupRequest::default(), watch).await
    }

    pub(crate) async fn restore(&self, id: Option<&str>) -> Result<RestoreReport, NodeError> {
        restore(&self.node, Some(&self.engine), Some(&self.gate), id, &|_| {}).await
    }

    pub(crate) async fn points(&self, collection: &str) -> Points {
        points(&client(&self.endpoint()), collection).await
    }
}

pub(crate) fn engine(config: &Config, data: PathBuf) -> EngineProcess {
    EngineProcess::new(EngineSpec {
        runs_in: RunsIn::Child(program()),
        data,
        log: config.node.dir.join("test-engine.log"),
        start_timeout: config.engine.start_timeout,
        stop_timeout: config.engine.stop_timeout,
    })
}

pub(crate) fn client(endpoint: &Endpoint) -> Qdrant {
    client_at(&endpoint.grpc.to_string(), endpoint.api_key.expose())
}

pub(crate) fn client_at(address: &str, key: &str) -> Qdrant {
    Qdrant::from_url(&format!("http://{address}"))
        .api_key(key)
        .timeout(Duration::from_secs(60))
        .skip_compatibility_check()
        .build()
        .unwrap()
}

/// A collection with a named dense and a named sparse vector, an alias, and points in it.
pub(crate) async fn fill(client: &Qdrant, collection: &str, ids: std::ops::Range<u64>) {
    if !client.collection_exists(collection).await.unwrap() {
        create(client, collection).await;
    }
    let upsert = UpsertPointsBuilder::new(collection, ids.map(point).collect::<Vec<_>>());
    client.upsert_points(upsert.wait(true)).await.unwrap();
}

pub(crate) async fn create(client: &Qdrant, collection: &str) {
    let mut dense = VectorsConfigBuilder::default();
    dense.add_named_vector_params("dense", VectorParamsBuilder::new(8, Distance::Euclid));
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params("words", SparseVectorParamsBuilder::default());
    let dense: VectorsConfig = dense.into();
    assert!(matches!(dense.config, Some(VectorsKind::ParamsMap(_))));
    client
        .create_collection(
            CreateCollectionBuilder::new(collection)
                .vectors_config(dense)
                .sparse_vectors_config(sparse),
        )
        .await
        .unwrap();
    let alias = CreateAliasBuilder::new(collection, format!("{collection}-now"));
    client.create_alias(alias).await.unwrap();
}

/// A point that follows from its number alone.
pub(crate) fn point(number: u64) -> PointStruct {
    let bytes = Sha256::digest(number.to_le_bytes());
    let dense: Vec<f32> = bytes.iter().take(8).map(|byte| f32::from(*byte) / 16.0).collect();
    let words: Vec<(u32, f32)> =
        (0..4).map(|term| (term * 1000 + u32::from(bytes[8]), 0.5 + f32::from(bytes[9]))).collect();
    let vectors = NamedVectors::default()
        .add_vector("dense", Vector::new_dense(dense))
        .add_vector("words", Vector::from(words));
    let mut payload = Payload::new();
    payload.insert("number", i64::try_from(number).unwrap());
    payload.insert("text", format!("point number {number}, {bytes:x?}"));
    PointStruct::new(number, vectors, payload)
}

/// Every point of a collection.
pub(crate) async fn points(client: &Qdrant, collection: &str) -> Points {
    let mut all = Points::new();
    let mut offset = None;
    loop {
        let mut scroll =
            ScrollPointsBuilder::new(collection).limit(1000).with_payload(true).with_vectors(true);
        if let Some(offset) = offset {
            scroll = scroll.offset::<qdrant_client::qdrant::PointId>(offset);
        }
        let page = client.scroll(scroll).await.unwrap();
        for point in page.result {
            let payload: BTreeMap<_, _> =
                point.payload.iter().map(|(key, value)| (key, value.to_string())).collect();
            let vectors = in_order(&point.vectors);
            all.insert(format!("{:?}", point.id), format!("{payload:?} {vectors}"));
        }
        match page.next_page_offset {
            Some(next) => offset = Some(next),
            None => return all,
        }
    }
}

/// A map of names has no order of its own.
fn in_order(vectors: &Option<qdrant_client::qdrant::VectorsOutput>) -> String {
    use qdrant_client::qdrant::vectors_output::VectorsOptions;
    match vectors.as_ref().and_then(|vectors| vectors.vectors_options.as_ref()) {
        Some(VectorsOptions::Vectors(named)) => {
            format!("{:?}", named.vectors.iter().collect::<BTreeMap<_, _>>())
        }
        other => format!("{other:?}"),
    }
}

/// Names in a folder.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .map(|entries| {
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}
