//! What is done for which path.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use jiff::Timestamp;
use qmoor_plan::access::Role;
use qmoor_plan::audit::{Actor, Entry};
use serde::Serialize;
use serde_json::Value;

use super::agent::Agent;
use super::hold;
use super::jobs::{Job, failure};
use super::reply::{body, one, wanted};
use super::wire::{
    BackupChoice, Begun, Failure, FailureKind, FreshKey, IdRequest, PruneRequest, RoleRequest,
    RotateRequest, UpgradeRequest,
};
use crate::audit;
use crate::backup::{BackupPlan, BackupRequest, explain};
use crate::catalogue;
use crate::error::NodeError;
use crate::gateway::answer::Body;
use crate::keys::vault::{self, Vault, VaultError};
use crate::keys::{KeyInfo, Keyring, KeysError, Secret, Wanted};
use crate::restore::{RestorePlan, plan_restore};

/// Answers on the control socket.
pub(super) async fn over_socket(
    agent: Arc<Agent>,
    actor: Actor,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (asked, sent) = request.into_parts();
    Ok(private(&agent, actor, &asked.method, asked.uri.path(), sent).await)
}

/// Answers whoever may do everything: on the control socket, and through the gateway with the admin key.
pub(super) async fn private(
    agent: &Arc<Agent>,
    actor: Actor,
    method: &Method,
    path: &str,
    sent: Incoming,
) -> Response<Body> {
    match body(sent).await {
        Ok(body) => ask(agent, actor, method, path, &body).await,
        Err(failure) => one::<()>(Err(failure)),
    }
}

/// As [`private`], of a body that has been read.
async fn ask(
    agent: &Arc<Agent>,
    actor: Actor,
    method: &Method,
    path: &str,
    body: &Value,
) -> Response<Body> {
    if *method == Method::GET {
        return match path {
            "/status" => one(Ok(agent.status())),
            "/keys" => one(Ok(agent.keys.list(Timestamp::now()))),
            "/backups" => one(catalogue::list(&agent.context).await.map_err(|e| failure(&e))),
            _ => one::<()>(Err(nothing(method, path))),
        };
    }
    if *method != Method::POST {
        return one::<()>(Err(nothing(method, path)));
    }
    // What only looks is not written down.
    match path {
        "/backup/explain" => return one(explained(agent, body).await),
        "/restore/plan" => return one(plan(agent, body).await),
        "/audit" => return one(audited(agent, body).await),
        "/notify/test" => return one(Ok(agent.notify.try_out().await)),
        "/backup/begin" => return one(begin(agent, actor, body).await),
        _ => {}
    }
    match job(agent, path, body).await {
        Ok(Some(job)) => return agent.stream(actor, job),
        Ok(None) => {}
        Err(failure) => return one::<()>(Err(failure)),
    }
    // What is done at once.
    let change = Change { agent, actor, body };
    match path {
        "/keys/rotate" => change.noted("keys rotate", rotate(agent, body)).await,
        "/keys/revoke" => change.noted("keys revoke", async { revoke(agent, body) }).await,
        "/keys/session" => change.noted("keys session", async { session(agent, body) }).await,
        "/hold" => change.noted("hold", async { hold::hold(agent, wanted(body)?).await }).await,
        "/release" => change.noted("release", async { Ok(hold::release(agent)) }).await,
        "/pin" => change.noted("pin", async { agent.pin(&wanted(body)?).await }).await,
        _ => one::<()>(Err(nothing(method, path))),
    }
}

/// A change that is asked for.
struct Change<'a> {
    agent: &'a Agent,
    actor: Actor,
    body: &'a Value,
}

impl Change<'_> {
    /// Makes it, between its two records in the audit log.
    async fn noted<T: Serialize>(
        self,
        action: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Response<Body> {
        one(self.agent.context.audit().around(self.actor, action, self.body.clone(), work).await)
    }
}

