//! One structured line for each request, written when it is over, however it ends; it is counted then too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Response};
use qmoor_plan::access::{Access, Effect};

use super::answer::{Body, GRPC_STATUS, Refusal};
use crate::audit::Begun;
use crate::keys::KeyInfo;
use crate::metrics::{Answered, Requests};

/// The status logged for a client that went away before it was answered.
const CLIENT_GONE: u16 = 499;

/// What the line says. It is written when this is dropped.
#[derive(Debug)]
pub(super) struct AccessLine {
    counts: Arc<Requests>,
    operation: &'static str,
    effect: Option<Effect>,
    caller: Option<Arc<KeyInfo>>,
    begun: Instant,
    held: Duration,
    status: u16,
    grpc_status: Option<i32>,
    cut: bool,
    forbidden: bool,
    silent: bool,
    /// What the audit log has of it, if anything.
    audited: Option<Begun>,
}

impl AccessLine {
    pub(super) fn new(access: &Access, counts: Arc<Requests>) -> Self {
        Self {
            counts,
            operation: access.operation,
            effect: (!is_own(access.operation)).then_some(access.effect),
            caller: None,
            begun: Instant::now(),
            held: Duration::ZERO,
            status: CLIENT_GONE,
            grpc_status: None,
            cut: false,
            forbidden: false,
            silent: false,
            audited: None,
        }
    }

    pub(super) fn caller(&mut self, caller: Arc<KeyInfo>) {
        self.caller = Some(caller);
    }

    /// Whose request it is, once that is known.
    pub(super) fn who(&self) -> Option<&KeyInfo> {
        self.caller.as_deref()
    }

    /// There is no line to spare for it.
    pub(super) fn silence(&mut self) {
        self.silent = true;
    }

    /// What is done, of a bounded set.
    pub(super) fn operation(&self) -> &'static str {
        self.operation
    }

    /// The audit log is told its end.
    pub(super) fn audited(&mut self, begun: Begun) {
        self.audited = Some(begun);
    }

    /// How long the request waited at the gate.
    pub(super) fn held(&mut self, held: Duration) {
        self.held = held;
    }

    pub(super) fn status(&mut self, status: http::StatusCode) {
        self.status = status.as_u16();
    }

    pub(super) fn grpc_status(&mut self, value: Option<&HeaderValue>) {
        let code = value.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        self.grpc_status = code.or(self.grpc_status);
    }

    /// What the gateway said by itself.
    pub(super) fn refused(&mut self, refusal: &Refusal, response: &Response<Body>) {
        self.forbidden = matches!(refusal, Refusal::Forbidden(_));
        self.status(response.status());
        self.grpc_status(response.headers().get(GRPC_STATUS));
    }

    /// The answer did not arrive wholly.
    pub(super) fn cut(&mut self) {
        self.cut = true;
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        self.counts.note(&Answered {
            role: self.caller.as_ref().map(|caller| caller.role),
            operation: self.operation,
            status: self.status,
            grpc_status: self.grpc_status,
            cut: self.cut,
            forbidden: self.forbidden,
            effect: self.effect,
            took,
        });
        if let Some(begun) = self.audited.take() {
            begun.end(failed(self.status, self.grpc_status));
        }
        if self.silent {
            return;
        }
        tracing::info!(
            target: "access",
            role = self.caller.as_ref().map_or("-", |caller| caller.role.as_str()),
            key = self.caller.as_ref().map_or("-", |caller| caller.id.as_str()),
            operation = self.operation,
            status = self.status,
            grpc_status = self.grpc_status,
            ms = millis(took),
            held_ms = millis(self.held),
            cut = self.cut,
        );
    }
}

/// Whether the gateway answers it by itself, now or while the engine cannot.
fn is_own(operation: &str) -> bool {
    ["qmoor.", "page.", "health."].iter().any(|own| operation.starts_with(own))
}

/// Why a request was not done, as far as its status tells.
fn failed(status: u16, grpc_status: Option<i32>) -> Option<String> {
    match grpc_status {
        Some(code) if code != 0 => Some(format!("gRPC status {code}")),
        _ if status >= 400 => Some(format!("status {status}")),
        _ => None,
    }
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
