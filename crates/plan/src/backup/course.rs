//! The course of one backup: which step comes next, from what the journal says is done.
//!
//! Nothing is remembered but the journal. [`next`] is asked again after every record, so that a backup, a
//! backup that has failed and a backup after a crash are one piece of code: whatever went wrong, the
//! service is brought back first, and only then the backup is given up.

use serde::{Deserialize, Serialize};

use super::{State, Step};
use crate::manifest::Grade;

/// How the point in time is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The engine is stopped: grade clean.
    #[default]
    Stop,
    /// The engine goes on and the file system is frozen under it: grade frozen; reads are not held.
    Freeze,
}

impl Mode {
    /// Its name on the command line and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Freeze => "freeze",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which steps a backup takes; decided before it begins, and kept in its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// How the point is made.
    #[serde(default)]
    pub mode: Mode,
    /// Whether the file system is frozen while the snapshot is taken: only one of its own can be.
    #[serde(default)]
    pub freezes: bool,
    /// Whether there is a gateway that can hold requests.
    #[serde(default = "yes")]
    pub holds: bool,
}

fn yes() -> bool {
    true
}

impl Default for Course {
    fn default() -> Self {
        Self { mode: Mode::Stop, freezes: false, holds: true }
    }
}

impl Course {
    /// The steps up to the end of the backup, in their order. Pruning comes after it.
    #[must_use]
    pub fn steps(self) -> Vec<Step> {
        Step::ALL.into_iter().filter(|step| self.takes(*step)).collect()
    }

    /// The grade of the point, if nothing goes wrong.
    #[must_use]
    pub fn grade(self) -> Grade {
        match (self.mode, self.freezes && self.holds) {
            (Mode::Stop, _) => Grade::Clean,
            (Mode::Freeze, true) => Grade::Frozen,
            (Mode::Freeze, false) => Grade::Crash,
        }
    }

    fn takes(self, step: Step) -> bool {
        match step {
            Step::Gate
            | Step::FirstPass
            | Step::Sync
            | Step::Snapshot
            | Step::Settle
            | Step::Verify => true,
            Step::HoldWrites | Step::Drain | Step::Manifest | Step::Release => self.holds,
            Step::HoldAll => self.holds && self.mode == Mode::Stop,
            Step::Stop | Step::Start => self.mode == Mode::Stop,
            // What the engine held before its stop is known only if nobody wrote meanwhile.
            Step::Compare => self.holds && self.mode == Mode::Stop,
            Step::Freeze | Step::Thaw => self.freezes,
            // With a gateway the facts are asked while writes are held; without, of the snapshot itself.
            Step::Observe => !self.holds,
            Step::Prune => false,
        }
    }
}

/// What to do next with the backup that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Take this step; it may fail.
    Take(Step),
    /// Take this step, which brings the service back: nothing may get in its way.
    BringBack(Step),
    /// There is nothing left to do.
    Finish {
        /// Whether all steps were taken.
        ok: bool,
    },
}

/// What comes next for the open backup of `state`; nothing when none is open.
///
/// A step that brings the service back and failed is not taken again here: the supervisor of the engine, the
/// lease of the hold and the deadline of the freeze go on with it.
#[must_use]
pub fn next(state: &State) -> Option<Next> {
    let current = state.current.as_ref()?;
    let still = |step: Step| !current.troubled.contains(&step);
    if current.failed.is_some() {
        let owed = [
            (state.frozen, Step::Thaw),
            (state.engine_down, Step::Start),
            (state.gate_held, Step::Release),
        ];
        let back = owed.into_iter().find(|(owed, step)| *owed && still(*step));
        return Some(back.map_or(Next::Finish { ok: false }, |(_, step)| Next::BringBack(step)));
    }
    let step = current.course.steps().into_iter().find(|step| !current.done.contains(step));
    Some(match step {
        None => Next::Finish { ok: true },
        Some(step @ (Step::Thaw | Step::Start | Step::Release)) => Next::BringBack(step),
        Some(step) => Next::Take(step),
    })
}
