//! What is done for which path.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use jiff::Timestamp;
use qmoor_plan::access::Role;

use super::agent::Agent;
use super::hold;
use super::jobs::{Job, failure};
use super::reply::{body, one};
use super::wire::{
    BackupChoice, Begun, Failure, FailureKind, FreshKey, HoldReport, IdRequest, PinReport,
    PinRequest, PruneRequest, RoleRequest, RotateRequest, UpgradeRequest,
};
use crate::backup::{BackupPlan, BackupRequest, explain};
use crate::catalogue;
use crate::gateway::answer::Body;
use crate::keys::vault::{self, Vault, VaultError};
use crate::keys::{KeyInfo, Keyring, KeysError, Secret, Wanted};
use crate::restore::{RestorePlan, plan_restore};

/// Answers on the control socket, whose opener may do everything.
pub(super) async fn private(
    agent: Arc<Agent>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    Ok(match (&method, path.as_str()) {
        (&Method::GET, "/status") => one(Ok(agent.status())),
        (&Method::GET, "/keys") => one(Ok(agent.keys.list(Timestamp::now()))),
        (&Method::POST, "/keys/rotate") => one(rotate(&agent, request).await),
        (&Method::POST, "/keys/revoke") => one(revoke(&agent, request).await),
        (&Method::POST, "/keys/session") => one(session(&agent, request).await),
        (&Method::GET, "/backups") => {
            one(catalogue::list(&agent.context).await.map_err(|error| failure(&error)))
        }
        (&Method::POST, "/backup") => match body(request.into_body()).await {
            Ok(wanted) => agent.stream(Job::Backup(wanted)),
            Err(failure) => one::<()>(Err(failure)),
        },
        (&Method::POST, "/backup/begin") => one(begin(&agent, request).await),
        (&Method::POST, "/backup/explain") => one(explained(&agent, request).await),
        (&Method::POST, "/hold") => one(held(&agent, request).await),
        (&Method::POST, "/release") => one(Ok(hold::release(&agent))),
        (&Method::POST, "/restore/plan") => one(plan(&agent, request).await),
        (&Method::POST, "/restore") => job(&agent, request, Job::Restore).await,
        (&Method::POST, "/drill") => job(&agent, request, Job::Drill).await,
        (&Method::POST, "/upgrade") => match body::<UpgradeRequest>(request.into_body()).await {
            Ok(wanted) => agent.stream(Job::Upgrade(wanted.version)),
            Err(failure) => one::<()>(Err(failure)),
        },
        (&Method::POST, "/prune") => match body::<PruneRequest>(request.into_body()).await {
            Ok(wanted) => agent.stream(Job::Prune { dry_run: wanted.dry_run }),
            Err(failure) => one::<()>(Err(failure)),
        },
        (&Method::POST, "/pin") => one(pin(&agent, request).await),
        (&Method::POST, "/notify/test") => one(Ok(agent.notify.try_out().await)),
        _ => one::<()>(Err(nothing(&method, &path))),
    })
}

async fn begin(agent: &Arc<Agent>, request: Request<Incoming>) -> Result<Begun, Failure> {
    agent.begin_backup(body(request.into_body()).await?).await
}

async fn explained(agent: &Agent, request: Request<Incoming>) -> Result<BackupPlan, Failure> {
    let wanted: BackupRequest = body(request.into_body()).await?;
    let plan = explain(&agent.context, &agent.engine, &wanted).await;
    plan.map_err(|error| failure(&error))
}

async fn held(agent: &Arc<Agent>, request: Request<Incoming>) -> Result<HoldReport, Failure> {
    hold::hold(agent, body(request.into_body()).await?).await
}

fn nothing(method: &Method, path: &str) -> Failure {
    Failure::new(FailureKind::Unknown, format!("there is no {method} {path}"))
}

/// A job on one backup.
async fn job(
    agent: &Arc<Agent>,
    request: Request<Incoming>,
    job: fn(Option<String>) -> Job,
) -> Response<Body> {
    let wanted = async {
        let wanted: BackupChoice = body(request.into_body()).await?;
        agent.resolve(wanted.id).await
    };
    match wanted.await {
        Ok(id) => agent.stream(job(id)),
        Err(failure) => one::<()>(Err(failure)),
    }
}

async fn plan(agent: &Agent, request: Request<Incoming>) -> Result<RestorePlan, Failure> {
    let wanted: BackupChoice = body(request.into_body()).await?;
    let id = agent.resolve(wanted.id).await?;
    plan_restore(&agent.context, id.as_deref()).await.map_err(|error| failure(&error))
}

