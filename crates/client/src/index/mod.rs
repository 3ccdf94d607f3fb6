//! Writing a source into a collection, so that doing it again changes only what changed.

mod bulk;
mod dead;
mod point;
mod read;
mod remove;
mod run;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::ensure::Distance;
use crate::error::Error;
use crate::ids::DEFAULT_NAMESPACE;
use crate::source::Source;
use crate::target::Target;

/// How a source is written.
#[derive(Debug, Clone)]
pub struct IndexOptions {
    /// The most points sent at once.
    pub batch_points: usize,
    /// The most bytes sent at once, as encoded; a larger single point goes alone.
    pub batch_bytes: usize,
    /// The most batches on their way at a time; fewer while the node is slow or says "later".
    pub max_inflight: usize,
    /// Sets the ids of these points apart from another source's.
    pub namespace: Uuid,
    /// How vectors are compared. Without it a collection that is there is taken as it is, and one
    /// that is made compares by cosine.
    pub distance: Option<Distance>,
    /// Remove what the source no longer has from the collection, once all of it was read.
    pub mirror: bool,
    /// Put off building vector indexes until all is written.
    pub bulk: bool,
    /// Where the settings that `bulk` changes are kept, so that the next run restores them after a
    /// crash, with `bulk` or without. One file serves one node.
    pub bulk_state: Option<PathBuf>,
    /// Where rows that cannot be used are set aside, one JSON object a line; without it the first
    /// such row ends the run.
    pub dead_letter: Option<PathBuf>,
    /// Compare only: nothing is written or removed, and no collection is made.
    pub dry_run: bool,
    /// How long one batch may be refused or unanswered before the run ends.
    pub give_up_after: Duration,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            batch_points: 256,
            batch_bytes: 4 << 20,
            max_inflight: 4,
            namespace: DEFAULT_NAMESPACE,
            distance: None,
            mirror: false,
            bulk: false,
            bulk_state: None,
            dead_letter: None,
            dry_run: false,
            give_up_after: Duration::from_secs(600),
        }
    }
}

/// What a run is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reading, comparing and writing.
    Writing,
    /// Removing what the source no longer has.
    Removing,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What it is busy with.
    pub phase: Phase,
    /// Documents compared and, where needed, written.
    pub documents_done: u64,
    /// All documents of the source, where that can be known before reading it.
    pub documents_total: Option<u64>,
    /// Bytes of the source behind us.
    pub bytes_done: u64,
    /// All bytes of the source, where known.
    pub bytes_total: Option<u64>,
    /// Chunks written.
    pub written: u64,
    /// Chunks found as they should be.
    pub unchanged: u64,
    /// Chunks removed.
    pub removed: u64,
    /// Rows or files that could not be used.
    pub rejected: u64,
    /// Set while the node asks us to wait.
    pub waiting: bool,
}

/// A row or file that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// File and row.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a run did. `chunks = written + unchanged + rejected_count`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Documents read, those without any text included.
    pub documents: u64,
    /// Chunks, vectors or rows read, rejected ones included; a rejected file counts as one.
    pub chunks: u64,
    /// Chunks that were new or different.
    pub written: u64,
    /// Chunks found as they should be.
    pub unchanged: u64,
    /// Chunks removed, because their document shrank or (with `mirror`) vanished.
    pub removed: u64,
    /// Why removals were left undone, if they were.
    pub removals_left: Option<String>,
    /// Rows or files that could not be used: how many.
    pub rejected_count: u64,
    /// The first thousand of them.
    pub rejected: Vec<Rejected>,
    /// Files passed over because they are not text.
    pub skipped: u64,
    /// Bytes of the source read.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// Calls that were repeated.
    pub retries: u64,
    /// Seconds spent waiting because the node asked for it, summed over batches.
    pub throttled_seconds: f64,
}

/// Writes `source` into the target's collection, making the collection if it is missing.
///
/// After an error, a crash or a cancelled future, what was written stays, nothing that was there
/// is lost, and running it again completes the work.
///
/// # Errors
/// The node cannot be reached or refuses the key, the collection does not fit the source, a row of
/// the source cannot be used (without `dead_letter`), or the node kept refusing for
/// `give_up_after`.
pub async fn index(
    target: &Target,
    source: Source,
    options: &IndexOptions,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Summary, Error> {
    run::run(target, source, options, progress).await
}
