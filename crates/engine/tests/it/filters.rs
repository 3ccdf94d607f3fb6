//! Every kind of condition finds the same points through both doors, with and without indexes.

use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::{
    Condition, DatetimeRange, FieldCondition, Filter, GeoBoundingBox, GeoLineString, GeoPoint,
    GeoPolygon, GeoRadius, IsEmptyCondition, IsNullCondition, Match, MinShould, NestedCondition,
    Range, ScrollPointsBuilder, SliceCondition, ValuesCount,
};
use serde_json::{Value as Json, json};

use crate::sample::{TEN, index, json_numbers, numbers, place_id, places};

/// The same filter in both forms, and the places that it finds.
struct Case {
    rest: Json,
    grpc: Filter,
    found: Vec<u64>,
}

#[expect(clippy::needless_pass_by_value, reason = "a literal at every call")]
fn must(rest: Json, grpc: impl Into<Condition>, found: impl IntoIterator<Item = u64>) -> Case {
    Case {
        rest: json!({"must": [rest]}),
        grpc: Filter::must([grpc.into()]),
        found: found.into_iter().collect(),
    }
}

fn field(key: &str) -> FieldCondition {
    FieldCondition { key: key.into(), ..Default::default() }
}

fn matching(key: &str, value: MatchValue) -> FieldCondition {
    FieldCondition { r#match: Some(Match { match_value: Some(value) }), ..field(key) }
}

fn at(lon: f64, lat: f64) -> GeoPoint {
    GeoPoint { lon, lat }
}

fn matches() -> Vec<Case> {
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        must(
            json!({"key": "tag", "match": {"value": "even"}}),
            matching("tag", MatchValue::Keyword("even".into())),
            [2, 4, 6, 8, 10],
        ),
        must(
            json!({"key": "n", "match": {"value": 7}}),
            matching("n", MatchValue::Integer(7)),
            [7],
        ),
        must(
            json!({"key": "flag", "match": {"value": true}}),
            matching("flag", MatchValue::Boolean(true)),
            6..=10,
        ),
        must(
            json!({"key": "tags", "match": {"any": ["d5", "d7"]}}),
            matching("tags", MatchValue::Keywords(strings(&["d5", "d7"]).into())),
            [5, 7, 10],
        ),
        must(
            json!({"key": "n", "match": {"any": [1, 3, 99]}}),
            matching("n", MatchValue::Integers(vec![1, 3, 99].into())),
            [1, 3],
        ),
        must(
            json!({"key": "tag", "match": {"except": ["even"]}}),
            matching("tag", MatchValue::ExceptKeywords(strings(&["even"]).into())),
            [1, 3, 5, 7, 9],
        ),
        must(
            json!({"key": "n", "match": {"except": [1, 2, 3, 4, 5, 6, 7, 8]}}),
            matching("n", MatchValue::ExceptIntegers((1..=8).collect::<Vec<_>>().into())),
            [9, 10],
        ),
        must(
            json!({"key": "text", "match": {"text": "number 4"}}),
            matching("text", MatchValue::Text("number 4".into())),
            [4],
        ),
        must(
            json!({"key": "uuid", "match": {"value": "00000000-0000-0000-0000-000000000006"}}),
            matching("uuid", MatchValue::Keyword("00000000-0000-0000-0000-000000000006".into())),
            [6],
        ),
    ]
}

