//! What a collection needs beside its requests: flushing, optimizing, and opening anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use qdrant_edge::ResourceBudget;

use super::{Collection, Writes};
use crate::error::ApiError;

/// How long written points stay in the log alone, at least.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// A flush holds up writers; at most one part in this many of the time goes to it.
const FLUSH_SHARE: u32 = 10;

/// How long a look of the optimizer may take before it is work.
const LOOK: Duration = Duration::from_millis(200);

/// How long closing waits for a write or a read under way.
const CLOSE: Duration = Duration::from_secs(20);

/// The state of a collection's upkeep.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    flushed: Mutex<Option<Flushed>>,
    optimizing: AtomicBool,
    optimizing_since: Mutex<Option<Instant>>,
    reload_wanted: AtomicBool,
    /// The vectors that were there at the start have been read.
    warmed: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Flushed {
    at: Instant,
    took: Duration,
}

/// The right to optimize, given back even when the storage engine panics.
struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Upkeep {
    pub(super) fn optimizing(&self) -> bool {
        self.optimizing.load(Ordering::Acquire)
    }

    /// Whether the optimizer has been at it for longer than a look takes.
    pub(super) fn optimizing_for_long(&self) -> bool {
        let since = *self.optimizing_since.lock();
        self.optimizing() && since.is_some_and(|since| since.elapsed() > LOOK)
    }

    pub(super) fn want_reload(&self) {
        self.reload_wanted.store(true, Ordering::Release);
    }
}

impl Collection {
    /// Flushes if something was written and the last flush is long enough ago.
    pub(crate) fn flush_if_due(&self, now: Instant) {
        let due = match *self.upkeep.flushed.lock() {
            None => true,
            Some(Flushed { at, took }) => {
                now.duration_since(at) >= FLUSH_EVERY.max(took.saturating_mul(FLUSH_SHARE))
            }
        };
        if due
            && self.dirty.load(Ordering::Acquire)
            && let Err(error) = self.flush()
        {
            tracing::warn!(collection = self.name, %error, "flush failed and will be tried again");
        }
    }

    /// Brings everything written so far from the log into the segments, and shortens the log.
    pub(crate) fn flush(&self) -> Result<(), ApiError> {
        self.flush_locked(&self.writes.lock())
    }

    fn flush_locked(&self, _writes: &MutexGuard<'_, Writes>) -> Result<(), ApiError> {
        if self.dropped.load(Ordering::Acquire) {
            return Ok(());
        }
        let shard = self.shard.get()?;
        let began = Instant::now();
        self.dirty.store(false, Ordering::Release);
        let flushed = shard.flush();
        let at = Instant::now();
        let took = at.duration_since(began);
        *self.upkeep.flushed.lock() = Some(Flushed { at, took });
        if flushed.is_err() {
            self.dirty.store(true, Ordering::Release);
        }
        tracing::debug!(collection = self.name, ?took, ok = flushed.is_ok(), "flushed");
        Ok(flushed?)
    }

    /// Flushes what is left to flush and closes the shard. Requests that come later are refused.
    ///
    /// # Errors
    /// When the flush failed, or a write is under way that does not end within [`CLOSE`]. What was
    /// acknowledged is in the log either way.
    pub(crate) fn close(&self) -> Result<(), ApiError> {
        let Some(writes) = self.writes.try_lock_for(CLOSE) else {
            return Err(ApiError::Unavailable("a write is still under way".into()));
        };
        if self.dirty.load(Ordering::Acquire) {
            self.flush_locked(&writes)?;
        }
        self.shard.close(CLOSE);
        Ok(())
    }

    /// Whether the optimizer should look at this collection. Answers yes once: the caller then calls
    /// [`Collection::optimize`].
    pub(crate) fn claim_optimizing(&self) -> bool {
        self.unoptimized.load(Ordering::Acquire)
            && !self.dropped.load(Ordering::Acquire)
            && self.settings.read().optimizes()
            && !self.upkeep.optimizing.swap(true, Ordering::AcqRel)
    }

    /// Gives back a claim that came to nothing.
    pub(crate) fn release_optimizing(&self) {
        drop(Claim(&self.upkeep.optimizing));
    }

    /// Optimizes until nothing is left to do. This can take as long as there are writers: it belongs
    /// on a thread of its own.
    pub(crate) fn optimize(&self, budget: ResourceBudget) {
        let claim = Claim(&self.upkeep.optimizing);
        *self.upkeep.optimizing_since.lock() = Some(Instant::now());
        self.unoptimized.store(false, Ordering::Release);
        if let Some(shard) = self.shard.share() {
            if !self.upkeep.warmed.swap(true, Ordering::AcqRel) {
                self.warm();
            }
            let began = Instant::now();
            match shard.optimize_with_budget(budget) {
                Ok(false) => {}
                Ok(true) => {
                    let took = began.elapsed();
                    self.warm();
                    tracing::info!(collection = self.name, ?took, "optimized");
                }
                Err(error) if self.dropped.load(Ordering::Acquire) => {
                    tracing::debug!(collection = self.name, %error, "optimizing a removed collection");
                }
                Err(error) => {
                    tracing::error!(collection = self.name, %error, "optimizing failed");
                }
            }
        }
        drop(claim);
        if let Err(error) = self.reload_if_wanted() {
            tracing::error!(collection = self.name, %error, "new settings could not be applied");
        }
    }

    /// Applies settings the storage engine only takes when it opens. While the optimizer runs that
    /// waits until it has ended.
    pub(super) fn reload_if_wanted(&self) -> Result<(), ApiError> {
        if !self.upkeep.reload_wanted.load(Ordering::Acquire) {
            return Ok(());
        }
        let _writes = self.writes.lock();
        if self.dropped.load(Ordering::Acquire) || self.upkeep.optimizing() {
            return Ok(());
        }
        let config = self.settings.read().clone();
        if self.shard.reload(&config)? {
            self.upkeep.reload_wanted.store(false, Ordering::Release);
            self.unoptimized.store(true, Ordering::Release);
        }
        Ok(())
    }
}
