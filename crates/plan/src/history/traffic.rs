//! From counts that only grow to what happened between two looks at them.

use std::time::Duration;

use jiff::Timestamp;

/// What has been counted since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that change nothing.
    pub reads: u64,
    /// Requests that change something, or may.
    pub writes: u64,
    /// How many took no longer than each bound and longer than the one before it; the last ones took longer than all.
    pub buckets: Vec<u64>,
}

/// What happened between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When the second look was.
    pub at: Timestamp,
    /// Reads a second.
    pub reads: f64,
    /// Writes a second.
    pub writes: f64,
    /// What half of the requests took at most, in seconds; none when there were none.
    pub median: Option<f64>,
    /// What 99 of 100 took at most.
    pub p99: Option<f64>,
    /// Whether requests were held in the meantime.
    pub held: bool,
}

/// What happened between two looks that were so far apart.
#[must_use]
pub fn sample(
    [before, after]: [&Totals; 2],
    bounds: &[f64],
    apart: Duration,
    at: Timestamp,
    held: bool,
) -> Sample {
    let seconds = apart.as_secs_f64().max(f64::MIN_POSITIVE);
    let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
    let counts: Vec<u64> = after
        .buckets
        .iter()
        .enumerate()
        .map(|(place, count)| {
            count.saturating_sub(before.buckets.get(place).copied().unwrap_or_default())
        })
        .collect();
    Sample {
        at,
        reads: rate(before.reads, after.reads),
        writes: rate(before.writes, after.writes),
        median: quantile(bounds, &counts, 0.5),
        p99: quantile(bounds, &counts, 0.99),
        held,
    }
}

/// What so many of all took at most, evenly spread inside the bucket that it falls into. Beyond the last bound it is that
/// bound: more is not known.
#[must_use]
pub fn quantile(bounds: &[f64], counts: &[u64], part: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = part * total as f64;
    let (mut seen, mut low) = (0.0, 0.0);
    for (bound, count) in bounds.iter().zip(counts) {
        let count = *count as f64;
        if count > 0.0 && seen + count >= rank {
            return Some(low + (bound - low) * ((rank - seen) / count).clamp(0.0, 1.0));
        }
        seen += count;
        low = *bound;
    }
    bounds.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [f64; 3] = [0.01, 0.1, 1.0];

    #[test]
    fn a_quantile_lies_where_its_bucket_does() {
        assert_eq!(quantile(&BOUNDS, &[0, 0, 0, 0], 0.5), None);
        assert_eq!(quantile(&BOUNDS, &[], 0.5), None);
        assert_eq!(quantile(&BOUNDS, &[4, 0, 0, 0], 0.5), Some(0.005));
        let middle = quantile(&BOUNDS, &[0, 4, 0, 0], 0.5).unwrap();
        assert!((middle - 0.055).abs() < 1e-9, "{middle}");
        assert_eq!(quantile(&BOUNDS, &[2, 2, 0, 0], 0.5), Some(0.01));
        assert_eq!(quantile(&BOUNDS, &[0, 0, 0, 4], 0.5), Some(1.0));
    }

    #[test]
    fn rates_are_what_came_in_between() {
        let before = Totals { reads: 100, writes: 10, buckets: vec![100, 10, 0, 0] };
        let after = Totals { reads: 150, writes: 30, buckets: vec![150, 10, 20, 0] };
        let at = Timestamp::UNIX_EPOCH;
        let seen = sample([&before, &after], &BOUNDS, Duration::from_secs(10), at, true);
        assert_eq!((seen.reads, seen.writes, seen.held), (5.0, 2.0, true));
        assert!(seen.median.is_some_and(|median| median < 0.01), "{seen:?}");
        assert!(seen.p99.is_some_and(|p99| p99 > 0.9), "{seen:?}");
    }

    #[test]
    fn without_requests_there_is_no_latency_and_no_rate() {
        let same = Totals { reads: 7, writes: 7, buckets: vec![14, 0, 0, 0] };
        let seen = sample([&same, &same], &BOUNDS, Duration::ZERO, Timestamp::UNIX_EPOCH, false);
        assert_eq!((seen.reads, seen.writes, seen.median), (0.0, 0.0, None));
        let less = sample(
            [&same, &Totals::default()],
            &BOUNDS,
            Duration::from_secs(1),
            Timestamp::UNIX_EPOCH,
            false,
        );
        assert_eq!((less.reads, less.writes, less.p99), (0.0, 0.0, None));
    }
}
