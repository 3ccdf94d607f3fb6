//! What is going on, and what can be asked for.

use maud::{Markup, html};
use qmoor_plan::access::Effect;
use qmoor_plan::backup::InProgress;

use super::shell::Ask;
use super::view::View;
use super::words::when;
use crate::control::wire::Status;

pub(super) fn part(view: &View) -> Markup {
    let status = view.status.as_ref();
    let busy = status.and_then(|status| status.busy.as_ref());
    html! {
        h2 { "Now" }
        @if let Some(backup) = &view.state.current {
            (backup_now(view, backup))
        } @else if let Some(busy) = busy {
            p { strong { (busy.why) } " " span.muted { "began " (when(busy.since, view.now)) } }
            @if let Some(progress) = &view.progress {
                p { span.tag.info { (spoken(&progress.step)) } " " (progress.note) }
            }
        } @else {
            p.muted { "Nothing is going on." }
        }
        @if let Some(status) = status { (gate(status)) }
        p.buttons {
            @if busy.is_none() {
                (button(&Ask::Backup, "Back up now", true))
                @if !view.state.completed.is_empty() {
                    (button(&Ask::Drill(None), "Drill now", false))
                }
            }
            @if view.held_by_hand { (button(&Ask::Release, "Release the hold", true)) }
        }
    }
}

/// A link to the question whether it is meant.
pub(super) fn button(ask: &Ask, text: &str, is_first: bool) -> Markup {
    let class = if is_first { "button first" } else { "button" };
    html! { a class=(class) href=(ask.confirm()) { (text) } }
}

fn backup_now(view: &View, backup: &InProgress) -> Markup {
    let steps = backup.course.steps();
    let done = steps.iter().filter(|step| backup.done.contains(step)).count();
    html! {
        p { strong { "Backup " code { (backup.id) } } " " span.muted { "began " (when(backup.begun_at, view.now)) } }
        progress max=(steps.len()) value=(done) aria-label="Steps that are done" { (done) " of " (steps.len()) }
        ol.steps {
            @for step in &steps {
                @let is_now = backup.step == Some(*step) && !backup.done.contains(step);
                @let class = match (is_now, backup.done.contains(step)) {
                    (true, _) => "now",
                    (false, true) => "done",
                    (false, false) => "to-come",
                };
                li class=(class) aria-current=[is_now.then_some("step")] title=(step.meaning()) {
                    (spoken(step.as_str()))
                }
            }
        }
        @if let Some(why) = backup.why_failed() { p.bad { "It failed and is being given up: " (why) } }
        @else if let Some(batch) = &backup.batch_id { p.muted { "for batch " code { (batch) } } }
    }
}

/// What the gate does at this moment.
fn gate(status: &Status) -> Markup {
    let gate = &status.gate;
    let held = match (gate.phase.holds(Effect::Write), gate.phase.holds(Effect::Read)) {
        (true, true) => Some("Reads and writes are held"),
        (true, false) => Some("Writes are held"),
        (false, _) => None,
    };
    html! {
        @if let Some(held) = held {
            p.held { span.tag.warn { "held" } " " (held) ": " (gate.held) " wait." }
        }
    }
}

/// `first_pass` is for programs.
fn spoken(word: &str) -> String {
    word.replace('_', " ")
}
