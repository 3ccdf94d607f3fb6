//! From the list of metrics and their values to the text.

use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};
use qmoor_plan::metrics::{Kind, Metric};

use super::MetricsError;

/// One answer, as it is put together.
pub(super) struct Page {
    registry: Registry,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { registry: Registry::new() }
    }

    /// Adds what counts by itself.
    pub(super) fn add(&self, counts: impl Collector + 'static) -> Result<(), MetricsError> {
        Ok(self.registry.register(Box::new(counts))?)
    }

    /// Adds the one value of a metric without labels.
    pub(super) fn set(&self, metric: &Metric, value: f64) -> Result<(), MetricsError> {
        self.set_each(metric, &[(&[], value)])
    }

    /// Adds values by their labels, in the order of the list's.
    pub(super) fn set_each(
        &self,
        metric: &Metric,
        values: &[(&[&str], f64)],
    ) -> Result<(), MetricsError> {
        match metric.kind {
            Kind::Counter => {
                let counts = CounterVec::new(opts(metric), metric.labels)?;
                for (labels, value) in values {
                    counts.get_metric_with_label_values(labels)?.inc_by(*value);
                }
                self.add(counts)
            }
            Kind::Gauge | Kind::Histogram => {
                let gauges = GaugeVec::new(opts(metric), metric.labels)?;
                for (labels, value) in values {
                    gauges.get_metric_with_label_values(labels)?.set(*value);
                }
                self.add(gauges)
            }
        }
    }

    pub(super) fn text(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

pub(super) fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

/// As Prometheus writes yes and no.
pub(super) fn yes(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// Counts above 2^53 lose their last digits, as all values of Prometheus do.
pub(super) fn count(count: u64) -> f64 {
    count as f64
}
