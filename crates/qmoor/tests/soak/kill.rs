//! Who is killed, and when.

use std::time::Duration;

use qmoor_plan::backup::{Event, Step};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::journal::Journal;

/// The longest time into a round: longer than a backup takes.
const LATEST: Duration = Duration::from_millis(1500);
/// How many records ahead: more than a backup writes.
const RECORDS_AHEAD: u32 = 40;
/// How long after a record at most.
const AFTER_RECORD: Duration = Duration::from_millis(20);

/// Who is killed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// SIGKILL to the agent.
    Agent,
    /// SIGKILL to the engine.
    Engine,
    /// SIGKILL to both.
    Both,
    /// SIGTERM to the agent.
    Term,
    /// SIGKILL to the agent while it starts, right after another kill.
    Starting,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Agent, Self::Engine, Self::Both, Self::Term, Self::Starting];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Engine => "engine",
            Self::Both => "both",
            Self::Term => "term",
            Self::Starting => "starting",
        }
    }

    pub(crate) fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..10) {
            0..=3 => Self::Agent,
            4..=6 => Self::Engine,
            7..=8 => Self::Both,
            _ => Self::Term,
        }
    }
}

/// When.
#[derive(Debug)]
pub(crate) enum Moment {
    /// So long after the load began.
    After(Duration),
    /// So long after so many more records are in the journal.
    Records(u32, Duration),
    /// So long after a step of a backup is about to be taken, or was taken.
    At { step: Step, done: bool, after: Duration },
}

impl Moment {
    pub(crate) fn draw(random: &mut StdRng, steps: &[Step]) -> Self {
        // Most of what can go wrong is in the first moments after a record.
        let after = match random.random_range(0..3) {
            0 => Duration::ZERO,
            1 => random.random_range(Duration::ZERO..AFTER_RECORD / 10),
            _ => random.random_range(Duration::ZERO..AFTER_RECORD),
        };
        match random.random_range(0..3) {
            0 => Self::After(random.random_range(Duration::ZERO..LATEST)),
            1 => Self::Records(random.random_range(1..=RECORDS_AHEAD), after),
            _ => {
                let step = steps[random.random_range(0..steps.len())];
                Self::At { step, done: random.random(), after }
            }
        }
    }

    /// Waits for it.
    pub(crate) async fn come(self, journal: &mut Journal) {
        let after = match self {
            Self::After(after) => after,
            Self::Records(mut ahead, after) => {
                let is_last = |_: &_| {
                    ahead = ahead.saturating_sub(1);
                    ahead == 0
                };
                journal.until(is_last).await;
                after
            }
            Self::At { step: wanted, done: wanted_done, after } => {
                journal
                    .until(|record| match &record.event {
                        Event::Intent { step } => !wanted_done && *step == wanted,
                        Event::Done { step, .. } => wanted_done && *step == wanted,
                        _ => false,
                    })
                    .await;
                after
            }
        };
        // The moment itself is what is drawn: nothing is waited for here.
        tokio::time::sleep(after).await;
    }
}
