//! Work that takes a while: done in a task of its own, which goes on when whoever asked goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use qmoor_plan::access::Role;
use qmoor_plan::audit::Actor;
use qmoor_plan::notify::By;
use qmoor_plan::schedule::Work;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::agent::Agent;
use super::client::Line;
use super::wire::{Begun, Failure, FailureKind, PinReport, PinRequest};
use crate::backup::{BackupRequest, backup};
use crate::catalogue;
use crate::drill::drill;
use crate::error::NodeError;
use crate::gateway::answer::Body;
use crate::node::{Progress, Watch};
use crate::prune::prune;
use crate::restore::restore;
use crate::store::StoreError;
use crate::upgrade::upgrade;

/// How many events may wait for a slow reader; more are left out.
const EVENTS_AHEAD: usize = 256;
/// How often it is looked whether a backup has begun.
const BEGUN_POLL: Duration = Duration::from_millis(10);
/// How long the end of a job waits for a slow reader.
const LAST_WORD: Duration = Duration::from_secs(30);

/// Why a backup by schedule is made, in its journal.
const SCHEDULED: &str = "schedule";

/// What can be asked for.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// A backup.
    Backup(BackupRequest),
    /// A restore of this backup, or of the newest.
    Restore(Option<String>),
    /// A drill of this backup, or of the newest.
    Drill(Option<String>),
    /// Another version of the engine.
    Upgrade(String),
    /// The pruning of the backups.
    Prune {
        /// Only a look.
        dry_run: bool,
    },
}

impl Job {
    /// Its name in the audit log: that of the verb.
    fn action(&self) -> &'static str {
        match self {
            Self::Backup(_) => "backup",
            Self::Restore(_) => "restore",
            Self::Drill(_) => "drill",
            Self::Upgrade(_) => "upgrade",
            Self::Prune { .. } => "prune",
        }
    }

    /// What is asked for, for the audit log.
    fn what(&self) -> Value {
        match self {
            Self::Backup(request) => serde_json::to_value(request).unwrap_or_default(),
            Self::Restore(id) | Self::Drill(id) => {
                json!({ "id": id.as_deref().unwrap_or("latest") })
            }
            Self::Upgrade(version) => json!({ "version": version }),
            Self::Prune { dry_run } => json!({ "dry_run": dry_run }),
        }
    }
}

impl Agent {
    async fn run(
        &self,
        actor: Actor,
        job: Job,
        by: By,
        watch: Watch<'_>,
    ) -> Result<Value, Failure> {
        let (action, what) = (job.action(), job.what());
        let work = Box::pin(self.carry_out(job, by, watch));
        self.context.audit().around(actor, action, what, work).await
    }