/// What takes a while, if that is what the path stands for.
async fn job(agent: &Agent, path: &str, body: &Value) -> Result<Option<Job>, Failure> {
    Ok(Some(match path {
        "/backup" => Job::Backup(wanted(body)?),
        "/restore" => Job::Restore(chosen(agent, body).await?),
        "/drill" => Job::Drill(chosen(agent, body).await?),
        "/upgrade" => Job::Upgrade(wanted::<UpgradeRequest>(body)?.version),
        "/prune" => Job::Prune { dry_run: wanted::<PruneRequest>(body)?.dry_run },
        _ => return Ok(None),
    }))
}

/// Which backup is meant.
async fn chosen(agent: &Agent, body: &Value) -> Result<Option<String>, Failure> {
    agent.resolve(wanted::<BackupChoice>(body)?.id).await
}

/// Who did what.
async fn audited(agent: &Agent, body: &Value) -> Result<Vec<Entry>, Failure> {
    let asked = wanted(body)?;
    let read = agent.context.blocking("reading the audit log", move |node| {
        audit::read(&node.config().node.state, asked)
            .map_err(|source| NodeError::Io { doing: "reading the audit log", source })
    });
    read.await.map_err(|error| failure(&error))
}

async fn begin(agent: &Arc<Agent>, actor: Actor, body: &Value) -> Result<Begun, Failure> {
    agent.begin_backup(actor, wanted(body)?).await
}

async fn explained(agent: &Agent, body: &Value) -> Result<BackupPlan, Failure> {
    let asked: BackupRequest = wanted(body)?;
    let plan = explain(&agent.context, &agent.engine, &asked).await;
    plan.map_err(|error| failure(&error))
}

fn nothing(method: &Method, path: &str) -> Failure {
    Failure::new(FailureKind::Unknown, format!("there is no {method} {path}"))
}

async fn plan(agent: &Agent, body: &Value) -> Result<RestorePlan, Failure> {
    let id = chosen(agent, body).await?;
    plan_restore(&agent.context, id.as_deref()).await.map_err(|error| failure(&error))
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

async fn rotate(agent: &Agent, body: &Value) -> Result<FreshKey, Failure> {
    has_gateway(agent)?;
    let asked: RotateRequest = wanted(body)?;
    let overlap = asked.overlap_ms.map(Duration::from_millis);
    if let Some(vault) = &agent.vault
        && asked.collections.is_none()
    {
        return rotate_in(vault, agent, asked.role, overlap).await;
    }
    let fresh_one = Wanted { role: asked.role, collections: asked.collections, overlap };
    let made =
        agent.keys.rotate(&fresh_one, Timestamp::now()).map_err(|error| keys_failure(&error))?;
    let limit = made.0.collections.as_ref().map(ToString::to_string);
    tracing::info!(role = %fresh_one.role, id = made.0.id, limit, ?overlap, "key added");
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

fn revoke(agent: &Agent, body: &Value) -> Result<KeyInfo, Failure> {
    has_gateway(agent)?;
    let asked: IdRequest = wanted(body)?;
    let gone =
        agent.keys.revoke(&asked.id, Timestamp::now()).map_err(|error| keys_failure(&error))?;
    tracing::info!(role = %gone.role, id = gone.id, "key revoked");
    Ok(gone)
}

fn session(agent: &Agent, body: &Value) -> Result<FreshKey, Failure> {
    let asked: RoleRequest = wanted(body)?;
    // Without a gateway nobody knows ours.
    if let Some(keys) = agent.engine.door_keys() {
        let key = if asked.role == Role::Search { keys.read_only } else { keys.full };
        let (id, created) = ("qdrant".to_owned(), agent.started);
        return Ok(fresh((
            KeyInfo { id, role: asked.role, created, collections: None, until: None },
            key,
        )));
    }
    Ok(fresh(agent.keys.session(asked.role, Timestamp::now())))
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
