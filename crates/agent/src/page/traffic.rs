//! Throughput and latency of the last hour, with the holds shaded.

use std::time::Duration;

use maud::{Markup, html};
use qmoor_plan::history::Sample;

use super::draw::{line, percent, stretches};
use super::view::View;
use super::words::span;

/// How many samples a chart has room for: so many minutes. The smallest that holds what there is.
const SCALES: [(usize, &str); 5] = [
    (12, "2 min ago"),
    (30, "5 min ago"),
    (90, "15 min ago"),
    (180, "30 min ago"),
    (360, "1 h ago"),
];

/// A line of a chart: its name, its class, and its value at a sample.
type Line = (&'static str, &'static str, fn(&Sample) -> Option<f64>);

const RATES: [Line; 2] = [
    ("reads", "reads", |sample| Some(sample.reads)),
    ("writes", "writes", |sample| Some(sample.writes)),
];
const LATENCIES: [Line; 2] =
    [("median", "median", |sample| sample.median), ("99 %", "p99", |sample| sample.p99)];

pub(super) fn part(view: &View) -> Markup {
    let samples = &view.traffic;
    let (places, begin) = SCALES
        .into_iter()
        .find(|(places, _)| samples.len() <= *places)
        .unwrap_or((samples.len(), "1 h ago"));
    html! {
        h2 { "Traffic" }
        @if samples.is_empty() {
            p.muted { "The first sample comes ten seconds after the start." }
        } @else {
            (chart("Requests a second", (samples, places), &RATES, rate))
            (chart("Latency", (samples, places), &LATENCIES, |seconds| {
                span(Duration::try_from_secs_f64(seconds).unwrap_or_default())
            }))
            p.axis { span { (begin) } span { span.key.hold {} "requests were held" } span { "now" } }
        }
    }
}

fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}/s") } else { format!("{per_second:.0}/s") }
}

fn chart(
    title: &str,
    (samples, places): (&[Sample], usize),
    lines: &[Line],
    say: impl Fn(f64) -> String,
) -> Markup {
    let values = |line: &Line| samples.iter().filter_map(line.2).collect::<Vec<f64>>();
    let most = lines.iter().flat_map(values).fold(0.0, f64::max);
    // Air above the highest value, and a floor where there is none.
    let top = if most > 0.0 { most * 1.1 } else { 1.0 };
    let before = places.saturating_sub(samples.len());
    let x = |place: usize| (before + place) as f64 / (places.max(2) - 1) as f64;
    let said: Vec<(&str, &str, String)> = lines
        .iter()
        .map(|line| {
            let last = samples.last().and_then(line.2);
            (line.0, line.1, last.map_or_else(|| "–".to_owned(), &say))
        })
        .collect();
    let label: Vec<String> =
        said.iter().map(|(name, _, now)| format!("{name} {now} now")).collect();
    let label = format!("{title}: {}, at most {} in this time", label.join(", "), say(most));
    html! {
        div.chart-head {
            h3 { (title) }
            ul.legend {
                @for (name, class, now) in &said {
                    li { span class={ "key " (class) } {} (name) " " strong { (now) } }
                }
                li.muted { "at most " (say(most)) }
            }
        }
        svg.chart role="img" aria-label=(label) {
            @for (from, width) in stretches(samples.len(), |place| samples.get(place).is_some_and(|one| one.held)) {
                @let scale = samples.len() as f64 / places as f64;
                rect.hold x=(percent(1.0 - scale + from * scale)) width=(percent(width * scale)) y="0" height="100%" {}
            }
            svg viewBox="0 0 1000 100" preserveAspectRatio="none" width="100%" height="100%" {
                @for (_, class, value) in lines {
                    path class={ "line " (class) }
                        d=(line(samples.iter().enumerate().map(|(place, one)| (x(place), value(one).map(|value| value / top))))) {}
                }
            }
        }
    }
}
