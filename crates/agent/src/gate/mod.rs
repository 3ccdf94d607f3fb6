//! The gate: every request passes it, and around a backup it holds them instead of failing them.
//!
//! A request that arrives while its kind is held waits, first in, first out, for no longer than the hold
//! budget from its own arrival; then it is told to come again. Only so many may wait. A hold is a lease: it
//! ends by itself, so that whoever asked for it may die.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use qmoor_plan::access::Effect;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

/// How many held requests are let go at once, and the pause before the next ones: the engine has just
/// started, and a thousand requests in one moment are a poor welcome.
const RELEASE_BATCH: usize = 32;
const RELEASE_PAUSE: Duration = Duration::from_millis(2);

/// What the gate's waiting is bounded by.
#[derive(Debug, Clone, Copy)]
pub struct GateLimits {
    /// The longest a request is held, from its own arrival.
    pub hold_budget: Duration,
    /// How many requests may be held at once.
    pub max_held: usize,
}

/// The gate of one node. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: GateLimits,
    /// One permit: there is one hold at a time.
    holder: Arc<Semaphore>,
    state: Mutex<State>,
    /// Told whenever a permit comes back.
    idle: Notify,
    /// Whether a drain has waited so long that what hangs on a slow client must be cut.
    hurry: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    reads: usize,
    writes: usize,
    /// Held requests by ticket, so in the order of their arrival.
    waiting: BTreeMap<u64, Waiter>,
    next_ticket: u64,
    /// Requests that were told to come again.
    shed: u64,
    /// Whether a task is letting held requests go.
    releasing: bool,
    /// Which hold is the present one, so that an old lease cannot end a new hold.
    hold: u64,
}

#[derive(Debug)]
struct Waiter {
    effect: Effect,
    go: oneshot::Sender<Permit>,
}

/// What the gate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing.
    #[default]
    Open,
    /// Writes; reads go on.
    WritesHeld,
    /// Everything.
    AllHeld,
}

impl Phase {
    /// Whether requests of this kind are held.
    #[must_use]
    pub fn holds(self, effect: Effect) -> bool {
        match (self, effect) {
            (Self::Open, Effect::Read | Effect::Write) | (Self::WritesHeld, Effect::Read) => false,
            (Self::WritesHeld, Effect::Write) | (Self::AllHeld, Effect::Read | Effect::Write) => {
                true
            }
        }
    }
}

/// The gate at one moment.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub struct GateStatus {
    /// What is held.
    pub phase: Phase,
    /// Reads the engine is working on.
    pub reads_in_flight: usize,
    /// Writes the engine is working on.
    pub writes_in_flight: usize,
    /// Requests that wait.
    pub held: usize,
    /// Requests that were told to come again, since the start.
    pub shed: u64,
}

/// Leave to ask the engine; the request counts as in flight until it is dropped.
#[derive(Debug)]
pub struct Permit {
    inner: Arc<Inner>,
    effect: Effect,
}

