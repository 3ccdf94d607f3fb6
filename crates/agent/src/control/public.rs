//! What may be asked through the gateway: an indexing job ends with a backup, and needs no shell on the node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use qmoor_plan::access::Role;
use qmoor_plan::audit::Actor;
use qmoor_plan::backup::Mode;
use serde::{Deserialize, Serialize};

use super::agent::Agent;
use super::jobs::{Job, broke_off, failure, why};
use super::reply::{body, one, wanted};
use super::routes::private;
use super::wire::{Begun, Failure, FailureKind};
use crate::backup::BackupRequest;
use crate::catalogue::{self, BackupInfo};
use crate::gateway::answer::{Body, json};
use crate::keys::KeyInfo;

const BACKUPS: &str = "/qmoor/v1/backups";
/// What stands behind it is asked of the agent as over its control socket. It is on no list, so only the admin key gets
/// here.
pub(super) const REMOTE: &str = "/qmoor/v1/agent";

/// The body of `POST /qmoor/v1/backups`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    batch_id: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How the point is made.
    #[serde(default)]
    mode: Mode,
    /// Whether the answer waits for the end of the backup.
    #[serde(default = "yes")]
    wait: bool,
}

fn yes() -> bool {
    true
}

/// The answer of `GET /qmoor/v1/backups/{id}`.
#[derive(Debug, Serialize)]
struct Progressed {
    id: String,
    state: Stage,
    /// The step it is at, while it is made.
    step: Option<String>,
    /// Why it failed.
    error: Option<String>,
    backup: Option<BackupInfo>,
}

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    InProgress,
    Complete,
    Incomplete,
    Failed,
}

/// Answers the node's own paths at the gateway, which has checked the caller's role.
pub(crate) async fn public(
    agent: &Arc<Agent>,
    caller: Option<&KeyInfo>,
    from: IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let actor = match caller {
        Some(caller) => caller.actor(from),
        None => Actor::nobody(from),
    };
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let is_admin = caller.is_some_and(|caller| caller.role == Role::Admin);
    if let Some(asked) =
        path.strip_prefix(REMOTE).filter(|asked| asked.starts_with('/') && is_admin)
    {
        return private(agent, actor, &method, asked, request.into_body()).await;
    }
    let id = path.strip_prefix(BACKUPS).and_then(|rest| rest.strip_prefix('/'));
    match (&method, path.as_str(), id) {
        (&Method::GET, "/qmoor/v1/status", _) => one(Ok(agent.status())),
        (&Method::GET, BACKUPS, _) => {
            one(catalogue::list(&agent.context).await.map_err(|error| failure(&error)))
        }
        (&Method::POST, BACKUPS, _) => begin(agent, actor, request).await,
        (&Method::GET, _, Some(id)) => one(progressed(agent, id).await),
        _ => one::<()>(Err(Failure::new(
            FailureKind::Unknown,
            format!("there is no {method} {path}"),
        ))),
    }
}

async fn begin(agent: &Arc<Agent>, actor: Actor, request: Request<Incoming>) -> Response<Body> {
    let asked = body(request.into_body()).await;
    let wanted: Wanted = match asked.and_then(|body| wanted(&body)) {
        Ok(wanted) => wanted,
        Err(failure) => return one::<()>(Err(failure)),
    };
    let why = why("through the gateway", &actor);
    let asked = BackupRequest {
        batch_id: wanted.batch_id,
        labels: wanted.labels,
        mode: wanted.mode,
        why,
        ..BackupRequest::default()
    };
    if !wanted.wait {
        return match agent.begin_backup(actor, asked).await {
            Ok(Begun { id }) => json(
                StatusCode::ACCEPTED,
                &serde_json::json!({ "id": id, "state": Stage::InProgress }),
            ),
            Err(failure) => one::<()>(Err(failure)),
        };
    }
    if let Err(failure) = agent.is_free() {
        return one::<()>(Err(failure));
    }
    one(agent.begin(actor, Job::Backup(asked)).await.unwrap_or_else(|_| Err(broke_off())))
}

async fn progressed(agent: &Agent, id: &str) -> Result<Progressed, Failure> {
    let state = agent.context.state();
    let begun = [(state.current, Stage::InProgress), (state.last_abandoned, Stage::Failed)];
    for (begun, stage) in begun {
        if let Some(backup) = begun.filter(|backup| backup.id == id) {
            return Ok(Progressed {
                error: backup.why_failed(),
                id: backup.id,
                state: stage,
                step: backup.step.map(|step| step.to_string()),
                backup: None,
            });
        }
    }
    let backups = catalogue::list(&agent.context).await.map_err(|error| failure(&error))?;
    let found = backups.into_iter().find(|backup| backup.id == id).ok_or_else(|| {
        Failure::new(
            FailureKind::Unknown,
            format!(
                "there is no backup `{id}`: it failed before another one did, was pruned, or never was"
            ),
        )
    })?;
    let state = if found.complete { Stage::Complete } else { Stage::Incomplete };
    Ok(Progressed { id: found.id.clone(), state, step: None, error: None, backup: Some(found) })
}
