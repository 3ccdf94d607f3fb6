//! The steps of a backup, the journal of what was done, and what to do after a crash.
//!
//! The journal is a list of [`Record`]s; what is true now is folded from it, never stored. A step
//! is journaled before it is taken ([`Event::Intent`]) and after ([`Event::Done`]), so that after
//! a crash at any moment [`recovery`] knows what may have happened. It brings the service back
//! first and cleans up second.

mod course;
mod fold;
mod recovery;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use course::{Course, Mode, Next, next};
pub use fold::{Completed, Drill, InProgress, RestoreInProgress, State, UpgradeInProgress, fold};
use jiff::Timestamp;
pub use recovery::{RecoveryAction, recovery};
use serde::{Deserialize, Serialize};

use crate::manifest::Grade;

/// A step of a backup, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Wait until the optimizers are idle; forecast the pause.
    Gate,
    /// Copy what there is while the engine runs, so that little is left for the pause.
    FirstPass,
    /// Hold writes at the gateway.
    HoldWrites,
    /// Wait for the writes in flight.
    Drain,
    /// Ask the engine for the facts that go into the manifest.
    Manifest,
    /// Hold reads too.
    HoldAll,
    /// Stop the engine.
    Stop,
    /// Sync the file system.
    Sync,
    /// Freeze the file system, so that nothing changes under the snapshot.
    Freeze,
    /// Copy what has changed: the point in time is fixed when this returns.
    Snapshot,
    /// Thaw the file system.
    Thaw,
    /// Start the engine.
    Start,
    /// Hold what the engine has after its start against what it had before its stop.
    Compare,
    /// Let the held requests go.
    Release,
    /// Wait until the store has everything.
    Settle,
    /// Ask an engine on a copy of the snapshot for the facts of the manifest, where nobody held the writes.
    Observe,
    /// Read it back, and write the manifest beside it.
    Verify,
    /// Remove what no rule keeps.
    Prune,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 18] = [
        Self::Gate,
        Self::FirstPass,
        Self::HoldWrites,
        Self::Drain,
        Self::Manifest,
        Self::HoldAll,
        Self::Stop,
        Self::Sync,
        Self::Freeze,
        Self::Snapshot,
        Self::Thaw,
        Self::Start,
        Self::Compare,
        Self::Release,
        Self::Settle,
        Self::Observe,
        Self::Verify,
        Self::Prune,
    ];

    /// Its name in the journal, in phases and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::FirstPass => "first_pass",
            Self::HoldWrites => "hold_writes",
            Self::Drain => "drain",
            Self::Manifest => "manifest",
            Self::HoldAll => "hold_all",
            Self::Stop => "stop",
            Self::Sync => "sync",
            Self::Freeze => "freeze",
            Self::Snapshot => "snapshot",
            Self::Thaw => "thaw",
            Self::Start => "start",
            Self::Compare => "compare",
            Self::Release => "release",
            Self::Settle => "settle",
            Self::Observe => "observe",
            Self::Verify => "verify",
            Self::Prune => "prune",
        }
    }
}

impl Step {
    /// What is done in it, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Gate => {
                "wait until the optimizers are idle; refuse a pause that would be too long"
            }
            Self::FirstPass => "let the store do what it can while the engine runs",
            Self::HoldWrites => "hold writes at the gateway; reads go on",
            Self::Drain => "wait for the writes in flight, and until the engine has applied them",
            Self::Manifest => "ask for counts, samples and answers that the snapshot must have",
            Self::HoldAll => "hold reads too",
            Self::Stop => "stop the engine, which must end by itself with exit code 0",
            Self::Sync => "write everything out to the disk",
            Self::Freeze => "freeze the file system",
            Self::Snapshot => "take the snapshot: the point is fixed",
            Self::Thaw => "thaw the file system",
            Self::Start => "start the engine",
            Self::Compare => "compare what it has with what it had",
            Self::Release => "let the held requests go, the first ones first",
            Self::Settle => "wait until the store has everything",
            Self::Observe => "open a copy of the snapshot and ask it for the facts",
            Self::Verify => "read the snapshot back, then write its manifest",
            Self::Prune => "remove what no rule keeps",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The form of the records written now. A journal with a later one was written by a later qmoor.
