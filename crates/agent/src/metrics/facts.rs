//! What the agent knows of itself, the engine and the backups.

use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::access::Effect;
use qmoor_plan::backup::State;
use qmoor_plan::metrics::{self, Metric};

use super::page::{Page, count, yes};
use super::{Door, MetricsError};
use crate::control::Agent;
use crate::control::wire::ScheduleNow;
use crate::gate::GateStatus;
use crate::node::NodeContext;

const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// What is read from the disk, or may wait for it.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    state: State,
    api_version: String,
}

/// The gateway at one moment.
pub(super) fn door(
    page: &Page,
    gate: &GateStatus,
    door: Door,
    forbidden: u64,
) -> Result<(), MetricsError> {
    let in_flight =
        [gate.reads_in_flight, gate.writes_in_flight].map(|number| count(number as u64));
    let holding = [Effect::Read, Effect::Write].map(|effect| yes(gate.phase.holds(effect)));
    for (metric, [reads, writes]) in [(metrics::IN_FLIGHT, in_flight), (metrics::HOLDING, holding)]
    {
        page.set_each(&metric, &[(&["read"], reads), (&["write"], writes)])?;
    }
    page.set(&metrics::HELD, count(gate.held as u64))?;
    page.set(&metrics::SHED, count(gate.shed))?;
    page.set_each(
        &metrics::DENIED,
        &[
            (&["no_key"], count(door.no_key)),
            (&["too_many"], count(door.too_many)),
            (&["forbidden"], count(forbidden)),
        ],
    )?;
    let Some(ends) = door.certificate_ends else { return Ok(()) };
    let left = ends.as_second() - Timestamp::now().as_second();
    page.set(&metrics::CERTIFICATE_DAYS, left as f64 / SECONDS_OF_A_DAY)
}

/// The engine, as far as it need not be asked.
pub(super) fn engine(page: &Page, agent: &Agent, scraped: bool) -> Result<(), MetricsError> {
    let engine = &agent.engine;
    let life = engine.life();
    page.set(&metrics::START_TIME, seconds(agent.started))?;
    page.set(&metrics::AUDIT_LOST, count(agent.context.audit().lost()))?;
    page.set(&metrics::ENGINE_UP, yes(engine.endpoint().is_some()))?;
    if let Some(took) = life.ready_in {
        page.set(&metrics::ENGINE_READY, took.as_secs_f64())?;
    }
    page.set(&metrics::ENGINE_RESTARTS, count(life.starts.saturating_sub(1)))?;
    page.set(&metrics::ENGINE_UNCLEAN, count(life.unclean_ends))?;
    page.set(&metrics::ENGINE_SCRAPED, yes(scraped))?;
    let points = agent.context.points();
    let labels: Vec<[&str; 1]> = points.keys().map(|name| [name.as_str()]).collect();
    let values: Vec<(&[&str], f64)> = labels
        .iter()
        .map(|label| &label[..])
        .zip(points.values().map(|many| count(*many)))
        .collect();
    page.set_each(&metrics::COLLECTION_POINTS, &values)
}

/// What the agent does by itself, and whom it has told.
pub(super) fn schedules(page: &Page, agent: &Agent) -> Result<(), MetricsError> {
    let known: Vec<(Duration, ScheduleNow)> = agent.schedules.known().collect();
    let each = |metric: &Metric, value: fn(&(Duration, ScheduleNow)) -> f64| {
        let labels: Vec<[&str; 1]> = known.iter().map(|(_, now)| [now.job.as_str()]).collect();
        let values: Vec<(&[&str], f64)> =
            labels.iter().map(|label| &label[..]).zip(known.iter().map(value)).collect();
        page.set_each(metric, &values)
    };
    each(&metrics::SCHEDULE_INTERVAL, |(interval, _)| interval.as_secs_f64())?;
    each(&metrics::SCHEDULE_NEXT, |(_, now)| moment(now.next))?;
    each(&metrics::SCHEDULE_MISSED, |(_, now)| count(now.missed))?;
    each(&metrics::SCHEDULE_LAST_MISSED, |(_, now)| moment(now.last_missed))?;
    let told = agent.notify.told();
    let by_channel =
        |webhook, command| [(&["webhook"][..], count(webhook)), (&["command"][..], count(command))];
    page.set_each(&metrics::NOTIFICATIONS_SENT, &by_channel(told.webhook_sent, told.command_sent))?;
    page.set_each(
        &metrics::NOTIFICATIONS_FAILED,
        &by_channel(told.webhook_failed, told.command_failed),
    )?;
    page.set(&metrics::NOTIFICATIONS_DROPPED, count(told.dropped))
}

impl Facts {
    /// Blocks.
    pub(super) fn of(node: &NodeContext) -> Self {
        Self { state: node.state(), api_version: node.api_version().to_string() }
    }

