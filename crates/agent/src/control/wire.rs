//! What goes over the control socket. Part of the `--json` contract.

use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use qmoor_plan::access::{Role, Scope};
use qmoor_plan::backup::{Mode, Step};
use serde::{Deserialize, Serialize};

use crate::gate::GateStatus;
use crate::keys::KeyInfo;
use crate::lock::Holder;

/// A running node at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub name: String,
    /// The version of qmoor that runs it.
    pub version: String,
    /// The agent's process.
    pub pid: u32,
    /// When the agent started.
    pub started: Timestamp,
    /// Where clients come in.
    pub http: Option<SocketAddr>,
    /// The second door, for clients that expect gRPC on a port of its own.
    pub grpc: Option<SocketAddr>,
    /// Where the data is.
    pub data: PathBuf,
    /// The engine.
    pub engine: EngineStatus,
    /// The gate.
    pub gate: GateStatus,
    /// What is being done with the node's backups, if anything is.
    pub busy: Option<Holder>,
    /// The backup that is being made.
    #[serde(default)]
    pub backup: Option<BackupNow>,
    /// The last backup that ended well.
    pub last_backup: Option<LastBackup>,
    /// The last drill.
    pub last_drill: Option<LastDrill>,
    /// What the agent does by itself, and when.
    #[serde(default)]
    pub schedules: Vec<ScheduleNow>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleNow {
    /// What is done: `backup` or `drill`.
    pub job: String,
    /// The expression of cron.
    pub cron: String,
    /// When the next run begins.
    pub next: Option<Timestamp>,
    /// When the last one that has ended began.
    pub last: Option<Timestamp>,
    /// How many were missed, ever.
    pub missed: u64,
}

/// A backup that is being made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupNow {
    /// Its id.
    pub id: String,
    /// How its point is made.
    pub mode: Mode,
    /// When it began.
    pub begun: Timestamp,
    /// The step it is at.
    pub step: Option<Step>,
    /// Why it has failed, if it has.
    pub failed: Option<String>,
}

/// The last backup that ended well.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastBackup {
    /// Its id.
    pub id: String,
    /// When it ended.
    pub at: Timestamp,
    /// How long requests were held, in milliseconds.
    pub pause_ms: f64,
}

/// The last drill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastDrill {
    /// The backup that was restored.
    pub id: String,
    /// When it ended.
    pub at: Timestamp,
    /// Whether everything was as it should be.
    pub ok: bool,
    /// The measured recovery time, in milliseconds.
    pub rto_ms: f64,
}

/// The engine at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EngineStatus {
    /// Whether it answers.
    pub up: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when it has been up.
    pub since: Option<Timestamp>,
    /// How often it has come up since the agent started.
    pub starts: u64,
    /// Why it is down, when it should not be.
    pub trouble: Option<String>,
}

/// A key that was just made, shown this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct FreshKey {
    /// What is known about it.
    #[serde(flatten)]
    pub info: KeyInfo,
    /// The key itself; empty where it is kept by AWS, and read from there by whoever may.
    pub key: String,
    /// The secret or parameter that it is kept in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_in: Option<String>,
}

impl std::fmt::Debug for FreshKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FreshKey").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Asks for a key of this role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    /// The role.
    pub role: Role,
}

/// Asks for another key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// The role.
    pub role: Role,
    /// The collections that it is limited to; none for all.
    #[serde(default)]
    pub collections: Option<Scope>,
    /// After how many milliseconds the keys that it replaces end; none to leave them valid.
    #[serde(default)]
    pub overlap_ms: Option<u64>,
}

/// Names a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRequest {
    /// The id, as listed.
    pub id: String,
}

/// Which backup is meant: an id, the beginning of one, or the newest (`latest`, or none).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupChoice {
    /// The id.
    #[serde(default)]
    pub id: Option<String>,
}

/// Asks for the pruning of the backups.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Only a look at what would be kept and removed.
    #[serde(default)]
    pub dry_run: bool,
}

/// Asks for another version of the engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeRequest {
    /// The version, or the whole tag.
    pub version: String,
}

/// Asks for a pin to be set or taken away.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// Which backup, as in [`BackupChoice`].
    #[serde(default)]
    pub id: Option<String>,
    /// Whether it is to be pinned.
    pub pinned: bool,
}

/// A backup that is pinned now, or not any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PinReport {
    /// The backup.
    pub id: String,
    /// Whether it is pinned.
    pub pinned: bool,
}

/// A backup that has begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Begun {
    /// Its id.
    pub id: String,
}

/// Asks for requests to be held by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// How long at most, in milliseconds; then the hold ends by itself.
    pub lease_ms: u64,
    /// Whether reads are held too.
    #[serde(default)]
    pub reads: bool,
    /// What for.
    #[serde(default)]
    pub why: String,
}

/// A hold by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldReport {
    /// When it ends by itself.
    pub until: Timestamp,
    /// What is held.
    pub gate: GateStatus,
}

/// The end of a hold by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseReport {
    /// Whether there was one.
    pub released: bool,
    /// What is held now.
    pub gate: GateStatus,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which sort of failure.
    pub kind: FailureKind,
    /// What failed, with its causes.
    pub message: String,
    /// The next command, if there is one.
    pub hint: Option<String>,
}

/// Sorts of failure: what the asker does next depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request makes no sense.
    Usage,
    /// What it names does not exist.
    Unknown,
    /// Something else is being done.
    Busy,
    /// It was tried and failed.
    Failed,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Failure {
    /// Something that was tried and failed, with its causes in one line.
    pub fn failed(error: &dyn std::error::Error) -> Self {
        Self::new(FailureKind::Failed, chain(error))
    }

    /// A failure. A hint in the message, `(hint: …)`, is taken out of it.
    #[must_use]
    pub fn new(kind: FailureKind, message: String) -> Self {
        let hinted = message.split_once(" (hint: ").and_then(|(before, rest)| {
            rest.split_once(')').map(|(hint, after)| (format!("{before}{after}"), hint.to_owned()))
        });
        match hinted {
            Some((message, hint)) => Self { kind, message, hint: Some(hint) },
            None => Self { kind, message, hint: None },
        }
    }
}

/// An error and its causes, without saying anything twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
