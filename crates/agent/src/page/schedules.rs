//! What is to come: the next backup and the next drill of the schedule, and what was missed.

use maud::{Markup, html};

use super::view::View;
use super::words::{moment, number, when};
use crate::control::wire::ScheduleNow;

/// A line for each schedule, above the timeline of the backups.
pub(super) fn lines(view: &View) -> Markup {
    html! {
        @for schedule in view.schedules() {
            p.muted {
                "Next " (schedule.job) ": "
                @match schedule.next {
                    Some(next) if next > view.now => { b { (moment(next)) } }
                    Some(_) => { b { "now" } }
                    None => "not known yet",
                }
                ", by the schedule " code { (schedule.cron) }
                @if let Some(missed) = schedule.last_missed.filter(|_| schedule.missed > 0) {
                    "; " (number(schedule.missed)) " missed so far, the last " (when(missed, view.now))
                }
                "."
            }
        }
    }
}

/// The jobs whose newest run was missed.
pub(super) fn missed(view: &View) -> Vec<String> {
    view.schedules().iter().filter(|one| is_missed(one)).map(|one| one.job.clone()).collect()
}

fn is_missed(schedule: &ScheduleNow) -> bool {
    let Some(missed) = schedule.last_missed.filter(|_| schedule.missed > 0) else { return false };
    schedule.last.is_none_or(|last| last < missed)
}
