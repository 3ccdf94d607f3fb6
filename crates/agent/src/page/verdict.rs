//! The verdict, in one line, with its reasons.

use maud::{Markup, html};
use qmoor_plan::standing::Level;

use super::view::View;
use super::words::moment;

/// How many reasons are shown at once.
const REASONS: usize = 3;

pub(super) fn part(view: &View) -> Markup {
    let standing = view.standing();
    let (class, word) = match standing.level {
        Level::Well => ("good", "Well"),
        Level::Look => ("warn", "Look at this"),
        Level::Unwell => ("bad", "Not well"),
    };
    let line = |(level, text): &(Level, String)| {
        let class = if *level == Level::Unwell { "bad" } else { "warn" };
        html! { li class=(class) { (text) } }
    };
    let (first, rest) = standing.reasons.split_at(standing.reasons.len().min(REASONS));
    html! {
        div class={ "verdict " (class) } {
            p.word { span.dot aria-hidden="true" {} strong { (word) } }
            div.why {
                @if first.is_empty() { p { (all_is_well(view)) } }
                ul { @for reason in first { (line(reason)) } }
                @if !rest.is_empty() {
                    details data-keep="reasons" {
                        summary { "and " (rest.len()) " more" }
                        ul { @for reason in rest { (line(reason)) } }
                    }
                }
            }
        }
        @if let Some(since) = view.stale_since {
            p.stale { "The node has not said anything new since " (moment(since)) ": its disk may hang." }
        }
    }
}

fn all_is_well(view: &View) -> &'static str {
    match (view.status.is_some(), view.checks.is_some()) {
        (true, true) => "It serves, and it can be brought back.",
        (true, false) => "It serves. The checks are being looked at.",
        (false, _) => "The node has not answered yet.",
    }
}
