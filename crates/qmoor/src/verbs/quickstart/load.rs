//! Readers and writers that go on while the backup is taken, and that count what failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::http::Rest;
use super::points::Point;
use crate::error::CliError;

/// Readers, and as many writers.
const TASKS: usize = 2;
/// Points that one write sends again.
const WRITE_POINTS: usize = 8;

/// How often it is looked whether enough requests were answered.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the load saw.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Requests sent and answered.
    pub(super) requests: u64,
    /// Those answered with another status than 200, late, or not at all.
    pub(super) failed: u64,
}

/// A running load.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts readers that ask, and writers that write points again as they are: that changes
    /// nothing, so what is restored can be compared with what was there.
    pub(super) fn start(reader: &Rest, writer: &Rest, collection: &str, points: &[Point]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(AtomicU64::new(0));
        let failed = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let ask = json!({
            "query": { "text": "backup restore drill", "model": "qdrant/bm25" },
            "using": "text", "limit": 5,
        });
        let again: Vec<Value> = points.iter().take(WRITE_POINTS).map(Point::as_upsert).collect();
        let write = json!({ "points": again });
        for _ in 0..TASKS {
            for (rest, method, path, body) in [
                (reader, Method::POST, format!("/collections/{collection}/points/query"), &ask),
                (
                    writer,
                    Method::PUT,
                    format!("/collections/{collection}/points?wait=true"),
                    &write,
                ),
            ] {
                let (rest, body) = (rest.clone(), body.clone());
                let (stop, requests, failed) =
                    (Arc::clone(&stop), Arc::clone(&requests), Arc::clone(&failed));
                tasks.spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let answer = rest.ask(method.clone(), &path, &body).await;
                        requests.fetch_add(1, Ordering::Relaxed);
                        if let Err(error) = answer {
                            tracing::debug!(message = error.message, "a request failed");
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        }
        Self { stop, requests, failed, tasks }
    }

    /// How many requests were answered so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Waits until so many requests were answered in all.
    pub(super) async fn wait_for(&self, requests: u64, timeout: Duration) -> Result<(), CliError> {
        let enough = async {
            while self.requests() < requests {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(timeout, enough).await.map_err(|_| {
            CliError::failed(format!(
                "{} of {requests} requests were answered in {timeout:?}",
                self.requests()
            ))
        })
    }

    /// Lets each task finish its request and tells what was seen.
    pub(super) async fn finish(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        Seen {
            requests: self.requests.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