async fn pin(agent: &Agent, request: Request<Incoming>) -> Result<PinReport, Failure> {
    let wanted: PinRequest = body(request.into_body()).await?;
    let id = agent.resolve_one(wanted.id).await?;
    let done = match wanted.pinned {
        true => catalogue::pin(&agent.context, &id).await,
        false => catalogue::unpin(&agent.context, &id).await,
    };
    done.map_err(|error| failure(&error))?;
    Ok(PinReport { id, pinned: wanted.pinned })
}

/// Without a gateway the keys are Qdrant's own, which it reads at its start only.
fn has_gateway(agent: &Agent) -> Result<(), Failure> {
    match agent.config.gateway.enabled {
        true => Ok(()),
        false => Err(Failure::new(
            FailureKind::Usage,
            format!(
                "without a gateway the keys are Qdrant's own (hint: to change them stop the node, remove {}/container/*.yaml and start it again)",
                agent.config.node.state.display()
            ),
        )),
    }
}

async fn rotate(agent: &Agent, request: Request<Incoming>) -> Result<FreshKey, Failure> {
    has_gateway(agent)?;
    let asked: RotateRequest = body(request.into_body()).await?;
    let overlap = asked.overlap_ms.map(Duration::from_millis);
    if let Some(vault) = &agent.vault
        && asked.collections.is_none()
    {
        return rotate_in(vault, agent, asked.role, overlap).await;
    }
    let wanted = Wanted { role: asked.role, collections: asked.collections, overlap };
    let made =
        agent.keys.rotate(&wanted, Timestamp::now()).map_err(|error| keys_failure(&error))?;
    let limit = made.0.collections.as_ref().map(ToString::to_string);
    tracing::info!(role = %wanted.role, id = made.0.id, limit, ?overlap, "key added");
    Ok(fresh(made))
}

/// There first and here after: should this be cut short, the next look finds it.
async fn rotate_in(
    vault: &Vault,
    agent: &Agent,
    role: Role,
    overlap: Option<Duration>,
) -> Result<FreshKey, Failure> {
    let key = Secret::of_role(role);
    vault.write(role, &key).await.map_err(|error| vault_failure(&error))?;
    let now = Timestamp::now();
    let overlap = overlap.unwrap_or(vault::OVERLAP);
    agent.keys.adopt(role, &key, overlap, now).map_err(|error| keys_failure(&error))?;
    let (kept_in, id) = (vault.name(role), Keyring::id_of(&key));
    tracing::info!(%role, id, kept_in, ?overlap, "key added");
    let info = KeyInfo { id, role, created: now, until: None, collections: None };
    Ok(FreshKey { info, key: String::new(), kept_in: Some(kept_in) })
}

fn vault_failure(error: &VaultError) -> Failure {
    Failure::new(FailureKind::Failed, error.to_string())
}

async fn revoke(agent: &Agent, request: Request<Incoming>) -> Result<KeyInfo, Failure> {
    has_gateway(agent)?;
    let wanted: IdRequest = body(request.into_body()).await?;
    let gone =
        agent.keys.revoke(&wanted.id, Timestamp::now()).map_err(|error| keys_failure(&error))?;
    tracing::info!(role = %gone.role, id = gone.id, "key revoked");
    Ok(gone)
}

async fn session(agent: &Agent, request: Request<Incoming>) -> Result<FreshKey, Failure> {
    let wanted: RoleRequest = body(request.into_body()).await?;
    // Without a gateway nobody knows ours.
    if let Some(keys) = agent.engine.door_keys() {
        let key = if wanted.role == Role::Search { keys.read_only } else { keys.full };
        let (id, created) = ("qdrant".to_owned(), agent.started);
        return Ok(fresh((
            KeyInfo { id, role: wanted.role, created, collections: None, until: None },
            key,
        )));
    }
    Ok(fresh(agent.keys.session(wanted.role, Timestamp::now())))
}

fn fresh((info, key): (KeyInfo, Secret)) -> FreshKey {
    FreshKey { info, key: key.expose().to_owned(), kept_in: None }
}

fn keys_failure(error: &KeysError) -> Failure {
    let kind = match error {
        KeysError::Unknown { .. } => FailureKind::Unknown,
        KeysError::LastOfRole { .. }
        | KeysError::AdminLimited
        | KeysError::TooMany
        | KeysError::Overlap(_) => FailureKind::Usage,
        KeysError::File { .. } | KeysError::Damaged { .. } => FailureKind::Failed,
    };
    Failure { kind, ..Failure::failed(error) }
}
