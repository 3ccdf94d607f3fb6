//! The backups: a timeline, and a table of them.

use jiff::Timestamp;
use maud::{Markup, html};
use qmoor_plan::manifest::Grade;

use super::draw::percent;
use super::schedules;
use super::shell::Ask;
use super::view::View;
use super::words::{bytes, millis, moment, number, when};
use crate::catalogue::BackupInfo;

/// How many are drawn, the newest ones.
const DRAWN: usize = 90;
/// How many rows are seen at once; the others are folded.
const ROWS: usize = 6;
/// How many rows there are at most.
const ROWS_MAX: usize = 300;
/// The shortest time that is drawn, in seconds.
const SPAN_MIN: f64 = 60.0;

/// Where the lanes are, in pixels.
const DRILLS: u32 = 14;
const BATCHES: u32 = 38;
const DOTS: u32 = 66;
const BARS: f64 = 146.0;
const BAR_MAX: f64 = 62.0;

pub(super) fn part(view: &View) -> Markup {
    html! {
        h2 { "Backups" }
        (schedules::lines(view))
        @match &view.backups {
            None => p.muted { "They are being listed." },
            Some(Err(why)) => p.bad { "They cannot be listed: " (why) },
            Some(Ok(backups)) if backups.is_empty() => p.muted { "There is none yet." },
            Some(Ok(backups)) => {
                (timeline(view, backups))
                (table(view, backups))
            }
        }
    }
}

fn timeline(view: &View, all: &[BackupInfo]) -> Markup {
    let drawn = all.get(all.len().saturating_sub(DRAWN)..).unwrap_or(all);
    let Some(oldest) = drawn.first() else { return html! {} };
    let past = view.now.duration_since(oldest.at).as_secs_f64().max(SPAN_MIN);
    let from = view.now.checked_sub(seconds(past)).unwrap_or(oldest.at);
    // Air on both sides, for the dots.
    let x = |at: Timestamp| {
        0.02 + 0.96 * (at.duration_since(from).as_secs_f64() / past).clamp(0.0, 1.0)
    };
    let most = drawn.iter().map(|one| one.bytes_added).max().unwrap_or_default().max(1) as f64;
    let longest = drawn.iter().map(|one| one.pause_ms).fold(1.0, f64::max);
    let label = format!(
        "{} backups since {}, {} of them drilled; the table below has each of them",
        drawn.len(),
        moment(oldest.at),
        drawn.iter().filter(|one| one.drilled.is_some()).count()
    );
    html! {
        div.lanes {
            div.lane-names aria-hidden="true" {
                span { "drill" } span { "batch" } span { "pause" } span.two { "new" br; "bytes" }
            }
            svg.timeline role="img" aria-label=(label) {
                line.base x1="0" x2="100%" y1=(BARS) y2=(BARS) {}
                @for one in drawn { (backup_mark(one, x(one.at), most, longest)) }
                @for one in drawn {
                    @if let Some(drill) = &one.drilled {
                        svg.mark x=(percent(x(drill.at))) y=(DRILLS) {
                            path class=(if drill.ok { "drill good" } else { "drill bad" }) d="M0-7L7 0L0 7L-7 0Z" {
                                title { "drill of " (one.id) ", " (moment(drill.at)) ": "
                                    (if drill.ok { "everything was there" } else { "something was not there" })
                                    ", recovered in " (millis(drill.rto_ms)) }
                            }
                        }
                    }
                }
            }
        }
        p.axis.indent { span { (when(from, view.now)) } span { "now" } }
        (legend())
    }
}

