//! Points: written, read and removed through both doors.

use qdrant_client::qdrant::points_update_operation::{
    self as batch, DeletePoints, Operation, PointStructList,
};
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, DeletePointsBuilder, Distance, Filter,
    GetPointsBuilder, PointId, PointStruct, PointsIdsList, PointsUpdateOperation,
    UpdateBatchPointsBuilder, UpdateMode, UpdateStatus, UpsertPoints, UpsertPointsBuilder,
    VectorParamsBuilder, vector_output,
};
use serde_json::json;

use crate::engine::Engine;
use crate::sample::{
    TEN, json_numbers, json_payload, numbers, payload, place, place_id, places, single,
};

async fn count(client: &qdrant_client::Qdrant, filter: Filter) -> u64 {
    let count = CountPointsBuilder::new("places").filter(filter).exact(true);
    client.count(count).await.unwrap().result.unwrap().count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_come_back_as_they_were_written_through_both_doors() {
    let (engine, client) = places().await;
    let ids: Vec<PointId> = (1..=10).map(place_id).collect();
    let get = GetPointsBuilder::new("places", ids).with_payload(true).with_vectors(true);
    let points = client.get_points(get).await.unwrap().result;
    assert_eq!(numbers(points.iter().map(|point| &point.id)), (1..=10).collect::<Vec<_>>());

    let body = json!({
        "ids": [1, 2, 3, 4, 5, 6, 7, 8, 9, TEN], "with_payload": true, "with_vector": true,
    });
    let rest = engine.rest("POST", "/collections/places/points", body).await.result();
    for (n, (grpc, rest)) in (1..).zip(points.iter().zip(rest.as_array().unwrap())) {
        assert_eq!(json_payload(&grpc.payload), place(n));
        assert_eq!(rest["payload"], place(n));
        let Some(VectorsOptions::Vectors(named)) =
            grpc.vectors.as_ref().and_then(|vectors| vectors.vectors_options.as_ref())
        else {
            panic!("named vectors: {grpc:?}")
        };
        let names = rest["vector"].as_object().unwrap();
        assert_eq!(names.len(), named.vectors.len(), "{rest}");
        assert_eq!(names.contains_key("pixels"), n <= 5);
        for (name, vector) in &named.vectors {
            let json = match vector.vector.as_ref().unwrap() {
                vector_output::Vector::Dense(dense) => json!(dense.data),
                vector_output::Vector::Sparse(sparse) => {
                    json!({"indices": sparse.indices, "values": sparse.values})
                }
                vector_output::Vector::MultiDense(multi) => {
                    multi.vectors.iter().map(|row| json!(row.data)).collect()
                }
            };
            assert_eq!(single(&rest["vector"][name]), single(&json), "{name} of {n}");
        }
        assert_eq!(rest["vector"]["rows"], json!([[n as f32, 1.0], [1.0, -(n as f32)]]));
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_asked_for_comes_back() {
    let (engine, client) = places().await;
    let get = |ids: Vec<PointId>| GetPointsBuilder::new("places", ids);
    let point = &client.get_points(get(vec![3.into()])).await.unwrap().result[0];
    assert_eq!(json_payload(&point.payload), place(3), "the default is all of the payload");
    assert!(point.vectors.is_none(), "and no vector");
    let bare = client.get_points(get(vec![3.into()]).with_payload(false)).await.unwrap();
    assert!(bare.result[0].payload.is_empty());

    let some = get(vec![3.into(), 99.into()])
        .with_payload(qdrant_client::qdrant::PayloadIncludeSelector::new(vec![
            "n".into(),
            "where.lat".into(),
        ]))
        .with_vectors(qdrant_client::qdrant::VectorsSelector::from(vec!["words".to_owned()]));
    let points = client.get_points(some).await.unwrap().result;
    assert_eq!(points.len(), 1, "an id that is not there is left out");
    assert_eq!(json_payload(&points[0].payload), json!({"n": 3, "where": {"lat": 3.0}}));
    let Some(VectorsOptions::Vectors(named)) =
        points[0].vectors.clone().and_then(|vectors| vectors.vectors_options)
    else {
        panic!("named vectors")
    };
    assert_eq!(named.vectors.into_keys().collect::<Vec<_>>(), ["words"]);

    let body = json!({"ids": [3], "with_payload": {"exclude": ["meta", "where", "tags"]}});
    let rest = engine.rest("POST", "/collections/places/points", body).await.result();
    let payload = rest[0]["payload"].as_object().unwrap();
    assert!(payload.contains_key("n") && !payload.contains_key("meta"));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upsert_replaces_the_whole_point() {
    let (engine, client) = places().await;
    let point = PointStruct::new(
        2,
        qdrant_client::qdrant::NamedVectors::default().add_vector("pixels", vec![9.0, 9.0]),
        payload(&json!({"new": true})),
    );
    let upsert = UpsertPointsBuilder::new("places", vec![point]).wait(true);
    let result = client.upsert_points(upsert).await.unwrap().result.unwrap();
    assert_eq!(result.status(), UpdateStatus::Completed);
    let rest = engine.rest("GET", "/collections/places/points/2", json!(null)).await.result();
    assert_eq!(rest["payload"], json!({"new": true}));
    assert_eq!(rest["vector"], json!({"pixels": [9.0, 9.0]}));
    assert_eq!(count(&client, Filter::default()).await, 10);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_are_removed_by_id_and_by_filter() {
    let (engine, client) = places().await;
    let by_id = DeletePointsBuilder::new("places")
        .points(PointsIdsList { ids: vec![1.into(), TEN.into(), 77.into()] })
        .wait(true);
    let result = client.delete_points(by_id).await.unwrap().result.unwrap();
    assert_eq!(result.status(), UpdateStatus::Completed);
    assert_eq!(count(&client, Filter::default()).await, 8);

    let even = Filter::must([Condition::matches("tag", "even".to_owned())]);
    let by_filter = DeletePointsBuilder::new("places").points(even.clone()).wait(true);
    client.delete_points(by_filter).await.unwrap();
    assert_eq!(count(&client, even).await, 0);
    let rest = json!({"points": [3]});
    engine.rest("POST", "/collections/places/points/delete?wait=true", rest).await.result();
    let page = engine.rest("POST", "/collections/places/points/scroll", json!({})).await.result();
    assert_eq!(json_numbers(&page["points"]), [5, 7, 9]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_wait_the_change_is_acknowledged_and_then_made() {
    let (engine, client) = places().await;
    let delete = DeletePointsBuilder::new("places").points(PointsIdsList { ids: vec![1.into()] });
    let first = client.delete_points(delete).await.unwrap().result.unwrap();
    assert_eq!(first.status(), UpdateStatus::Acknowledged);
    let delete =
        DeletePointsBuilder::new("places").points(PointsIdsList { ids: vec![2.into()] }).wait(true);
    let second = client.delete_points(delete).await.unwrap().result.unwrap();
    assert!(second.operation_id > first.operation_id, "{second:?} after {first:?}");
    assert_eq!(count(&client, Filter::default()).await, 8);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_modes_and_update_filters_spare_what_they_should() {
    let engine = Engine::start().await;
    let client = engine.client();
    let create = CreateCollectionBuilder::new("places")
        .vectors_config(VectorParamsBuilder::new(1, Distance::Dot));
    client.create_collection(create).await.unwrap();
    let points = |by: &str| {
        (1..=2)
            .map(|id| PointStruct::new(id, vec![1.0], payload(&json!({"by": by, "id": id}))))
            .collect::<Vec<_>>()
    };
    let write = async |points: Vec<PointStruct>, mode: UpdateMode, filter: Option<Filter>| {
        let upsert = UpsertPoints {
            collection_name: "places".into(),
            wait: Some(true),
            points,
            update_mode: Some(mode.into()),
            update_filter: filter,
            ..Default::default()
        };
        client.upsert_points(upsert).await.unwrap();
        let page =
            engine.rest("POST", "/collections/places/points/scroll", json!({})).await.result();
        let by = |point: &serde_json::Value| point["payload"]["by"].as_str().unwrap().to_owned();
        page["points"].as_array().unwrap().iter().map(by).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(write(points("update"), UpdateMode::UpdateOnly, None).await, none);
    assert_eq!(write(points("a")[..1].to_vec(), UpdateMode::InsertOnly, None).await, ["a"]);
    assert_eq!(write(points("b"), UpdateMode::InsertOnly, None).await, ["a", "b"]);
    assert_eq!(write(points("c"), UpdateMode::UpdateOnly, None).await, ["c", "c"]);
    let second = Filter::must([Condition::matches("id", 2)]);
    assert_eq!(write(points("d"), UpdateMode::Upsert, Some(second)).await, ["c", "d"]);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_done_in_its_order() {
    let (engine, client) = places().await;
    let operation = |operation| PointsUpdateOperation { operation: Some(operation) };
    let upsert = |by: &str| {
        operation(Operation::Upsert(PointStructList {
            points: vec![PointStruct::new(
                50,
                qdrant_client::qdrant::NamedVectors::default().add_vector("pixels", vec![1.0, 1.0]),
                payload(&json!({"by": by})),
            )],
            ..Default::default()
        }))
    };
    let delete = operation(Operation::DeletePoints(DeletePoints {
        points: Some(vec![PointId::from(50), 1.into()].into()),
        ..Default::default()
    }));
    let set = operation(Operation::SetPayload(batch::SetPayload {
        payload: payload(&json!({"set": 1})),
        points_selector: Some(vec![PointId::from(50)].into()),
        ..Default::default()
    }));
    let request =
        UpdateBatchPointsBuilder::new("places", vec![upsert("first"), delete, upsert("last"), set])
            .wait(true);
    let results = client.update_points_batch(request).await.unwrap().result;
    assert_eq!(results.len(), 4);
    assert!(results.iter().all(|result| result.status() == UpdateStatus::Completed));
    let point = engine.rest("GET", "/collections/places/points/50", json!(null)).await.result();
    assert_eq!(point["payload"], json!({"by": "last", "set": 1}));
    let gone = engine.rest("GET", "/collections/places/points/1", json!(null)).await;
    assert_eq!(gone.status, 404, "{gone:?}");
    engine.stop().await;
}
