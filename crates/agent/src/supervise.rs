//! Keeps the engine up: an engine that ends by itself is started again, for ever, at a bounded rate.
//!
//! It is left alone while a backup or a restore has stopped it.

use std::sync::Arc;
use std::time::Duration;

use qmoor_plan::notify::Event;
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
    let ((), ()) = tokio::join!(keep_up(agent), look_after_the_data(agent));
}

async fn keep_up(agent: &Arc<Agent>) {
    let mut pause = PAUSE_FIRST;
    let mut is_told = false;
    let mut falls = agent.engine.life().unclean_ends;
    loop {
        let waiting = Instant::now();
        let started = agent.engine.keep_up().await;
        if waiting.elapsed() >= STEADY {
            pause = PAUSE_FIRST;
            is_told = false;
        }
        match started {
            Ok(_) => {
                agent.engine_is_up();
                // Else it is the start that ends a backup, which this one came before.
                let fell = agent.engine.life().unclean_ends;
                if fell > falls {
                    falls = fell;
                    tell_of_restart(agent, is_told, pause);
                    is_told = true;
                }
            }
            Err(error) => agent.engine_in_trouble(&error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}

/// Tells of the first of a row of restarts, and once when the row does not come to an end.
fn tell_of_restart(agent: &Agent, is_told: bool, pause: Duration) {
    if !is_told {
        let text = "the engine ended by itself and was started again".to_owned();
        agent.notify.tell(Event::EngineRestarted, None, None, text);
    } else if pause < PAUSE_LONGEST && pause * 2 >= PAUSE_LONGEST {
        let text =
            "the engine ends again and again (hint: `engine.log` in the state directory says why)";
        agent.notify.tell(Event::EngineDown, None, None, text.to_owned());
    }
}

/// Ends an engine whose data has been removed under it: what it acknowledges is on no disk.
async fn look_after_the_data(agent: &Arc<Agent>) {
    loop {
        sleep(DATA_LOOK).await;
        let engine = &agent.engine;
        if engine.endpoint().is_some() && engine.wanted() && engine.data_missing() {
            tracing::error!("the data directory was removed under the engine, which is ended");
            if let Err(error) = engine.kill().await {
                tracing::error!(%error, "the engine could not be ended");
            }
        }
    }
}
