//! How full the volume was, and when it will be full.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far apart readings are.
pub const GAP: Duration = Duration::from_secs(10 * 60);
/// How long they are kept.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many are kept at most: somewhat more than there are in that time.
const MOST: usize = 4500;
/// Only what was lately says what comes: two whole weeks, so that a weekly job does not bend the line.
const LATELY: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// With less history nothing is said: a day has its own course.
const LEAST: Duration = Duration::from_secs(24 * 60 * 60);
/// Of how many readings every two are compared, at most.
const COMPARED: usize = 150;
/// What is further away than this is not in sight, in days.
const DAYS_MAX: f64 = 3650.0;
const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// The volume at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When.
    pub at: Timestamp,
    /// Of the file system.
    pub size: u64,
    /// What is taken of it.
    pub used: u64,
    /// What the engine may still write.
    pub free: u64,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Bytes a day by which it fills; negative when it empties.
    pub growth: f64,
    /// When it will be full at that rate, in days; none when it does not fill, or not in sight.
    pub days_to_full: Option<f64>,
}

/// Readings in the order of their time, bounded in number and in age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    readings: VecDeque<Reading>,
}

impl Series {
    /// From lines of JSON. What is no reading, too old, out of order or of a time that is yet to come is left out; says
    /// whether anything was, or the last line is torn.
    #[must_use]
    pub fn parse(text: &str, now: Timestamp) -> (Self, bool) {
        let mut series = Self::default();
        let mut untidy = !text.is_empty() && !text.ends_with('\n');
        for line in text.lines() {
            let read = serde_json::from_str(line);
            untidy |= !read.is_ok_and(|reading| series.push(reading, now));
        }
        (series, untidy)
    }

    /// Adds one, and says whether it was. What is too old then goes.
    pub fn push(&mut self, reading: Reading, now: Timestamp) -> bool {
        let kept = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let in_order = self.readings.back().is_none_or(|last| last.at < reading.at);
        if !in_order || reading.at > now || reading.at < kept {
            return false;
        }
        self.readings.push_back(reading);
        while self.readings.len() > MOST
            || self.readings.front().is_some_and(|first| first.at < kept)
        {
            self.readings.pop_front();
        }
        true
    }

    /// The newest.
    #[must_use]
    pub fn last(&self) -> Option<&Reading> {
        self.readings.back()
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading> {
        self.readings.iter().copied().collect()
    }

    /// As lines of JSON.
    #[must_use]
    pub fn text(&self) -> String {
        self.readings.iter().filter_map(Reading::line).collect()
    }

    /// How many lines a file may have before it is to be written anew.
    #[must_use]
    pub fn lines_max() -> usize {
        MOST + MOST / 4
    }
}

impl Reading {
    /// As a line of JSON, with its end.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        serde_json::to_string(self).ok().map(|line| line + "\n")
    }
}

