//! Collections and aliases: made, told, changed and removed through both doors.

use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionStatus, CreateAliasBuilder, CreateCollectionBuilder, Distance, HnswConfigDiffBuilder,
    Modifier, OptimizersConfigDiffBuilder, PointStruct, QuantizationType, QueryPointsBuilder,
    RenameAliasBuilder, ScalarQuantizationBuilder, SparseVectorParamsBuilder,
    SparseVectorsConfigBuilder, UpdateCollectionBuilder, UpsertPointsBuilder, VectorParamsBuilder,
    VectorsConfigBuilder,
};
use serde_json::json;
use tonic::Code;

use crate::engine::{Engine, refusal};
use crate::sample::payload;

fn simple(name: &str) -> CreateCollectionBuilder {
    CreateCollectionBuilder::new(name).vectors_config(VectorParamsBuilder::new(4, Distance::Dot))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_given_through_grpc_are_told_by_both_doors() {
    let engine = Engine::start().await;
    let client = engine.client();
    let mut vectors = VectorsConfigBuilder::default();
    vectors.add_named_vector_params(
        "dense",
        VectorParamsBuilder::new(8, Distance::Manhattan)
            .hnsw_config(HnswConfigDiffBuilder::default().m(24)),
    );
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params(
        "text",
        SparseVectorParamsBuilder::default().modifier(Modifier::Idf),
    );
    let mut create = CreateCollectionBuilder::new("full")
        .vectors_config(vectors)
        .sparse_vectors_config(sparse)
        .hnsw_config(HnswConfigDiffBuilder::default().ef_construct(64))
        .optimizers_config(OptimizersConfigDiffBuilder::default().indexing_threshold(5_000))
        .quantization_config(ScalarQuantizationBuilder::default().quantile(0.99))
        .on_disk_payload(true)
        .build();
    create.metadata = payload(&json!({"owner": "tests"}));
    assert!(client.create_collection(create).await.unwrap().result);

    let info = client.collection_info("full").await.unwrap().result.unwrap();
    assert_eq!(info.status(), CollectionStatus::Green);
    assert_eq!(info.points_count, Some(0));
    let config = info.config.unwrap();
    assert_eq!(config.hnsw_config.unwrap().ef_construct, Some(64));
    assert_eq!(config.optimizer_config.unwrap().indexing_threshold, Some(5_000));
    let quantization = config.quantization_config.unwrap().quantization.unwrap();
    let Quantization::Scalar(scalar) = quantization else { panic!("{quantization:?}") };
    assert_eq!(scalar.r#type(), QuantizationType::Int8);
    assert_eq!(scalar.quantile, Some(0.99));
    let params = config.params.unwrap();
    let Some(Config::ParamsMap(map)) = params.vectors_config.unwrap().config else {
        panic!("named vectors")
    };
    let dense = &map.map["dense"];
    assert_eq!((dense.size, dense.distance()), (8, Distance::Manhattan));
    assert_eq!(dense.hnsw_config.as_ref().unwrap().m, Some(24));
    assert_eq!(params.sparse_vectors_config.unwrap().map["text"].modifier(), Modifier::Idf);

    let rest = engine.rest("GET", "/collections/full", json!(null)).await.result();
    let expected = [
        ("/status", json!("green")),
        ("/points_count", json!(0)),
        ("/config/hnsw_config/ef_construct", json!(64)),
        ("/config/optimizer_config/indexing_threshold", json!(5_000)),
        ("/config/quantization_config/scalar/type", json!("int8")),
        ("/config/params/vectors/dense/size", json!(8)),
        ("/config/params/vectors/dense/distance", json!("Manhattan")),
        ("/config/params/vectors/dense/hnsw_config/m", json!(24)),
        ("/config/params/sparse_vectors/text/modifier", json!("idf")),
        ("/config/params/on_disk_payload", json!(true)),
        ("/config/metadata/owner", json!("tests")),
    ];
    for (pointer, value) in expected {
        assert_eq!(rest.pointer(pointer), Some(&value), "{pointer} in {rest}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_is_made_once_and_removed_once() {
    let engine = Engine::start().await;
    let client = engine.client();
    assert!(!client.collection_exists("c").await.unwrap());
    client.create_collection(simple("c")).await.unwrap();
    assert!(client.collection_exists("c").await.unwrap());

    let (code, message) = refusal(client.create_collection(simple("c")).await);
    assert_eq!(code, Code::AlreadyExists);
    assert_eq!(message, "Wrong input: Collection `c` already exists!");
    let again = json!({"vectors": {"size": 4, "distance": "Dot"}});
    let again = engine.rest("PUT", "/collections/c", again).await;
    assert_eq!((again.status, again.error()), (409, message));

    let names = client.list_collections().await.unwrap().collections;
    assert_eq!(names.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["c"]);
    assert!(client.delete_collection("c").await.unwrap().result);
    assert!(!client.delete_collection("c").await.unwrap().result);
    assert!(client.list_collections().await.unwrap().collections.is_empty());

    let (code, message) = refusal(client.collection_info("c").await);
    assert_eq!(code, Code::NotFound);
    assert_eq!(message, "Not found: Collection `c` doesn't exist!");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_made_again_starts_empty() {
    let engine = Engine::start().await;
    let client = engine.client();
    for _ in 0..3 {
        client.create_collection(simple("c")).await.unwrap();
        let info = client.collection_info("c").await.unwrap().result.unwrap();
        assert_eq!(info.points_count, Some(0));
        let point = PointStruct::new(1, vec![1.0; 4], payload(&json!({})));
        client.upsert_points(UpsertPointsBuilder::new("c", vec![point]).wait(true)).await.unwrap();
        client.delete_collection("c").await.unwrap();
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_settings_stay_changed_after_a_restart() {
    let engine = Engine::start().await;
    let client = engine.client();
    client.create_collection(simple("c")).await.unwrap();
    let change = UpdateCollectionBuilder::new("c")
        .optimizers_config(OptimizersConfigDiffBuilder::default().indexing_threshold(123))
        .hnsw_config(HnswConfigDiffBuilder::default().m(32));
    assert!(client.update_collection(change).await.unwrap().result);

    let dir = engine.stop().await;
    let engine = Engine::start_in(dir, |_| ()).await;
    let info = engine.client().collection_info("c").await.unwrap().result.unwrap();
    let config = info.config.unwrap();
    assert_eq!(config.optimizer_config.unwrap().indexing_threshold, Some(123));
    assert_eq!(config.hnsw_config.unwrap().m, Some(32));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_stands_for_its_collection_and_moves_in_one_step() {
    let engine = Engine::start().await;
    let client = engine.client();
    for (name, id) in [("blue", 1), ("green", 2)] {
        client.create_collection(simple(name)).await.unwrap();
        let point = PointStruct::new(id, vec![1.0; 4], payload(&json!({"in": name})));
        client.upsert_points(UpsertPointsBuilder::new(name, vec![point]).wait(true)).await.unwrap();
    }
    client.create_alias(CreateAliasBuilder::new("blue", "live")).await.unwrap();
    let first = |points: Vec<qdrant_client::qdrant::ScoredPoint>| points[0].id.clone();
    let found = client.query(QueryPointsBuilder::new("live")).await.unwrap();
    assert_eq!(first(found.result), Some(1.into()));

    let moved = json!({"actions": [
        {"delete_alias": {"alias_name": "live"}},
        {"create_alias": {"collection_name": "green", "alias_name": "live"}},
    ]});
    engine.rest("POST", "/collections/aliases", moved).await.result();
    let found = client.query(QueryPointsBuilder::new("live")).await.unwrap();
    assert_eq!(first(found.result), Some(2.into()));

    client.rename_alias(RenameAliasBuilder::new("live", "current")).await.unwrap();
    let aliases = client.list_aliases().await.unwrap().aliases;
    assert_eq!(aliases.len(), 1);
    assert_eq!(
        (aliases[0].alias_name.as_str(), aliases[0].collection_name.as_str()),
        ("current", "green")
    );
    let own = client.list_collection_aliases("green").await.unwrap().aliases;
    assert_eq!(own, aliases);
    assert!(client.list_collection_aliases("blue").await.unwrap().aliases.is_empty());

    let dir = engine.stop().await;
    let engine = Engine::start_in(dir, |_| ()).await;
    let client = engine.client();
    assert_eq!(client.list_aliases().await.unwrap().aliases, aliases);
    client.delete_collection("green").await.unwrap();
    assert!(
        client.list_aliases().await.unwrap().aliases.is_empty(),
        "aliases go with their collection"
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alias_changes_are_all_made_or_none() {
    let engine = Engine::start().await;
    let client = engine.client();
    client.create_collection(simple("c")).await.unwrap();
    let actions = json!({"actions": [
        {"create_alias": {"collection_name": "c", "alias_name": "a"}},
        {"create_alias": {"collection_name": "missing", "alias_name": "b"}},
    ]});
    let answer = engine.rest("POST", "/collections/aliases", actions).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(client.list_aliases().await.unwrap().aliases.is_empty());

    let (code, _) = refusal(client.create_alias(CreateAliasBuilder::new("c", "c")).await);
    assert!(matches!(code, Code::InvalidArgument | Code::AlreadyExists), "{code:?}");
    engine.stop().await;
}
