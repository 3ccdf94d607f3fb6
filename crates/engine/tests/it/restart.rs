//! What stays after a stop in order, and what a second engine on the same directory is told.

use qdrant_client::qdrant::{CountPointsBuilder, PointStruct, UpsertPointsBuilder};
use serde_json::json;

use crate::engine::{Engine, options};
use crate::sample::{TEN, payload, places};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_a_restart() {
    let (engine, _) = places().await;
    crate::sample::index(&engine, &[("tag", "keyword")]).await;
    let read = async |engine: &Engine| {
        let ids: Vec<_> = (1..=9).map(|n| json!(n)).chain([json!(TEN)]).collect();
        let body = json!({"ids": ids, "with_vector": true, "with_payload": true});
        let points = engine.rest("POST", "/collections/places/points", body).await.result();
        let info = engine.rest("GET", "/collections/places", json!(null)).await.result();
        (points, info["payload_schema"].clone(), info["config"].clone())
    };
    let before = read(&engine).await;
    assert_eq!(before.0.as_array().unwrap().len(), 10);
    assert_eq!(before.1["tag"]["data_type"], json!("keyword"));
    let mut dir = engine.stop().await;
    for _ in 0..2 {
        let engine = Engine::start_in(dir, |_| ()).await;
        assert_eq!(read(&engine).await, before);
        dir = engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_nobody_waited_for_are_kept_by_a_stop_in_order() {
    let engine = Engine::start().await;
    let client = engine.client();
    let settings = json!({"vectors": {"size": 1, "distance": "Dot"}});
    engine.rest("PUT", "/collections/c", settings).await.result();
    for start in (0..500).step_by(50) {
        let points: Vec<_> = (start..start + 50)
            .map(|id| PointStruct::new(id, vec![1.0], payload(&json!({"n": id}))))
            .collect();
        client.upsert_points(UpsertPointsBuilder::new("c", points).wait(false)).await.unwrap();
    }
    let engine = Engine::start_in(engine.stop().await, |_| ()).await;
    let count = engine.client().count(CountPointsBuilder::new("c").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, 500);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_engine_on_the_same_directory_is_refused() {
    let (engine, client) = places().await;
    let second =
        qmoor_engine::serve(options(&engine.data()), |_| panic!("must not start"), async {});
    let error = second.await.expect_err("refused");
    assert!(error.to_string().contains("data"), "{error}");
    let count = client.count(CountPointsBuilder::new("places")).await.unwrap();
    assert_eq!(count.result.unwrap().count, 10, "the first goes on");
    engine.stop().await;
}
