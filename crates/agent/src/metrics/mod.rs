//! `GET /qmoor/metrics`: how the node is, for Prometheus.
//!
//! What is counted is counted here; how it is written down is the `prometheus` crate's. An answer must come while
//! requests are held, and while a disk hangs: nothing is waited for longer than [`WAIT`], and what does not come in that
//! time is left out.

mod bounded;
mod engine;
mod facts;
mod page;
mod requests;
mod volume;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::access::Effect;
use qmoor_plan::history::Forecast;

use crate::control::Agent;
use bounded::Bounded;
use facts::Facts;
use page::Page;
#[cfg(test)]
pub(crate) use requests::answered_for_tests;
pub(crate) use requests::{Answered, BUCKETS, Requests};

/// How long anything is waited for.
const WAIT: Duration = Duration::from_millis(100);
/// The same while requests are held: the whole answer must come within 100 ms then.
const WAIT_WHILE_HELD: Duration = Duration::from_millis(50);

/// The page cannot be written. That would be a fault of the list of metrics.
#[derive(Debug, thiserror::Error)]
#[error("the page of metrics cannot be written: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// What the gateway alone knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// Requests without a right key that were told so.
    pub(crate) no_key: u64,
    /// Such requests from addresses that had many of them.
    pub(crate) too_many: u64,
    /// Until when the certificate in use is valid.
    pub(crate) certificate_ends: Option<Timestamp>,
    /// When the volume will be full.
    pub(crate) forecast: Option<Forecast>,
}

/// The counts of one gateway, and the means to write them down with the rest.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// What has been answered.
    pub(crate) requests: Arc<Requests>,
    engine: engine::Asker,
    looks: Bounded,
    /// What was last read of the journal, for when it is being written.
    facts: Mutex<Option<Facts>>,
}

impl Metrics {
    /// # Errors
    /// When the list of metrics is wrong.
    pub(crate) fn new() -> Result<Self, MetricsError> {
        Ok(Self {
            requests: Arc::new(Requests::new()?),
            engine: engine::Asker::new(),
            looks: Bounded::new(),
            facts: Mutex::default(),
        })
    }

    /// The whole page.
    ///
    /// # Errors
    /// When the list of metrics is wrong.
    pub(crate) async fn page(&self, agent: &Agent, door: Door) -> Result<String, MetricsError> {
        let phase = agent.gate.status().phase;
        let wait = if phase.holds(Effect::Write) { WAIT_WHILE_HELD } else { WAIT };
        // While reads are held it is stopped, or about to be.
        let asked = !phase.holds(Effect::Read);
        let endpoint = agent.engine.endpoint().filter(|_| asked);
        let (facts, volume, theirs) = tokio::join!(
            self.facts(agent, wait),
            volume::look(&self.looks, agent.config.node.data.clone(), wait),
            self.engine.ask(endpoint.as_ref(), wait),
        );
        let page = Page::new();
        self.requests.show(&page)?;
        facts::door(&page, &agent.gate.status(), door, self.requests.forbidden())?;
        facts::engine(&page, agent, theirs.is_some())?;
        facts::schedules(&page, agent)?;
        if let Some(facts) = facts {
            facts.show(&page, agent)?;
        }
        if let Some(volume) = volume {
            volume.show(&page)?;
        }
        volume::growth(&page, door.forecast)?;
        let mut text = page.text()?;
        text.push_str(&theirs.unwrap_or_default());
        Ok(text)
    }

    /// What the journal says, or said when it was last read: while a record is written its lock is held for as long as
    /// the disk takes.
    async fn facts(&self, agent: &Agent, wait: Duration) -> Option<Facts> {
        let node = agent.context.clone();
        if let Some(fresh) = self.looks.look(wait, move || Facts::of(&node)).await {
            *self.facts.lock() = Some(fresh);
        }
        self.facts.lock().clone()
    }
}
