//! The task that begins runs when they are due.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::notify::{By, Event};
use qmoor_plan::schedule::{Decision, Work};
use tokio::time::{Instant, sleep};

use crate::control::Agent;
use crate::control::wire::FailureKind;

/// The clock is looked at this often at least.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How long a run waits for a node that is busy; not beyond the next run either.
const BUSY_MAX: Duration = Duration::from_secs(10 * 60);
/// How often it is tried whether the node is still busy.
const BUSY_LOOK: Duration = Duration::from_millis(250);

/// Begins what is due, for ever. A run that has begun goes on when this is dropped.
pub(crate) async fn run(agent: &Arc<Agent>) {
    let ((), ()) = tokio::join!(keep(agent, Work::Backup), keep(agent, Work::Drill));
}

async fn keep(agent: &Arc<Agent>, work: Work) {
    if agent.config.schedule.of(work).is_none() {
        return;
    }
    let schedules = &agent.schedules;
    schedules.open(work).await;
    let mut was_written = true;
    loop {
        let now = Timestamp::now();
        let step = async {
            schedules.settle(work, now).await?;
            match schedules.decide(work, now) {
                Some(Decision::Run { due, missed }) => make(agent, work, due, missed).await,
                Some(Decision::Pass { due, missed }) => pass(agent, work, due, missed).await,
                Some(Decision::Wait { at }) => {
                    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    sleep(left.min(LOOK_EVERY)).await;
                    Ok(())
                }
                None => {
                    sleep(LOOK_EVERY).await;
                    Ok(())
                }
            }
        };
        // Nothing is done that is not on the disk first. A full disk is no reason to give up.
        match step.await {
            Ok(()) => was_written = true,
            Err(error) => {
                if std::mem::replace(&mut was_written, false) {
                    tracing::error!(schedule = %work, %error, "schedule: nothing is begun, because it cannot be noted");
                }
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Runs were missed, and none is made up for.
async fn pass(agent: &Arc<Agent>, work: Work, due: Timestamp, missed: u64) -> std::io::Result<()> {
    let now = Timestamp::now();
    agent.schedules.change(work, |ledger| ledger.pass(due, missed, now)).await?;
    say_missed(agent, work, due, missed, "it is too late to make up for it");
    Ok(())
}

/// Makes one run, and waits for its end.
async fn make(agent: &Arc<Agent>, work: Work, due: Timestamp, missed: u64) -> std::io::Result<()> {
    let now = Timestamp::now();
    agent.schedules.change(work, |ledger| ledger.begin(due, missed, now)).await?;
    if missed > 0 {
        say_missed(agent, work, due, missed, "the last one is made up for now");
    }
    tracing::info!(schedule = %work, %due, "schedule: a run begins");
    let until = Instant::now() + agent.schedules.patience(work, due, now);
    loop {
        let Err(failure) = agent.run_scheduled(work).await else { return Ok(()) };
        // A failure is told where it happens, and tried again at the next time only.
        if failure.kind != FailureKind::Busy {
            return Ok(());
        }
        if Instant::now() >= until {
            let now = Timestamp::now();
            agent.schedules.change(work, |ledger| ledger.pass(due, 1, now)).await?;
            say_missed(agent, work, due, 1, &format!("the node was busy: {}", failure.message));
            return Ok(());
        }
        sleep(BUSY_LOOK).await;
    }
}

fn say_missed(agent: &Agent, work: Work, due: Timestamp, missed: u64, why: &str) {
    tracing::warn!(schedule = %work, %due, missed, why, "schedule: runs were missed");
    let many = if missed == 1 { "one run was".to_owned() } else { format!("{missed} runs were") };
    let message = format!("{many} missed of the schedule for a {work}, up to {due}; {why}");
    agent.notify.tell(Event::RunMissed, Some(By::Schedule), None, message);
}

impl super::Schedules {
    /// Puts right what a clock that was far ahead has left.
    async fn settle(&self, work: Work, now: Timestamp) -> std::io::Result<()> {
        let read = self.lines.get(&work).and_then(|line| line.ledger.lock().clone());
        if read.is_some_and(|mut ledger| ledger.settle(now)) {
            tracing::warn!(schedule = %work, "schedule: the clock was far ahead, and begins anew");
            let settle = |ledger: &mut qmoor_plan::schedule::Ledger| {
                let _was_ahead = ledger.settle(now);
            };
            self.change(work, settle).await?;
        }
        Ok(())
    }

    /// How long a run may wait for the node: until the next one at most.
    fn patience(&self, work: Work, due: Timestamp, now: Timestamp) -> Duration {
        let next = self.lines.get(&work).and_then(|line| line.cron.after(due.max(now)));
        let left = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
        left.map_or(BUSY_MAX, |left| left.min(BUSY_MAX))
    }
}
