//! Payload set, overwritten, deleted and cleared, by id, by filter and under a key.

use qdrant_client::qdrant::{
    ClearPayloadPointsBuilder, Condition, DeletePayloadPointsBuilder, Filter, PointsIdsList,
    SetPayloadPointsBuilder,
};
use serde_json::{Value as Json, json};

use crate::engine::Engine;
use crate::sample::{payload, place, places};

async fn payload_of(engine: &Engine, id: u64) -> Json {
    let path = format!("/collections/places/points/{id}");
    engine.rest("GET", &path, json!(null)).await.result()["payload"].clone()
}

fn ids(ids: impl IntoIterator<Item = u64>) -> PointsIdsList {
    PointsIdsList { ids: ids.into_iter().map(Into::into).collect() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_merges_and_overwriting_replaces() {
    let (engine, client) = places().await;
    let set = |object: Json| SetPayloadPointsBuilder::new("places", payload(&object)).wait(true);
    client
        .set_payload(set(json!({"tag": "new", "extra": [1]})).points_selector(ids([1, 2])))
        .await
        .unwrap();
    let mut expected = place(1);
    expected["tag"] = json!("new");
    expected["extra"] = json!([1]);
    assert_eq!(payload_of(&engine, 1).await, expected);

    client.overwrite_payload(set(json!({"only": "this"})).points_selector(ids([2]))).await.unwrap();
    assert_eq!(payload_of(&engine, 2).await, json!({"only": "this"}));
    assert_eq!(payload_of(&engine, 3).await, place(3));

    let big = Filter::must([Condition::range(
        "n",
        qdrant_client::qdrant::Range { gte: Some(9.0), ..Default::default() },
    )]);
    client.set_payload(set(json!({"big": true})).points_selector(big)).await.unwrap();
    assert_eq!(payload_of(&engine, 9).await["big"], json!(true));
    assert_eq!(payload_of(&engine, 8).await, place(8));

    client
        .set_payload(set(json!({"deep": 1})).key("meta.inner").points_selector(ids([4])))
        .await
        .unwrap();
    let mut expected = place(4);
    expected["meta"]["inner"] = json!({"deep": 1});
    assert_eq!(payload_of(&engine, 4).await, expected);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_deleted_and_payloads_cleared() {
    let (engine, client) = places().await;
    let delete = DeletePayloadPointsBuilder::new(
        "places",
        vec!["tags".to_owned(), "where.lat".to_owned(), "missing".to_owned()],
    )
    .points_selector(ids([5]))
    .wait(true);
    client.delete_payload(delete).await.unwrap();
    let mut expected = place(5);
    expected.as_object_mut().unwrap().remove("tags");
    expected["where"].as_object_mut().unwrap().remove("lat");
    assert_eq!(payload_of(&engine, 5).await, expected);

    let odd = Filter::must([Condition::matches("tag", "odd".to_owned())]);
    client
        .clear_payload(ClearPayloadPointsBuilder::new("places").points(odd).wait(true))
        .await
        .unwrap();
    assert_eq!(payload_of(&engine, 7).await, json!({}));
    assert_eq!(payload_of(&engine, 6).await, place(6));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_follows_the_payload() {
    let (engine, client) = places().await;
    crate::sample::index(&engine, &[("tag", "keyword")]).await;
    let set = SetPayloadPointsBuilder::new("places", payload(&json!({"tag": "moved"})))
        .points_selector(ids([1, 2]))
        .wait(true);
    client.set_payload(set).await.unwrap();
    let count = async |tag: &str| {
        let body = json!({"filter": {"must": [{"key": "tag", "match": {"value": tag}}]}});
        let result = engine.rest("POST", "/collections/places/points/count", body).await.result();
        result["count"].clone()
    };
    assert_eq!(count("moved").await, json!(2));
    assert_eq!(count("even").await, json!(4));
    assert_eq!(count("odd").await, json!(4));
    engine.stop().await;
}
