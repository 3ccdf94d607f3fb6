//! The node's memory of itself, for its status page: traffic in memory, the volume in a small file.
//!
//! Nobody waits for it, and nothing depends on it: a look that takes too long is left out, and what cannot be written is
//! dropped, said once.

mod volume;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::history::{Forecast, GAP, Reading, Sample, Totals, forecast, sample};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Phase};
use crate::metrics::{BUCKETS, Requests};
use volume::Kept;
pub(crate) use volume::read_volume;

/// How far apart the samples of the traffic are.
const EVERY: Duration = Duration::from_secs(10);
/// How many there are: those of an hour.
const SAMPLES: usize = 360;

/// What is remembered.
#[derive(Debug)]
pub(crate) struct History {
    samples: Mutex<VecDeque<Sample>>,
    volume: Mutex<Volume>,
    data: PathBuf,
    file: PathBuf,
}

/// What is known of the volume.
#[derive(Debug, Default)]
struct Volume {
    readings: Arc<Vec<Reading>>,
    forecast: Option<Forecast>,
}

impl History {
    /// Of the volume that holds `data`, in a file of `state`.
    pub(crate) fn new(data: PathBuf, state: &std::path::Path) -> Self {
        let file = state.join("volume-history.jsonl");
        Self { samples: Mutex::default(), volume: Mutex::default(), data, file }
    }

    /// The traffic of the last hour, the oldest first.
    pub(crate) fn traffic(&self) -> Vec<Sample> {
        self.samples.lock().iter().copied().collect()
    }

    /// The readings of the volume, the oldest first.
    pub(crate) fn volume(&self) -> Arc<Vec<Reading>> {
        Arc::clone(&self.volume.lock().readings)
    }

    /// When it will be full.
    pub(crate) fn forecast(&self) -> Option<Forecast> {
        self.volume.lock().forecast
    }

    /// Looks again and again until the end.
    pub(crate) async fn watch(&self, requests: &Requests, gate: &Gate, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.watch_traffic(requests, gate) => {}
            () = self.watch_volume() => {}
        }
    }

    async fn watch_traffic(&self, requests: &Requests, gate: &Gate) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        let mut before = (requests.totals(), gate.holds(), Instant::now());
        loop {
            tick.tick().await;
            let after = (requests.totals(), gate.holds(), Instant::now());
            let held = after.1 != before.1 || gate.status().phase != Phase::Open;
            self.note([&before.0, &after.0], after.2 - before.2, held);
            before = after;
        }
    }

    fn note(&self, totals: [&Totals; 2], apart: Duration, held: bool) {
        let seen = sample(totals, &BUCKETS, apart, Timestamp::now(), held);
        let mut samples = self.samples.lock();
        if samples.len() >= SAMPLES {
            samples.pop_front();
        }
        samples.push_back(seen);
    }

    async fn watch_volume(&self) {
        let mut kept = Kept::read(self.file.clone()).await;
        self.show(&kept);
        loop {
            kept = kept.look(self.data.clone()).await;
            self.show(&kept);
            tokio::time::sleep(kept.until_next(Timestamp::now(), GAP)).await;
        }
    }

    fn show(&self, kept: &Kept) {
        let readings = kept.readings();
        let forecast = forecast(&readings);
        *self.volume.lock() = Volume { readings: Arc::new(readings), forecast };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::GateLimits;

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_traffic_is_remembered_and_a_hold_between_two_looks_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let history = Arc::new(History::new(dir.path().to_owned(), dir.path()));
        let requests = Arc::new(Requests::for_tests());
        let gate = Gate::new(GateLimits { hold_budget: EVERY, max_held: 1 });
        let task = {
            let (history, requests, gate) =
                (Arc::clone(&history), Arc::clone(&requests), gate.clone());
            tokio::spawn(async move { history.watch_traffic(&requests, &gate).await })
        };
        tokio::time::sleep(EVERY / 2).await;
        gate.hold_writes(EVERY).await.release();
        for _ in 0..50 {
            requests.note(&crate::metrics::answered_for_tests());
        }
        tokio::time::sleep(EVERY * 2).await;
        let seen: Vec<(f64, bool)> =
            history.traffic().iter().map(|sample| (sample.reads, sample.held)).collect();
        assert_eq!(seen, [(5.0, true), (0.0, false)]);
        tokio::time::sleep(EVERY * 500).await;
        assert_eq!(history.traffic().len(), SAMPLES);
        task.abort();
    }
}
