//! What is told to the operator's own systems, and when.

mod webhook;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::schedule::Work;
pub use webhook::{Webhook, WebhookError, is_to_be_repeated};

/// What a message is about, as chosen by `notify.on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// A backup or a drill that failed.
    Failure,
    /// A backup or a drill that went well.
    Success,
    /// A run that was missed.
    Missed,
    /// An engine that ended by itself, or does not come up.
    Engine,
}

impl Occasion {
    /// All there are, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Failure, Self::Success, Self::Missed, Self::Engine];

    /// The word for it in `qmoor.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Success => "success",
            Self::Missed => "missed",
            Self::Engine => "engine",
        }
    }
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A backup is complete.
    BackupSucceeded,
    /// A backup could not be made; the service is back.
    BackupFailed,
    /// A drill found everything as the manifest says.
    DrillSucceeded,
    /// A drill found something else, or could not be made.
    DrillFailed,
    /// A run of a schedule was missed.
    RunMissed,
    /// The engine ended by itself and was started again.
    EngineRestarted,
    /// The engine does not come up, or ends again and again.
    EngineDown,
    /// Somebody tries whether messages arrive.
    Test,
}

impl Event {
    /// How such work ended.
    #[must_use]
    pub fn ended(work: Work, ok: bool) -> Self {
        match (work, ok) {
            (Work::Backup, true) => Self::BackupSucceeded,
            (Work::Backup, false) => Self::BackupFailed,
            (Work::Drill, true) => Self::DrillSucceeded,
            (Work::Drill, false) => Self::DrillFailed,
        }
    }

    /// Whether all is well after it.
    #[must_use]
    pub fn is_well(self) -> bool {
        match self {
            Self::BackupSucceeded | Self::DrillSucceeded | Self::EngineRestarted | Self::Test => {
                true
            }
            Self::BackupFailed | Self::DrillFailed | Self::RunMissed | Self::EngineDown => false,
        }
    }

    /// Whether it is told where these occasions are chosen.
    #[must_use]
    pub fn is_told(self, on: &[Occasion]) -> bool {
        let occasion = match self {
            Self::BackupSucceeded | Self::DrillSucceeded => Occasion::Success,
            Self::BackupFailed | Self::DrillFailed => Occasion::Failure,
            Self::RunMissed => Occasion::Missed,
            Self::EngineRestarted | Self::EngineDown => Occasion::Engine,
            Self::Test => return true,
        };
        on.contains(&occasion)
    }
}

/// Who had it done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Somebody, at a command line or from a job.
    Hand,
    /// The agent, at its time.
    Schedule,
}

/// What is sent: the body of a request to the webhook, and the standard input of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The name of the node.
    pub node: String,
    /// What has happened.
    pub event: Event,
    /// Whether all is well after it.
    pub ok: bool,
    /// When.
    pub at: Timestamp,
    /// Who had it done; null of what nobody did.
    pub by: Option<By>,
    /// The backup, if it is about one.
    pub id: Option<String>,
    /// What there is to say, in a sentence.
    pub message: String,
    /// The version of qmoor.
    pub qmoor: String,
}

#[cfg(test)]
mod tests;
