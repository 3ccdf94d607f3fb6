//! Sizes and times, as people read them.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `1.4 GiB`.
pub(super) fn bytes(count: f64) -> String {
    let (mut value, mut unit) = (count.abs(), 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let sign = if count < 0.0 { "-" } else { "" };
    let name = UNITS.get(unit).copied().unwrap_or_default();
    match unit == 0 || value >= 100.0 {
        true => format!("{sign}{value:.0} {name}"),
        false => format!("{sign}{value:.1} {name}"),
    }
}

/// `12 345`, with narrow spaces that do not break.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `41 ms`, `3.2 s`, `4 min`, `2 h`, `3 days`: one unit is enough.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.001 => format!("{:.1} ms", seconds * 1000.0),
        ..1.0 => format!("{:.0} ms", seconds * 1000.0),
        ..10.0 => format!("{seconds:.1} s"),
        ..60.0 => format!("{seconds:.0} s"),
        ..3600.0 => format!("{:.0} min", (seconds / 60.0).floor()),
        ..172_800.0 => format!("{:.0} h", (seconds / 3600.0).floor()),
        _ => format!("{:.0} days", (seconds / 86_400.0).floor()),
    }
}

/// The same of milliseconds.
pub(super) fn millis(ms: f64) -> String {
    span(Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default())
}

/// `2026-11-28 22:41 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How long ago, with the moment itself for who wants to know. Coarse, so that it seldom changes.
pub(super) fn when(at: Timestamp, now: Timestamp) -> Markup {
    let passed = Duration::try_from(now.duration_since(at)).unwrap_or_default();
    let text = match passed.as_secs() {
        ..60 => "just now".to_owned(),
        _ => format!("{} ago", span(passed)),
    };
    html! { time datetime=(at) title=(moment(at)) { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        for (count, text) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1536.0, "1.5 KiB"),
            (200.0 * 1024.0 * 1024.0, "200 MiB"),
            (-3.0 * 1024.0 * 1024.0 * 1024.0, "-3.0 GiB"),
            (5e15, "4547 TiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (ms, text) in [
            (0.25, "0.2 ms"),
            (41.3, "41 ms"),
            (3240.0, "3.2 s"),
            (59_000.0, "59 s"),
            (125_000.0, "2 min"),
            (7_200_000.0, "2 h"),
            (300_000_000.0, "3 days"),
        ] {
            assert_eq!(millis(ms), text);
        }
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(999), "999");
    }
}
