//! One request, from its head to the engine's answer: who, what, whether, when, and on it goes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response};
use hyper::body::Incoming;
use qmoor_plan::access::{Access, Effect, Need, allows, classify_grpc, classify_rest};
use tokio::time::{Instant, timeout_at};

use super::Gateway;
use super::access_line::AccessLine;
use super::answer::{Body, Dialect, Refusal};
use super::body::discard;
use super::caller::caller;
use super::forward::Passage;
use super::health;
use crate::control;
use crate::engine::Endpoint;
use crate::gate::Permit;

/// Paths below this are the node's own and never reach the engine.
const OWN: &str = "/qmoor/";

impl Gateway {
    /// Answers one request. There is always an answer. `known` is set when the request had a right key.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        known: Arc<AtomicBool>,
    ) -> Result<Response<Body>, Infallible> {
        let dialect = Dialect::of(request.version(), request.headers());
        let path = request.uri().path();
        let access = match dialect {
            Dialect::Rest => classify_rest(request.method().as_str(), path),
            Dialect::Grpc => classify_grpc(path),
        };
        let mut line = AccessLine::new(&access);
        let refused = self.authorize(&access, &request, &mut line).err();
        if let Some(refusal) = refused {
            discard(request.into_body());
            return Ok(refuse(&refusal, dialect, line));
        }
        if line.who().is_some() {
            known.store(true, Ordering::Relaxed);
        }
        let arrived = Instant::now();
        if access.need == Need::Open
            && let Some(response) = health::answer(&self.agent, dialect, path)
        {
            line.status(response.status());
            return Ok(response);
        }
        if path.starts_with(OWN) {
            let response = control::public(&self.agent, line.who(), request).await;
            line.status(response.status());
            return Ok(response);
        }
        let deadline = arrived + self.agent.config.gateway.hold_budget;
        let (permit, endpoint) = match self.admit(access.effect, deadline).await {
            Ok(admitted) => admitted,
            Err(refusal) => {
                line.held(arrived.elapsed());
                discard(request.into_body());
                return Ok(refuse(&refusal, dialect, line));
            }
        };
        line.held(arrived.elapsed());
        let passage = Passage { dialect, endpoint, permit, line };
        Ok(match access.effect {
            Effect::Read => self.forward(request, passage).await,
            // A write goes on when its client leaves: its permit must count it for as long as the
            // engine works on it, or a drain would end too early.
            Effect::Write => {
                let gateway = Arc::clone(&self);
                let carried = tokio::spawn(async move { gateway.forward(request, passage).await });
                carried.await.unwrap_or_else(|_| {
                    Refusal::Broken("the gateway lost the request".to_owned()).answer(dialect)
                })
            }
        })
    }

    /// Whether the caller may do this.
    fn authorize(
        &self,
        access: &Access,
        request: &Request<Incoming>,
        line: &mut AccessLine,
    ) -> Result<(), Refusal> {
        let needed = match access.need {
            Need::Open => return Ok(()),
            Need::Role(role) => role,
        };
        let caller = caller(request.headers(), &self.agent.keys)?;
        let role = caller.role;
        line.caller(caller);
        if allows(role, access.need) {
            return Ok(());
        }
        Err(Refusal::Forbidden(format!(
            "the {role} key may not do this, it needs the {needed} key"
        )))
    }

    /// Waits for the gate and for an engine that answers, both within the deadline.
    async fn admit(
        &self,
        effect: Effect,
        deadline: Instant,
    ) -> Result<(Permit, Endpoint), Refusal> {
        let down = || Refusal::Down("the engine is down and being restarted".to_owned());
        loop {
            let admitted = self.agent.gate.admit(effect, deadline).await;
            let permit = admitted.map_err(|refused| Refusal::Busy(refused.to_string()))?;
            if let Some(endpoint) = self.agent.engine.endpoint() {
                return Ok((permit, endpoint));
            }
            // Not in flight while it waits, or a drain would wait for it.
            drop(permit);
            let _place = self.waiting.try_acquire().map_err(|_| down())?;
            let mut up = self.agent.engine.watch();
            let waited = timeout_at(deadline, up.wait_for(Option::is_some)).await;
            if waited.is_err() {
                return Err(down());
            }
        }
    }
}

fn refuse(refusal: &Refusal, dialect: Dialect, mut line: AccessLine) -> Response<Body> {
    let response = refusal.answer(dialect);
    line.status(response.status());
    line.grpc_status(response.headers().get(super::answer::GRPC_STATUS));
    response
}
