//! A hold by hand: for a look at a node that nobody writes to, and for what an operator does himself.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::audit::{Actor, Outcome};
use tokio::task::AbortHandle;

use super::agent::Agent;
use super::jobs::failure;
use super::wire::{Failure, FailureKind, HoldReport, HoldRequest, ReleaseReport};
use crate::error::NodeError;
use crate::gate::Hold;
use crate::node::Claim;

/// The longest lease by hand.
const LEASE_MAX: Duration = Duration::from_secs(60 * 60);

/// A hold that is not a backup's. It keeps backups from beginning, which would wait for it.
#[derive(Debug)]
pub(super) struct ByHand {
    _hold: Hold,
    _claim: Claim,
    end: AbortHandle,
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.end.abort();
    }
}

/// Holds requests, drains those in flight, and returns. The hold ends with its lease.
pub(super) async fn hold(agent: &Arc<Agent>, wanted: HoldRequest) -> Result<HoldReport, Failure> {
    let lease = Duration::from_millis(wanted.lease_ms);
    if lease.is_zero() || lease > LEASE_MAX {
        let message = format!("a lease is longer than nothing and at most {LEASE_MAX:?}");
        return Err(Failure::new(FailureKind::Usage, message));
    }
    let why = if wanted.why.is_empty() { "a hold by hand".to_owned() } else { wanted.why };
    let claim = agent.context.claim(&why).map_err(|error| failure(&NodeError::from(error)))?;
    let hold = agent.gate.hold_writes(lease).await;
    if wanted.reads {
        hold.hold_all();
    }
    let drained = hold.drain(agent.config.gateway.drain_timeout.min(lease)).await;
    drained.map_err(|late| failure(&NodeError::Drain(late)))?;
    let until = Timestamp::now() + lease;
    let ender = Arc::downgrade(agent);
    let end = tokio::spawn(async move {
        tokio::time::sleep(lease).await;
        if let Some(agent) = ender.upgrade() {
            let ended = agent.by_hand.lock().take();
            tracing::warn!(why, was_held = ended.is_some(), "the lease of a hold by hand is over");
            let actor = Actor::agent("the lease of a hold");
            let what = serde_json::json!({ "why": why });
            agent.context.audit().note(actor, "release", what, Outcome::Done, "");
        }
    });
    let by_hand = ByHand { _hold: hold, _claim: claim, end: end.abort_handle() };
    *agent.by_hand.lock() = Some(by_hand);
    Ok(HoldReport { until, gate: agent.gate.status() })
}

/// Ends it.
pub(super) fn release(agent: &Agent) -> ReleaseReport {
    let released = agent.by_hand.lock().take().is_some();
    ReleaseReport { released, gate: agent.gate.status() }
}
