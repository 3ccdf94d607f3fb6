//! What can go wrong with a backup, a restore, a drill, or the pruning of backups.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use qmoor_plan::manifest::Difference;

use crate::engine::EngineError;
use crate::gate::DrainTimeout;
use crate::journal::JournalError;
use crate::lock::LockError;
use crate::probe::ProbeError;
use crate::store::StoreError;
use crate::volume::VolumeError;

/// Why it was not done. Whatever it is, the service was brought back before this was returned, unless the
/// variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Somebody else is at it; the command line ends with 3.
    #[error(transparent)]
    Busy(#[from] LockError),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The volume is not there, or not what it should be.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The engine could not be started or stopped.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine does not answer as it should.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Requests in flight did not end.
    #[error("the requests in flight did not end in time, so nothing was stopped: {0}")]
    Drain(DrainTimeout),
    /// There is no running engine to back up.
    #[error("the engine is not running (hint: `qmoor status` says why)")]
    EngineDown,
    /// The engine did not end by itself.
    #[error("the engine's stop was not clean ({}), so there is no backup of grade clean (hint: `qmoor backup --allow-crash-consistent` takes one of grade crash)", exit_text(*exit_code, *out_of_memory))]
    UncleanStop {
        /// What it ended with; none if a signal ended it.
        exit_code: Option<i32>,
        /// Whether the kernel ended it for want of memory.
        out_of_memory: bool,
    },
    /// Something started the engine while its data was being copied.
    #[error(
        "the engine was started by somebody else while the snapshot was taken, so it is thrown away (hint: leave the container to qmoor)"
    )]
    StartedMeanwhile,
    /// The engine has not come to rest.
    #[error(
        "the engine is still {doing} after {after:?}: {what} (hint: come again when it is done, or give it longer: `backup.gate_timeout`)"
    )]
    StillBusy {
        /// What it does.
        doing: &'static str,
        /// The collections.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// Writes cannot be held without a gateway.
    #[error(
        "without a gateway writes cannot be held, so a frozen file system has them half done (hint: `--mode stop`, or `--allow-crash-consistent`)"
    )]
    CannotHold,
    /// The gate opened by itself before the engine was stopped.
    #[error("the hold of the writes ran out before the engine was stopped")]
    LeaseLost,
    /// The store's disk is too full for another backup.
    #[error("the store {} has {free} bytes free, and a backup needs about {needed} (hint: `qmoor prune`, or a larger disk)", path.display())]
    NoRoom {
        /// The store.
        path: PathBuf,
        /// About so many bytes.
        needed: u64,
        /// What is there.
        free: u64,
    },
    /// The pause would be longer than is allowed.
    #[error(
        "the pause is forecast to be {forecast:.1?}, longer than {max:?} (hint: `--max-pause`, or `backup.max_pause` in qmoor.toml, allows more)"
    )]
    PauseTooLong {
        /// The median of the last pauses.
        forecast: Duration,
        /// What is allowed.
        max: Duration,
    },
    /// The engine answers otherwise than it should.
    #[error("{what}: {} differences, the first: {}", differences.len(), first(differences))]
    Differs {
        /// Which engine, compared with what.
        what: &'static str,
        /// All of them.
        differences: Vec<Difference>,
    },
    /// The engine cannot be upgraded to that.
    #[error("no upgrade to {to}: {why}")]
    UpgradeRefused {
        /// What was asked for.
        to: String,
        /// Why not.
        why: String,
    },
    /// The upgrade failed, and the node is as it was before.
    #[error("the upgrade to {to} was taken back, and the node is as it was: {why}")]
    UpgradeTakenBack {
        /// What was asked for.
        to: String,
        /// What was wrong with it.
        why: Box<NodeError>,
    },
    /// A restore or drill is not possible as things are.
    #[error("backup `{id}` cannot be restored: {why}")]
    Refused {
        /// The backup.
        id: String,
        /// Why not.
        why: String,
    },
    /// The manifest in the store cannot be understood.
    #[error("the manifest of backup `{id}` cannot be read: {message}")]
    Manifest {
        /// The backup.
        id: String,
        /// What is wrong.
        message: String,
    },
    /// A file or folder cannot be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said, with the path.
        source: io::Error,
    },
    /// A folder cannot be moved.
    #[error("cannot move {} to {}: {source}", from.display(), to.display())]
    Move {
        /// What.
        from: PathBuf,
        /// Where to.
        to: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Work on another thread ended in a panic.
    #[error("{doing} broke off (this is a bug, or the disk is full)")]
    BrokeOff {
        /// What was being done.
        doing: &'static str,
    },
}

impl NodeError {
    /// Whether somebody else holds the lock: the command line ends with 3 then.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(LockError::Held { .. }))
    }
}

fn exit_text(code: Option<i32>, out_of_memory: bool) -> String {
    if out_of_memory {
        return "ended by the kernel, which had no memory left".to_owned();
    }
    code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit code {code}"))
}

fn first(differences: &[Difference]) -> String {
    differences.first().map(ToString::to_string).unwrap_or_default()
}
