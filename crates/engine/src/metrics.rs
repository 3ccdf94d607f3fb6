//! Counts answered requests, and prints what the engine knows in Prometheus' text form under
//! Qdrant's names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use parking_lot::Mutex;

use crate::collection::Collection;
use crate::node::Node;
use crate::version;

/// Upper bounds of the duration histogram, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What has been answered so far.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    rest: Mutex<BTreeMap<Key, Answers>>,
}

/// A kind of request. All parts come from the route and not from the caller, so there are few.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    method: &'static str,
    endpoint: String,
    status: u16,
}

#[derive(Debug, Clone, Default)]
struct Answers {
    count: u64,
    seconds: f64,
    seconds_min: f64,
    seconds_max: f64,
    buckets: [u64; BUCKETS.len()],
}

impl Metrics {
    /// Notes one answer of the REST door.
    pub(crate) fn rest(&self, method: &'static str, endpoint: &str, status: u16, took: Duration) {
        let key = Key { method, endpoint: endpoint.to_owned(), status };
        let seconds = took.as_secs_f64();
        let mut rest = self.rest.lock();
        let answers = rest.entry(key).or_default();
        answers.seconds_min =
            if answers.count == 0 { seconds } else { answers.seconds_min.min(seconds) };
        answers.seconds_max = answers.seconds_max.max(seconds);
        answers.count += 1;
        answers.seconds += seconds;
        for (bucket, bound) in answers.buckets.iter_mut().zip(BUCKETS) {
            if seconds <= bound {
                *bucket += 1;
            }
        }
    }

    /// Everything, as `GET /metrics` shows it.
    pub(crate) fn print(&self, node: &Node) -> String {
        let mut page = Page::default();
        page.family("app_info", "information about qdrant server", "gauge");
        page.line(
            "app_info",
            &[("name", "qdrant"), ("version", version::api()), ("engine", "embedded")],
            1.0,
        );
        page.family("app_status_recovery_mode", "features enabled in qdrant server", "gauge");
        page.line("app_status_recovery_mode", &[], 0.0);
        print_collections(&mut page, &node.collections());
        self.print_answers(&mut page);
        page.text
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
    fn print_answers(&self, page: &mut Page) {
        let rest = self.rest.lock().clone();
        let each =
            |page: &mut Page, name: &str, help: &str, kind: &str, value: fn(&Answers) -> f64| {
                page.family(name, help, kind);
                for (key, answers) in &rest {
                    let status = key.status.to_string();
                    let labels =
                        [("method", key.method), ("endpoint", &key.endpoint), ("status", &status)];
                    page.line(name, &labels, value(answers));
                }
            };
        each(page, "rest_responses_total", "total number of responses", "counter", |a| {
            a.count as f64
        });
        each(
            page,
            "rest_responses_avg_duration_seconds",
            "average response duration",
            "gauge",
            |a| a.seconds / a.count.max(1) as f64,
        );
        each(
            page,
            "rest_responses_min_duration_seconds",
            "minimum response duration",
            "gauge",
            |a| a.seconds_min,
        );
        each(
            page,
            "rest_responses_max_duration_seconds",
            "maximum response duration",
            "gauge",
            |a| a.seconds_max,
        );
        let name = "rest_responses_duration_seconds";
        page.family(name, "response duration histogram", "histogram");
        for (key, answers) in &rest {
            let status = key.status.to_string();
            let labels = [("method", key.method), ("endpoint", &key.endpoint), ("status", &status)];
            for (count, bound) in answers.buckets.iter().zip(BUCKETS) {
                let bound = bound.to_string();
                let mut labels = labels.to_vec();
                labels.push(("le", &bound));
                page.line(&format!("{name}_bucket"), &labels, *count as f64);
            }
            let mut every = labels.to_vec();
            every.push(("le", "+Inf"));
            page.line(&format!("{name}_bucket"), &every, answers.count as f64);
            page.line(&format!("{name}_sum"), &labels, answers.seconds);
            page.line(&format!("{name}_count"), &labels, answers.count as f64);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn print_collections(page: &mut Page, collections: &[std::sync::Arc<Collection>]) {
    page.family("collections_total", "number of collections", "gauge");
    page.line("collections_total", &[], collections.len() as f64);
    let known: Vec<_> = collections
        .iter()
        .filter_map(|collection| collection.info().ok().map(|info| (collection.name(), info)))
        .collect();
    page.family("collection_points", "approximate amount of points per collection", "gauge");
    for (name, info) in &known {
        page.line("collection_points", &[("id", name)], info.points_count as f64);
    }
    page.family("collection_vectors", "amount of indexed vectors per collection", "gauge");
    for (name, info) in &known {
        page.line("collection_vectors", &[("id", name)], info.indexed_vectors_count as f64);
    }
    page.family(
        "collection_running_optimizations",
        "number of currently running optimization tasks per collection",
        "gauge",
    );
    for (name, info) in &known {
        let running = match info.status {
            crate::model::collection::CollectionStatus::Yellow => 1.0,
            crate::model::collection::CollectionStatus::Green
            | crate::model::collection::CollectionStatus::Grey => 0.0,
        };
        page.line("collection_running_optimizations", &[("id", name)], running);
    }
    page.family(
        "collection_update_queue_length",
        "number of updates waiting per collection",
        "gauge",
    );
    for (name, info) in &known {
        page.line(
            "collection_update_queue_length",
            &[("id", name)],
            info.update_queue_length as f64,
        );
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, help: &str, kind: &str) {
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.write(format_args!("{name}"));
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            self.write(format_args!("{open}{label}=\"{text}\""));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{close} {value}\n"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::default();
        page.line("x", &[("id", "a\"b\\c\nd"), ("k", "v")], 2.0);
        assert_eq!(page.text, "x{id=\"a\\\"b\\\\c\\nd\",k=\"v\"} 2\n");
    }

    #[test]
    fn a_histogram_adds_up() {
        let metrics = Metrics::default();
        for milliseconds in [1, 30, 7000] {
            metrics.rest("GET", "/collections", 200, Duration::from_millis(milliseconds));
        }
        let mut page = Page::default();
        metrics.print_answers(&mut page);
        assert!(page.text.contains(
            "rest_responses_duration_seconds_bucket{method=\"GET\",endpoint=\"/collections\",status=\"200\",le=\"0.05\"} 2\n"
        ));
        assert!(page.text.contains("le=\"+Inf\"} 3\n"));
        assert!(page.text.contains(
            "rest_responses_total{method=\"GET\",endpoint=\"/collections\",status=\"200\"} 3\n"
        ));
    }
}