/// What comes, from readings in the order of their time: the median of the slopes between every two of them (Theil and
/// Sen), so that a backup that is pruned again or a file that came and went does not bend the line. None with too little
/// history.
#[must_use]
pub fn forecast(readings: &[Reading]) -> Option<Forecast> {
    let last = readings.last()?;
    let since = last.at.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
    let lately = readings.get(readings.partition_point(|reading| reading.at < since)..)?;
    let first = lately.first()?;
    if last.at.duration_since(first.at).as_secs_f64() < LEAST.as_secs_f64() {
        return None;
    }
    let step = lately.len().div_ceil(COMPARED).max(1);
    // From the end, so that the newest is among them.
    let few: Vec<&Reading> = lately.iter().rev().step_by(step).collect();
    let mut slopes = Vec::new();
    for (place, later) in few.iter().enumerate() {
        for earlier in few.iter().skip(place + 1) {
            let days = later.at.duration_since(earlier.at).as_secs_f64() / SECONDS_OF_A_DAY;
            if days > 0.0 {
                slopes.push((later.used as f64 - earlier.used as f64) / days);
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let growth = *slopes.get(slopes.len() / 2)?;
    let days_to_full =
        (growth > 0.0).then(|| last.free as f64 / growth).filter(|days| *days <= DAYS_MAX);
    Some(Forecast { growth, days_to_full })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn hour(hour: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + hour * 3600).unwrap()
    }

    fn reading(at: i64, used: u64) -> Reading {
        Reading { at: hour(at), size: 100 * GIB, used, free: 100 * GIB - used }
    }

    fn hours(count: i64, used: impl Fn(i64) -> u64) -> Vec<Reading> {
        (0..count).map(|at| reading(at, used(at))).collect()
    }

    #[test]
    fn what_grows_by_a_gibibyte_a_day_is_full_when_the_free_ones_are_used() {
        let steady = hours(24 * 20, |at| 10 * GIB + u64::try_from(at).unwrap() * GIB / 24);
        let seen = forecast(&steady).unwrap();
        assert!((seen.growth / GIB as f64 - 1.0).abs() < 0.01, "{seen:?}");
        let free = steady.last().unwrap().free as f64 / GIB as f64;
        assert!((seen.days_to_full.unwrap() - free).abs() < 1.0, "{seen:?}");
    }

    #[test]
    fn a_few_readings_that_stand_out_do_not_bend_the_line() {
        let noisy = hours(24 * 10, |at| {
            let used = 10 * GIB + u64::try_from(at).unwrap() * GIB / 24;
            // A tenth of the time something large lies there.
            if at % 10 == 9 { used + 40 * GIB } else { used }
        });
        let seen = forecast(&noisy).unwrap();
        assert!((seen.growth / GIB as f64 - 1.0).abs() < 0.15, "{seen:?}");
    }

    #[test]
    fn what_does_not_grow_is_never_full() {
        for used in [|_| 10 * GIB, |at: i64| 50 * GIB - u64::try_from(at).unwrap() * GIB / 24] {
            let seen = forecast(&hours(24 * 10, used)).unwrap();
            assert!(seen.growth <= 0.0 && seen.days_to_full.is_none(), "{seen:?}");
        }
        let hardly = forecast(&hours(24 * 10, |at| 10 * GIB + u64::try_from(at).unwrap())).unwrap();
        assert_eq!(hardly.days_to_full, None, "{hardly:?}");
    }

    #[test]
    fn with_less_than_a_day_nothing_is_said() {
        assert_eq!(forecast(&[]), None);
        assert_eq!(forecast(&[reading(0, GIB)]), None);
        assert_eq!(forecast(&hours(24, |at| u64::try_from(at).unwrap() * GIB)), None);
        assert!(forecast(&hours(25, |at| u64::try_from(at).unwrap() * GIB)).is_some());
    }

    #[test]
    fn only_what_was_lately_counts() {
        // A year's worth of growth that ended three weeks ago.
        let seen = forecast(&hours(24 * 29, |at| match at {
            ..200 => u64::try_from(at).unwrap() * GIB / 4,
            _ => 50 * GIB,
        }));
        assert_eq!(seen.unwrap().growth, 0.0);
    }

    #[test]
    fn lines_that_are_no_readings_are_left_out_and_a_torn_end_too() {
        let whole: String = hours(3, |_| GIB).iter().filter_map(Reading::line).collect();
        let (series, untidy) = Series::parse(&whole, hour(3));
        assert_eq!((series.readings().len(), untidy), (3, false));
        assert_eq!(series.text(), whole);
        for (text, left) in [
            (whole[..whole.len() - 1].to_owned(), 3),
            (whole[..whole.len() - 9].to_owned(), 2),
            (format!("{{}}\n{whole}\u{0}\u{0}"), 3),
            (format!("{whole}{whole}"), 3),
        ] {
            let (series, untidy) = Series::parse(&text, hour(3));
            assert_eq!((series.readings().len(), untidy), (left, true), "{text}");
        }
        assert_eq!(Series::parse("", hour(3)), (Series::default(), false));
    }

    #[test]
    fn what_is_old_goes_and_what_is_yet_to_come_is_not_taken() {
        let mut series = Series::default();
        assert!(series.push(reading(0, GIB), hour(0)));
        assert!(!series.push(reading(0, GIB), hour(1)), "the same moment");
        assert!(!series.push(reading(9, GIB), hour(1)), "the clock went back");
        assert!(series.push(reading(24 * 31, GIB), hour(24 * 31)));
        assert_eq!(series.readings(), [reading(24 * 31, GIB)]);
        let now = hour(24 * 32);
        for second in 0..10_000 {
            let at = hour(24 * 31) + jiff::SignedDuration::from_secs(second + 1);
            series.push(Reading { at, ..reading(0, GIB) }, now);
        }
        assert_eq!(series.readings().len(), MOST);
    }
}
