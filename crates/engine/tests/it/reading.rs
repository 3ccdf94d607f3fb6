//! Pages, counts and facets.

use qdrant_client::qdrant::facet_value::Variant;
use qdrant_client::qdrant::start_from::Value as StartValue;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, Direction, FacetCountsBuilder, Filter, OrderByBuilder,
    ScrollPointsBuilder, order_value,
};
use serde_json::json;
use tonic::Code;

use crate::engine::refusal;
use crate::sample::{TEN, index, json_numbers, numbers, place_id, places};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let (engine, client) = places().await;
    let mut seen = Vec::new();
    let mut offset = None;
    loop {
        let mut scroll = ScrollPointsBuilder::new("places").limit(3);
        if let Some(id) = offset.clone() {
            scroll = scroll.offset::<qdrant_client::qdrant::PointId>(id);
        }
        let page = client.scroll(scroll).await.unwrap();
        seen.extend(numbers(page.result.iter().map(|point| &point.id)));
        assert!(page.result.iter().all(|point| !point.payload.is_empty()), "the default");
        offset = page.next_page_offset;
        if offset.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());

    let body = json!({"limit": 9, "offset": 2, "with_payload": false});
    let rest = engine.rest("POST", "/collections/places/points/scroll", body).await.result();
    assert_eq!(json_numbers(&rest["points"]), (2..=10).collect::<Vec<_>>());
    assert_eq!(rest["next_page_offset"], json!(null));
    let body = json!({"limit": 9});
    let rest = engine.rest("POST", "/collections/places/points/scroll", body).await.result();
    assert_eq!(rest["next_page_offset"], json!(TEN));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_needs_an_index_and_starts_where_it_is_told() {
    let (engine, client) = places().await;
    let ordered = |key: &str, from: StartValue| {
        ScrollPointsBuilder::new("places")
            .limit(3)
            .order_by(OrderByBuilder::new(key).direction(Direction::Desc.into()).start_from(from))
    };
    let (code, message) = refusal(client.scroll(ordered("n", StartValue::Integer(8))).await);
    assert_eq!(code, Code::InvalidArgument, "{message}");

    index(&engine, &[("n", "integer"), ("ratio", "float"), ("when", "datetime")]).await;
    let starts = [
        ("n", StartValue::Integer(8), json!(8)),
        ("ratio", StartValue::Float(2.0), json!(2.0)),
        (
            "when",
            StartValue::Datetime("2024-01-08T12:00:00Z".into()),
            json!("2024-01-08T12:00:00Z"),
        ),
    ];
    for (key, grpc, start) in starts {
        let page = client.scroll(ordered(key, grpc)).await.unwrap();
        assert_eq!(numbers(page.result.iter().map(|point| &point.id)), [8, 7, 6], "{key}");
        assert_eq!(page.next_page_offset, None);
        let body = json!({
            "limit": 3, "order_by": {"key": key, "direction": "desc", "start_from": start},
        });
        let rest = engine.rest("POST", "/collections/places/points/scroll", body).await.result();
        assert_eq!(json_numbers(&rest["points"]), [8, 7, 6], "{key}");
        let value = page.result[0].order_value.unwrap().variant.unwrap();
        let value = match value {
            order_value::Variant::Int(number) => json!(number),
            order_value::Variant::Float(number) => json!(number),
        };
        assert_eq!(rest["points"][0]["order_value"], value, "{key}");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_agree_and_estimates_are_near() {
    let (engine, client) = places().await;
    let even = Filter::must([Condition::matches("tag", "even".to_owned())]);
    for exact in [true, false] {
        let count = CountPointsBuilder::new("places").filter(even.clone()).exact(exact);
        let grpc = client.count(count).await.unwrap().result.unwrap().count;
        let body = json!({
            "filter": {"must": [{"key": "tag", "match": {"value": "even"}}]}, "exact": exact,
        });
        let rest = engine.rest("POST", "/collections/places/points/count", body).await.result();
        assert_eq!(rest["count"], json!(grpc));
        assert!(grpc == 5 || (!exact && grpc <= 10), "{grpc}");
    }
    let some = Filter::must([Condition::has_id([place_id(1), place_id(99)])]);
    let count = CountPointsBuilder::new("places").filter(some);
    assert_eq!(client.count(count).await.unwrap().result.unwrap().count, 1);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facets_count_the_points_of_each_value() {
    let (engine, client) = places().await;
    let facet = |key: &str| FacetCountsBuilder::new("places", key).limit(4u64).exact(true);
    let (code, message) = refusal(client.facet(facet("tag")).await);
    assert_eq!(code, Code::InvalidArgument, "{message}");

    index(&engine, &[("tag", "keyword"), ("tags", "keyword"), ("flag", "bool"), ("n", "integer")])
        .await;
    for key in ["tag", "tags", "flag", "n"] {
        let hits = client.facet(facet(key)).await.unwrap().hits;
        let body = json!({"key": key, "limit": 4, "exact": true});
        let rest = engine.rest("POST", "/collections/places/facet", body).await.result();
        let rest = rest["hits"].as_array().unwrap();
        assert_eq!(hits.len(), rest.len(), "{key}");
        for (hit, rest) in hits.iter().zip(rest) {
            let value = match hit.value.clone().unwrap().variant.unwrap() {
                Variant::StringValue(text) => json!(text),
                Variant::IntegerValue(number) => json!(number),
                Variant::BoolValue(flag) => json!(flag),
            };
            assert_eq!((value, json!(hit.count)), (rest["value"].clone(), rest["count"].clone()));
        }
    }
    let tags = client.facet(facet("tags")).await.unwrap().hits;
    let counts: Vec<_> = tags.iter().map(|hit| hit.count).collect();
    assert_eq!(counts, [10, 5, 3, 2]);
    engine.stop().await;
}
