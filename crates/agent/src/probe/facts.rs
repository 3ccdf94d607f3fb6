//! The facts themselves, and their hashes.

use std::collections::BTreeMap;

use qmoor_plan::manifest::{CollectionFacts, Difference, Manifest, Sample};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ask::{Client, escaped};
use super::{ProbeError, golden};
use crate::error::NodeError;

/// What an engine holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The version it says it is.
    pub version: String,
    /// By name.
    pub collections: BTreeMap<String, CollectionFacts>,
    /// From alias to collection.
    pub aliases: BTreeMap<String, String>,
}

/// How much to ask.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// Names, counts, configuration and aliases only.
    Counts,
    /// Also the first so many points of each collection, and so many queries about them.
    First {
        /// Points a collection.
        points: usize,
        /// Queries a collection.
        queries: usize,
    },
    /// Exactly what this manifest has, so that the two can be compared.
    Like(&'a Manifest),
}

impl Facts {
    /// Counts, names and configuration must be after a stop what they were before it. If not, the engine lost
    /// something, and the backup with it.
    pub fn same_counts(&self, after: &Self) -> Result<(), NodeError> {
        let mut differences = Vec::new();
        let mut differ = |what: String, expected: String, found: String| {
            if expected != found {
                differences.push(Difference { what, expected, found });
            }
        };
        let told = |facts: Option<&CollectionFacts>| {
            facts.map_or_else(
                || "nothing".to_owned(),
                |facts| format!("{} points, configuration {}", facts.points, facts.config_hash),
            )
        };
        for name in self.collections.keys().chain(after.collections.keys()) {
            let (expected, found) = (self.collections.get(name), after.collections.get(name));
            differ(format!("collection `{name}`"), told(expected), told(found));
        }
        differ("aliases".to_owned(), format!("{:?}", self.aliases), format!("{:?}", after.aliases));
        differences.dedup();
        match differences.is_empty() {
            true => Ok(()),
            false => Err(NodeError::Differs {
                what: "the engine is not what it was before its stop",
                differences,
            }),
        }
    }

    /// These facts in the place of those in `manifest`.
    pub fn in_place_of(self, manifest: &Manifest) -> Manifest {
        Manifest { collections: self.collections, aliases: self.aliases, ..manifest.clone() }
    }
}

/// Asks the engine for its facts.
pub async fn observe(client: &Client, scope: Scope<'_>) -> Result<Facts, ProbeError> {
    let version = client.version().await?;
    let mut collections = BTreeMap::new();
    for name in names(client).await? {
        let facts = collection(client, &name, scope).await?;
        collections.insert(name, facts);
    }
    let aliases = array(&client.get("/aliases").await?, "aliases", "GET /aliases")?
        .iter()
        .filter_map(|alias| {
            let text = |field: &str| alias.get(field)?.as_str().map(str::to_owned);
            Some((text("alias_name")?, text("collection_name")?))
        })
        .collect();
    Ok(Facts { version, collections, aliases })
}

/// The names of the collections whose optimizers are at work. One that reports an error is not busy.
pub async fn optimizers_busy(client: &Client) -> Result<Vec<String>, ProbeError> {
    let is_busy = |info: &Value| info.get("status").and_then(Value::as_str) == Some("yellow");
    names_of(client, is_busy).await
}

/// The names of the collections with updates that are acknowledged and not yet applied. Says nothing of an engine
/// that has no such queue.
pub async fn updates_queued(client: &Client) -> Result<Vec<String>, ProbeError> {
    let length = |info: &Value| info.pointer("/update_queue/length").and_then(Value::as_u64);
    names_of(client, |info| length(info).unwrap_or(0) > 0).await
}

/// How many points there are, in all collections, as the engine counts them by itself.
pub async fn points(client: &Client) -> Result<u64, ProbeError> {
    let count = |info: &Value| info.get("points_count").and_then(Value::as_u64).unwrap_or(0);
    Ok(infos(client).await?.iter().map(|(_, info)| count(info)).sum())
}

async fn names_of(
    client: &Client,
    which: impl Fn(&Value) -> bool,
) -> Result<Vec<String>, ProbeError> {
    let infos = infos(client).await?;
    Ok(infos.into_iter().filter(|(_, info)| which(info)).map(|(name, _)| name).collect())
}

/// What the engine tells of each collection, by its name.
async fn infos(client: &Client) -> Result<Vec<(String, Value)>, ProbeError> {
    let mut infos = Vec::new();
    for name in names(client).await? {
        let info = client.get(&format!("/collections/{}", escaped(&name))).await?;
        infos.push((name, info));
    }
    Ok(infos)
}

async fn names(client: &Client) -> Result<Vec<String>, ProbeError> {
    let listed = client.get("/collections").await?;
    let names = array(&listed, "collections", "GET /collections")?
        .iter()
        .filter_map(|collection| collection.get("name")?.as_str().map(str::to_owned))
        .collect();
    Ok(names)
}

