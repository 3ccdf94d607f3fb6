//! Filters as Qdrant's REST API takes them, put into the words of its gRPC API.
//!
//! A key that is not known is an error: a condition that is passed over would find too much.

mod condition;
mod field;

pub(crate) use condition::id as point_id;

use qdrant_client::qdrant::{Condition, Filter, MinShould};
use serde_json::{Map, Value};

use crate::error::Error;

/// Reads a filter.
///
/// # Errors
/// It holds something that is no condition of Qdrant's; the error says where.
pub fn from_json(filter: &Value) -> Result<Filter, Error> {
    read(filter, "filter")
}

fn read(filter: &Value, at: &str) -> Result<Filter, Error> {
    let fields = object(filter, at)?;
    only(fields, at, &["must", "should", "must_not", "min_should"])?;
    let list = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => conditions(value, &format!("{at}.{key}")),
    };
    let min_should = match fields.get("min_should") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let at = format!("{at}.min_should");
            let fields = object(value, &at)?;
            only(fields, &at, &["conditions", "min_count"])?;
            let conditions = conditions(need(fields, &at, "conditions")?, &at)?;
            let min_count = integer(need(fields, &at, "min_count")?, &at)?;
            Some(MinShould { conditions, min_count })
        }
    };
    Ok(Filter {
        must: list("must")?,
        should: list("should")?,
        must_not: list("must_not")?,
        min_should,
    })
}

/// One condition, or a list of them.
fn conditions(value: &Value, at: &str) -> Result<Vec<Condition>, Error> {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(number, item)| condition::read(item, &format!("{at}[{number}]")))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Ok(vec![condition::read(value, at)?])
        }
    }
}

pub(crate) fn wrong(at: &str, reason: impl Into<String>) -> Error {
    Error::Filter { at: at.to_owned(), reason: reason.into() }
}

pub(crate) fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Error> {
    value.as_object().ok_or_else(|| wrong(at, "an object is expected"))
}

pub(crate) fn text(value: &Value, at: &str) -> Result<String, Error> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(at, "text is expected"))
}

pub(crate) fn integer(value: &Value, at: &str) -> Result<u64, Error> {
    value.as_u64().ok_or_else(|| wrong(at, "an integer from 0 is expected"))
}

pub(crate) fn double(value: &Value, at: &str) -> Result<f64, Error> {
    value.as_f64().ok_or_else(|| wrong(at, "a number is expected"))
}

pub(crate) fn need<'a>(
    fields: &'a Map<String, Value>,
    at: &str,
    key: &str,
) -> Result<&'a Value, Error> {
    fields.get(key).ok_or_else(|| wrong(at, format!("`{key}` is missing")))
}

pub(crate) fn only(fields: &Map<String, Value>, at: &str, known: &[&str]) -> Result<(), Error> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            Err(wrong(at, format!("`{key}` is not known here; known are {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use qdrant_client::qdrant::condition::ConditionOneOf;
    use qdrant_client::qdrant::r#match::MatchValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_condition_is_read() {
        let all = json!({
            "must": [
                {"key": "a", "match": {"value": "x"}},
                {"key": "a", "match": {"value": 1}},
                {"key": "a", "match": {"value": true}},
                {"key": "a", "match": {"any": ["x", "y"]}},
                {"key": "a", "match": {"any": [1, 2]}},
                {"key": "a", "match": {"except": ["x"]}},
                {"key": "a", "match": {"except": [1]}},
                {"key": "a", "match": {"text": "words"}},
                {"key": "a", "match": {"text_any": "words"}},
                {"key": "a", "match": {"phrase": "some words"}},
                {"key": "a", "range": {"gte": 1, "lt": 2.5}},
                {"key": "a", "range": {"gt": "2024-01-01T00:00:00Z", "lte": "2024-02-01"}},
                {"key": "a", "values_count": {"gt": 1}},
                {"key": "a", "geo_radius": {"center": {"lon": 1, "lat": 2}, "radius": 3.5}},
                {"key": "a", "geo_bounding_box": {
                    "top_left": {"lon": 1, "lat": 2}, "bottom_right": {"lon": 3, "lat": 4}}},
                {"key": "a", "geo_polygon": {
                    "exterior": {"points": [{"lon": 1, "lat": 2}]}, "interiors": []}},
                {"is_empty": {"key": "a"}},
                {"is_null": {"key": "a"}},
                {"has_id": [1, "5c56c793-69f3-4fbf-87e6-c4bf54c28c26"]},
                {"has_vector": "text"},
                {"nested": {"key": "a", "filter": {"must": {"key": "b", "match": {"value": 1}}}}},
                {"should": [{"key": "a", "match": {"value": 1}}]},
            ],
            "min_should": {"conditions": [{"key": "a", "match": {"value": 1}}], "min_count": 1},
        });
        let filter = from_json(&all).unwrap();
        assert_eq!(filter.must.len(), 22);
        assert_eq!(filter.min_should.unwrap().min_count, 1);
        let Some(ConditionOneOf::Field(first)) = &filter.must[0].condition_one_of else {
            panic!("{:?}", filter.must[0]);
        };
        let value = first.r#match.as_ref().and_then(|found| found.match_value.clone());
        assert_eq!(value, Some(MatchValue::Keyword("x".to_owned())));
    }

    #[test]
    fn what_is_not_known_is_an_error_that_says_where() {
        for (filter, place) in [
            (json!([]), "filter"),
            (json!({"mast": []}), "filter"),
            (json!({"must": [{"key": "a"}]}), "filter.must[0]"),
            (json!({"must": [{"key": "a", "match": {"value": 1.5}}]}), "filter.must[0].match"),
            (json!({"must": [{"key": "a", "match": {"any": [1, "x"]}}]}), "filter.must[0].match"),
            (json!({"should": {"key": "a", "range": {"gt": "soon"}}}), "filter.should.range.gt"),
            (json!({"must": [{"has_id": ["x"]}]}), "filter.must[0].has_id"),
        ] {
            match from_json(&filter) {
                Err(Error::Filter { at, .. }) => assert_eq!(at, place, "{filter}"),
                other => panic!("{filter}: {other:?}"),
            }
        }
    }
}
