//! What has become of a schedule's runs so far: what must outlive the agent.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Cron;

/// A clock that is behind what was already handled by more than this was wrong then, and is right now.
const BACK_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What has become of the runs of one schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The schedule. Of another one nothing of this is true.
    pub cron: String,
    /// Up to this moment every run has begun, or counts as missed.
    pub handled: Timestamp,
    /// How many runs were missed.
    pub missed: u64,
    /// When one was last found to be missed.
    #[serde(default)]
    pub last_missed: Option<Timestamp>,
    /// When the last run that has ended began.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// The run that has begun and not ended.
    #[serde(default)]
    pub unfinished: Option<Unfinished>,
}

/// A run that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// Its time.
    pub due: Timestamp,
    /// When it began.
    pub begun: Timestamp,
    /// How often it was begun.
    pub tries: u32,
}

impl Ledger {
    /// A schedule that begins now: what would have been before is not missed.
    #[must_use]
    pub fn new(cron: &Cron, now: Timestamp) -> Self {
        Self {
            cron: cron.as_str().to_owned(),
            handled: now,
            missed: 0,
            last_missed: None,
            last: None,
            unfinished: None,
        }
    }

    /// What was read from the disk, where it is of this schedule; else what is true of a new one.
    #[must_use]
    pub fn of(read: Option<Self>, cron: &Cron, now: Timestamp) -> Self {
        match read {
            Some(read) if read.cron == cron.as_str() => read,
            Some(other) => {
                let Self { missed, last_missed, last, .. } = other;
                Self { missed, last_missed, last, ..Self::new(cron, now) }
            }
            None => Self::new(cron, now),
        }
    }

    /// As it must be at this time. Says whether the clock had been far ahead: nothing would run until it is there again.
    pub fn settle(&mut self, now: Timestamp) -> bool {
        let was_ahead = self.handled.duration_since(now) > BACK_MAX;
        if was_ahead {
            self.handled = now;
            self.unfinished = None;
        }
        was_ahead
    }

    /// A run begins, and so many before it were missed.
    pub fn begin(&mut self, due: Timestamp, missed: u64, now: Timestamp) {
        let before = self.unfinished.filter(|unfinished| unfinished.due == due);
        let tries = before.map_or(0, |before| before.tries).saturating_add(1);
        self.unfinished = Some(Unfinished { due, begun: now, tries });
        self.count(due, missed, now);
    }

    /// The run that had begun has ended, however it did.
    pub fn end(&mut self) {
        if let Some(ended) = self.unfinished.take() {
            self.last = Some(ended.begun);
        }
    }

    /// Runs up to this one were missed: so many.
    pub fn pass(&mut self, due: Timestamp, missed: u64, now: Timestamp) {
        self.unfinished = None;
        self.count(due, missed, now);
    }

    fn count(&mut self, due: Timestamp, missed: u64, now: Timestamp) {
        self.handled = due;
        self.missed = self.missed.saturating_add(missed);
        if missed > 0 {
            self.last_missed = Some(now);
        }
    }
}
