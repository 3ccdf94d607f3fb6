//! Queries whose answers are known: a restored index must find what the old one found.
//!
//! Each takes a stored vector of a sampled point and searches exactly: the whole collection if it is small,
//! the sampled points if it is not, since writes are held meanwhile. Two engines with the same points may still
//! order equal scores differently, so answers that tie with the first one left out are left out too.

use qmoor_plan::manifest::Golden;
use serde_json::{Value, json};

use super::ProbeError;
use super::ask::Client;
use super::facts::id_text;

/// Answers a query has, at most.
const LIMIT: u64 = 10;
/// Collections with more points than this are not searched whole: at a million 1024-d vectors a second's worth
/// of memory traffic would be added to the pause for each query.
const WHOLE_POINTS_MAX: u64 = 100_000;
/// Scores closer than this, relative to their size, count as equal.
const TIE: f64 = 1e-5;

/// A query to be asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    vector_name: String,
    source_id: String,
    limit: u64,
    vector: Value,
}

/// The first `count` queries that the sampled points offer.
pub(super) fn choose(points: &[Value], count: usize) -> Vec<Query> {
    points.iter().flat_map(|point| queries(point, LIMIT)).take(count).collect()
}

/// The queries of `wanted`, with the vectors that the points have now.
pub(super) fn again(points: &[Value], wanted: &[Golden]) -> Vec<Query> {
    let find = |golden: &Golden| {
        points.iter().flat_map(|point| queries(point, golden.limit)).find(|query| {
            query.source_id == golden.source_id && query.vector_name == golden.vector_name
        })
    };
    wanted.iter().filter_map(find).collect()
}

/// The points that the queries look among: `None` for all of a small collection, the sampled ones otherwise.
/// Follows from the manifest alone, so that both sides ask the same.
pub(super) fn among(count: u64, sampled: &[Value]) -> Option<Vec<Value>> {
    (count > WHOLE_POINTS_MAX)
        .then(|| sampled.iter().filter_map(|point| point.get("id").cloned()).collect())
}

/// Asks them one after the other.
pub(super) async fn ask(
    client: &Client,
    path: &str,
    queries: Vec<Query>,
    among: Option<Vec<Value>>,
) -> Result<Vec<Golden>, ProbeError> {
    let path = format!("{path}/points/query");
    let filter = among.map(|ids| json!({"must": [{"has_id": ids}]}));
    let mut asked = Vec::new();
    for query in queries {
        let mut body = json!({
            "query": query.vector,
            "limit": query.limit + 1,
            "params": {"exact": true},
            "with_payload": false,
        });
        if let Some(fields) = body.as_object_mut() {
            if !query.vector_name.is_empty() {
                fields.insert("using".to_owned(), json!(query.vector_name));
            }
            if let Some(filter) = &filter {
                fields.insert("filter".to_owned(), filter.clone());
            }
        }
        let found = client.post(&path, &body).await?;
        let shape = || ProbeError::Shape { request: format!("POST {path}"), field: "points" };
        let found = found.get("points").and_then(Value::as_array).ok_or_else(shape)?;
        let scored = found.iter().map(|point| {
            let score = point.get("score").and_then(Value::as_f64).unwrap_or_default();
            (id_text(point.get("id").unwrap_or(&Value::Null)), score)
        });
        asked.push(Golden {
            vector_name: query.vector_name,
            source_id: query.source_id,
            limit: query.limit,
            answers: certain(scored.collect(), query.limit),
        });
    }
    Ok(asked)
}

fn queries(point: &Value, limit: u64) -> Vec<Query> {
    let source_id = id_text(point.get("id").unwrap_or(&Value::Null));
    let query = |name: &str, vector: &Value| {
        Some(Query {
            vector_name: name.to_owned(),
            source_id: source_id.clone(),
            limit,
            vector: as_query(vector)?,
        })
    };
    match point.get("vector") {
        Some(Value::Object(named)) => {
            let mut queries: Vec<_> =
                named.iter().filter_map(|(name, vector)| query(name, vector)).collect();
            queries.sort_by(|a, b| a.vector_name.cmp(&b.vector_name));
            queries
        }
        Some(unnamed) => query("", unnamed).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A stored vector as a query. Of a sparse one only its heaviest term: with one term the order of the answers
/// does not depend on how common the engine thinks the term is, which may change as segments are merged.
fn as_query(vector: &Value) -> Option<Value> {
    match vector {
        Value::Array(items) if !items.is_empty() => Some(vector.clone()),
        Value::Object(sparse) => {
            let indices = sparse.get("indices")?.as_array()?;
            let values = sparse.get("values")?.as_array()?;
            let (index, _) = indices
                .iter()
                .zip(values)
                .filter_map(|(index, value)| Some((index, value.as_f64()?)))
                .filter(|(_, value)| *value > 0.0)
                .max_by(|(_, a), (_, b)| a.total_cmp(b))?;
            Some(json!({"indices": [index], "values": [1.0]}))
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            None
        }
    }
}

/// The answers that no tie can turn into others: of `limit + 1`, those clearly better than the last.
fn certain(mut scored: Vec<(String, f64)>, limit: u64) -> Vec<String> {
    if scored.len() as u64 > limit
        && let Some((_, last)) = scored.pop()
    {
        scored.retain(|(_, score)| (score - last).abs() > TIE * last.abs().max(score.abs()));
    }
    scored.into_iter().map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(scores: &[f64]) -> Vec<(String, f64)> {
        scores.iter().enumerate().map(|(index, score)| (index.to_string(), *score)).collect()
    }

    #[test]
    fn answers_that_tie_with_the_first_one_left_out_are_left_out() {
        assert_eq!(certain(scored(&[0.9, 0.8, 0.7]), 2), ["0", "1"]);
        assert_eq!(certain(scored(&[0.9, 0.8, 0.8]), 2), ["0"]);
        assert_eq!(certain(scored(&[0.8, 0.8, 0.8]), 2), Vec::<String>::new());
        assert_eq!(certain(scored(&[0.8, 0.8]), 2), ["0", "1"]);
    }

    #[test]
    fn a_large_collection_is_asked_about_its_sample_alone() {
        let points = [json!({"id": 3}), json!({"id": "6f1c"})];
        assert_eq!(among(100_000, &points), None);
        assert_eq!(among(100_001, &points), Some(vec![json!(3), json!("6f1c")]));
    }

    #[test]
    fn a_sparse_vector_asks_with_its_heaviest_term() {
        let vector = json!({"indices": [5, 7, 9], "values": [0.5, 2.5, 1.0]});
        let expected = json!({"indices": [7], "values": [1.0]});
        assert_eq!(as_query(&vector), Some(expected));
    }

    #[test]
    fn what_was_asked_can_be_asked_again() {
        let points = [json!({"id": 3, "vector": {"b": [1.0], "a": [2.0]}})];
        let chosen = choose(&points, 8);
        let golden: Vec<_> = chosen
            .iter()
            .map(|query| Golden {
                vector_name: query.vector_name.clone(),
                source_id: query.source_id.clone(),
                limit: query.limit,
                answers: Vec::new(),
            })
            .collect();
        assert_eq!(golden.len(), 2);
        assert_eq!(again(&points, &golden), chosen);
    }
}
