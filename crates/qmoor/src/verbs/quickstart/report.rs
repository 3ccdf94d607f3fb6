//! What `quickstart --json` prints last. A contract: docs/cli.md.

use qmoor_client::search::Hit;
use serde::Serialize;

/// The whole story in figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) indexed: Indexed,
    pub(super) reindexed: Reindexed,
    pub(super) searches: Vec<Search>,
    /// The HTTP status of a write with the search key.
    pub(super) denied_write_status: u16,
    pub(super) backup: Backup,
    pub(super) restore: Restore,
    pub(super) drill: Drill,
}

/// The first run.
#[derive(Debug, Serialize)]
pub(super) struct Indexed {
    pub(super) documents: u64,
    pub(super) chunks: u64,
}

/// The second run over the same source.
#[derive(Debug, Serialize)]
pub(super) struct Reindexed {
    pub(super) written: u64,
    pub(super) unchanged: u64,
}

/// A question and what was found.
#[derive(Debug, Serialize)]
pub(super) struct Search {
    pub(super) query: String,
    pub(super) hits: Vec<Found>,
}

/// A hit, in short.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    pub(super) score: f32,
    pub(super) doc: String,
    pub(super) chunk: u64,
}

impl From<&Hit> for Found {
    fn from(hit: &Hit) -> Self {
        Self { score: hit.score, doc: hit.doc.clone(), chunk: hit.chunk }
    }
}

/// The backup, and what clients felt of it.
#[derive(Debug, Serialize)]
pub(super) struct Backup {
    pub(super) id: String,
    pub(super) grade: String,
    /// From the hold of the writes to their release, in milliseconds.
    pub(super) pause_ms: f64,
    /// Requests answered while the backup ran.
    pub(super) requests_during: u64,
    pub(super) failed_requests: u64,
}

/// The points before the loss and after the restore.
#[derive(Debug, Serialize)]
pub(super) struct Restore {
    pub(super) points_before: usize,
    pub(super) points_after: usize,
    /// Whether each point has the same id, payload and vectors.
    pub(super) equal: bool,
}

/// The drill.
#[derive(Debug, Serialize)]
pub(super) struct Drill {
    pub(super) ok: bool,
    /// From the start of the restore to the last check, in milliseconds.
    pub(super) rto_ms: f64,
}
