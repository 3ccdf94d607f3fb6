//! What the clients of one round share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use qdrant_client::QdrantError;

/// One round: from the start of the load to its end, with one kill in between.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// Set before the kill: from then on a request may fail.
    killed: Arc<AtomicBool>,
    /// Set when the node is back: clients that have not noticed anything end now.
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    /// Numbers every write, over all rounds.
    version: Arc<AtomicU64>,
}

impl Round {
    pub(crate) fn new(version: &Arc<AtomicU64>) -> Self {
        Self {
            killed: Arc::default(),
            over: Arc::default(),
            acknowledged: Arc::default(),
            version: Arc::clone(version),
        }
    }

    /// From now on a request may fail.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Asks the clients to end.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Panics when a request failed although nobody had killed anything yet.
    pub(crate) fn may_fail(&self, error: &QdrantError) {
        assert!(self.is_killed(), "failed on a living node: {error}");
    }

    pub(crate) fn next_version(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}
