//! Calling a node that may be busy, held for a backup, or away for a moment.
//!
//! Every call of this library can be repeated without harm, so the only question is when. Delays
//! grow and are drawn anew each time ("full jitter"), so that many writers do not come back as one;
//! what the node says in `retry-after` goes before, is shared by all calls, and is bounded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::error::{Error, from_status, is_passing};
use crate::target::{CALL_TIMEOUT, Connection};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(15);
/// The longest `retry-after` that is obeyed as given.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long to go on, and what all calls of one run know of the node's mood.
#[derive(Debug)]
pub(crate) struct Patience {
    give_up_after: Duration,
    /// No call goes out before this, because the node said so.
    not_before: Mutex<Option<Instant>>,
    retries: AtomicU64,
    throttled_ms: AtomicU64,
    /// Calls that failed and have not succeeded since.
    troubled: AtomicU64,
}

/// A call that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The node's answer is final.
    Final(Status),
    /// It might have passed, and we waited long enough.
    GaveUp { status: Status, waited: Duration },
}

impl Failure {
    /// The code of a final answer.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Final(status) => Some(status.code()),
            Self::GaveUp { .. } => None,
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Final(status) | Self::GaveUp { status, .. } => status.message(),
        }
    }

    pub(crate) fn name(&self, connection: &Connection, action: &str) -> Error {
        match self {
            Self::Final(status) => {
                from_status(status, &connection.url, &connection.collection, action)
            }
            Self::GaveUp { status, waited } => Error::GaveUp {
                action: action.to_owned(),
                waited: *waited,
                message: format!("{:?}: {}", status.code(), status.message()),
            },
        }
    }
}

impl Patience {
    pub(crate) fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            not_before: Mutex::new(None),
            retries: AtomicU64::new(0),
            throttled_ms: AtomicU64::new(0),
            troubled: AtomicU64::new(0),
        }
    }

    /// For a person who waits for an answer: longer than a node is held for a backup.
    pub(crate) fn short() -> Self {
        Self::new(Duration::from_secs(40))
    }

    /// Calls that were repeated so far.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Time spent waiting at the node's request, summed over calls.
    pub(crate) fn throttled(&self) -> Duration {
        Duration::from_millis(self.throttled_ms.load(Ordering::Relaxed))
    }

    /// Whether a call is being repeated.
    pub(crate) fn is_waiting(&self) -> bool {
        self.troubled.load(Ordering::Relaxed) > 0
    }

    /// Calls until there is a final answer or patience ends.
    pub(crate) async fn call<T, F: Future<Output = Result<T, Status>>>(
        &self,
        action: &str,
        call: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        let mut ceiling = FIRST_DELAY;
        let mut trouble = None;
        loop {
            self.obey().await;
            // The channel has a deadline of its own; this one holds while it is being dialled.
            let status = match tokio::time::timeout(CALL_TIMEOUT * 2, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            if !is_passing(&status) {
                return Err(Failure::Final(status));
            }
            let asked = retry_after(&status);
            let delay = asked.unwrap_or_else(|| jitter(ceiling));
            ceiling = (ceiling * 2).min(DELAY_MAX);
            let waited = begun.elapsed();
            if waited + delay > self.give_up_after {
                return Err(Failure::GaveUp { status, waited });
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            trouble.get_or_insert_with(|| Trouble::new(&self.troubled));
            tracing::debug!(action, code = ?status.code(), ?delay, "will be repeated");
            if let Some(asked) = asked {
                self.hold_off(asked);
            } else {
                tokio::time::sleep(delay).await;
            }
        }
    }

    /// Everyone waits when one was told to.
    fn hold_off(&self, delay: Duration) {
        let until = Instant::now() + delay + jitter(FIRST_DELAY);
        let mut not_before = self.not_before.lock();
        if not_before.is_none_or(|at| at < until) {
            *not_before = Some(until);
        }
    }

    async fn obey(&self) {
        let Some(until) = *self.not_before.lock() else { return };
        let Some(left) = until.checked_duration_since(Instant::now()) else { return };
        // Spread out, so that what was held back does not come back at once.
        let left = left + jitter(FIRST_DELAY);
        let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        self.throttled_ms.fetch_add(ms, Ordering::Relaxed);
        tokio::time::sleep(left).await;
    }
}

/// A call in trouble, counted for as long as it lives.
struct Trouble<'a>(&'a AtomicU64);

impl<'a> Trouble<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Trouble<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A delay drawn evenly from nothing to `ceiling`.
pub(crate) fn jitter(ceiling: Duration) -> Duration {
    ceiling.mul_f64(rand::rng().random_range(0.0..=1.0))
}

/// What the node asked for, in seconds, bounded.
fn retry_after(status: &Status) -> Option<Duration> {
    let text = status.metadata().get("retry-after")?.to_str().ok()?;
    let seconds: f64 = text.trim().parse().ok()?;
    let asked = Duration::try_from_secs_f64(seconds).ok()?;
    Some(asked.min(RETRY_AFTER_MAX))
}
