//! Keys that are limited to collections, with the real engine behind.

use http::Method;
use qdrant_client::QdrantError;
use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, Distance, LookupLocation, PrefetchQueryBuilder,
    QueryBatchPointsBuilder, QueryPointsBuilder, ScrollPointsBuilder, UpsertPointsBuilder,
    VectorParamsBuilder,
};
use qmoor_agent::control::wire::RotateRequest;
use qmoor_plan::access::{Role, Scope};
use serde_json::json;

use crate::node::{Node, points};

async fn limited(node: &Node, role: Role) -> String {
    let collections = Some(Scope::parse("docs,notes-*").unwrap());
    let wanted = RotateRequest { role, collections, overlap_ms: None };
    node.control().rotate_key_to(&wanted).await.unwrap().key
}

async fn filled_node() -> Node {
    let node = Node::start().await;
    for name in ["docs", "notes-1", "secret"] {
        node.create(name).await;
        let upsert = UpsertPointsBuilder::new(name, points(0..10)).wait(true);
        node.client(Role::Index).upsert_points(upsert).await.unwrap();
    }
    node
}

#[tokio::test]
async fn by_rest_a_limited_key_touches_its_collections_and_no_others() {
    let node = filled_node().await;
    let (index, search) = (limited(&node, Role::Index).await, limited(&node, Role::Search).await);
    let nothing = json!(null);
    let upsert = json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0], "payload": {"lookup_from": "x"}}]});
    let create = json!({"vectors": {"size": 4, "distance": "Cosine"}});
    let query = json!({"query": [1.0, 0.0, 0.0, 0.0], "limit": 2});
    let lookup = json!({"query": 3, "lookup_from": {"collection": "secret"}});
    let prefetch = json!({"prefetch": [{"query": 3, "lookup_from": {"collection": "secret"}}], "query": [1.0, 0.0, 0.0, 0.0]});
    let by_position = json!({"prefetch": [[[], 3, null, null, null, null, 5, ["secret"]]], "query": [1.0, 0.0, 0.0, 0.0]});
    let groups =
        json!({"query": [1.0, 0.0, 0.0, 0.0], "group_by": "number", "with_lookup": "secret"});
    let batch = json!({"searches": [{"query": 3, "lookup_from": {"collection": "secret"}}]});
    let cases = [
        (Method::GET, "/collections/docs", &nothing, 200, 200),
        (Method::GET, "/collections/%64ocs", &nothing, 200, 200),
        (Method::GET, "/collections/secret", &nothing, 403, 403),
        (Method::GET, "/collections/none", &nothing, 403, 403),
        (Method::GET, "/collections", &nothing, 403, 403),
        (Method::GET, "/aliases", &nothing, 403, 403),
        (Method::GET, "/qmoor/v1/backups/x", &nothing, 403, 403),
        (Method::POST, "/qmoor/v1/backups", &nothing, 403, 403),
        (Method::PUT, "/collections/docs/points?wait=true", &upsert, 200, 403),
        (Method::PUT, "/collections/secret/points?wait=true", &upsert, 403, 403),
        (Method::PUT, "/collections/notes-new", &create, 200, 403),
        (Method::PUT, "/collections/other-new", &create, 403, 403),
        (Method::POST, "/collections/notes-1/points/query", &query, 200, 200),
        (Method::POST, "/collections/secret/points/query", &query, 403, 403),
        (Method::POST, "/collections/docs/points/query", &lookup, 403, 403),
        (Method::POST, "/collections/docs/points/query", &prefetch, 403, 403),
        (Method::POST, "/collections/docs/points/query", &by_position, 403, 403),
        (Method::POST, "/collections/docs/points/query/groups", &groups, 403, 403),
        (Method::POST, "/collections/docs/points/query/batch", &batch, 403, 403),
        (Method::DELETE, "/collections/docs", &nothing, 403, 403),
    ];
    for (method, path, body, for_index, for_search) in cases {
        for (key, status) in [(&index, for_index), (&search, for_search)] {
            let answer = node.rest(method.clone(), path, Some(key), body).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.text);
        }
        node.counted(0, 0, 0).await;
    }
    // The whole key gets as far as the engine, which has no such lookups.
    let whole = Some(node.key(Role::Search));
    let answer = node.rest(Method::POST, "/collections/docs/points/query", whole, &lookup).await;
    assert_eq!(answer.status, 501, "{}", answer.text);
    let headers = [("api-key", search.clone()), ("content-encoding", "gzip".to_owned())];
    let packed = node.rest_with(Method::POST, "/collections/docs/points/query", &headers, &query);
    assert_eq!(packed.await.status, 403);
    node.stop().await;
}

#[tokio::test]
async fn by_grpc_a_limited_key_touches_its_collections_and_no_others() {
    let node = filled_node().await;
    let client = node.client_with(&limited(&node, Role::Index).await);
    let vector = vec![1.0, 0.0, 0.0, 0.0];
    let count = async |name: &str| client.count(CountPointsBuilder::new(name)).await.map(drop);
    let upsert = async |name: &str, to: u64| {
        client
            .upsert_points(UpsertPointsBuilder::new(name, points(0..to)).wait(true))
            .await
            .map(drop)
    };
    let query = |name: &str| QueryPointsBuilder::new(name).query(vector.clone());
    count("docs").await.unwrap();
    count("notes-1").await.unwrap();
    // Larger than a frame, and than any window.
    upsert("docs", 60_000).await.unwrap();
    client.query(query("docs")).await.unwrap();
    client.scroll(ScrollPointsBuilder::new("docs").limit(3)).await.unwrap();
    client.collection_info("docs").await.unwrap();
    let vectors = VectorParamsBuilder::new(4, Distance::Cosine);
    let create = |name: &str| CreateCollectionBuilder::new(name).vectors_config(vectors.clone());
    client.create_collection(create("notes-grpc")).await.unwrap();
    let batch = |inner: &str| {
        client.query_batch(QueryBatchPointsBuilder::new("docs", vec![query(inner).build()]))
    };
    batch("docs").await.unwrap();

    refused(count("secret").await);
    refused(upsert("secret", 10).await);
    refused(upsert("secret", 60_000).await);
    refused(client.query(query("secret")).await.map(drop));
    refused(client.list_collections().await.map(drop));
    refused(client.list_aliases().await.map(drop));
    refused(client.create_collection(create("other")).await.map(drop));
    refused(client.delete_collection("docs").await.map(drop));
    refused(batch("secret").await.map(drop));
    let place = LookupLocation { collection_name: "secret".to_owned(), ..Default::default() };
    refused(client.query(query("docs").lookup_from(place.clone())).await.map(drop));
    let prefetch = PrefetchQueryBuilder::default().query(vector.clone()).lookup_from(place);
    refused(client.query(query("docs").add_prefetch(prefetch)).await.map(drop));
    client.health_check().await.unwrap();
    node.counted(0, 0, 0).await;
    let whole = node.client(Role::Search);
    let secret = whole.count(CountPointsBuilder::new("secret").exact(true)).await;
    assert_eq!(secret.unwrap().result.unwrap().count, 10);
    node.stop().await;
}

fn refused(answer: Result<(), QdrantError>) {
    let Err(QdrantError::ResponseError { status }) = answer else { panic!("{answer:?}") };
    assert_eq!(status.code() as i32, 7, "{status}");
}
