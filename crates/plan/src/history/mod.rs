//! What a node remembers of itself: the traffic of the last hour, and how full its volume was in the last month.

mod capacity;
mod traffic;

pub use capacity::{Forecast, GAP, KEPT, Reading, Series, forecast};
pub use traffic::{Sample, Totals, quantile, sample};
