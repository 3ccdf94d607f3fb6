//! What is done for which path.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::agent::Agent;
use super::reply::{body, one};
use super::wire::{Failure, FailureKind, FreshKey, IdRequest, RoleRequest};
use crate::gateway::answer::Body;
use crate::keys::{KeyInfo, KeysError, Secret};

/// Answers on the control socket, whose opener may do everything.
pub(super) async fn private(
    agent: Arc<Agent>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    Ok(match (&method, path.as_str()) {
        (&Method::GET, "/status") => one(Ok(agent.status())),
        (&Method::GET, "/keys") => one(Ok(agent.keys.list())),
        (&Method::POST, "/keys/rotate") => one(rotate(&agent, request).await),
        (&Method::POST, "/keys/revoke") => one(revoke(&agent, request).await),
        (&Method::POST, "/keys/session") => one(session(&agent, request).await),
        _ => one::<()>(Err(nothing(&method, &path))),
    })
}

/// Answers the node's own paths at the gateway, which has checked the role.
pub(crate) async fn public(agent: &Arc<Agent>, request: Request<Incoming>) -> Response<Body> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    match (&method, path.as_str()) {
        (&Method::GET, "/qmoor/v1/status") => one(Ok(agent.status())),
        _ => one::<()>(Err(nothing(&method, &path))),
    }
}

fn nothing(method: &Method, path: &str) -> Failure {
    Failure::new(FailureKind::Unknown, format!("there is no {method} {path}"))
}

async fn rotate(agent: &Agent, request: Request<Incoming>) -> Result<FreshKey, Failure> {
    let wanted: RoleRequest = body(request.into_body()).await?;
    let made = agent.keys.rotate(wanted.role, Timestamp::now()).map_err(|error| keys_failure(&error))?;
    tracing::info!(role = %wanted.role, id = made.0.id, "key added");
    Ok(fresh(made))
}

async fn revoke(agent: &Agent, request: Request<Incoming>) -> Result<KeyInfo, Failure> {
    let wanted: IdRequest = body(request.into_body()).await?;
    let gone = agent.keys.revoke(&wanted.id).map_err(|error| keys_failure(&error))?;
    tracing::info!(role = %gone.role, id = gone.id, "key revoked");
    Ok(gone)
}

async fn session(agent: &Agent, request: Request<Incoming>) -> Result<FreshKey, Failure> {
    let wanted: RoleRequest = body(request.into_body()).await?;
    Ok(fresh(agent.keys.session(wanted.role, Timestamp::now())))
}

fn fresh((info, key): (KeyInfo, Secret)) -> FreshKey {
    FreshKey { info, key: key.expose().to_owned() }
}

fn keys_failure(error: &KeysError) -> Failure {
    let kind = match error {
        KeysError::Unknown { .. } => FailureKind::Unknown,
        KeysError::LastOfRole { .. } => FailureKind::Usage,
        KeysError::File { .. } | KeysError::Damaged { .. } => FailureKind::Failed,
    };
    Failure { kind, ..Failure::failed(error) }
}
