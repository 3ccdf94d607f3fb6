//! What is to be done now.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;

use super::cron::between;
use super::{Cron, Ledger, ON_TIME, Work};

/// So many are counted at a time; behind a clock that was wrong by years there could be any number.
const MISSED_MAX: u64 = 10_000;
/// How often a run is begun that the agent's end cuts off.
const TRIES_MAX: u32 = 2;

/// One schedule.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// When.
    pub cron: &'a Cron,
    /// What.
    pub work: Work,
    /// The name of the node.
    pub node: &'a str,
    /// A run begins up to so much later than its time.
    pub jitter: Duration,
    /// A run that is later than this is not made any more.
    pub catch_up: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing before this moment.
    Wait {
        /// When the next run begins.
        at: Timestamp,
    },
    /// A run.
    Run {
        /// Its time.
        due: Timestamp,
        /// How many before it were missed.
        missed: u64,
    },
    /// Runs were missed, and none of them is made up for.
    Pass {
        /// The time of the last of them.
        due: Timestamp,
        /// How many.
        missed: u64,
    },
}

/// Says what is to be done at `now`. Who does it tells the ledger first: [`Ledger::begin`], [`Ledger::pass`].
#[must_use]
pub fn decide(rules: &Rules<'_>, ledger: &Ledger, now: Timestamp) -> Decision {
    if let Some(due) = passed(rules, ledger, now) {
        // One that was cut off is not made up for when a younger one is there.
        let cut_off = u64::from(ledger.unfinished.is_some());
        let missed = count(rules.cron, ledger.handled, due).saturating_add(cut_off);
        return match is_late(rules, due, now) {
            true => Decision::Pass { due, missed: missed.saturating_add(1) },
            false => Decision::Run { due, missed },
        };
    }
    match ledger.unfinished {
        Some(run) if run.tries < TRIES_MAX && !is_late(rules, run.due, now) => {
            Decision::Run { due: run.due, missed: 0 }
        }
        Some(run) => Decision::Pass { due: run.due, missed: 1 },
        None => Decision::Wait { at: rules.next(ledger).unwrap_or(Timestamp::MAX) },
    }
}

impl Rules<'_> {
    /// When the next run begins.
    #[must_use]
    pub fn next(&self, ledger: &Ledger) -> Option<Timestamp> {
        self.cron.after(ledger.handled).map(|due| begins(self, due))
    }
}

/// The youngest run whose beginning has come, and that nothing has become of.
fn passed(rules: &Rules<'_>, ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    let is_open = |due: &Timestamp| *due > ledger.handled;
    let last = rules.cron.until(now).filter(is_open)?;
    if begins(rules, last) <= now {
        return Some(last);
    }
    // Each begins before the time of the next.
    rules.cron.before(last).filter(is_open)
}

/// How many are after `handled` and before `due`.
fn count(cron: &Cron, handled: Timestamp, due: Timestamp) -> u64 {
    let (mut many, mut at) = (0, handled);
    while many < MISSED_MAX {
        match cron.after(at) {
            Some(next) if next < due => (many, at) = (many + 1, next),
            Some(_) | None => break,
        }
    }
    many
}

fn is_late(rules: &Rules<'_>, due: Timestamp, now: Timestamp) -> bool {
    between(begins(rules, due), now) > rules.catch_up.max(ON_TIME)
}

/// When a run begins: later than its time by what follows from the node's name and that time, and before the next.
pub(super) fn begins(rules: &Rules<'_>, due: Timestamp) -> Timestamp {
    let gap = rules.cron.after(due).map_or(Duration::MAX, |next| between(due, next));
    let most = u64::try_from(rules.jitter.min(gap).as_millis()).unwrap_or(u64::MAX);
    let mut hasher = DefaultHasher::new();
    (rules.node, rules.work.as_str(), due.as_second()).hash(&mut hasher);
    let later = hasher.finish().checked_rem(most).unwrap_or(0);
    due.checked_add(Duration::from_millis(later)).unwrap_or(due)
}
