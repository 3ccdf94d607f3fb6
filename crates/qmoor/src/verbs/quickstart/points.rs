//! Every point of a collection, read over REST, to compare before and after.

use hyper::Method;
use serde_json::{Value, json};

use super::http::Rest;
use crate::error::CliError;

/// Points in one page.
const PAGE: usize = 256;
/// Pages at most: an engine that never comes to an end must not keep us for ever.
const PAGES_MAX: usize = 100_000;

/// A point as REST shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    id: Value,
    payload: Value,
    vector: Value,
}

impl Point {
    /// The beginning of its text, as a question.
    pub(super) fn first_words(&self) -> String {
        let text = self.payload.get("text").and_then(Value::as_str).unwrap_or_default();
        text.split_whitespace().take(8).collect::<Vec<_>>().join(" ")
    }

    /// The body that writes this point as it is.
    pub(super) fn as_upsert(&self) -> Value {
        json!({ "id": self.id, "payload": self.payload, "vector": self.vector })
    }
}

/// All points with payload and vectors, in the order of their ids.
pub(super) async fn all(rest: &Rest, collection: &str) -> Result<Vec<Point>, CliError> {
    let path = format!("/collections/{collection}/points/scroll");
    let mut points = Vec::new();
    let mut offset = Value::Null;
    for _ in 0..PAGES_MAX {
        let body = json!({
            "limit": PAGE, "offset": offset, "with_payload": true, "with_vector": true,
        });
        let mut page = rest.ask(Method::POST, &path, &body).await?;
        let Some(Value::Array(found)) = page.get_mut("points").map(Value::take) else {
            return Err(CliError::failed(format!("{path}: an answer without points")));
        };
        points.extend(found.into_iter().map(|mut point| {
            let mut take = |key| point.get_mut(key).map(Value::take).unwrap_or_default();
            Point { id: take("id"), payload: take("payload"), vector: take("vector") }
        }));
        offset = page.get_mut("next_page_offset").map(Value::take).unwrap_or_default();
        if offset.is_null() {
            return Ok(points);
        }
    }
    Err(CliError::failed(format!("{path}: more than {PAGES_MAX} pages")))
}
