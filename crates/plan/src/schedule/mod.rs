//! When the agent makes backups and drills by itself.
//!
//! From a schedule, what has become of its runs so far, and the time that it is, [`decide`] says what is to be done.
//! The clock may jump: what has run does not run again, and what was passed over is counted and made up for once.

mod cron;
mod decide;
mod ledger;

use std::time::Duration;

pub use cron::{Cron, CronError};
pub use decide::{Decision, Rules, decide};
pub use ledger::{Ledger, Unfinished};
use serde::{Deserialize, Serialize};

/// A run that begins so much later than its time is not late: a look at the clock may take half of it to come.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// What is made by a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// A backup.
    Backup,
    /// A drill of the newest backup.
    Drill,
}

impl Work {
    /// All there is, in the order in which it is told.
    pub const ALL: [Self; 2] = [Self::Backup, Self::Drill];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Drill => "drill",
        }
    }
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
