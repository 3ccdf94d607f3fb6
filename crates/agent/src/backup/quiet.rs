//! Waiting until the engine has nothing left to do for itself.

use std::time::Duration;

use qmoor_plan::backup::Mode;
use tokio::time::{Instant, sleep};

use super::first;
use super::forecast::forecast;
use super::point::Tools;
use crate::error::NodeError;
use crate::probe::{self, Client, ProbeError};

/// How often a busy engine is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Before anything is held: is there room, will the pause be short enough, are the optimizers idle? Optimizers that
/// stay busy only make a stop longer; but a frozen file system would stop them in the middle of their files. Writes
/// that never pause keep them busy for ever: where writes can be held, the drain waits for the optimizers once more.
pub(super) async fn gate(tools: &Tools<'_>, client: &Client) -> Result<String, NodeError> {
    let (node, max) = (tools.node, tools.max_pause());
    let points = probe::points(client).await?;
    let forecast = forecast(&node.state(), tools.course.mode, points);
    if let Some(forecast) = forecast.filter(|forecast| *forecast > max) {
        return Err(NodeError::PauseTooLong { forecast, max });
    }
    node.blocking("looking for free space", first::room).await?;
    let patience = node.config().backup.gate_timeout;
    let told =
        forecast.map_or_else(String::new, |forecast| format!("pause forecast {forecast:.1?}"));
    match optimized(client, patience).await {
        Ok(()) => Ok(told),
        Err(NodeError::StillBusy { what, .. })
            if tools.course.mode == Mode::Stop || tools.course.holds =>
        {
            Ok(format!("still optimizing after {patience:?}: {what} {told}").trim_end().to_owned())
        }
        Err(error) => Err(error),
    }
}

/// Until no optimizer is at work.
pub(super) async fn optimized(client: &Client, within: Duration) -> Result<(), NodeError> {
    until_none("optimizing", within, || probe::optimizers_busy(client)).await
}

/// Until everything acknowledged is applied.
pub(super) async fn applied(client: &Client, within: Duration) -> Result<(), NodeError> {
    until_none("applying updates", within, || probe::updates_queued(client)).await
}

async fn until_none<F>(
    doing: &'static str,
    within: Duration,
    ask: impl Fn() -> F,
) -> Result<(), NodeError>
where
    F: Future<Output = Result<Vec<String>, ProbeError>>,
{
    let deadline = Instant::now() + within;
    loop {
        let busy = ask().await?;
        if busy.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(NodeError::StillBusy { doing, what: busy.join(", "), after: within });
        }
        sleep(POLL).await;
    }
}
