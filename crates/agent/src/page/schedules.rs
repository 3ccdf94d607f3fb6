//! What is to come: the next backup and the next drill of the schedule, and what was missed.

use maud::{Markup, html};

use super::view::View;
use super::words::{moment, span, when};
use crate::control::wire::ScheduleNow;

/// How long a missed run is news, in seconds.
const NEWS: f64 = 86_400.0;

/// A line for each schedule, above the timeline of the backups.
pub(super) fn lines(view: &View) -> Markup {
    let schedules = view.status.iter().flat_map(|status| &status.schedules);
    html! {
        @for schedule in schedules { (line(view, schedule)) }
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

/// How many schedules have missed a run within a day.
pub(super) fn missed(view: &View) -> u64 {
    let lately =
        view.last_missed.iter().filter(|at| view.now.duration_since(**at).as_secs_f64() < NEWS);
    lately.count() as u64
}
