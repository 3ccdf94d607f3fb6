//! Who gets in, and as what.

use http::{Method, StatusCode};
use qdrant_client::QdrantError;
use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, QueryPointsBuilder, UpsertPointsBuilder, VectorParamsBuilder,
};
use qmoor_plan::access::Role;
use serde_json::json;

use crate::node::{Node, points};

#[tokio::test]
async fn each_role_may_do_what_it_may_and_no_more() {
    let node = Node::start().await;
    node.create("c").await;
    let upsert = json!({"points": [{"id": 1, "vector": [1.0, 0.0, 0.0, 0.0]}]});
    let query = json!({"query": [1.0, 0.0, 0.0, 0.0]});
    let nothing = json!(null);
    let cases = [
        (Method::GET, "/collections", &nothing, [200, 200, 200]),
        (Method::GET, "/collections/c", &nothing, [200, 200, 200]),
        (Method::PUT, "/collections/c/points?wait=true", &upsert, [403, 200, 200]),
        (Method::POST, "/collections/c/points/query", &query, [200, 200, 200]),
        (Method::GET, "/collections/c/points/1", &nothing, [200, 200, 200]),
        (Method::GET, "/collections/c/snapshots", &nothing, [403, 403, 501]),
        (Method::GET, "/telemetry", &nothing, [403, 403, 200]),
        (Method::GET, "/qmoor/v1/status", &nothing, [403, 403, 200]),
        (Method::GET, "/qmoor/v1/nothing", &nothing, [403, 403, 404]),
        (Method::DELETE, "/collections/c", &nothing, [403, 403, 200]),
    ];
    for (method, path, body, expected) in cases {
        for (role, status) in Role::ALL.into_iter().zip(expected) {
            let answer = node.rest(method.clone(), path, Some(node.key(role)), body).await;
            assert_eq!(answer.status.as_u16(), status, "{role} {method} {path}: {}", answer.text);
            if status == 403 {
                let error = answer.json()["status"]["error"].as_str().unwrap().to_owned();
                assert!(error.starts_with("Forbidden: "), "{error}");
            }
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn one_right_key_opens_and_nothing_else_does() {
    let node = Node::start().await;
    let (search, admin) = (node.key(Role::Search), node.key(Role::Admin));
    let cases: [(&[(&str, String)], u16); 9] = [
        (&[], 401),
        (&[("api-key", String::new())], 401),
        (&[("api-key", format!("{search}x"))], 401),
        (&[("api-key", search.to_owned())], 200),
        (&[("authorization", format!("Bearer {search}"))], 200),
        (&[("authorization", format!("Basic {search}"))], 401),
        (&[("api-key", search.to_owned()), ("authorization", format!("Bearer {search}"))], 200),
        (&[("api-key", search.to_owned()), ("authorization", format!("Bearer {admin}"))], 401),
        (&[("api-key", search.to_owned()), ("api-key", admin.to_owned())], 401),
    ];
    for (headers, status) in cases {
        let answer = node.rest_with(Method::GET, "/collections", headers, &json!(null)).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
    }
    for path in ["/", "/healthz", "/livez", "/readyz"] {
        let answer = node.rest(Method::GET, path, None, &json!(null)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    for path in
        ["/metrics", "/telemetry", "/health", "/dashboard", "/qmoor/v1/status", "/qmoor/metrics"]
    {
        let answer = node.rest(Method::GET, path, None, &json!(null)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    node.stop().await;
}

#[tokio::test]
async fn no_spelling_of_a_path_raises_the_search_role() {
    let node = Node::start().await;
    node.create("c").await;
    let lines = [
        "DELETE /collections/c",
        "DELETE //collections/c",
        "DELETE /collections//c",
        "DELETE /collections/c/",
        "DELETE /Collections/c",
        "DELETE /collections/c/points/query/../../..",
        "DELETE /collections/c/points/%2e%2e/%2e%2e",
        "DELETE /%63ollections/c",
        "delete /collections/c",
        "DELETE http://elsewhere/collections/c",
        "PUT /collections/c/points/query",
        "PUT /collections/c/points?x=/points/query",
        "PUT /collections/c/points#/points/query",
        "POST /collections/c/points/payload;/points/query",
        "POST /collections/c/points/delete?/query",
        "POST /collections/c/points/query/../delete",
        "POST /collections/c%2fpoints/query",
        "GET /collections/c/snapshots",
        "GET /collections/..%2fsnapshots",
        "OPTIONS *",
        "CONNECT collections:443",
    ];
    for line in lines {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: x\r\napi-key: {}\r\nx-http-method-override: GET\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            node.key(Role::Search)
        );
        let answer = node.raw(request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status == "403" || status == "400", "{line}: {answer}");
    }
    let answer =
        node.rest(Method::GET, "/collections/c", Some(node.key(Role::Admin)), &json!(null));
    assert_eq!(answer.await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn a_smuggled_second_request_is_judged_by_itself() {
    let node = Node::start().await;
    node.create("c").await;
    let inner = "DELETE /collections/c HTTP/1.1\r\nhost: x\r\n\r\n";
    let both = format!(
        "POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\napi-key: {}\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
        node.key(Role::Search),
        inner.len() + 5,
    );
    let answer = node.raw(both.as_bytes()).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    let there = node.rest(Method::GET, "/collections/c", Some(node.key(Role::Admin)), &json!(null));
    assert_eq!(there.await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn rest_and_grpc_come_through_either_port() {
    let node = Node::start().await;
    for (number, address) in [node.http, node.grpc].into_iter().enumerate() {
        let name = format!("c{number}");
        let client = node.client_at(address, Role::Index);
        let vectors = VectorParamsBuilder::new(4, Distance::Cosine);
        client
            .create_collection(CreateCollectionBuilder::new(&name).vectors_config(vectors))
            .await
            .unwrap();
        client
            .upsert_points(UpsertPointsBuilder::new(&name, points(0..50)).wait(true))
            .await
            .unwrap();
        let reader = node.client_at(address, Role::Search);
        let query = QueryPointsBuilder::new(&name).query(vec![1.0, 0.0, 0.0, 0.0]).limit(3);
        assert_eq!(reader.query(query).await.unwrap().result.len(), 3);
        let path = format!("http://{address}/collections/{name}");
        let answer =
            node.rest(Method::GET, &path, Some(node.key(Role::Search)), &json!(null)).await;
        assert_eq!(answer.json()["result"]["points_count"], 50, "{}", answer.text);
    }
    node.stop().await;
}

#[tokio::test]
async fn grpc_refusals_have_grpc_codes() {
    let node = Node::start().await;
    node.create("c").await;
    let reader = node.client(Role::Search);
    let refused = reader.upsert_points(UpsertPointsBuilder::new("c", points(0..1))).await;
    assert_eq!(code(refused.unwrap_err()), PERMISSION_DENIED);
    let refused = reader.delete_collection("c").await;
    assert_eq!(code(refused.unwrap_err()), PERMISSION_DENIED);
    let nobody = qdrant_client::Qdrant::from_url(&format!("http://{}", node.grpc))
        .skip_compatibility_check()
        .build()
        .unwrap();
    assert_eq!(code(nobody.list_collections().await.unwrap_err()), UNAUTHENTICATED);
    nobody.health_check().await.unwrap();
    node.stop().await;
}

const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;

fn code(error: QdrantError) -> i32 {
    match error {
        QdrantError::ResponseError { status } => status.code() as i32,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn both_keys_of_a_rotation_open_and_a_revoked_one_does_not() {
    let node = Node::start().await;
    let control = node.control();
    let first = node.key(Role::Search).to_owned();
    let second = control.rotate_key(Role::Search).await.unwrap();
    let status = async |key: &str| {
        node.rest(Method::GET, "/collections", Some(key), &json!(null)).await.status.as_u16()
    };
    assert_eq!((status(&first).await, status(&second.key).await), (200, 200));
    let keys = control.keys().await.unwrap();
    let oldest = keys.iter().find(|key| key.role == Role::Search).unwrap();
    control.revoke_key(&oldest.id).await.unwrap();
    assert_eq!((status(&first).await, status(&second.key).await), (401, 200));
    let last = control.revoke_key(&second.info.id).await.unwrap_err();
    assert!(last.to_string().contains("only search key"), "{last}");
    let session = control.session_key(Role::Index).await.unwrap();
    assert_eq!(status(&session.key).await, 200);
    assert_eq!(control.keys().await.unwrap().len(), 3);
    node.stop().await;
}