fn ranges() -> Vec<Case> {
    let day = |day: i64| {
        Some(prost_types::Timestamp { seconds: 1_704_067_200 + (day - 1) * 86_400, nanos: 0 })
    };
    vec![
        must(
            json!({"key": "n", "range": {"gt": 2, "lte": 5}}),
            FieldCondition {
                range: Some(Range { gt: Some(2.0), lte: Some(5.0), ..Default::default() }),
                ..field("n")
            },
            3..=5,
        ),
        must(
            json!({"key": "ratio", "range": {"gte": 0.5, "lt": 1.0}}),
            FieldCondition {
                range: Some(Range { gte: Some(0.5), lt: Some(1.0), ..Default::default() }),
                ..field("ratio")
            },
            [2, 3],
        ),
        must(
            json!({"key": "when", "range": {"gte": "2024-01-03T00:00:00Z", "lt": "2024-01-06"}}),
            FieldCondition {
                datetime_range: Some(DatetimeRange {
                    gte: day(3),
                    lt: day(6),
                    ..Default::default()
                }),
                ..field("when")
            },
            3..=5,
        ),
        must(
            json!({"key": "tags", "values_count": {"gte": 4}}),
            FieldCondition {
                values_count: Some(ValuesCount { gte: Some(4), ..Default::default() }),
                ..field("tags")
            },
            [6, 8, 10],
        ),
    ]
}

fn places_on_the_globe() -> Vec<Case> {
    let line = || GeoLineString {
        points: vec![at(15.0, 0.0), at(45.0, 0.0), at(45.0, 9.0), at(15.0, 9.0), at(15.0, 0.0)],
    };
    let line_json = json!({"points": [
        {"lon": 15.0, "lat": 0.0}, {"lon": 45.0, "lat": 0.0}, {"lon": 45.0, "lat": 9.0},
        {"lon": 15.0, "lat": 9.0}, {"lon": 15.0, "lat": 0.0},
    ]});
    vec![
        must(
            json!({"key": "where", "geo_bounding_box": {
                "top_left": {"lon": 25.0, "lat": 9.0}, "bottom_right": {"lon": 65.0, "lat": 0.0},
            }}),
            FieldCondition {
                geo_bounding_box: Some(GeoBoundingBox {
                    top_left: Some(at(25.0, 9.0)),
                    bottom_right: Some(at(65.0, 0.0)),
                }),
                ..field("where")
            },
            3..=6,
        ),
        must(
            json!({"key": "where", "geo_radius": {
                "center": {"lon": 50.0, "lat": 5.0}, "radius": 1_200_000.0,
            }}),
            FieldCondition {
                geo_radius: Some(GeoRadius { center: Some(at(50.0, 5.0)), radius: 1_200_000.0 }),
                ..field("where")
            },
            4..=6,
        ),
        must(
            json!({"key": "where", "geo_polygon": {"exterior": line_json}}),
            FieldCondition {
                geo_polygon: Some(GeoPolygon { exterior: Some(line()), interiors: Vec::new() }),
                ..field("where")
            },
            2..=4,
        ),
    ]
}

fn presence() -> Vec<Case> {
    vec![
        must(
            json!({"is_empty": {"key": "maybe"}}),
            IsEmptyCondition { key: "maybe".into() },
            [1, 2, 3, 4, 6, 7, 8, 9, 10],
        ),
        must(json!({"is_null": {"key": "maybe"}}), IsNullCondition { key: "maybe".into() }, [3]),
        must(
            json!({"key": "maybe", "is_empty": false}),
            FieldCondition { is_empty: Some(false), ..field("maybe") },
            [5],
        ),
        must(
            json!({"key": "maybe", "is_null": true}),
            FieldCondition { is_null: Some(true), ..field("maybe") },
            [3],
        ),
        must(
            json!({"has_id": [1, 4, TEN, 99]}),
            Condition::has_id([place_id(1), place_id(4), place_id(10), place_id(99)]),
            [1, 4, 10],
        ),
        must(json!({"has_vector": "pixels"}), Condition::has_vector("pixels"), 1..=5),
    ]
}

