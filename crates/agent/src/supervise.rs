//! Keeps the engine up: an engine that ends by itself is started again, for ever, at a bounded rate.
//!
//! It is left alone while a backup or a restore has stopped it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::control::Agent;

/// The first pause between two starts, doubled up to the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);
/// An engine that was up for this long has earned the first pause again.
const STEADY: Duration = Duration::from_secs(60);
/// How often it is looked whether the data is still there.
const DATA_LOOK: Duration = Duration::from_secs(1);

/// Starts the engine whenever it should run and does not. Never returns.
pub async fn supervise(agent: &Arc<Agent>) {
    let mut pause = PAUSE_FIRST;
    loop {
        if watch_engine(agent).await >= STEADY {
            pause = PAUSE_FIRST;
        }
        match agent.engine.keep_up().await {
            Ok(_) => agent.engine_is_up(),
            Err(error) => agent.engine_in_trouble(&error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}

/// Waits for the end of an engine that runs, and says how long that was. An engine whose data has been
/// removed under it is ended: what it acknowledges is on no disk.
async fn watch_engine(agent: &Arc<Agent>) -> Duration {
    let begun = Instant::now();
    while agent.engine.endpoint().is_some() {
        tokio::select! {
            seen = agent.engine.exited() => {
                if !seen.on_purpose {
                    tracing::error!(exit_code = ?seen.exit_code, "engine: up -> down by itself");
                }
            }
            () = sleep(DATA_LOOK) => {
                if agent.engine.wanted() && agent.engine.data_missing() {
                    tracing::error!("the data directory was removed under the engine, which is ended");
                    if let Err(error) = agent.engine.kill().await {
                        tracing::error!(%error, "the engine could not be ended");
                    }
                }
            }
        }
    }
    begun.elapsed()
}
