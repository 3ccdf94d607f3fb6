//! What a power cut would leave. A kill leaves the kernel's memory, a power cut does not: so here it
//! is looked at which pages of the log are only there.

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::process::Engine;
use crate::writers::{create_collection, upsert};

/// How many writes are looked at.
const WRITES: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_write_is_on_the_disk() {
    // A directory in memory would have no disk to write to.
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let engine = Engine::start(dir.path()).await;
    let client = engine.client();
    create_collection(&client).await;
    let mut seen_unsynced = 0;
    for id in 0..WRITES {
        upsert(&client, id..id + 1, false).await;
        seen_unsynced += u64::from(engine.unsynced_log_kib() > 0);
        upsert(&client, id..id + 1, true).await;
        assert_eq!(engine.unsynced_log_kib(), 0, "after write {id}");
    }
    assert!(seen_unsynced > 0, "this way of looking sees nothing");

    for round in 0..WRITES {
        let mut together = JoinSet::new();
        for writer in 0..8 {
            let client = client.clone();
            let first = 1_000 + round * 80 + writer * 10;
            together.spawn(async move { upsert(&client, first..first + 10, true).await });
        }
        together.join_all().await;
        assert_eq!(engine.unsynced_log_kib(), 0, "after round {round}");
    }
    engine.terminate().await;
}
