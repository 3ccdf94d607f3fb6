//! How full the volume was, is, and will be.

use jiff::Timestamp;
use maud::{Markup, html};
use qmoor_plan::history::{Forecast, Reading};

use super::draw::{area, line, percent};
use super::view::View;
use super::words::{bytes, moment};

/// The share of the width that belongs to what is to come.
const AHEAD: f64 = 0.3;
/// How many points are drawn.
const POINTS: usize = 200;
const SECONDS_OF_A_DAY: f64 = 86_400.0;

pub(super) fn part(view: &View) -> Markup {
    html! {
        h2 { "Capacity" }
        @match view.volume {
            None => p.muted { "The volume does not answer." },
            Some(now) => {
                p { (sentence(now, view.forecast)) }
                (chart(view, now))
            }
        }
    }
}

fn sentence(now: Reading, forecast: Option<Forecast>) -> Markup {
    let used = now.used as f64 / (now.size as f64).max(1.0) * 100.0;
    html! {
        strong { (format!("{used:.0} %")) } " of " (bytes(now.size as f64)) " used. "
        @match forecast {
            None => span.muted { "A forecast needs a day of history." },
            Some(Forecast { growth, days_to_full: Some(days) }) => {
                "Grows by " (bytes(growth)) " a day: "
                strong { "full in " (format!("{days:.0}")) " days" } " at this rate."
            }
            Some(_) => "It does not grow to speak of.",
        }
    }
}

fn chart(view: &View, now: Reading) -> Markup {
    let all = &view.readings;
    let first = all.first().map_or(now.at, |reading| reading.at);
    let past = now.at.duration_since(first).as_secs_f64().max(1.0);
    let growth = view.forecast.map(|forecast| forecast.growth);
    let ahead = if growth.is_some() { past * AHEAD / (1.0 - AHEAD) } else { 0.0 };
    let top = all.iter().map(|reading| reading.size).max().unwrap_or_default().max(now.size);
    let top = (top as f64).max(1.0);
    let x = |at: Timestamp| at.duration_since(first).as_secs_f64() / (past + ahead);
    let step = all.len().div_ceil(POINTS).max(1);
    let mut points: Vec<(f64, f64)> = all
        .iter()
        .step_by(step)
        .map(|reading| (x(reading.at), reading.used as f64 / top))
        .collect();
    points.push((x(now.at), now.used as f64 / top));
    let then = growth.map(|growth| {
        let used = now.used as f64 + growth * ahead / SECONDS_OF_A_DAY;
        (1.0, Some(used / top))
    });
    let here = (x(now.at), Some(now.used as f64 / top));
    let label = format!(
        "{} used of {} since {}{}",
        bytes(now.used as f64),
        bytes(now.size as f64),
        moment(first),
        growth.map(|growth| format!(", growing by {} a day", bytes(growth))).unwrap_or_default(),
    );
    html! {
        svg.chart.tall role="img" aria-label=(label) {
            svg viewBox="0 0 1000 100" preserveAspectRatio="none" width="100%" height="100%" {
                path.area d=(area(&points)) {}
                path.line.used d=(line(points.iter().map(|(x, y)| (*x, Some(*y))))) {}
                @if let Some(then) = then { path.line.forecast d=(line([here, then])) {} }
            }
            line.now x1=(percent(x(now.at))) x2=(percent(x(now.at))) y1="0" y2="100%" {}
        }
        p.axis {
            span { (day(first)) }
            span { span.key.used {} "used " @if growth.is_some() { span.key.forecast {} "forecast" } }
            span { @if growth.is_some() { (day(ahead_of(now.at, ahead))) } @else { "now" } }
        }
    }
}

fn ahead_of(at: Timestamp, seconds: f64) -> Timestamp {
    let ahead = jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    at.checked_add(ahead).unwrap_or(at)
}

fn day(at: Timestamp) -> String {
    at.strftime("%b %-d").to_string()
}
