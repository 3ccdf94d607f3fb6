//! What a snapshot must contain, recorded when it was made.
//!
//! A restore and a drill ask the restored engine for the same facts and [`compare`] the two.
//! Everything is in ordered maps: the same facts give the same bytes.

mod compare;

use std::collections::BTreeMap;
use std::fmt;

pub use compare::{Difference, compare};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The `version` of the manifests written now.
pub const VERSION: u32 = 1;

/// What one snapshot must contain, and how it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of this record; see [`VERSION`].
    pub version: u32,
    /// Id of the backup.
    pub id: String,
    /// What one indexing run wrote, when the backup was made for it.
    #[serde(default)]
    pub batch_id: Option<String>,
    /// The user's own: embedding model, corpus version, job id.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The moment the writes were held: what the snapshot shows.
    pub created_at: Timestamp,
    /// How the point in time was made.
    pub grade: Grade,
    /// What served the data.
    pub engine: EngineInfo,
    /// What each collection holds, by name.
    pub collections: BTreeMap<String, CollectionFacts>,
    /// Collection by alias.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// How long each step took, in order.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// From the hold of the writes to the release, in milliseconds.
    pub pause_ms: f64,
    /// Size of the data in bytes.
    pub bytes_total: u64,
    /// What the store grew by, in bytes.
    pub bytes_added: u64,
    /// The store's id of the data.
    pub snapshot: String,
}

/// How a point in time was made, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Neither of the others: what a power cut would have left.
    Crash,
    /// Writes drained and the file system frozen, the engine running.
    Frozen,
    /// The engine ended by itself with code 0, and the file system was synced.
    Clean,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Crash => "crash",
            Self::Frozen => "frozen",
            Self::Clean => "clean",
        })
    }
}

/// What served the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Kind of engine, as in `engine.kind`.
    pub kind: String,
    /// Version of the wire API it speaks.
    pub version: String,
    /// The image that ran, by name and id; `None` for the embedded engine.
    #[serde(default)]
    pub image: Option<String>,
    /// Exit code of the stop before the snapshot; `None` if it was killed or not stopped.
    #[serde(default)]
    pub exit_code: Option<i32>,
}

/// What one collection holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionFacts {
    /// Exact number of points.
    pub points: u64,
    /// Hash of its configuration, as canonical JSON.
    pub config_hash: String,
    /// A fixed choice of points.
    #[serde(default)]
    pub samples: Vec<Sample>,
    /// Queries and their answers.
    #[serde(default)]
    pub golden: Vec<Golden>,
}

/// One point of a collection, by its hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Id of the point, as text.
    pub id: String,
    /// Hash of its payload, as canonical JSON.
    pub payload_hash: String,
    /// Hash of all its vectors with their names.
    pub vector_hash: String,
}

/// One exact search and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden {
    /// Name of the vector; empty for the unnamed one.
    pub vector_name: String,
    /// The query is the stored vector of this point.
    pub source_id: String,
    /// How many answers were asked for.
    pub limit: u64,
    /// Ids found. Order says nothing, since points may tie; whoever records them leaves out those
    /// that tie with the last place, which another run may answer with others.
    pub answers: Vec<String>,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Name of the step.
    pub name: String,
    /// Milliseconds.
    pub ms: f64,
}

#[cfg(test)]
mod tests;
