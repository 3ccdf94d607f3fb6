//! Backups and drills that the agent begins by itself, at the time that `[schedule]` says.
//!
//! What is to be done is decided by `qmoor_plan::schedule`. What has become of each schedule's runs is on the disk before
//! anything is done about it. The clock is looked at every few seconds, so that a jump of it is noticed.

mod file;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::config::Config;
use qmoor_plan::schedule::{Cron, Decision, Ledger, Rules, Work, decide};
pub(crate) use run::run;

use crate::control::wire::ScheduleNow;

/// The schedules of one node.
#[derive(Debug)]
pub struct Schedules {
    node: String,
    jitter: Duration,
    catch_up: Duration,
    lines: BTreeMap<Work, Line>,
}

/// One schedule.
#[derive(Debug)]
struct Line {
    cron: Cron,
    path: PathBuf,
    /// The longest time between two of its runs, from the agent's start on.
    interval: Duration,
    /// Nothing until it has been read.
    ledger: Mutex<Option<Ledger>>,
}

impl Schedules {
    /// Those of this configuration. Nothing is read yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let line = |work: Work| {
            let cron = config.schedule.of(work)?.clone();
            let path = config.node.state.join(format!("schedule-{work}.json"));
            let interval = cron.interval(Timestamp::now());
            Some((work, Line { cron, path, interval, ledger: Mutex::default() }))
        };
        Self {
            node: config.node.name.clone(),
            jitter: config.schedule.jitter,
            catch_up: config.schedule.catch_up,
            lines: Work::ALL.into_iter().filter_map(line).collect(),
        }
    }

    /// What `qmoor status` tells of them.
    #[must_use]
    pub fn now(&self) -> Vec<ScheduleNow> {
        self.known().map(|(_, now)| now).collect()
    }

    /// The same, each with the time from one run to the next.
    pub(crate) fn known(&self) -> impl Iterator<Item = (Duration, ScheduleNow)> {
        self.lines.iter().map(|(work, line)| {
            let ledger = line.ledger.lock().clone();
            let ledger = ledger.as_ref();
            let now = ScheduleNow {
                job: work.to_string(),
                cron: line.cron.to_string(),
                next: ledger.and_then(|ledger| self.next(*work, line, ledger)),
                last: ledger.and_then(|ledger| ledger.last),
                missed: ledger.map_or(0, |ledger| ledger.missed),
                last_missed: ledger.and_then(|ledger| ledger.last_missed),
            };
            (line.interval, now)
        })
    }

    fn next(&self, work: Work, line: &Line, ledger: &Ledger) -> Option<Timestamp> {
        self.rules(work, line).next(ledger)
    }

    fn rules<'a>(&'a self, work: Work, line: &'a Line) -> Rules<'a> {
        let (jitter, catch_up) = (self.jitter, self.catch_up);
        Rules { cron: &line.cron, work, node: &self.node, jitter, catch_up }
    }

    fn decide(&self, work: Work, now: Timestamp) -> Option<Decision> {
        let line = self.lines.get(&work)?;
        let ledger = line.ledger.lock().clone()?;
        Some(decide(&self.rules(work, line), &ledger, now))
    }

    /// Reads what has become of the runs so far.
    async fn open(&self, work: Work) {
        let Some(line) = self.lines.get(&work) else { return };
        let path = line.path.clone();
        let read = blocking(move || file::read(&path)).await;
        let now = Timestamp::now();
        let read = read.unwrap_or_else(|error| {
            tracing::warn!(schedule = %work, %error, "schedule: what has become of its runs cannot be read, and begins anew");
            None
        });
        *line.ledger.lock() = Some(Ledger::of(read, &line.cron, now));
    }

    /// Changes what has become of the runs, on the disk first.
    async fn change(&self, work: Work, change: impl FnOnce(&mut Ledger)) -> std::io::Result<()> {
        let Some(line) = self.lines.get(&work) else { return Ok(()) };
        let Some(mut ledger) = line.ledger.lock().clone() else { return Ok(()) };
        change(&mut ledger);
        let (path, changed) = (line.path.clone(), ledger.clone());
        blocking(move || file::write(&path, &changed)).await?;
        *line.ledger.lock() = Some(ledger);
        Ok(())
    }

    /// A run has ended, however it did.
    pub(crate) async fn ended(&self, work: Work) {
        if let Err(error) = self.change(work, Ledger::end).await {
            // This agent knows it all the same.
            if let Some(line) = self.lines.get(&work)
                && let Some(ledger) = line.ledger.lock().as_mut()
            {
                ledger.end();
            }
            tracing::warn!(schedule = %work, %error, "schedule: the end of a run cannot be noted; the next start of the agent makes it again");
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
