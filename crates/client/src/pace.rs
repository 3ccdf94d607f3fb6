//! How many batches may be on their way: one more while all goes well, half as many when the node
//! says "later" or slows down.

use std::time::Duration;

/// Slower than this many times the best seen is "slowing down".
const SLOW: f64 = 3.0;
/// How fast the best is forgotten, so that a node that became slower for good is not held to it.
const FORGET: f64 = 1.02;

/// The current limit.
#[derive(Debug)]
pub(crate) struct Pace {
    limit: usize,
    limit_max: usize,
    /// Good answers since the limit changed.
    good: usize,
    /// The best time per point, in seconds.
    best: Option<f64>,
}

impl Pace {
    pub(crate) fn new(limit_max: usize) -> Self {
        let limit_max = limit_max.max(1);
        Self { limit: limit_max.min(2), limit_max, good: 0, best: None }
    }

    /// How many batches may be on their way now.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A batch came back: its points, how long it took, and whether it had to be repeated.
    pub(crate) fn came_back(&mut self, points: usize, took: Duration, repeated: bool) {
        if repeated {
            self.limit = (self.limit / 2).max(1);
            self.good = 0;
            return;
        }
        let Ok(points) = u32::try_from(points.max(1)) else { return };
        let each = took.as_secs_f64() / f64::from(points);
        let best = self.best.map_or(each, |best| (best * FORGET).min(each));
        self.best = Some(best);
        if each > best * SLOW {
            self.limit = (self.limit - 1).max(1);
            self.good = 0;
            return;
        }
        self.good += 1;
        if self.good >= self.limit && self.limit < self.limit_max {
            self.limit += 1;
            self.good = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    #[test]
    fn it_grows_to_its_limit_and_no_further() {
        let mut pace = Pace::new(8);
        for _ in 0..100 {
            pace.came_back(10, QUICK, false);
        }
        assert_eq!(pace.limit(), 8);
    }

    #[test]
    fn it_halves_when_told_to_wait_and_never_stops() {
        let mut pace = Pace::new(8);
        for _ in 0..100 {
            pace.came_back(10, QUICK, false);
        }
        pace.came_back(10, QUICK, true);
        assert_eq!(pace.limit(), 4);
        for _ in 0..10 {
            pace.came_back(10, QUICK, true);
        }
        assert_eq!(pace.limit(), 1);
    }

    #[test]
    fn it_yields_when_the_node_slows_down() {
        let mut pace = Pace::new(4);
        for _ in 0..50 {
            pace.came_back(10, QUICK, false);
        }
        pace.came_back(10, QUICK * 5, false);
        assert_eq!(pace.limit(), 3);
    }
}
