//! What is refused, with which code and in which words; and that both doors say the same.

use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use qdrant_client::qdrant::snapshots_client::SnapshotsClient;
use qdrant_client::qdrant::{
    self as proto, CountPointsBuilder, DeletePointsBuilder, NamedVectors, PointId, PointStruct,
    Query, QueryPointsBuilder, UpsertPointsBuilder, Vector,
};
use serde_json::{Value as Json, json};
use tonic::Code;

use crate::engine::{Engine, refusal};
use crate::sample::{payload, places};

/// A write that must be refused, in both forms, and a part of the reason.
fn bad_vectors() -> Vec<(Json, NamedVectors, &'static str)> {
    let named = |name: &str, vector: Vector| NamedVectors::default().add_vector(name, vector);
    vec![
        (
            json!({"dense": [1.0, 2.0, 3.0]}),
            named("dense", Vector::new_dense(vec![1.0, 2.0, 3.0])),
            "Vector dimension error: expected dim: 4, got 3",
        ),
        (
            json!({"missing": [1.0]}),
            named("missing", Vector::new_dense(vec![1.0])),
            "Not existing vector name error: missing",
        ),
        (
            json!({"words": {"indices": [1, 1], "values": [1.0, 2.0]}}),
            named("words", Vector::new_sparse(vec![1, 1], vec![1.0, 2.0])),
            "indices: must be unique",
        ),
        (
            json!({"words": {"indices": [1], "values": [1.0, 2.0]}}),
            named("words", Vector::new_sparse(vec![1], vec![1.0, 2.0])),
            "",
        ),
        (json!({"words": [1.0, 2.0]}), named("words", Vector::new_dense(vec![1.0, 2.0])), ""),
        (
            json!({"dense": {"indices": [1], "values": [1.0]}}),
            named("dense", Vector::new_sparse(vec![1], vec![1.0])),
            "",
        ),
        (
            json!({"rows": [[1.0, 2.0], [3.0]]}),
            named("rows", Vector::new_multi(vec![vec![1.0, 2.0], vec![3.0]])),
            "",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_that_do_not_fit_are_refused_and_nothing_is_written() {
    let (engine, client) = places().await;
    for (rest, grpc, reason) in bad_vectors() {
        // A good point beside the bad one: neither must be written.
        let body = json!({"points": [
            {"id": 70, "vector": {"pixels": [1.0, 1.0]}}, {"id": 71, "vector": rest},
        ]});
        let answer = engine.rest("PUT", "/collections/places/points?wait=true", body).await;
        assert!(matches!(answer.status, 400 | 422), "{rest}: {answer:?}");
        assert!(answer.error().contains(reason), "{rest}: {answer:?}");

        let good = NamedVectors::default().add_vector("pixels", vec![1.0, 1.0]);
        let points = vec![
            PointStruct::new(70, good, payload(&json!({}))),
            PointStruct::new(71, grpc, payload(&json!({}))),
        ];
        let (code, message) = refusal(
            client.upsert_points(UpsertPointsBuilder::new("places", points).wait(true)).await,
        );
        assert_eq!(code, Code::InvalidArgument, "{rest}: {message}");
        assert!(message.contains(reason), "{rest}: {message}");
    }
    let count = client.count(CountPointsBuilder::new("places")).await.unwrap();
    assert_eq!(count.result.unwrap().count, 10);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_a_number_is_refused() {
    let (engine, client) = places().await;
    for bad in [f32::NAN, f32::INFINITY] {
        let vectors = NamedVectors::default().add_vector("pixels", vec![1.0, bad]);
        let point = PointStruct::new(70, vectors, payload(&json!({})));
        let (code, message) = refusal(
            client.upsert_points(UpsertPointsBuilder::new("places", vec![point]).wait(true)).await,
        );
        assert_eq!(code, Code::InvalidArgument, "{bad}: {message}");
        let query = QueryPointsBuilder::new("places")
            .query(Query::new_nearest(vec![1.0, bad]))
            .using("pixels");
        let (code, message) = refusal(client.query(query).await);
        assert_eq!(code, Code::InvalidArgument, "{bad}: {message}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_numbers_or_uuids() {
    let (engine, client) = places().await;
    let reason = "is not a valid point ID, valid values are either an unsigned integer or a UUID";
    let (code, message) = refusal(
        client
            .delete_points(
                DeletePointsBuilder::new("places").points(vec![PointId::from("chunk::doc123::0")]),
            )
            .await,
    );
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.contains(reason), "{message}");
    for id in [json!("chunk::doc123::0"), json!(-1), json!(1.5)] {
        let body = json!({"points": [{"id": id, "vector": {"pixels": [1.0, 1.0]}}]});
        let answer = engine.rest("PUT", "/collections/places/points", body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.error().contains(reason), "{answer:?}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_that_do_not_fit_are_refused_by_both_doors() {
    let (engine, client) = places().await;
    let cases = [
        (json!([1.0]), "dense", 400, Code::InvalidArgument, "expected dim: 4, got 1"),
        (
            json!([1.0]),
            "missing",
            400,
            Code::InvalidArgument,
            "Not existing vector name error: missing",
        ),
    ];
    for (vector, using, status, code, reason) in cases {
        let body = json!({"query": vector, "using": using});
        let answer = engine.rest("POST", "/collections/places/points/query", body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.error().contains(reason), "{answer:?}");
        let query =
            QueryPointsBuilder::new("places").query(Query::new_nearest(vec![1.0])).using(using);
        let (found, message) = refusal(client.query(query).await);
        assert_eq!(found, code);
        assert_eq!(message, answer.error(), "the same words");
    }
    let body = json!({"query": 99, "using": "dense"});
    let answer = engine.rest("POST", "/collections/places/points/query", body).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let query = QueryPointsBuilder::new("places").query(Query::new_nearest(99)).using("dense");
    assert_eq!(refusal(client.query(query).await), (Code::NotFound, answer.error()));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(deprecated, reason = "older clients still call these")]
async fn what_is_missing_says_so_by_name() {
    let (engine, _) = places().await;
    let mut points = PointsClient::connect(engine.grpc_url()).await.unwrap();
    let mut collections = CollectionsClient::connect(engine.grpc_url()).await.unwrap();
    let mut snapshots = SnapshotsClient::connect(engine.grpc_url()).await.unwrap();
    let answers = [
        ("Points/Discover", points.discover(proto::DiscoverPoints::default()).await.err()),
        ("Points/Recommend", points.recommend(proto::RecommendPoints::default()).await.err()),
        (
            "Points/SearchGroups",
            points.search_groups(proto::SearchPointGroups::default()).await.err(),
        ),
        (
            "Points/SearchMatrixPairs",
            points.search_matrix_pairs(proto::SearchMatrixPoints::default()).await.err(),
        ),
        (
            "Collections/CreateShardKey",
            collections.create_shard_key(proto::CreateShardKeyRequest::default()).await.err(),
        ),
        ("Snapshots/Create", snapshots.create(proto::CreateSnapshotRequest::default()).await.err()),
    ];
    for (name, status) in answers {
        let status = status.expect("not implemented");
        assert_eq!(status.code(), Code::Unimplemented, "{status}");
        assert!(status.message().contains(name), "{status}");
    }
    for path in ["points/discover", "points/recommend", "points/search/matrix/pairs", "snapshots"] {
        let path = format!("/collections/places/{path}");
        let answer = engine.rest("POST", &path, json!({})).await;
        assert_eq!(answer.status, 501, "{answer:?}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_of_query_that_are_missing_are_not_mistaken_for_others() {
    let (engine, client) = places().await;
    let context = proto::ContextInputBuilder::default().add_pair(1, 2).build();
    let queries = [
        (
            "context",
            Query::new_context(context),
            json!({"context": [{"positive": 1, "negative": 2}]}),
        ),
        (
            "mmr",
            Query::new_nearest_with_mmr(
                1,
                proto::Mmr { diversity: Some(0.5), candidates_limit: None },
            ),
            json!({"nearest": 1, "mmr": {"diversity": 0.5}}),
        ),
        (
            "formula",
            Query::new_formula(proto::Formula {
                expression: Some(proto::Expression::constant(1.0)),
                ..Default::default()
            }),
            json!({"formula": 1.0}),
        ),
    ];
    for (name, grpc, rest) in queries {
        let query = QueryPointsBuilder::new("places").query(grpc).using("dense");
        let (code, message) = refusal(client.query(query).await);
        assert_eq!(code, Code::Unimplemented, "{message}");
        assert!(message.contains(name), "{message}");
        let body = json!({"query": rest, "using": "dense"});
        let answer = engine.rest("POST", "/collections/places/points/query", body).await;
        assert_eq!((answer.status, answer.error()), (501, message));
    }
    let lookup = proto::LookupLocation { collection_name: "places".into(), ..Default::default() };
    let query = QueryPointsBuilder::new("places")
        .query(Query::new_nearest(1))
        .using("dense")
        .lookup_from(lookup);
    let (code, message) = refusal(client.query(query).await);
    assert_eq!(code, Code::Unimplemented, "{message}");
    engine.stop().await;
}

/// Queries that make no sense, in REST's form.
fn senseless() -> Vec<Json> {
    vec![
        json!({"query": {"fusion": "rrf"}}),
        json!({"prefetch": {"query": [0.0, 0.0, 0.0, 1.0], "using": "dense"}}),
        json!({"query": {"recommend": {}}, "using": "dense"}),
        json!({"query": {"recommend": {"negative": [1]}}, "using": "dense"}),
        json!({"query": {"order_by": "no_index"}}),
        json!({"query": [0.0, 0.0, 0.0, 1.0], "using": "dense", "limit": 0}),
        json!({"query": [0.0, 0.0, 0.0, 1.0], "using": "dense", "filter": {"must": [{"key": "n"}]}}),
        json!({"query": [0.0, 0.0, 0.0, 1.0], "using": "dense", "params": {"hnsw_ef": 0}}),
        json!({
            "query": [0.0, 0.0, 0.0, 1.0], "using": "dense",
            "params": {"quantization": {"oversampling": 0.5}},
        }),
        json!({
            "query": [0.0, 0.0, 0.0, 1.0], "using": "dense",
            "filter": {"min_should": {"conditions": [], "min_count": 0}},
        }),
        json!({"query": [0.0, 0.0, 0.0, 1.0], "using": "dense", "with_vector": ["missing"]}),
        json!({
            "prefetch": [{"limit": 2}, {"limit": 2}],
            "query": {"rrf": {"weights": [1.0, 1.0, 1.0]}},
        }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_make_no_sense_are_refused_and_not_guessed_at() {
    let (engine, _) = places().await;
    let mut taken = Vec::new();
    for body in senseless() {
        let answer = engine.rest("POST", "/collections/places/points/query", body.clone()).await;
        if !matches!(answer.status, 400 | 422) {
            taken.push((body, answer));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_is_not_there_is_not_found_by_any_call() {
    let engine = Engine::start().await;
    let client = engine.client();
    let words = "Not found: Collection `none` doesn't exist!".to_owned();
    let point = PointStruct::new(1, vec![1.0], payload(&json!({})));
    let answers = [
        refusal(client.count(CountPointsBuilder::new("none")).await),
        refusal(client.query(QueryPointsBuilder::new("none")).await),
        refusal(client.scroll(proto::ScrollPointsBuilder::new("none")).await),
        refusal(client.upsert_points(UpsertPointsBuilder::new("none", vec![point])).await),
    ];
    for answer in answers {
        assert_eq!(answer, (Code::NotFound, words.clone()));
    }
    for (method, path) in [
        ("GET", "/collections/none"),
        ("GET", "/collections/none/points/1"),
        ("POST", "/collections/none/points/scroll"),
    ] {
        let answer = engine.rest(method, path, json!({})).await;
        assert_eq!((answer.status, answer.error()), (404, words.clone()), "{path}");
    }
    engine.stop().await;
}
