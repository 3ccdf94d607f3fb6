//! What is to come: the next backup and the next drill of the schedule, and what was missed.

use maud::{Markup, html};

use super::view::View;
use super::words::{moment, span, when};
use crate::control::wire::ScheduleNow;

/// A line for each schedule, above the timeline of the backups.
pub(super) fn lines(view: &View) -> Markup {
    html! {
        @for schedule in view.schedules() { (line(view, schedule)) }
    }
}

fn line(view: &View, schedule: &ScheduleNow) -> Markup {
    let to_come = schedule.next.map(|next| next.duration_since(view.now));
    html! {
        p.schedule {
            "Next " (schedule.job) " "
            @match (schedule.next, to_come.and_then(|time| time.try_into().ok())) {
                (Some(next), Some(time)) => strong { time datetime=(next) title=(moment(next)) { "in " (span(time)) } },
                (Some(_), None) => strong { "now" },
                (None, _) => span.muted { "not known yet" },
            }
            ", by schedule " code { (schedule.cron) } "."
            @if let Some(last) = schedule.last { span.muted { " The last one began " (when(last, view.now)) "." } }
            @if schedule.missed > 0 { " " span.tag.warn { (schedule.missed) " missed so far" } }
        }
    }
}

/// The jobs whose newest run was missed.
pub(super) fn missed(view: &View) -> Vec<String> {
    view.schedules().iter().filter(|one| is_missed(one)).map(|one| one.job.clone()).collect()
}

fn is_missed(schedule: &ScheduleNow) -> bool {
    let missed = schedule.last_missed.filter(|_| schedule.missed > 0);
    missed.is_some_and(|missed| schedule.last.is_none_or(|last| last < missed))
}
