//! Asking again and again, within a bound.

use std::time::{Duration, Instant};

/// The first wait.
const SOON: Duration = Duration::from_millis(50);

/// Waits between questions that grow, so that what is quick is seen soon and what takes hours is not asked for all the
/// time.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Duration,
    most: Duration,
    deadline: Instant,
}

impl Pace {
    pub(crate) fn up_to(most: Duration, within: Duration) -> Self {
        Self { next: SOON, most, deadline: Instant::now() + within }
    }

    /// Blocks for a while, and says whether there is time for another question.
    #[allow(clippy::disallowed_methods, reason = "for threads that may block")]
    pub(crate) fn wait(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        std::thread::sleep(self.next.min(left));
        self.next = (self.next * 2).min(self.most);
        !left.is_zero()
    }
}
