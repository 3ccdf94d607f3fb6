//! One request, from its head to the engine's answer: who, what, whether, when, and on it goes.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::CONTENT_ENCODING;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use qmoor_plan::access::{
    Access, BodyCheck, Effect, Need, OutOfScope, Role, Scope, allows, classify_grpc, classify_rest,
    limit_grpc, limit_rest,
};
use qmoor_plan::audit::Actor;
use tokio::time::{Instant, timeout_at};

use super::Gateway;
use super::access_line::AccessLine;
use super::answer::{Body, Dialect, Refusal};
use super::body::discard;
use super::caller::{Peer, caller};
use super::forward::Passage;
use super::{health, metrics, page_door};
use crate::control;
use crate::engine::Endpoint;
use crate::gate::Permit;
use crate::keys::KeyInfo;

/// Paths below this are the node's own and never reach the engine.
const OWN: &str = "/qmoor/";
/// How much of a path the audit log keeps, in characters.
const PATH_CHARS_MAX: usize = 512;
/// What a request may send that needs no key, in bytes.
const OPEN_BYTES_MAX: u64 = 1024;

impl Gateway {
    /// Answers one request. There is always an answer.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Arc<Peer>,
    ) -> Result<Response<Body>, Infallible> {
        let dialect = Dialect::of(request.version(), request.headers());
        let path = request.uri().path();
        let access = match dialect {
            Dialect::Rest => classify_rest(request.method().as_str(), path),
            Dialect::Grpc => classify_grpc(path),
        };
        let mut line = AccessLine::new(&access, Arc::clone(&self.metrics.requests));
        if page_door::is_of_page(&access) {
            return Ok(Box::pin(self.page(&access, request, &peer, &mut line)).await);
        }
        let keys_seen = self.agent.keys.changes();
        let check = match self.authorize(&access, dialect, &request, &mut line) {
            Ok(check) => check,
            Err(refusal) => return Ok(self.turn_away(refusal, dialect, request, &peer, line)),
        };
        if line.who().is_some() {
            peer.proves(&self.agent.keys);
        }
        let arrived = Instant::now();
        if access.need == Need::Open
            && let Some(response) = health::answer(&self.agent, dialect, path)
        {
            line.status(response.status());
            return Ok(response);
        }
        if path == metrics::PATH && request.method() == Method::GET {
            let response = Box::pin(self.metrics_page()).await;
            line.status(response.status());
            return Ok(response);
        }
        if path.starts_with(OWN) {
            let response =
                Box::pin(control::public(&self.agent, line.who(), peer.address, request)).await;
            line.status(response.status());
            return Ok(response);
        }
        let deadline = arrived + self.agent.config.gateway.hold_budget;
        let admitted = self.admit(access.effect, deadline).await;
        line.held(arrived.elapsed());
        // A key may have ended while its request was held.
        let admitted = match admitted {
            Ok(admitted) => self.still(keys_seen, &request, &line).map(|()| admitted),
            refused @ Err(_) => refused,
        };
        let (permit, endpoint) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return Ok(self.turn_away(refusal, dialect, request, &peer, line)),
        };
        if access.effect == Effect::Write && access.need == Need::Role(Role::Admin) {
            self.audit(&mut line, &peer, access.operation, path_of(&request)).await;
        }
        let bytes_max = (access.need == Need::Open).then_some(OPEN_BYTES_MAX);
        let passage = Passage { dialect, endpoint, check, bytes_max, permit, line };
        // Boxed: a request that is held has no need of the room.
        Ok(match access.effect {
            Effect::Read => Box::pin(self.forward(request, passage)).await,
            Effect::Write => self.carry(request, passage, &peer).await,
        })
    }

    /// A write goes on when its client leaves: its permit must count it for as long as the engine works on
    /// it, or a drain would end too early. A connection has only so many of them.
    async fn carry(
        self: Arc<Self>,
        request: Request<Incoming>,
        passage: Passage,
        peer: &Peer,
    ) -> Response<Body> {
        let dialect = passage.dialect;
        let Ok(place) = Arc::clone(&peer.writes).try_acquire_owned() else {
            let many = "too many writes of this connection are still being carried out".to_owned();
            return refuse(&Refusal::Busy(many), dialect, passage.line);
        };
        let carried = tokio::spawn(async move {
            let response = self.forward(request, passage).await;
            drop(place);
            response
        });
        carried.await.unwrap_or_else(|_| {
            Refusal::Broken("the gateway lost the request".to_owned()).answer(dialect)
        })
    }

    /// Whether the caller may do this, and what its body must pass if so.
    fn authorize(
        &self,
        access: &Access,
        dialect: Dialect,
        request: &Request<Incoming>,
        line: &mut AccessLine,
    ) -> Result<Option<BodyCheck>, Refusal> {
        let needed = match access.need {
            Need::Open => return Ok(None),
            Need::Role(role) => role,
            // The page answers before it comes to this.
            Need::Session => return Err(Refusal::Forbidden("it needs a session".to_owned())),
        };
        let caller = caller(request.headers(), &self.agent.keys)?;
        let role = caller.role;
        line.caller(Arc::clone(&caller));
        if !allows(role, access.need) {
            return Err(Refusal::Forbidden(format!(
                "the {role} key may not do this, it needs the {needed} key"
            )));
        }
        let Some(scope) = &caller.collections else { return Ok(None) };
        limited(scope, access, dialect, request)
            .map_err(|reason| Refusal::Forbidden(reason.to_string()))
    }

    /// Whether the caller's key is as good as it was.
    fn still(
        &self,
        keys_seen: u64,
        request: &Request<Incoming>,
        line: &AccessLine,
    ) -> Result<(), Refusal> {
        let Some(who) = line.who() else { return Ok(()) };
        if who.until.is_none() && self.agent.keys.changes() == keys_seen {
            return Ok(());
        }
        caller(request.headers(), &self.agent.keys).map(drop)
    }

    /// Answers a request that goes no further.
    fn turn_away(
        &self,
        refusal: Refusal,
        dialect: Dialect,
        request: Request<Incoming>,
        peer: &Peer,
        mut line: AccessLine,
    ) -> Response<Body> {
        if !matches!(refusal, Refusal::Unauthorized(_)) {
            if let (Refusal::Forbidden(why), Some(who)) = (&refusal, line.who()) {
                self.note_forbidden(who, peer, line.operation(), why);
            }
            discard(request.into_body());
            return refuse(&refusal, dialect, line);
        }
        let refusal = self.note_wrong(refusal, peer, &mut line);
        if refusal != Refusal::Stopped {
            discard(request.into_body());
        }
        refuse(&refusal, dialect, line)
    }

    /// Writes down, now and then, that a key may not do what it was to do.
    pub(super) fn note_forbidden(&self, who: &KeyInfo, peer: &Peer, operation: &str, why: &str) {
        if let Some(unseen) = self.forbidden.lock().pass(self.begun.elapsed()) {
            self.agent.context.audit().denied(who.actor(peer.address), operation, why, unseen);
        }
    }

    /// Counts a caller without a right key, and says how to answer it. Of some the logs have a line.
    pub(super) fn note_wrong(
        &self,
        refusal: Refusal,
        peer: &Peer,
        line: &mut AccessLine,
    ) -> Refusal {
        let why = refusal.to_string();
        let refusal = self.wrong.answer(peer.address, refusal);
        match self.wrong.line(peer.address) {
            Some(unseen) => {
                let actor = Actor::nobody(peer.address);
                self.agent.context.audit().denied(actor, line.operation(), &why, unseen);
            }
            None => line.silence(),
        }
        refusal
    }

    /// Writes down what only an admin may change in the engine, before it is changed. How it ended is written with the
    /// request's line.
    async fn audit(&self, line: &mut AccessLine, peer: &Peer, operation: &str, path: String) {
        let Some(who) = line.who() else { return };
        let actor = who.actor(peer.address);
        let what = serde_json::json!({ "path": path });
        let begun = self.agent.context.audit().begin(actor, operation, what).await;
        line.audited(begun);
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

/// What a key that is limited to some collections may do.
fn limited(
    scope: &Scope,
    access: &Access,
    dialect: Dialect,
    request: &Request<Incoming>,
) -> Result<Option<BodyCheck>, OutOfScope> {
    let path = request.uri().path();
    match dialect {
        Dialect::Rest if request.headers().contains_key(CONTENT_ENCODING) => {
            Err(OutOfScope::Compressed)
        }
        Dialect::Rest => limit_rest(scope, access, request.method().as_str(), path),
        Dialect::Grpc => limit_grpc(scope, access, path),
    }
}

/// The path, as much of it as is worth keeping. What stands behind `?` may be a key.
fn path_of(request: &Request<Incoming>) -> String {
    request.uri().path().chars().take(PATH_CHARS_MAX).collect()
}

fn refuse(refusal: &Refusal, dialect: Dialect, mut line: AccessLine) -> Response<Body> {
    let response = refusal.answer(dialect);
    line.refused(refusal, &response);
    response
}
