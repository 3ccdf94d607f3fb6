//! How many requests all writers of a process may have on their way.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Enough for several writers; more would only wait at the node.
const REQUESTS: usize = 32;

/// A number of requests that may be on their way at a time. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

/// The budget of the process with this id.
static OF_PROCESS: Mutex<Option<(u32, Budget)>> = Mutex::new(None);

/// A child of a fork may find the lock held by a thread that it does not have.
const LOCK_MAX: Duration = Duration::from_millis(100);

impl Budget {
    /// A budget of its own.
    #[must_use]
    pub fn new(requests: usize) -> Self {
        Self(Arc::new(Semaphore::new(requests.max(1))))
    }

    /// The one that all writers of this process share. A child of a fork gets another.
    #[must_use]
    pub fn of_process() -> Self {
        let Some(mut budget) = OF_PROCESS.try_lock_for(LOCK_MAX) else {
            return Self::new(REQUESTS);
        };
        let process = std::process::id();
        match &*budget {
            Some((of, budget)) if *of == process => budget.clone(),
            _ => budget.insert((process, Self::new(REQUESTS))).1.clone(),
        }
    }

    /// Waits until a request may go. It is never closed, so there is always a permit in the end.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}