fn combined() -> Vec<Case> {
    let even = || matching("tag", MatchValue::Keyword("even".into()));
    let even_json = json!({"key": "tag", "match": {"value": "even"}});
    let big = || FieldCondition {
        range: Some(Range { gt: Some(5.0), ..Default::default() }),
        ..field("n")
    };
    let big_json = json!({"key": "n", "range": {"gt": 5}});
    let one = || matching("n", MatchValue::Integer(8));
    let one_json = json!({"key": "n", "match": {"value": 8}});
    let inside = Filter::must([
        matching("kind", MatchValue::Keyword("b".into())).into(),
        FieldCondition {
            range: Some(Range { gte: Some(90.0), ..Default::default() }),
            ..field("size")
        }
        .into(),
    ]);
    vec![
        Case {
            rest: json!({"must": [even_json], "must_not": [big_json]}),
            grpc: Filter {
                must: vec![even().into()],
                must_not: vec![big().into()],
                ..Default::default()
            },
            found: vec![2, 4],
        },
        Case {
            rest: json!({"should": [even_json, big_json]}),
            grpc: Filter::should([even().into(), big().into()]),
            found: vec![2, 4, 6, 7, 8, 9, 10],
        },
        Case {
            rest: json!({"min_should": {
                "conditions": [even_json, big_json, one_json], "min_count": 2,
            }}),
            grpc: Filter {
                min_should: Some(MinShould {
                    conditions: vec![even().into(), big().into(), one().into()],
                    min_count: 2,
                }),
                ..Default::default()
            },
            found: vec![6, 8, 10],
        },
        must(
            json!({"should": [one_json, {"key": "n", "match": {"value": 1}}]}),
            Filter::should([one().into(), matching("n", MatchValue::Integer(1)).into()]),
            [1, 8],
        ),
        must(
            json!({"nested": {"key": "meta.parts", "filter": {"must": [
                {"key": "kind", "match": {"value": "b"}}, {"key": "size", "range": {"gte": 90}},
            ]}}}),
            NestedCondition { key: "meta.parts".into(), filter: Some(inside) },
            [9, 10],
        ),
        Case { rest: json!({}), grpc: Filter::default(), found: (1..=10).collect() },
    ]
}

async fn check(case: &Case, engine: &crate::engine::Engine, client: &qdrant_client::Qdrant) {
    let body = json!({"filter": case.rest, "limit": 100});
    let rest = engine.rest("POST", "/collections/places/points/scroll", body).await.result();
    let mut rest = json_numbers(&rest["points"]);
    rest.sort_unstable();
    assert_eq!(rest, case.found, "REST: {}", case.rest);

    let scroll = ScrollPointsBuilder::new("places").filter(case.grpc.clone()).limit(100);
    let points = client.scroll(scroll).await.expect("a page").result;
    let mut grpc = numbers(points.iter().map(|point| &point.id));
    grpc.sort_unstable();
    assert_eq!(grpc, case.found, "gRPC: {:?}", case.grpc);
}

fn all() -> Vec<Case> {
    [matches(), ranges(), places_on_the_globe(), presence(), combined()]
        .into_iter()
        .flatten()
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_condition_finds_the_same_points_through_both_doors() {
    let (engine, client) = places().await;
    for case in all() {
        check(&case, &engine, &client).await;
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_changes_what_a_filter_costs_and_not_what_it_finds() {
    let (engine, client) = places().await;
    let fields = [
        ("n", "integer"),
        ("ratio", "float"),
        ("tag", "keyword"),
        ("tags", "keyword"),
        ("flag", "bool"),
        ("when", "datetime"),
        ("where", "geo"),
        ("text", "text"),
        ("uuid", "uuid"),
        ("maybe", "keyword"),
        ("meta.parts[].size", "integer"),
    ];
    index(&engine, &fields).await;
    for case in all() {
        check(&case, &engine, &client).await;
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_share_the_points_out() {
    let (engine, client) = places().await;
    let mut seen = Vec::new();
    for slice in 0..3 {
        let filter = Filter::must([SliceCondition { total: 3, index: slice }.into()]);
        let scroll = ScrollPointsBuilder::new("places").filter(filter).limit(100);
        let points = client.scroll(scroll).await.expect("a page").result;
        let found = numbers(points.iter().map(|point| &point.id));
        let body =
            json!({"filter": {"must": [{"slice": {"total": 3, "index": slice}}]}, "limit": 100});
        let rest = engine.rest("POST", "/collections/places/points/scroll", body).await.result();
        assert_eq!(json_numbers(&rest["points"]), found);
        seen.extend(found);
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    engine.stop().await;
}