async fn collection(
    client: &Client,
    name: &str,
    scope: Scope<'_>,
) -> Result<CollectionFacts, ProbeError> {
    let path = format!("/collections/{}", escaped(name));
    let info = client.get(&path).await?;
    let count_path = format!("{path}/points/count");
    let counted = client.post(&count_path, &json!({"exact": true})).await?;
    let points = counted.get("count").and_then(Value::as_u64);
    let shape = || ProbeError::Shape { request: format!("POST {count_path}"), field: "count" };
    let points = points.ok_or_else(shape)?;
    let sampled = match scope {
        Scope::Counts => Vec::new(),
        Scope::First { points, queries: _ } => first_points(client, &path, points).await?,
        Scope::Like(manifest) => match manifest.collections.get(name) {
            Some(facts) => these_points(client, &path, &facts.samples).await?,
            None => Vec::new(),
        },
    };
    let (queries, counted) = match scope {
        Scope::Counts => (Vec::new(), points),
        Scope::First { points: _, queries } => (golden::choose(&sampled, queries), points),
        Scope::Like(manifest) => match manifest.collections.get(name) {
            Some(facts) => (golden::again(&sampled, &facts.golden), facts.points),
            None => (Vec::new(), points),
        },
    };
    let golden = golden::ask(client, &path, queries, golden::among(counted, &sampled)).await?;
    let samples = sampled.iter().map(sample).collect();
    Ok(CollectionFacts { points, config_hash: config_hash(&info), samples, golden })
}

async fn first_points(client: &Client, path: &str, limit: usize) -> Result<Vec<Value>, ProbeError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let path = format!("{path}/points/scroll");
    let body = json!({"limit": limit, "with_payload": true, "with_vector": true});
    let page = client.post(&path, &body).await?;
    Ok(array(&page, "points", "POST scroll")?.clone())
}

async fn these_points(
    client: &Client,
    path: &str,
    samples: &[Sample],
) -> Result<Vec<Value>, ProbeError> {
    if samples.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Value> = samples.iter().map(|sample| id_value(&sample.id)).collect();
    let body = json!({"ids": ids, "with_payload": true, "with_vector": true});
    match client.post(&format!("{path}/points"), &body).await? {
        Value::Array(points) => Ok(points),
        _ => Err(ProbeError::Shape { request: format!("POST {path}/points"), field: "result" }),
    }
}

fn array<'a>(
    value: &'a Value,
    field: &'static str,
    request: &str,
) -> Result<&'a Vec<Value>, ProbeError> {
    let shape = || ProbeError::Shape { request: request.to_owned(), field };
    value.get(field).and_then(Value::as_array).ok_or_else(shape)
}

fn sample(point: &Value) -> Sample {
    let part = |name: &str| point.get(name).unwrap_or(&Value::Null);
    let payload = match part("payload") {
        Value::Null => json!({}),
        other => other.clone(),
    };
    let mut vectors = Sha256::new();
    hash_vectors(&mut vectors, part("vector"));
    Sample {
        id: id_text(part("id")),
        payload_hash: hex(&Sha256::digest(canonical(&payload))),
        vector_hash: hex(&vectors.finalize()),
    }
}

/// A point's id as text: the number, or the UUID.
pub(super) fn id_text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn id_value(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
}

/// Numbers as 32-bit floats, the way they are stored; names in order, so that the order of an answer does not count.
fn hash_vectors(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Number(number) => {
            #[allow(clippy::cast_possible_truncation, reason = "vectors are stored as f32")]
            let stored = number.as_f64().unwrap_or(f64::NAN) as f32;
            hash.update(stored.to_le_bytes());
        }
        Value::Array(items) => {
            hash.update((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| hash_vectors(hash, item));
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter().collect::<BTreeMap<_, _>>() {
                hash.update((name.len() as u64).to_le_bytes());
                hash.update(name);
                if name == "indices" {
                    // A term's number may be larger than a float can tell apart.
                    hash.update(canonical(field));
                } else {
                    hash_vectors(hash, field);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => hash.update(canonical(value)),
    }
}

/// The settings and the payload indexes, without their present sizes.
fn config_hash(info: &Value) -> String {
    let mut schema = info.get("payload_schema").cloned().unwrap_or(Value::Null);
    if let Some(fields) = schema.as_object_mut() {
        for field in fields.values_mut().filter_map(Value::as_object_mut) {
            field.remove("points");
        }
    }
    let config = info.get("config").unwrap_or(&Value::Null);
    hex(&Sha256::digest(canonical(&json!({"config": config, "payload_schema": schema}))))
}

/// JSON with the keys of every object in order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let parts: Vec<_> = sorted
                .into_iter()
                .map(|(name, field)| format!("{}:{}", json!(name), canonical(field)))
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").ok();
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_fields_does_not_count_and_their_values_do() {
        let point = |text: &str| sample(&serde_json::from_str(text).unwrap());
        let one = point(r#"{"id":1,"payload":{"a":1,"b":[2]},"vector":{"x":[0.1],"y":[1.0]}}"#);
        let same = point(r#"{"vector":{"y":[1],"x":[0.1]},"payload":{"b":[2],"a":1},"id":1}"#);
        assert_eq!(one, same);
        let other = point(r#"{"id":1,"payload":{"a":1,"b":[2]},"vector":{"x":[0.2],"y":[1.0]}}"#);
        assert_ne!(one.vector_hash, other.vector_hash);
    }

    #[test]
    fn no_payload_is_an_empty_one() {
        assert_eq!(
            sample(&json!({"id": 1, "payload": null})).payload_hash,
            sample(&json!({"id": 1, "payload": {}})).payload_hash
        );
    }

    #[test]
    fn an_index_that_grew_is_the_same_configuration() {
        let info = |points: u64| {
            json!({"config": {"params": {}},
                   "payload_schema": {"lang": {"data_type": "keyword", "points": points}}})
        };
        assert_eq!(config_hash(&info(1)), config_hash(&info(2)));
        let other = json!({"config": {"params": {}}, "payload_schema": {}});
        assert_ne!(config_hash(&info(1)), config_hash(&other));
    }
}