impl Permit {
    /// Ends when a drain has waited for this permit so long that a client which sends or reads too slowly
    /// must be cut off. What the engine itself works on is not.
    pub fn hurried(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = Arc::clone(&self.inner);
        let mut hurry = inner.hurry.subscribe();
        let effect = self.effect;
        async move {
            loop {
                if *hurry.borrow_and_update() && inner.state.lock().phase.holds(effect) {
                    return;
                }
                if hurry.changed().await.is_err() {
                    // Cannot be: the sender is in `inner`.
                    return;
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.inner.state.lock();
        match self.effect {
            Effect::Read => state.reads = state.reads.saturating_sub(1),
            Effect::Write => state.writes = state.writes.saturating_sub(1),
        }
        drop(state);
        self.inner.idle.notify_waiters();
    }
}

/// Why a request was not let through. Nothing of it has reached the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was held for the whole hold budget.
    #[error("held for {budget:?} while a backup is made")]
    BudgetSpent {
        /// The hold budget.
        budget: Duration,
    },
    /// Too many requests are held already.
    #[error("{held} requests are already held while a backup is made")]
    TooManyHeld {
        /// How many.
        held: usize,
    },
}

/// Requests of the held kinds were still in flight when the time to drain was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reads} reads and {writes} writes were still in flight after {after:?}")]
pub struct DrainTimeout {
    /// How long was waited.
    pub after: Duration,
    /// Reads in flight at the end.
    pub reads: usize,
    /// Writes in flight at the end.
    pub writes: usize,
}

/// The right to hold requests. Ends on [`Hold::release`], when dropped, and when its lease is over.
#[derive(Debug)]
pub struct Hold {
    inner: Arc<Inner>,
    number: u64,
    lease: tokio::task::AbortHandle,
    _holder: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn new(limits: GateLimits) -> Self {
        let inner = Inner {
            limits,
            holder: Arc::new(Semaphore::new(1)),
            state: Mutex::default(),
            idle: Notify::new(),
            hurry: watch::Sender::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is held and in flight now.
    pub fn status(&self) -> GateStatus {
        let state = self.inner.state.lock();
        GateStatus {
            phase: state.phase,
            reads_in_flight: state.reads,
            writes_in_flight: state.writes,
            held: state.waiting.len(),
            shed: state.shed,
        }
    }

    /// Lets a request through, now or after the hold. The deadline is its arrival plus the hold budget.
    /// Dropping the future gives the place up.
    ///
    /// # Errors
    /// When the hold outlasts the deadline, or too many wait already.
    pub async fn admit(&self, effect: Effect, deadline: Instant) -> Result<Permit, Refused> {
        let limits = self.inner.limits;
        let (place, go) = {
            let mut state = self.inner.state.lock();
            let behind = state.waiting.values().any(|waiter| waiter.effect == effect);
            if !state.phase.holds(effect) && !behind {
                return Ok(self.inner.permit(&mut state, effect));
            }
            if state.waiting.len() >= limits.max_held {
                state.shed += 1;
                return Err(Refused::TooManyHeld { held: state.waiting.len() });
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            let (sender, receiver) = oneshot::channel();
            state.waiting.insert(ticket, Waiter { effect, go: sender });
            (Place { inner: &self.inner, ticket }, receiver)
        };
        let answer = tokio::time::timeout_at(deadline, go).await;
        drop(place);
        match answer {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                self.inner.state.lock().shed += 1;
                Err(Refused::BudgetSpent { budget: limits.hold_budget })
            }
        }
    }

    /// How many holds there have been: who asks now and then sees those in between too.
    pub(crate) fn holds(&self) -> u64 {
        self.inner.state.lock().hold
    }

    /// Holds writes from now on, for no longer than the lease. Waits for an earlier hold to end.
    pub async fn hold_writes(&self, lease: Duration) -> Hold {
        let holder = Arc::clone(&self.inner.holder).acquire_owned().await.ok();
        let number = {
            let mut state = self.inner.state.lock();
            state.phase = Phase::WritesHeld;
            state.hold += 1;
            state.hold
        };
        tracing::info!(?lease, "gate: open -> writes held");
        let inner = Arc::clone(&self.inner);
        let lease = tokio::spawn(async move {
            tokio::time::sleep(lease).await;
            if inner.open(number) {
                tracing::warn!(?lease, "the lease of a hold ended before the hold did");
            }
        });
        Hold {
            inner: Arc::clone(&self.inner),
            number,
            lease: lease.abort_handle(),
            _holder: holder,
        }
    }
}

impl Hold {
    /// Waits until nothing of what is held is in flight any more. After half the hold budget (or half the
    /// time, if that is less), requests that wait for their client to send or to read are cut off: one slow
    /// client must not use up the patience of all the others.
    ///
    /// # Errors
    /// When that takes longer than the timeout. The hold goes on.
    pub async fn drain(&self, timeout: Duration) -> Result<(), DrainTimeout> {
        let calm = timeout.min(self.inner.limits.hold_budget) / 2;
        if tokio::time::timeout(calm, self.inner.wait_drained()).await.is_ok() {
            return Ok(());
        }
        self.inner.hurry.send_replace(true);
        let drained = tokio::time::timeout(timeout - calm, self.inner.wait_drained()).await;
        self.inner.hurry.send_replace(false);
        if drained.is_ok() {
            return Ok(());
        }
        let state = self.inner.state.lock();
        Err(DrainTimeout { after: timeout, reads: state.reads, writes: state.writes })
    }

    /// Holds reads too.
    pub fn hold_all(&self) {
        let mut state = self.inner.state.lock();
        if state.hold == self.number && state.phase == Phase::WritesHeld {
            state.phase = Phase::AllHeld;
            tracing::info!("gate: writes held -> all held");
        }
    }

    /// Whether this hold still holds: its lease has not run out.
    #[must_use]
    pub fn active(&self) -> bool {
        let state = self.inner.state.lock();
        state.hold == self.number && state.phase != Phase::Open
    }

    /// Opens the gate; the held requests go first.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.lease.abort();
        self.inner.open(self.number);
    }
}

impl Inner {
    /// Counts a request in. The state is the caller's lock on this gate.
    fn permit(self: &Arc<Self>, state: &mut State, effect: Effect) -> Permit {
        match effect {
            Effect::Read => state.reads += 1,
            Effect::Write => state.writes += 1,
        }
        Permit { inner: Arc::clone(self), effect }
    }

    async fn wait_drained(&self) {
        loop {
            let told = self.idle.notified();
            tokio::pin!(told);
            // Listening before looking, so that no return in between is missed.
            told.as_mut().enable();
            if self.drained() {
                return;
            }
            told.await;
        }
    }

    fn drained(&self) -> bool {
        let state = self.state.lock();
        (state.writes == 0 || !state.phase.holds(Effect::Write))
            && (state.reads == 0 || !state.phase.holds(Effect::Read))
    }

    /// Ends the hold of this number, if it is still the present one. Says whether it was.
    fn open(self: &Arc<Self>, number: u64) -> bool {
        let mut state = self.state.lock();
        if state.hold != number || state.phase == Phase::Open {
            return false;
        }
        state.phase = Phase::Open;
        let waiting = state.waiting.len();
        let begin = waiting > 0 && !state.releasing;
        state.releasing |= begin;
        drop(state);
        tracing::info!(waiting, "gate: held -> open");
        if begin {
            let inner = Arc::clone(self);
            tokio::spawn(async move {
                while inner.let_some_go() {
                    tokio::time::sleep(RELEASE_PAUSE).await;
                }
            });
        }
        true
    }

    /// Lets the next held requests go, oldest first. Says whether more are to follow.
    fn let_some_go(self: &Arc<Self>) -> bool {
        // Permits that nobody took are dropped after the lock, which their drop takes.
        let mut refused = Vec::new();
        let mut state = self.state.lock();
        let phase = state.phase;
        let next: Vec<u64> = state
            .waiting
            .iter()
            .filter(|(_, waiter)| !phase.holds(waiter.effect))
            .map(|(ticket, _)| *ticket)
            .take(RELEASE_BATCH)
            .collect();
        for ticket in &next {
            if let Some(waiter) = state.waiting.remove(ticket) {
                let permit = self.permit(&mut state, waiter.effect);
                refused.extend(waiter.go.send(permit).err());
            }
        }
        let more = !next.is_empty();
        state.releasing = more;
        drop(state);
        drop(refused);
        more
    }
}

/// A place in the queue, given up when dropped.
struct Place<'gate> {
    inner: &'gate Arc<Inner>,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.inner.state.lock().waiting.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests;
