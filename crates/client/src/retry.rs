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

use crate::error::{Error, Prospect, from_status, prospect};
use crate::target::{CALL_TIMEOUT, Connection};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(15);
/// How often a call is repeated that the node itself calls failed.
const FAILURES_MAX: u32 = 4;
/// The longest `retry-after` that is obeyed as given.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long to go on, and what all calls of one run know of the node's mood.
#[derive(Debug)]
pub(crate) struct Patience {
    give_up_after: Duration,
    /// How long one call may take, its connection being made anew included.
    call_max: Duration,
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
            call_max: CALL_TIMEOUT * 2,
            not_before: Mutex::new(None),
            retries: AtomicU64::new(0),
            throttled_ms: AtomicU64::new(0),
            troubled: AtomicU64::new(0),
        }
    }

    /// With calls that end by themselves after `deadline`.
    pub(crate) fn with_deadline(give_up_after: Duration, deadline: Duration) -> Self {
        Self { call_max: deadline * 2, ..Self::new(give_up_after) }
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
        let mut failures = 0;
        loop {
            self.obey().await;
            // The channel has a deadline of its own; this one holds while it is being dialled.
            let status = match tokio::time::timeout(self.call_max, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            match prospect(&status) {
                Prospect::Passing => {}
                Prospect::Failing if failures < FAILURES_MAX => failures += 1,
                Prospect::Failing | Prospect::Final => return Err(Failure::Final(status)),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Fails so often with this status, then succeeds.
    async fn after(failures: usize, status: Status, patience: &Patience) -> Result<(), Failure> {
        let calls = AtomicUsize::new(0);
        patience
            .call("test", || {
                let call = calls.fetch_add(1, Ordering::Relaxed);
                let answer = if call < failures { Err(status.clone()) } else { Ok(()) };
                async move { answer }
            })
            .await
    }

    fn busy(retry_after: &str) -> Status {
        let mut status = Status::resource_exhausted("held");
        status.metadata_mut().insert("retry-after", retry_after.parse().unwrap());
        status
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_repeated() {
        let patience = Patience::new(Duration::from_secs(600));
        for code in [Code::Unavailable, Code::Aborted, Code::DeadlineExceeded, Code::Internal] {
            after(3, Status::new(code, "x"), &patience).await.unwrap();
        }
        assert_eq!(patience.retries(), 12);
        assert!(!patience.is_waiting());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_final_is_not_repeated() {
        let patience = Patience::new(Duration::from_secs(600));
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::PermissionDenied] {
            let failure = after(1, Status::new(code, "x"), &patience).await.unwrap_err();
            assert_eq!(failure.code(), Some(code));
        }
        assert_eq!(patience.retries(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_goes_on_failing_is_believed() {
        let patience = Patience::new(Duration::from_secs(600));
        let status = Status::internal("a bug");
        let failure = after(usize::MAX, status, &patience).await.unwrap_err();
        assert_eq!((failure.code(), patience.retries()), (Some(Code::Internal), 4));
        let full = Status::internal("write: No space left on device (os error 28)");
        after(1, full, &patience).await.unwrap_err();
        assert_eq!(patience.retries(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn the_node_says_how_long_to_wait_and_is_obeyed() {
        let patience = Patience::new(Duration::from_secs(600));
        let begun = Instant::now();
        after(2, busy("7"), &patience).await.unwrap();
        let took = begun.elapsed();
        assert!((14.0..15.0).contains(&took.as_secs_f64()), "{took:?}");
        assert!(patience.throttled() >= Duration::from_secs(14));
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_that_is_told_to_wait_holds_back_the_others() {
        let patience = Patience::new(Duration::from_secs(600));
        let begun = Instant::now();
        let told = after(1, busy("9"), &patience);
        let other = async {
            tokio::task::yield_now().await;
            after(0, Status::ok(""), &patience).await.unwrap();
            begun.elapsed()
        };
        let (told, other) = tokio::join!(told, other);
        told.unwrap();
        assert!(other >= Duration::from_secs(9), "{other:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_asks_for_a_day_is_not_given_one() {
        let patience = Patience::new(Duration::from_secs(600));
        let begun = Instant::now();
        after(1, busy("86400"), &patience).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(62));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let patience = Patience::new(Duration::from_secs(30));
        let begun = Instant::now();
        let failure = after(usize::MAX, Status::unavailable("down"), &patience).await.unwrap_err();
        assert!(matches!(failure, Failure::GaveUp { .. }), "{failure:?}");
        assert!(begun.elapsed() <= Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_is_given_up() {
        let patience = Patience::new(Duration::from_secs(300));
        let failure =
            patience.call("test", std::future::pending::<Result<(), Status>>).await.unwrap_err();
        assert!(matches!(failure, Failure::GaveUp { .. }), "{failure:?}");
    }
}
