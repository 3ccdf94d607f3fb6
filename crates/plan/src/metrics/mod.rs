//! What a node tells Prometheus: the one list of its metrics, from which the page about them and the dashboard are written.
//!
//! The agent has no other way to name a metric than by an entry of this list.

mod dashboard;
mod list;
mod page;

pub use dashboard::dashboard;
pub use list::*;
pub use page::reference_markdown;

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with its unit at the end.
    pub name: &'static str,
    /// What its value does.
    pub kind: Kind,
    /// The names of its labels. Their values are of bounded sets.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence without an end.
    pub help: &'static str,
}

/// What a value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It grows, from zero at each start of the agent.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of values below some bounds, and their sum.
    Histogram,
}

impl Kind {
    /// Its name in the text form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

#[cfg(test)]
mod tests;
