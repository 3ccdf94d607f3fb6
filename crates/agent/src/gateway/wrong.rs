//! Callers without a right key: counted, told so a few times, and logged a few times.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use qmoor_plan::access::{Failures, Trickle, Verdict};
use tokio::time::Instant;

use super::answer::Refusal;

/// Lines a minute about wrong keys, at most.
const LINES: u32 = 60;

/// What is known of wrong keys.
#[derive(Debug)]
pub(super) struct Wrong {
    begun: Instant,
    failures: Mutex<Failures>,
    lines: Mutex<Trickle>,
    told: AtomicU64,
    stopped: AtomicU64,
}

/// How many requests had no right key since the gateway began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongKeys {
    /// Answered with 401.
    pub told: u64,
    /// Answered with 429: the address had too many of them.
    pub stopped: u64,
}

impl Wrong {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            failures: Mutex::default(),
            lines: Mutex::new(Trickle::new(LINES)),
            told: AtomicU64::new(0),
            stopped: AtomicU64::new(0),
        }
    }

    /// Notes one, and says how to answer it. A right key from the same address is none of its business: many
    /// clients may share an address, and one with an old key must not lock the others out.
    pub(super) fn answer(&self, address: IpAddr, what: Refusal) -> Refusal {
        match self.failures.lock().note(address, self.begun.elapsed()) {
            Verdict::Tell => {
                self.told.fetch_add(1, Ordering::Relaxed);
                what
            }
            Verdict::Stop => {
                self.stopped.fetch_add(1, Ordering::Relaxed);
                Refusal::Stopped
            }
        }
    }

    /// If there is a line to spare for one more: how many have had none since the last.
    pub(super) fn line(&self, address: IpAddr) -> Option<u64> {
        let unseen = self.lines.lock().pass(self.begun.elapsed())?;
        if unseen > 0 {
            tracing::warn!(unseen, "requests without a right key have no lines here");
        }
        tracing::debug!(%address, "no right key");
        Some(unseen)
    }

    pub(super) fn counts(&self) -> WrongKeys {
        WrongKeys {
            told: self.told.load(Ordering::Relaxed),
            stopped: self.stopped.load(Ordering::Relaxed),
        }
    }
}