    async fn carry_out(&self, job: Job, by: By, watch: Watch<'_>) -> Result<Value, Failure> {
        self.recovered().await;
        let (node, begun) = (&self.context, Timestamp::now());
        // Who is refused has said nothing, and takes nothing back of what the other one says.
        let has_spoken = AtomicBool::new(false);
        let watch: Watch<'_> = &|progress: Progress| {
            has_spoken.store(true, Ordering::Relaxed);
            *self.progress.lock() = Some(progress.clone());
            watch(progress);
        };
        let done = match job {
            Job::Backup(request) => {
                let made = backup(node, &self.engine, &self.gate, &request, watch).await;
                self.tell_of_backup(by, begun, &made);
                value(made)
            }
            Job::Restore(id) => value(
                restore(node, Some(&self.engine), Some(&self.gate), id.as_deref(), watch).await,
            ),
            Job::Drill(id) => {
                let made = drill(node, id.as_deref(), watch).await;
                self.tell_of_drill(by, id, &made);
                value(made)
            }
            Job::Upgrade(version) => {
                value(upgrade(node, &self.engine, &self.gate, &version, watch).await)
            }
            Job::Prune { dry_run } => value(prune(node, dry_run).await),
        };
        if has_spoken.into_inner() {
            *self.progress.lock() = None;
        }
        done
    }

    /// Makes what a schedule asks for, and returns at its end. It goes on when this is dropped.
    pub(crate) async fn run_scheduled(self: &Arc<Self>, work: Work) -> Result<(), Failure> {
        let (mode, why) = (self.config.schedule.mode, SCHEDULED.to_owned());
        let job = match work {
            Work::Backup => Job::Backup(BackupRequest { mode, why, ..BackupRequest::default() }),
            Work::Drill => Job::Drill(None),
        };
        let agent = Arc::clone(self);
        let made = self.jobs.spawn(async move {
            let actor = Actor::agent("schedule");
            let outcome = agent.run(actor, job, By::Schedule, &|_| {}).await;
            // One that found the node busy has not been made yet.
            if !matches!(&outcome, Err(failure) if failure.kind == FailureKind::Busy) {
                agent.schedules.ended(work).await;
            }
            outcome.map(|_| ())
        });
        made.await.unwrap_or_else(|_| Err(broke_off()))
    }

    /// Begins a job whose end is all that is asked for.
    pub(super) fn begin(
        self: &Arc<Self>,
        actor: Actor,
        job: Job,
    ) -> oneshot::Receiver<Result<Value, Failure>> {
        let (done, result) = oneshot::channel();
        let agent = Arc::clone(self);
        self.jobs.spawn(async move {
            let outcome = agent.run(actor, job, By::Hand, &|_| {}).await;
            // Nobody may be waiting any more; the journal and the log have it.
            let _unheard = done.send(outcome);
        });
        result
    }

    /// An error while a backup is being made.
    pub(super) fn is_free(&self) -> Result<(), Failure> {
        match self.context.state().current {
            None => Ok(()),
            Some(current) => Err(Failure::new(
                FailureKind::Busy,
                format!(
                    "backup {} is being made (hint: ask after it, and come again when it is done)",
                    current.id
                ),
            )),
        }
    }

    /// Begins a backup, and returns as soon as it has its id in the journal.
    pub(super) async fn begin_backup(
        self: &Arc<Self>,
        actor: Actor,
        request: BackupRequest,
    ) -> Result<Begun, Failure> {
        self.is_free()?;
        let mut result = self.begin(actor, Job::Backup(request));
        loop {
            if let Some(current) = self.context.state().current {
                return Ok(Begun { id: current.id });
            }
            // It may have ended before it was looked for, well or not.
            match tokio::time::timeout(BEGUN_POLL, &mut result).await {
                Err(_) => {}
                Ok(Ok(Ok(report))) => {
                    let id = report.get("id").and_then(Value::as_str).unwrap_or_default();
                    return Ok(Begun { id: id.to_owned() });
                }
                Ok(Ok(Err(failure))) => return Err(failure),
                Ok(Err(_)) => return Err(broke_off()),
            }
        }
    }

    /// Begins a job and answers with a line for each event, and one for the end.
    pub(super) fn stream(self: &Arc<Self>, actor: Actor, job: Job) -> Response<Body> {
        let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
        let agent = Arc::clone(self);
        self.jobs.spawn(async move {
            let watch = |progress: Progress| {
                if let Ok(event) = serde_json::to_value(progress) {
                    let _full_or_gone = sender.try_send(Line::Event(event));
                }
            };
            let last = match agent.run(actor, job, By::Hand, &watch).await {
                Ok(value) => Line::Done(value),
                Err(failure) => Line::Error(failure),
            };
            let _gone = tokio::time::timeout(LAST_WORD, sender.send(last)).await;
        });
        let lines = futures::stream::unfold(receiver, async |mut receiver| {
            let line = receiver.recv().await?;
            Some((line, receiver))
        });
        let frames = lines.map(|line| {
            let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
            bytes.push(b'\n');
            Ok(Frame::data(Bytes::from(bytes)))
        });
        let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        response
    }

    /// The whole id of the backup that is meant by an id, the beginning of one, or `latest` (none).
    pub(super) async fn resolve(&self, id: Option<String>) -> Result<Option<String>, Failure> {
        let Some(wanted) = id.filter(|id| id != "latest") else { return Ok(None) };
        let entries = self
            .context
            .blocking("listing the backups", |node| Ok(node.store()?.list()?))
            .await
            .map_err(|error| failure(&error))?;
        let mut ids: Vec<String> = entries.into_iter().map(|entry| entry.id).collect();
        if ids.contains(&wanted) {
            return Ok(Some(wanted));
        }
        ids.retain(|id| id.starts_with(&wanted));
        match ids.as_slice() {
            [id] => Ok(Some(id.clone())),
            [] => Err(Failure {
                hint: Some("`qmoor backups` lists them".to_owned()),
                ..Failure::new(FailureKind::Unknown, format!("there is no backup `{wanted}`"))
            }),
            [_, _, ..] => Err(Failure::new(
                FailureKind::Usage,
                format!("several backups begin with `{wanted}`: {}", ids.join(", ")),
            )),
        }
    }

    /// As [`Agent::resolve`], where a name is needed.
    pub(super) async fn resolve_one(&self, id: Option<String>) -> Result<String, Failure> {
        match self.resolve(id).await? {
            Some(id) => Ok(id),
            None => {
                let found = catalogue::find(&self.context, None).await;
                found.map(|(entry, _)| entry.id).map_err(|error| failure(&error))
            }
        }
    }

    /// Pins a backup, or takes its pin away.
    pub(super) async fn pin(&self, wanted: &PinRequest) -> Result<PinReport, Failure> {
        let (id, pinned) = (self.resolve_one(wanted.id.clone()).await?, wanted.pinned);
        let done = catalogue::set_pinned(&self.context, &id, pinned).await;
        done.map_err(|error| failure(&error))?;
        Ok(PinReport { id, pinned })
    }
}

/// Why a backup is made that somebody has asked for from elsewhere, such as `through the gateway`.
pub(super) fn why(how: &str, actor: &Actor) -> String {
    let role = actor.role.map_or("no", Role::as_str);
    format!("asked {how} with the {role} {}", actor.who)
}

/// A job whose task is gone.
pub(super) fn broke_off() -> Failure {
    Failure::new(FailureKind::Failed, "the backup broke off".to_owned())
}

fn value<T: serde::Serialize>(result: Result<T, NodeError>) -> Result<Value, Failure> {
    let report = result.map_err(|error| failure(&error))?;
    serde_json::to_value(report).map_err(|error| Failure::failed(&error))
}

/// A failure of the node, of the sort that its asker must know.
pub(super) fn failure(error: &NodeError) -> Failure {
    let kind = match error {
        error if error.is_busy() => FailureKind::Busy,
        NodeError::Store(StoreError::NoSuchBackup { .. }) => FailureKind::Unknown,
        _ => FailureKind::Failed,
    };
    Failure { kind, ..Failure::failed(error) }
}
