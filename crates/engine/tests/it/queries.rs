//! Queries of every kind give the same points, in the same order and with the same scores, through
//! both doors.

use qdrant_client::Qdrant;
use qdrant_client::qdrant::group_id::Kind;
use qdrant_client::qdrant::{
    Condition, CreateCollectionBuilder, Document, Filter, Fusion, Modifier, NamedVectors,
    OrderByBuilder, PointStruct, PrefetchQueryBuilder, Query, QueryBatchPointsBuilder,
    QueryPointGroupsBuilder, QueryPoints, QueryPointsBuilder, RecommendInputBuilder,
    RecommendStrategy, Rrf, Sample, SearchBatchPointsBuilder, SearchParamsBuilder,
    SearchPointsBuilder, SparseVectorParamsBuilder, SparseVectorsConfigBuilder,
    UpsertPointsBuilder, VectorInput,
};
use serde_json::{Value as Json, json};

use crate::engine::Engine;
use crate::sample::{
    TEN, index, json_id, json_numbers, json_payload, numbers, payload, places, single,
};

fn query() -> QueryPointsBuilder {
    QueryPointsBuilder::new("places")
}

fn dense() -> (Json, VectorInput) {
    let vector = vec![0.3, -0.4, 0.5, 0.5];
    (json!(vector), VectorInput::new_dense(vector))
}

