//! The thread that flushes collections and starts their optimizers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use qdrant_edge::ResourceBudget;

use super::Names;
use crate::collection::Collection;

/// How often collections are looked after.
const EVERY: Duration = Duration::from_millis(500);

/// How many optimizers run at once at most. They share one budget of processors, so most of them
/// wait; there are several so that one collection under constant writing does not keep out the rest.
const OPTIMIZERS_MAX: usize = 16;

/// Looks after all collections until it is stopped.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
    #[cfg(test)]
    optimizers: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Stop {
    wanted: Mutex<bool>,
    changed: Condvar,
}

impl Keeper {
    pub(super) fn start(names: Arc<RwLock<Names>>) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let seen = Arc::clone(&stop);
        let optimizers = Optimizers::default();
        #[cfg(test)]
        let running = Arc::clone(&optimizers.running);
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || {
            while !seen.wait(EVERY) {
                let collections: Vec<Arc<Collection>> =
                    names.read().collections.values().cloned().collect();
                for collection in collections {
                    if seen.wait(Duration::ZERO) {
                        return;
                    }
                    collection.flush_if_due(Instant::now());
                    optimizers.look_at(&collection);
                }
            }
        })?;
        Ok(Self {
            stop,
            thread: Mutex::new(Some(thread)),
            #[cfg(test)]
            optimizers: running,
        })
    }

    /// As [`Keeper::stop`], and waits for the optimizers, which keep the logs open that a test wants to
    /// open again in the same process.
    #[cfg(test)]
    pub(super) fn stop_wholly(&self) {
        self.stop();
        while self.optimizers.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
    }

    /// Stops the upkeep. Optimizers under way go on by themselves.
    pub(super) fn stop(&self) {
        *self.stop.wanted.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the keeper thread had panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Stop {
    /// Waits, and tells whether to stop.
    fn wait(&self, time: Duration) -> bool {
        let mut wanted = self.wanted.lock();
        if !*wanted && !time.is_zero() {
            self.changed.wait_for(&mut wanted, time);
        }
        *wanted
    }
}

#[derive(Debug)]
struct Optimizers {
    budget: ResourceBudget,
    running: Arc<AtomicUsize>,
}

/// Counts one optimizer while it lives.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Default for Optimizers {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // Upstream leaves one processor alone where there are more than two.
        let budget = if processors > 2 { processors - 1 } else { processors };
        Self { budget: ResourceBudget::new(budget, budget), running: Arc::default() }
    }
}

impl Optimizers {
    fn look_at(&self, collection: &Arc<Collection>) {
        if self.running.load(Ordering::Acquire) >= OPTIMIZERS_MAX || !collection.claim_optimizing()
        {
            return;
        }
        let running = Running::one_more(&self.running);
        let budget = self.budget.clone();
        let spawned = std::thread::Builder::new().name("optimizer".into()).spawn({
            let collection = Arc::clone(collection);
            move || {
                collection.optimize(budget);
                drop(collection);
                drop(running);
            }
        });
        if let Err(error) = spawned {
            collection.release_optimizing();
            tracing::warn!(%error, "cannot start an optimizer");
        }
    }
}
