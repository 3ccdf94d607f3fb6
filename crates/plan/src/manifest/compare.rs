//! Whether what is there is what should be there, in words an operator can act on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CollectionFacts, Golden, Manifest, Sample};

/// One fact that is not as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which fact.
    pub what: String,
    /// What the manifest says.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.what, self.expected, self.found)
    }
}

const NOTHING: &str = "nothing";

/// Everything about the content of `found` that is not as in `expected`; empty when it is proved.
///
/// Only the content counts: collections, aliases, samples and golden queries. When, how and by
/// which backup it was recorded does not.
#[must_use]
pub fn compare(expected: &Manifest, found: &Manifest) -> Vec<Difference> {
    let mut out = Vec::new();
    for name in names(&expected.collections, &found.collections) {
        let what = format!("collection `{name}`");
        match (expected.collections.get(name), found.collections.get(name)) {
            (Some(expected), Some(found)) => facts(&mut out, &what, expected, found),
            (expected, found) => differ(
                &mut out,
                what,
                &expected.map_or(NOTHING.to_owned(), points),
                &found.map_or(NOTHING.to_owned(), points),
            ),
        }
    }
    for alias in names(&expected.aliases, &found.aliases) {
        let target = |aliases: &BTreeMap<String, String>| {
            aliases.get(alias).map_or(NOTHING.to_owned(), |name| format!("collection `{name}`"))
        };
        let (expected, found) = (target(&expected.aliases), target(&found.aliases));
        differ(&mut out, format!("alias `{alias}`"), &expected, &found);
    }
    out
}

fn facts(
    out: &mut Vec<Difference>,
    what: &str,
    expected: &CollectionFacts,
    found: &CollectionFacts,
) {
    differ(out, format!("{what}: points"), &expected.points, &found.points);
    differ(out, format!("{what}: configuration"), &expected.config_hash, &found.config_hash);
    samples(out, what, &expected.samples, &found.samples);
    golden(out, what, &expected.golden, &found.golden);
}

fn samples(out: &mut Vec<Difference>, what: &str, expected: &[Sample], found: &[Sample]) {
    let by_id = |samples: &[Sample]| -> BTreeMap<String, Sample> {
        samples.iter().map(|sample| (sample.id.clone(), sample.clone())).collect()
    };
    let (expected, found) = (by_id(expected), by_id(found));
    for id in names(&expected, &found) {
        let what = format!("{what}: point {id}");
        match (expected.get(id), found.get(id)) {
            (Some(expected), Some(found)) => {
                let payload = format!("{what}: payload");
                differ(out, payload, &expected.payload_hash, &found.payload_hash);
                let vectors = format!("{what}: vectors");
                differ(out, vectors, &expected.vector_hash, &found.vector_hash);
            }
            (expected, found) => {
                let presence = |sample: Option<&Sample>| {
                    if sample.is_some() { "in the sample" } else { NOTHING }
                };
                differ(out, what, presence(expected), presence(found));
            }
        }
    }
}

fn golden(out: &mut Vec<Difference>, what: &str, expected: &[Golden], found: &[Golden]) {
    type Query = (String, String, u64);
    let by_query = |golden: &[Golden]| -> BTreeMap<Query, BTreeSet<String>> {
        let query = |g: &Golden| (g.vector_name.clone(), g.source_id.clone(), g.limit);
        golden.iter().map(|g| (query(g), g.answers.iter().cloned().collect())).collect()
    };
    let (expected, found) = (by_query(expected), by_query(found));
    for query in names(&expected, &found) {
        let (vector, source, limit) = query;
        let vector = if vector.is_empty() { String::new() } else { format!(" by `{vector}`") };
        let what = format!("{what}: the {limit} nearest to point {source}{vector}");
        let ids = |answers: Option<&BTreeSet<String>>| {
            answers.map_or(NOTHING.to_owned(), |ids| {
                ids.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
            })
        };
        differ(out, what, &ids(expected.get(query)), &ids(found.get(query)));
    }
}

fn points(facts: &CollectionFacts) -> String {
    format!("{} points", facts.points)
}

/// The keys of both, in order.
fn names<'m, K: Ord, V>(a: &'m BTreeMap<K, V>, b: &'m BTreeMap<K, V>) -> BTreeSet<&'m K> {
    a.keys().chain(b.keys()).collect()
}

fn differ<T: PartialEq + fmt::Display + ?Sized>(
    out: &mut Vec<Difference>,
    what: String,
    expected: &T,
    found: &T,
) {
    if expected != found {
        let (expected, found) = (expected.to_string(), found.to_string());
        out.push(Difference { what, expected, found });
    }
}