/// Asks both doors, and gives the places found.
async fn ask(engine: &Engine, client: &Qdrant, rest: &Json, grpc: QueryPoints) -> Vec<u64> {
    let result =
        engine.rest("POST", "/collections/places/points/query", rest.clone()).await.result();
    let hits = client.query(grpc).await.unwrap_or_else(|e| panic!("{rest}: {e}")).result;
    let mut points = result["points"].as_array().unwrap().clone();
    assert_eq!(points.len(), hits.len(), "{rest}");
    // Points that score alike come in any order.
    points.sort_by_key(|point| (single(&point["score"]).to_string(), point["id"].to_string()));
    let mut hits = hits;
    hits.sort_by_key(|hit| {
        let id = json_id(hit.id.as_ref().unwrap());
        (single(&json!(hit.score)).to_string(), id.to_string())
    });
    for (hit, point) in hits.iter().zip(&points) {
        assert_eq!(json_id(hit.id.as_ref().unwrap()), point["id"], "{rest}");
        assert_eq!(single(&json!(hit.score)), single(&point["score"]), "{rest}");
        if !hit.payload.is_empty() {
            assert_eq!(json_payload(&hit.payload), point["payload"], "{rest}");
        }
    }
    json_numbers(&result["points"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_to_a_vector_with_everything_that_narrows_it() {
    let (engine, client) = places().await;
    let (json, input) = dense();
    let near = || query().query(Query::new_nearest(input.clone())).using("dense");
    let all = ask(
        &engine,
        &client,
        &json!({"query": json, "using": "dense", "with_payload": true}),
        near().with_payload(true).build(),
    )
    .await;
    assert_eq!(all.len(), 10, "the default limit");

    let page = ask(
        &engine,
        &client,
        &json!({"query": {"nearest": json}, "using": "dense", "limit": 3, "offset": 2}),
        near().limit(3).offset(2).build(),
    )
    .await;
    assert_eq!(page, all[2..5]);

    let even = Filter::must([Condition::matches("tag", "even".to_owned())]);
    let even_json = json!({"must": [{"key": "tag", "match": {"value": "even"}}]});
    let filtered = ask(
        &engine,
        &client,
        &json!({
            "query": json, "using": "dense", "filter": even_json,
            "params": {"exact": true, "hnsw_ef": 64},
        }),
        near().filter(even).params(SearchParamsBuilder::default().exact(true).hnsw_ef(64)).build(),
    )
    .await;
    let expected: Vec<_> = all.iter().copied().filter(|n| n.is_multiple_of(2)).collect();
    assert_eq!(filtered, expected);

    let best = ask(
        &engine,
        &client,
        &json!({"query": json, "using": "dense", "score_threshold": 0.5}),
        near().score_threshold(0.5).build(),
    )
    .await;
    assert!(!best.is_empty() && best.len() < 10 && all.starts_with(&best), "{best:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_to_a_point_leaves_the_point_out() {
    let (engine, client) = places().await;
    for (id, number) in [(json!(3), 3), (json!(TEN), 10)] {
        let point = crate::sample::place_id(number);
        let found = ask(
            &engine,
            &client,
            &json!({"query": id, "using": "dense", "limit": 20}),
            query().query(Query::new_nearest(point)).using("dense").limit(20).build(),
        )
        .await;
        assert_eq!(found.len(), 9);
        assert!(!found.contains(&number));
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recommendations_by_each_strategy() {
    let (engine, client) = places().await;
    let strategies = [
        ("average_vector", RecommendStrategy::AverageVector),
        ("best_score", RecommendStrategy::BestScore),
        ("sum_scores", RecommendStrategy::SumScores),
    ];
    for (name, strategy) in strategies {
        let recommend = RecommendInputBuilder::default()
            .add_positive(VectorInput::new_id(1))
            .add_positive(dense().1)
            .add_negative(VectorInput::new_id(4))
            .strategy(strategy);
        let found = ask(
            &engine,
            &client,
            &json!({
                "query": {"recommend": {
                    "positive": [1, dense().0], "negative": [4], "strategy": name,
                }},
                "using": "dense",
            }),
            query().query(Query::new_recommend(recommend)).using("dense").build(),
        )
        .await;
        assert_eq!(found.len(), 8, "{name}: all but the examples");
        assert!(!found.contains(&1) && !found.contains(&4), "{name}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fusions_of_prefetches() {
    let (engine, client) = places().await;
    let (dense_json, dense_input) = dense();
    let prefetches = json!([
        {"query": dense_json, "using": "dense", "limit": 6},
        {"query": {"indices": [1], "values": [1.0]}, "using": "words", "limit": 4},
    ]);
    let with_prefetches = || {
        query()
            .add_prefetch(
                PrefetchQueryBuilder::default()
                    .query(Query::new_nearest(dense_input.clone()))
                    .using("dense")
                    .limit(6u64),
            )
            .add_prefetch(
                PrefetchQueryBuilder::default()
                    .query(Query::new_nearest(VectorInput::new_sparse(vec![1], vec![1.0])))
                    .using("words")
                    .limit(4u64),
            )
    };
    let fusions = [
        (json!({"fusion": "rrf"}), Query::new_fusion(Fusion::Rrf)),
        (json!({"fusion": "dbsf"}), Query::new_fusion(Fusion::Dbsf)),
        (
            json!({"rrf": {"k": 60, "weights": [3.0, 1.0]}}),
            Query::new_rrf(Rrf { k: Some(60), weights: vec![3.0, 1.0] }),
        ),
    ];
    for (rest, grpc) in fusions {
        let found = ask(
            &engine,
            &client,
            &json!({"prefetch": prefetches, "query": rest, "limit": 20}),
            with_prefetches().query(grpc).limit(20).build(),
        )
        .await;
        assert!(found.len() >= 6, "{rest}: {found:?}");
    }

    // A prefetch within a prefetch: the outer query orders the four that the inner one found.
    let rescored = ask(
        &engine,
        &client,
        &json!({
            "prefetch": {"query": {"indices": [1], "values": [1.0]}, "using": "words", "limit": 4},
            "query": [1.0, 1.0], "using": "pixels",
        }),
        query()
            .add_prefetch(
                PrefetchQueryBuilder::default()
                    .query(Query::new_nearest(VectorInput::new_sparse(vec![1], vec![1.0])))
                    .using("words")
                    .limit(4u64),
            )
            .query(Query::new_nearest(vec![1.0, 1.0]))
            .using("pixels")
            .build(),
    )
    .await;
    assert_eq!(rescored, [0u64; 0], "7 to 10 have no such vector");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_field_at_random_and_without_any_query() {
    let (engine, client) = places().await;
    index(&engine, &[("n", "integer")]).await;
    let by_field = ask(
        &engine,
        &client,
        &json!({"query": {"order_by": {"key": "n", "direction": "desc"}}, "limit": 3}),
        query()
            .query(Query::new_order_by(
                OrderByBuilder::new("n").direction(qdrant_client::qdrant::Direction::Desc.into()),
            ))
            .limit(3)
            .build(),
    )
    .await;
    assert_eq!(by_field, [10, 9, 8]);

    let by_id = ask(&engine, &client, &json!({"limit": 4}), query().limit(4).build()).await;
    assert_eq!(by_id, [1, 2, 3, 4]);

    let sample = query().query(Query::new_sample(Sample::Random)).limit(10).build();
    let hits = client.query(sample).await.unwrap().result;
    let mut sampled = numbers(hits.iter().map(|hit| &hit.id));
    sampled.sort_unstable();
    assert_eq!(sampled, (1..=10).collect::<Vec<_>>());
    let body = json!({"query": {"sample": "random"}, "limit": 4});
    let rest = engine.rest("POST", "/collections/places/points/query", body).await.result();
    assert_eq!(json_numbers(&rest["points"]).len(), 4);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_hold_the_best_points_of_each_value() {
    let (engine, client) = places().await;
    index(&engine, &[("tags", "keyword"), ("n", "integer")]).await;
    for (field, group_size) in [("tags", 2u64), ("tag", 3), ("n", 1)] {
        let grouped = QueryPointGroupsBuilder::new("places", field)
            .query(Query::new_nearest(dense().1))
            .using("dense")
            .limit(20u64)
            .group_size(group_size);
        let groups = client.query_groups(grouped).await.unwrap().result.unwrap().groups;
        let body = json!({
            "query": dense().0, "using": "dense",
            "group_by": field, "limit": 20, "group_size": group_size,
        });
        let rest =
            engine.rest("POST", "/collections/places/points/query/groups", body).await.result();
        let rest = rest["groups"].as_array().unwrap();
        assert_eq!(groups.len(), rest.len(), "{field}");
        assert!(!groups.is_empty(), "{field}");
        // Groups whose best points score alike come in any order.
        for group in &groups {
            let id = match group.id.as_ref().unwrap().kind.as_ref().unwrap() {
                Kind::UnsignedValue(number) => json!(number),
                Kind::IntegerValue(number) => json!(number),
                Kind::StringValue(text) => json!(text),
            };
            let same = rest.iter().find(|other| other["id"] == id).expect("the same groups");
            assert!(group.hits.len() <= usize::try_from(group_size).unwrap());
            assert_eq!(numbers(group.hits.iter().map(|hit| &hit.id)), json_numbers(&same["hits"]));
        }
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_answers_each_query_in_order() {
    let (engine, client) = places().await;
    let one = query().query(Query::new_nearest(dense().1)).using("dense").limit(2).build();
    let two = query().query(Query::new_nearest(5)).using("dense").limit(3).build();
    let batch = QueryBatchPointsBuilder::new("places", vec![one.clone(), two.clone()]);
    let answers = client.query_batch(batch).await.unwrap().result;
    let alone = [client.query(one).await.unwrap(), client.query(two).await.unwrap()];
    for (answer, alone) in answers.iter().zip(&alone) {
        assert_eq!(answer.result, alone.result);
    }
    let body = json!({"searches": [
        {"query": dense().0, "using": "dense", "limit": 2},
        {"query": 5, "using": "dense", "limit": 3},
    ]});
    let rest = engine.rest("POST", "/collections/places/points/query/batch", body).await.result();
    for (answer, rest) in answers.iter().zip(rest.as_array().unwrap()) {
        assert_eq!(numbers(answer.result.iter().map(|hit| &hit.id)), json_numbers(&rest["points"]));
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_search_finds_what_the_query_finds() {
    let (engine, client) = places().await;
    let vector = vec![0.3, -0.4, 0.5, 0.5];
    let queried = query().query(Query::new_nearest(dense().1)).using("dense").limit(4).build();
    let queried = client.query(queried).await.unwrap().result;
    let search = SearchPointsBuilder::new("places", vector.clone(), 4).vector_name("dense").build();
    assert_eq!(client.search_points(search.clone()).await.unwrap().result, queried);
    let batch = SearchBatchPointsBuilder::new("places", vec![search.clone(), search]);
    for answer in client.search_batch_points(batch).await.unwrap().result {
        assert_eq!(answer.result, queried);
    }
    let body = json!({"vector": {"name": "dense", "vector": vector}, "top": 4});
    let rest = engine.rest("POST", "/collections/places/points/search", body).await.result();
    assert_eq!(json_numbers(&rest), numbers(queried.iter().map(|hit| &hit.id)));

    let sparse = SearchPointsBuilder::new("places", vec![1.0], 3)
        .vector_name("words")
        .sparse_indices(vec![1u32]);
    let hits = client.search_points(sparse).await.unwrap().result;
    assert_eq!(numbers(hits.iter().map(|hit| &hit.id)), [10, 9, 8]);
    engine.stop().await;
}

/// Texts about different things; the engine computes their vectors.
const TEXTS: [&str; 4] = [
    "A node keeps its data on one volume.",
    "Backups are proved by restoring them.",
    "The gateway holds writes while a backup is made.",
    "Bananas are yellow.",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_embedded_on_write_and_on_query() {
    let engine = Engine::start().await;
    let client = engine.client();
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params(
        "text",
        SparseVectorParamsBuilder::default().modifier(Modifier::Idf),
    );
    let create = CreateCollectionBuilder::new("docs").sparse_vectors_config(sparse);
    client.create_collection(create).await.unwrap();
    let document = |text: &str| Document::new(text, "qdrant/bm25");
    let points: Vec<_> = (0u64..)
        .zip(TEXTS)
        .map(|(id, text)| {
            PointStruct::new(
                id,
                NamedVectors::default().add_vector("text", document(text)),
                payload(&json!({"text": text})),
            )
        })
        .collect();
    client.upsert_points(UpsertPointsBuilder::new("docs", points).wait(true)).await.unwrap();

    let ask = QueryPointsBuilder::new("docs")
        .query(Query::new_nearest(document("when is a backup proved to restore?")))
        .using("text");
    let hits = client.query(ask).await.unwrap().result;
    assert_eq!(hits[0].id, Some(1.into()), "{hits:?}");
    assert_eq!(hits.len(), 2, "only what shares a word: {hits:?}");
    let body = json!({
        "query": {"text": "when is a backup proved to restore?", "model": "qdrant/bm25"},
        "using": "text",
    });
    let rest = engine.rest("POST", "/collections/docs/points/query", body).await.result();
    let scores: Vec<_> = hits.iter().map(|hit| single(&json!(hit.score))).collect();
    let rest: Vec<_> =
        rest["points"].as_array().unwrap().iter().map(|point| single(&point["score"])).collect();
    assert_eq!(rest, scores);

    let written = json!({"points": [
        {"id": 9, "vector": {"text": {"text": TEXTS[0], "model": "Qdrant/bm25"}}},
    ]});
    engine.rest("PUT", "/collections/docs/points?wait=true", written).await.result();
    let vector = async |id: u64| {
        let path = format!("/collections/docs/points/{id}");
        engine.rest("GET", &path, json!(null)).await.result()["vector"].clone()
    };
    assert_eq!(vector(0).await, vector(9).await, "both doors embed alike");
    engine.stop().await;
}
