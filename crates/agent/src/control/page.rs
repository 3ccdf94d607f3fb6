//! What is asked for on the status page: the same as over the control socket.

use std::sync::Arc;
use std::time::Duration;

use qmoor_plan::audit::Actor;
use serde_json::json;

use super::agent::Agent;
use super::hold;
use super::jobs::{Job, why};
use super::wire::{Failure, FailureKind, PinRequest};
use crate::backup::BackupRequest;
use crate::node::Progress;

/// How long a job that is refused at once is waited for.
const REFUSED_AT_ONCE: Duration = Duration::from_millis(500);

/// Something an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A backup, now.
    Backup,
    /// A drill of this backup, or of the newest.
    Drill(Option<String>),
    /// Whether a backup is to be kept whatever the rules say.
    Pin {
        /// The backup.
        id: String,
        /// Whether it is.
        pinned: bool,
    },
    /// The end of a hold by hand.
    Release,
}

impl Agent {
    /// Does, or begins, what is asked for on the page. The one place where the page changes anything.
    pub(crate) async fn act(self: &Arc<Self>, actor: Actor, asked: Asked) -> Result<(), Failure> {
        match asked {
            Asked::Backup => {
                let why = why("on the status page", &actor);
                let request = BackupRequest { why, ..BackupRequest::default() };
                self.begin_backup(actor, request).await.map(drop)
            }
            Asked::Drill(id) => {
                let id = self.resolve(id).await?;
                let ended = self.begin(actor, Job::Drill(id));
                match tokio::time::timeout(REFUSED_AT_ONCE, ended).await {
                    Ok(Ok(Err(failure))) => Err(failure),
                    Ok(Ok(Ok(_)) | Err(_)) | Err(_) => Ok(()),
                }
            }
            Asked::Pin { id, pinned } => {
                let what = json!({ "id": id, "pinned": pinned });
                let wanted = PinRequest { id: Some(id), pinned };
                let done = self.pin(&wanted);
                self.context.audit().around(actor, "pin", what, done).await.map(drop)
            }
            Asked::Release => {
                let released = async { self.release() };
                self.context.audit().around(actor, "release", json!({}), released).await
            }
        }
    }

    fn release(&self) -> Result<(), Failure> {
        if hold::release(self).released {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::Unknown,
            "there is no hold by hand (hint: the hold of a backup ends by itself)".to_owned(),
        ))
    }

    /// Whether an operator holds requests.
    pub(crate) fn is_held_by_hand(&self) -> bool {
        self.by_hand.lock().is_some()
    }

    /// What the job that is going on said last.
    pub(crate) fn progress(&self) -> Option<Progress> {
        self.progress.lock().clone()
    }
}
