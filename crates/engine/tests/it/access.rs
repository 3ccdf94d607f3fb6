//! Keys: what each opens, through both doors.

use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, PointStruct, QueryPointsBuilder, UpsertPointsBuilder,
    VectorParamsBuilder,
};
use serde_json::json;
use tempfile::TempDir;
use tonic::Code;

use crate::engine::{Engine, refusal};
use crate::sample::payload;

const FULL: &str = "the-full-key";
const READ: &str = "the-read-key";

async fn locked() -> Engine {
    Engine::start_in(TempDir::new().unwrap(), |options| {
        options.api_key = Some(FULL.into());
        options.read_only_api_key = Some(READ.into());
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_opens_to_each_key_what_it_may() {
    let engine = locked().await;
    let create = || {
        CreateCollectionBuilder::new("c").vectors_config(VectorParamsBuilder::new(1, Distance::Dot))
    };
    for key in [None, Some("wrong"), Some("")] {
        let client = engine.client_with(key);
        let (code, _) = refusal(client.list_collections().await);
        assert_eq!(code, Code::Unauthenticated, "{key:?}");
        assert_eq!(refusal(client.create_collection(create()).await).0, Code::Unauthenticated);
        assert_eq!(client.health_check().await.unwrap().version, "1.19.0", "health is open");
    }
    engine.client_with(Some(FULL)).create_collection(create()).await.unwrap();

    let reader = engine.client_with(Some(READ));
    assert_eq!(reader.list_collections().await.unwrap().collections.len(), 1);
    reader.query(QueryPointsBuilder::new("c")).await.unwrap();
    let point = PointStruct::new(1, vec![1.0], payload(&json!({})));
    let upsert = UpsertPointsBuilder::new("c", vec![point]).wait(true);
    let answers = [
        refusal(reader.upsert_points(upsert).await),
        refusal(reader.create_collection(create()).await),
        refusal(reader.delete_collection("c").await),
        refusal(reader.list_snapshots("c").await),
    ];
    for (code, message) in answers {
        assert_eq!(code, Code::PermissionDenied, "{message}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_opens_to_each_key_what_it_may() {
    let engine = locked().await;
    let body = || json!({"vectors": {"size": 1, "distance": "Dot"}});
    let create = async |headers: &[(&str, &str)]| {
        engine.rest_with("PUT", "/collections/c", headers, body()).await.status
    };
    assert_eq!(create(&[]).await, 401);
    assert_eq!(create(&[("api-key", "wrong")]).await, 401);
    assert_eq!(create(&[("api-key", READ)]).await, 403);
    assert_eq!(create(&[("authorization", &format!("Bearer {READ}"))]).await, 403);
    assert_eq!(create(&[("api-key", FULL)]).await, 200);
    let get = async |path: &str, headers: &[(&str, &str)]| {
        engine.rest_with("GET", path, headers, json!(null)).await
    };
    assert_eq!(get("/collections/c", &[("api-key", READ)]).await.status, 200);
    let answer = get("/collections/c", &[]).await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (401, "Must provide an API key or an Authorization bearer token")
    );
    for path in ["/", "/healthz", "/livez", "/readyz"] {
        assert_eq!(get(path, &[]).await.status, 200, "{path}");
    }
    for path in ["/metrics", "/telemetry", "/collections"] {
        assert_eq!(get(path, &[]).await.status, 401, "{path}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_key_does_not_start_an_open_engine() {
    let dir = TempDir::new().unwrap();
    let mut options = crate::engine::options(&dir.path().join("data"));
    options.api_key = Some(String::new());
    let served = qmoor_engine::serve(options, |_| panic!("must not start"), async {});
    let error = served.await.expect_err("refused");
    assert!(error.to_string().contains("key"), "{error}");
}