    pub(super) fn show(&self, page: &Page, agent: &Agent) -> Result<(), MetricsError> {
        let kind = agent.config.engine.kind.as_str();
        let build = [env!("CARGO_PKG_VERSION"), kind, self.api_version.as_str()];
        page.set_each(&metrics::BUILD_INFO, &[(&build, 1.0)])?;
        backups(page, &self.state)?;
        drills(page, &self.state)
    }
}

fn backups(page: &Page, state: &State) -> Result<(), MetricsError> {
    let last = state.completed.values().max_by_key(|completed| completed.at);
    if let Some(last) = last {
        let grade = last.grade.map_or_else(|| "unknown".to_owned(), |grade| grade.to_string());
        let labels = [grade.as_str()];
        page.set_each(&metrics::BACKUP_PAUSE, &[(&labels, last.pause_ms / 1000.0)])?;
        page.set_each(&metrics::BACKUP_ADDED, &[(&labels, count(last.bytes_added))])?;
        page.set_each(&metrics::BACKUP_POINTS, &[(&labels, count(last.points))])?;
    }
    let verified = state.completed.keys().filter(|id| state.verified.contains_key(*id)).count();
    page.set(&metrics::BACKUP_SUCCESS, moment(last.map(|last| last.at)))?;
    page.set(&metrics::BACKUP_ATTEMPT, moment(state.last_attempt))?;
    page.set(&metrics::BACKUPS_COMPLETE, count(state.completed.len() as u64))?;
    page.set(&metrics::BACKUPS_VERIFIED, count(verified as u64))?;
    page.set(&metrics::BACKUP_VERIFIED, moment(state.verified.values().max().copied()))?;
    page.set(&metrics::BACKUP_RUNNING, yes(state.current.is_some()))
}

fn drills(page: &Page, state: &State) -> Result<(), MetricsError> {
    let last = state.drilled.values().filter(|drill| drill.ok).max_by_key(|drill| drill.at);
    page.set(&metrics::DRILL_SUCCESS, moment(last.map(|last| last.at)))?;
    let Some(last) = last else { return Ok(()) };
    page.set(&metrics::DRILL_RTO, last.rto_ms / 1000.0)
}

/// A moment that may never have been, which is 0: so what is never done is overdue.
fn moment(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, seconds)
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use qmoor_plan::backup::{Completed, Drill, Mode};
    use qmoor_plan::manifest::Grade;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn text(state: &State) -> String {
        let page = Page::new();
        backups(&page, state).unwrap();
        drills(&page, state).unwrap();
        page.text().unwrap()
    }

    fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
    }

    #[test]
    fn before_the_first_backup_there_was_none_at_second_zero() {
        let text = text(&State::default());
        for series in [
            "qmoor_backup_last_success_timestamp_seconds",
            "qmoor_backup_last_attempt_timestamp_seconds",
            "qmoor_backup_last_verified_timestamp_seconds",
            "qmoor_drill_last_success_timestamp_seconds",
            "qmoor_backups_complete",
            "qmoor_backup_running",
        ] {
            assert_eq!(value(&text, series), Some("0"), "{series}");
        }
        assert!(!text.contains("pause") && !text.contains("rto"), "{text}");
    }

    #[test]
    fn the_last_of_each_kind_counts() {
        let mut state = State { last_attempt: Some(at(250)), ..State::default() };
        let completed = |second, grade| Completed {
            at: at(second),
            pause_ms: 40.5,
            bytes_added: 7,
            points: 3,
            mode: Mode::Stop,
            grade,
        };
        state.completed.insert("a".to_owned(), completed(200, Some(Grade::Frozen)));
        state.completed.insert("b".to_owned(), completed(100, None));
        state.verified.insert("a".to_owned(), at(210));
        state.verified.insert("pruned by hand".to_owned(), at(110));
        let drill = |second, ok| Drill { at: at(second), ok, rto_ms: 1500.0, differences: 0 };
        state.drilled.insert("a".to_owned(), drill(300, true));
        state.drilled.insert("b".to_owned(), drill(400, false));
        let text = text(&state);
        for (series, expected) in [
            ("qmoor_backup_last_success_timestamp_seconds", "200"),
            ("qmoor_backup_last_attempt_timestamp_seconds", "250"),
            ("qmoor_backup_last_pause_seconds{grade=\"frozen\"}", "0.0405"),
            ("qmoor_backup_last_added_bytes{grade=\"frozen\"}", "7"),
            ("qmoor_backup_last_points{grade=\"frozen\"}", "3"),
            ("qmoor_backups_complete", "2"),
            ("qmoor_backups_verified", "1"),
            ("qmoor_backup_last_verified_timestamp_seconds", "210"),
            ("qmoor_drill_last_success_timestamp_seconds", "300"),
            ("qmoor_drill_last_rto_seconds", "1.5"),
        ] {
            assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
        }
    }
}
