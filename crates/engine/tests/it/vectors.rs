//! Vectors of existing points, replaced and removed; and every kind of vector searched.

use qdrant_client::qdrant::{
    DeletePointVectorsBuilder, NamedVectors, PointVectors, PointsIdsList, Query,
    QueryPointsBuilder, UpdatePointVectorsBuilder, Vector, VectorInput, VectorsSelector,
};
use serde_json::{Value as Json, json};

use crate::engine::Engine;
use crate::sample::{json_numbers, numbers, place, places, single};

async fn point(engine: &Engine, id: u64) -> Json {
    let path = format!("/collections/places/points/{id}");
    engine.rest("GET", &path, json!(null)).await.result()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_not_named_stay_and_payload_too() {
    let (engine, client) = places().await;
    let before = point(&engine, 3).await;
    let vectors = NamedVectors::default()
        .add_vector("pixels", vec![7.0, 7.0])
        .add_vector("words", Vector::new_sparse(vec![9], vec![9.0]));
    let update = PointVectors { id: Some(3.into()), vectors: Some(vectors.into()) };
    client
        .update_vectors(UpdatePointVectorsBuilder::new("places", vec![update]).wait(true))
        .await
        .unwrap();
    let after = point(&engine, 3).await;
    assert_eq!(after["vector"]["pixels"], json!([7.0, 7.0]));
    assert_eq!(after["vector"]["words"], json!({"indices": [9], "values": [9.0]}));
    assert_eq!(after["vector"]["dense"], before["vector"]["dense"]);
    assert_eq!(after["payload"], place(3));

    let delete = DeletePointVectorsBuilder::new("places")
        .points_selector(PointsIdsList { ids: vec![3.into()] })
        .vectors(VectorsSelector { names: vec!["pixels".into(), "rows".into()] })
        .wait(true);
    client.delete_vectors(delete).await.unwrap();
    let gone = point(&engine, 3).await;
    let mut names: Vec<_> = gone["vector"].as_object().unwrap().keys().cloned().collect();
    names.sort_unstable();
    assert_eq!(names, ["dense", "words"]);
    engine.stop().await;
}

/// One search of each kind of vector, in both forms, and the best places in order.
fn searches() -> Vec<(&'static str, Json, VectorInput, Vec<u64>)> {
    vec![
        // Euclid: (n, -n) near to (3, -3); only 1 to 5 have it.
        (
            "pixels",
            json!([3.2, -3.2]),
            VectorInput::new_dense(vec![3.2, -3.2]),
            vec![3, 4, 2, 5, 1],
        ),
        // The sum over the query's rows of their best dot product.
        (
            "rows",
            json!([[1.0, 0.0], [0.0, -1.0]]),
            VectorInput::new_multi(vec![vec![1.0, 0.0], vec![0.0, -1.0]]),
            vec![10, 9, 8, 7, 6],
        ),
        // Only point 4 has index 14; all have index 1, by their number.
        (
            "words",
            json!({"indices": [1, 14], "values": [1.0, 100.0]}),
            VectorInput::new_sparse(vec![1, 14], vec![1.0, 100.0]),
            vec![4, 10, 9, 8, 7],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_vector_is_searched_alike_through_both_doors() {
    let (engine, client) = places().await;
    for (using, rest, grpc, best) in searches() {
        let body = json!({"query": rest, "using": using, "limit": 5});
        let rest = engine.rest("POST", "/collections/places/points/query", body).await.result();
        assert_eq!(json_numbers(&rest["points"]), best, "{using}");
        let query =
            QueryPointsBuilder::new("places").query(Query::new_nearest(grpc)).using(using).limit(5);
        let hits = client.query(query).await.unwrap().result;
        assert_eq!(numbers(hits.iter().map(|hit| &hit.id)), best, "{using}");
        for (hit, point) in hits.iter().zip(rest["points"].as_array().unwrap()) {
            assert_eq!(single(&json!(hit.score)), single(&point["score"]));
            assert_eq!(json!(hit.version), point["version"]);
        }
    }
    engine.stop().await;
}
