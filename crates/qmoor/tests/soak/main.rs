//! Kills without end: a whole node, written to and backed up back to back, whose agent, engine or both are killed
//! at random moments. After each kill it must come back by itself, with everything that was acknowledged and
//! with no backup that is called good and is not.
//!
//! What is random comes from a seed that is printed. The environment says how much and on what:
//!
//! - `QMOOR_SOAK_KILLS`: how many kills; without it 30, and fewer when the time is over.
//! - `QMOOR_SOAK_MINUTES`: ends after this time, with fewer kills.
//! - `QMOOR_SOAK_SEED`: draws as an earlier run did.
//! - `QMOOR_SOAK_CONFIG`: a TOML file whose settings go over those of the node.
//! - `QMOOR_SOAK_MODE`: `stop` or `freeze`, how the points are made.
//! - `QMOOR_SOAK_DIR`: where the node's files are.
//! - `QMOOR_BIN`: another binary than the one just built.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod checks;
mod journal;
mod kill;
#[path = "../crash/ledger.rs"]
mod ledger;
mod load;
mod node;
mod plan;
mod round;
mod run;
mod table;
#[path = "../crash/writers.rs"]
#[allow(dead_code, reason = "shared with the tests of the engine alone")]
mod writers;

use std::time::Duration;

use crate::plan::Plan;
use crate::round::Round;
use crate::run::Soak;

/// Nothing here takes as long, unless it hangs.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kill_is_survived_by_the_node_its_writes_and_its_backups() {
    let plan = Plan::from_environment();
    let mut soak = Soak::begin(&plan).await;
    while soak.goes_on(&plan) {
        soak.round().await;
    }
    soak.end(&plan).await;
}
