//! What is to come: the next backup and the next drill of the schedule, and what was missed.
//!
//! The one place for it. `Status.schedules` is shown here, and the count of missed runs goes into the verdict.

use maud::{Markup, html};

use super::view::View;

/// A line for each schedule, above the timeline of the backups.
pub(super) fn lines(_view: &View) -> Markup {
    html! {}
}

/// How many runs were missed.
pub(super) fn missed(_view: &View) -> u64 {
    0
}