/// One backup: a bar for what is new, a dot for grade and pause, a flag for its batch.
fn backup_mark(one: &BackupInfo, x: f64, most: f64, longest: f64) -> Markup {
    // Square roots: what is ten times as large is not ten times as tall.
    let height = (one.bytes_added as f64 / most).sqrt() * BAR_MAX;
    let radius = 4.0 + (one.pause_ms / longest).sqrt() * 5.0;
    let side = radius * 1.7;
    let title = html! {
        title {
            (one.id) ", " (moment(one.at)) ": grade " (grade(one)) ", pause " (millis(one.pause_ms))
            ", " (bytes(one.bytes_added as f64)) " new of " (bytes(one.bytes_total as f64))
            @if let Some(batch) = &one.batch_id { ", batch " (batch) }
        }
    };
    html! {
        svg.mark x=(percent(x)) y="0" {
            @if one.complete {
                rect.bar x="-3" width="6" y=(format!("{:.1}", BARS - height)) height=(format!("{height:.1}")) rx="2" { (title) }
            }
            @match one.grade {
                _ if !one.complete => circle.grade.incomplete cx="0" cy=(DOTS) r="5" { (title) },
                Some(Grade::Frozen) => rect.grade.frozen x=(format!("{:.1}", -side / 2.0))
                    y=(format!("{:.1}", f64::from(DOTS) - side / 2.0)) width=(format!("{side:.1}")) height=(format!("{side:.1}")) rx="2" { (title) },
                Some(Grade::Crash) => path.grade.crash d=(format!("M0 {:.1}L{radius:.1} {:.1}H-{radius:.1}Z",
                    f64::from(DOTS) - radius, f64::from(DOTS) + radius)) { (title) },
                Some(Grade::Clean) | None => circle.grade.clean cx="0" cy=(DOTS) r=(format!("{radius:.1}")) { (title) },
            }
            @if let Some(batch) = &one.batch_id {
                path.batch d=(format!("M-1 {}V{}M0 {}H9L6 {}L9 {}H0Z", BATCHES + 8, BATCHES - 8, BATCHES - 8, BATCHES - 4, BATCHES)) {
                    title { "batch " (batch) }
                }
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        ul.legend.spaced {
            li { span.key.shape.clean {} "clean" }
            li { span.key.shape.frozen {} "frozen" }
            li { span.key.shape.crash {} "crash" }
            li { span.key.shape.incomplete {} "incomplete" }
            li.muted { "a larger mark is a longer pause" }
        }
    }
}

fn table(view: &View, all: &[BackupInfo]) -> Markup {
    let rows: Vec<&BackupInfo> = all.iter().rev().take(ROWS_MAX).collect();
    let (seen, folded) = rows.split_at(rows.len().min(ROWS));
    html! {
        (rows_of(view, seen, "The newest backups"))
        @if !folded.is_empty() {
            details data-keep="backups" {
                summary { "Older ones: " (folded.len()) }
                (rows_of(view, folded, "Older backups"))
            }
        }
        @if all.len() > rows.len() {
            p.muted { "Of " (all.len()) " backups the newest " (rows.len()) " are shown: " code { "qmoor backups" } " lists all." }
        }
    }
}

fn rows_of(view: &View, rows: &[&BackupInfo], caption: &str) -> Markup {
    html! {
        table.rows {
            caption { (caption) }
            thead { tr {
                th scope="col" { "Backup" } th scope="col" { "Grade" } th scope="col" { "Pause" }
                th scope="col" { "New of all" } th scope="col" { "Points" } th scope="col" { "Batch" }
                th scope="col" { "Proved" } th scope="col" { span.unseen { "Actions" } }
            } }
            tbody { @for one in rows { (row(view, one)) } }
        }
    }
}

fn row(view: &View, one: &BackupInfo) -> Markup {
    let points: u64 = one.collections.values().sum();
    let busy = view.status.as_ref().is_some_and(|status| status.busy.is_some());
    html! {
        tr {
            th scope="row" { code { (one.id) } " " span.muted { (when(one.at, view.now)) } }
            td data-name="Grade" {
                span class={ "tag " (grade_class(one)) } { (grade(one)) }
                @if one.pinned { " " span.tag.info { "pinned" } }
            }
            td data-name="Pause" { (millis(one.pause_ms)) }
            td data-name="New of all" { (bytes(one.bytes_added as f64)) " of " (bytes(one.bytes_total as f64)) }
            td data-name="Points" { (number(points)) }
            td data-name="Batch" { @if let Some(batch) = &one.batch_id { code { (batch) } } @else { "–" } }
            td data-name="Proved" { (proved(view, one)) }
            td.actions {
                @if one.complete {
                    @if one.pinned { (small(&Ask::Unpin(one.id.clone()), "Unpin", &one.id)) }
                    @else { (small(&Ask::Pin(one.id.clone()), "Pin", &one.id)) }
                    @if !busy { (small(&Ask::Drill(Some(one.id.clone())), "Drill", &one.id)) }
                }
            }
        }
    }
}

fn small(ask: &Ask, text: &str, id: &str) -> Markup {
    html! { a.small href=(ask.confirm()) { (text) span.unseen { " " (id) } } " " }
}

fn proved(view: &View, one: &BackupInfo) -> Markup {
    html! {
        @match (&one.drilled, one.verified) {
            (Some(drill), _) if drill.ok => { "drilled " (when(drill.at, view.now)) ", back in " (millis(drill.rto_ms)) }
            (Some(drill), _) => span.bad { "its drill failed " (when(drill.at, view.now)) },
            (None, Some(at)) => { "read back " (when(at, view.now)) }
            (None, None) => span.muted { "not yet" },
        }
    }
}

fn grade(one: &BackupInfo) -> String {
    match (&one.trouble, one.in_progress, one.complete, one.grade) {
        (_, true, ..) => "being made".to_owned(),
        (Some(_), ..) => "unreadable".to_owned(),
        (None, false, false, _) => "incomplete".to_owned(),
        (None, false, true, Some(grade)) => grade.to_string(),
        (None, false, true, None) => "complete".to_owned(),
    }
}

fn grade_class(one: &BackupInfo) -> &'static str {
    match (one.complete && one.trouble.is_none(), one.grade) {
        (false, _) if one.in_progress => "info",
        (false, _) => "bad",
        (true, Some(Grade::Crash)) => "warn",
        (true, Some(Grade::Frozen)) => "info",
        (true, Some(Grade::Clean) | None) => "good",
    }
}

fn seconds(seconds: f64) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default()
}