pub const RECORD_VERSION: u32 = 1;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The form of this record; see [`RECORD_VERSION`].
    #[serde(rename = "v", default = "first_version")]
    pub version: u32,
    /// Number of the line, from 1, without gaps.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Id of the backup it is about (for a restore: of the one that is restored).
    pub backup: String,
    /// What happened.
    pub event: Event,
}

fn first_version() -> u32 {
    1
}

/// What happened, or is about to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A backup begins.
    Begin {
        /// The indexing run it is made for.
        #[serde(default)]
        batch_id: Option<String>,
        /// The user's own.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// Who asked, or what for.
        why: String,
        /// Which steps it takes.
        #[serde(default)]
        course: Course,
    },
    /// A step is about to be taken. Restores journal `Stop` and `Start` like this, too.
    Intent {
        /// The step.
        step: Step,
    },
    /// A step was taken.
    Done {
        /// The step.
        step: Step,
        /// What there is to say about it, such as the exit code of a stop.
        #[serde(default)]
        note: String,
    },
    /// A step failed; the service is brought back next.
    Failed {
        /// The step.
        step: Step,
        /// Why.
        error: String,
    },
    /// A backup ended, or was given up (`ok` false).
    Finished {
        /// Whether it is complete, its manifest written.
        ok: bool,
        /// From the hold of the writes to the release, in milliseconds; 0 when nothing was held.
        #[serde(default)]
        pause_ms: f64,
        /// What the store grew by, in bytes.
        #[serde(default)]
        bytes_added: u64,
        /// How many points it holds.
        #[serde(default)]
        points: u64,
        /// How its point was made.
        #[serde(default)]
        mode: Mode,
        /// What may be claimed of the point; not known of records before there was this field.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grade: Option<Grade>,
    },
    /// A snapshot was read back and is as its manifest says.
    Verified {
        /// Id of the backup.
        id: String,
    },
    /// A snapshot was restored to scratch and opened.
    Drilled {
        /// Id of the backup.
        id: String,
        /// Whether all facts were as the manifest says.
        ok: bool,
        /// From the start of the restore to the first answer, in milliseconds.
        rto_ms: f64,
        /// How many facts were not.
        differences: u64,
    },
    /// The operator keeps a snapshot whatever the rules say.
    Pinned {
        /// Id of the backup.
        id: String,
    },
    /// The operator leaves a snapshot to the rules again.
    Unpinned {
        /// Id of the backup.
        id: String,
    },
    /// A snapshot is about to be removed from the store.
    PruneBegin {
        /// Id of the backup.
        id: String,
    },
    /// A snapshot was removed from the store.
    Pruned {
        /// Id of the backup.
        id: String,
    },
    /// A restore begins: everything goes into `incoming` first.
    RestoreBegin {
        /// Id of the backup.
        id: String,
        /// Where the restored data is put and verified.
        incoming: PathBuf,
        /// Where it will go.
        data: PathBuf,
        /// Where the data that is there now will be kept.
        aside: PathBuf,
    },
    /// The restored data is verified; the two renames are about to be made.
    RestoreSwap {
        /// Id of the backup.
        id: String,
    },
    /// A restore ended, the restored data is in its place.
    Restored {
        /// Id of the backup.
        id: String,
        /// Where the data that was there is kept; `None` if there was none.
        #[serde(default)]
        old_data: Option<PathBuf>,
    },
    /// The engine is about to be another version; `backup` is what it had before.
    UpgradeBegin {
        /// Id of the backup.
        backup: String,
        /// The image before.
        from: String,
        /// The image to come.
        to: String,
    },
    /// The engine is another version, or again the one before.
    UpgradeEnd {
        /// Whether it is the new one.
        ok: bool,
    },
    /// A restore was given up; the node is as it was.
    RestoreFailed {
        /// Id of the backup.
        id: String,
        /// Why.
        error: String,
    },
}

impl Event {
    /// The end of a backup that was given up; `ok` if it turns out to be complete all the same.
    #[must_use]
    pub fn given_up(ok: bool) -> Self {
        let mode = Mode::Stop;
        Self::Finished { ok, pause_ms: 0.0, bytes_added: 0, points: 0, mode, grade: None }
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
