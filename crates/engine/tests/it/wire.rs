//! What is on the wire below the requests: large messages, compression, health, many at once.

use qdrant_client::Qdrant;
use qdrant_client::config::CompressionEncoding;
use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, Distance, OptimizersConfigDiffBuilder,
    PointStruct, Query, QueryPointsBuilder, ScrollPointsBuilder, UpsertPointsBuilder,
    VectorParamsBuilder,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::engine::Engine;
use crate::sample::payload;

const DIM: u64 = 1024;

async fn wide(client: &Qdrant) {
    // An optimizer at work in this process would hold the files while they are opened again.
    let create = CreateCollectionBuilder::new("wide")
        .vectors_config(VectorParamsBuilder::new(DIM, Distance::Dot))
        .optimizers_config(OptimizersConfigDiffBuilder::default().indexing_threshold(0));
    client.create_collection(create).await.unwrap();
}

fn point(id: u64) -> PointStruct {
    let vector: Vec<f32> = (0..DIM).map(|i| ((id * 7 + i) % 101) as f32).collect();
    PointStruct::new(id, vector, payload(&json!({"id": id, "text": "x".repeat(1_000)})))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_many_megabytes_is_taken_and_given() {
    let engine = Engine::start().await;
    let client = engine.client();
    wide(&client).await;
    // Far above the 4 MiB that gRPC takes by default, and above a file of the log.
    let points: Vec<_> = (0..5_000).map(point).collect();
    client.upsert_points(UpsertPointsBuilder::new("wide", points).wait(true)).await.unwrap();
    let all = ScrollPointsBuilder::new("wide").limit(5_000).with_vectors(true).with_payload(true);
    assert_eq!(client.scroll(all).await.unwrap().result.len(), 5_000);
    let engine = Engine::start_in(engine.stop().await, |_| ()).await;
    let count = engine.client().count(CountPointsBuilder::new("wide").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, 5_000);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_may_be_compressed() {
    let engine = Engine::start().await;
    let client = Qdrant::from_url(&engine.grpc_url())
        .skip_compatibility_check()
        .compression(Some(CompressionEncoding::Gzip))
        .build()
        .unwrap();
    wide(&client).await;
    let points: Vec<_> = (0..50).map(point).collect();
    client.upsert_points(UpsertPointsBuilder::new("wide", points).wait(true)).await.unwrap();
    let all = ScrollPointsBuilder::new("wide").limit(50).with_vectors(true).with_payload(true);
    let compressed = client.scroll(all.clone()).await.unwrap().result;
    let plain = engine.client().scroll(all).await.unwrap().result;
    assert_eq!(compressed, plain);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_service_answers_without_a_key() {
    let engine = Engine::start_in(TempDir::new().unwrap(), |options| {
        options.api_key = Some("key".into());
    })
    .await;
    let channel = tonic::transport::Endpoint::from_shared(engine.grpc_url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(channel);
    for service in ["", "qdrant.Qdrant", "qdrant.Points", "qdrant.Collections"] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status, ServingStatus::Serving as i32, "{service}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_and_readers_do_not_get_in_each_others_way() {
    let engine = Engine::start().await;
    let client = engine.client();
    wide(&client).await;
    let mut tasks = JoinSet::new();
    for writer in 0..8u64 {
        let client = client.clone();
        tasks.spawn(async move {
            for id in (writer * 100..writer * 100 + 100).step_by(10) {
                let points: Vec<_> = (id..id + 10).map(point).collect();
                let upsert = UpsertPointsBuilder::new("wide", points).wait(true);
                client.upsert_points(upsert).await.unwrap();
                // What was acknowledged is read back at once.
                let near = QueryPointsBuilder::new("wide").query(Query::new_nearest(id)).limit(3);
                client.query(near).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let count = client.count(CountPointsBuilder::new("wide").exact(true)).await.unwrap();
    assert_eq!(count.result.unwrap().count, 800);
    engine.stop().await;
}
