//! A panel, and the expressions that it asks.

use serde_json::{Value, json};

use super::super::{BACKUP_SUCCESS, DRILL_SUCCESS, HOLDING, Kind, Metric};

/// Which nodes a panel shows: those that are chosen above.
const CHOSEN: &str = r#"job="$job",instance=~"$instance""#;

/// The window of a rate: Grafana's own, never shorter than four scrapes.
const WINDOW: &str = "[$__rate_interval]";

/// Marked as long as they last.
pub(super) const HOLDS: (&str, Metric, &str, &str) = ("Writes held", HOLDING, "write", "orange");

/// Marked at the moment that a metric names.
pub(super) const TIMES: [(&str, &Metric, &str); 2] =
    [("Backup", &BACKUP_SUCCESS, "blue"), ("Drill", &DRILL_SUCCESS, "green")];

/// How a panel looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Curves over time.
    Graph,
    /// The newest value, large.
    Now,
    /// Yes and no over time.
    States,
    /// The labels of a metric, and not its value.
    Names,
}

/// One expression of a panel.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    metrics: Vec<Metric>,
    expr: String,
    legend: String,
}

/// Some curves with one unit.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    title: String,
    about: String,
    shape: Shape,
    unit: &'static str,
    curves: Vec<Curve>,
}

impl Panel {
    pub(super) fn new(title: &str, shape: Shape, unit: &'static str, curves: Vec<Curve>) -> Self {
        let about = curves.iter().flat_map(|curve| &curve.metrics);
        let mut helps: Vec<&str> = Vec::new();
        for Metric { help, .. } in about {
            if !helps.contains(help) {
                helps.push(help);
            }
        }
        let about = format!("{}.", helps.join(". "));
        Self { title: title.to_owned(), about, shape, unit, curves }
    }

    /// The metric by which it belongs to a part.
    pub(super) fn first(&self) -> Option<&Metric> {
        self.curves.first()?.metrics.first()
    }

    pub(super) fn shows(&self, metric: &Metric) -> bool {
        self.curves.iter().any(|curve| curve.metrics.contains(metric))
    }

    pub(super) fn json(&self, id: usize, place: &Value) -> Value {
        let (kind, custom, options) = look(self.shape);
        let targets: Vec<Value> = ('A'..='Z')
            .zip(&self.curves)
            .map(|(letter, curve)| {
                json!({
                    "refId": letter.to_string(),
                    "datasource": datasource(),
                    "expr": curve.expr,
                    "legendFormat": curve.legend,
                    "instant": matches!(self.shape, Shape::Now | Shape::Names),
                    "range": !matches!(self.shape, Shape::Now | Shape::Names),
                })
            })
            .collect();
        json!({
            "id": id,
            "type": kind,
            "title": self.title,
            "description": self.about,
            "datasource": datasource(),
            "gridPos": place,
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "noValue": if self.unit == WHEN { "never" } else { "none" },
                    "custom": custom,
                    "mappings": if self.shape == Shape::States { yes_and_no() } else { json!([]) },
                },
                "overrides": [],
            },
            "options": options,
            "targets": targets,
        })
    }
}

/// A moment, shown as the time since then or until then. Its expression is in milliseconds.
pub(super) const WHEN: &str = "dateTimeFromNow";

fn look(shape: Shape) -> (&'static str, Value, Value) {
    let newest = |text: &str| {
        json!({
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "textMode": text,
            "colorMode": "none",
            "graphMode": "none",
        })
    };
    match shape {
        Shape::Graph => (
            "timeseries",
            json!({ "fillOpacity": 10, "showPoints": "never", "axisSoftMin": 0 }),
            json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
        ),
        Shape::Now => ("stat", json!({}), newest("value_and_name")),
        Shape::Names => ("stat", json!({}), newest("name")),
        Shape::States => (
            "state-timeline",
            json!({ "fillOpacity": 70, "lineWidth": 0 }),
            json!({ "mergeValues": true, "showValue": "never", "rowHeight": 0.8 }),
        ),
    }
}

fn yes_and_no() -> Value {
    json!([{
        "type": "value",
        "options": {
            "0": { "text": "no", "color": "text", "index": 0 },
            "1": { "text": "yes", "color": "blue", "index": 1 },
        },
    }])
}

/// The data source that is chosen above.
pub(super) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// A mark over all panels. `moment`: the value of the expression says when, in milliseconds.
pub(super) fn mark(name: &str, expr: &str, color: &str, moment: bool) -> Value {
    json!({
        "name": name,
        "datasource": datasource(),
        "enable": true,
        "expr": expr,
        "titleFormat": format!("{name}: {{{{instance}}}}"),
        "iconColor": color,
        "useValueForTime": if moment { "on" } else { "off" },
        "step": "15s",
    })
}

// ---- expressions ----------------------------------------------------------------------------

/// The metric of the chosen nodes.
pub(super) fn chosen(metric: &Metric) -> String {
    format!("{}{{{CHOSEN}}}", metric.name)
}

/// A moment in milliseconds, and nothing where it has never been.
pub(super) fn milliseconds(metric: &Metric) -> String {
    format!("({} > 0) * 1000", chosen(metric))
}

/// 1 while requests of an effect are held.
pub(super) fn held(metric: &Metric, effect: &str) -> String {
    format!("{}{{{CHOSEN},effect=\"{effect}\"}} == 1", metric.name)
}

/// The node, and labels behind it.
fn legend(labels: &[&str]) -> String {
    let mut parts = vec!["{{instance}}".to_owned()];
    parts.extend(labels.iter().map(|label| format!("{{{{{label}}}}}")));
    parts.join(" ")
}

/// The value as it is, by all its labels.
pub(super) fn value(metric: &Metric) -> Curve {
    named(metric, &chosen(metric), &legend(metric.labels))
}

/// As [`value`], with a word for what it is.
pub(super) fn value_as(metric: &Metric, word: &str) -> Curve {
    named(metric, &chosen(metric), &format!("{} {word}", legend(metric.labels)))
}

/// When it last was.
pub(super) fn when(metric: &Metric, word: &str) -> Curve {
    named(metric, &milliseconds(metric), format!("{} {word}", legend(metric.labels)).trim_end())
}

/// For how long it has been.
pub(super) fn since(metric: &Metric) -> Curve {
    named(metric, &format!("time() - {}", chosen(metric)), &legend(metric.labels))
}

/// How fast a counter grows, added up by some of its labels.
pub(super) fn rate(metric: &Metric, by: &[&str], word: &str) -> Curve {
    let labels = ["instance"].iter().chain(by).copied().collect::<Vec<_>>().join(", ");
    let expr = format!("sum by ({labels}) (rate({}{WINDOW}))", chosen(metric));
    named(metric, &expr, format!("{} {word}", legend(by)).trim_end())
}

/// By how much a counter grew in an hour.
pub(super) fn in_an_hour(metric: &Metric, word: &str) -> Curve {
    named(metric, &format!("increase({}[1h])", chosen(metric)), &format!("{} {word}", legend(&[])))
}

/// The value that so many of a hundred stay below, by some labels.
pub(super) fn percentile(metric: &Metric, percent: u8, by: &[&str], word: &str) -> Curve {
    let labels = ["instance", "le"].iter().chain(by).copied().collect::<Vec<_>>().join(", ");
    let quantile = f64::from(percent) / 100.0;
    let buckets = format!("{}_bucket{{{CHOSEN}}}", metric.name);
    let expr =
        format!("histogram_quantile({quantile}, sum by ({labels}) (rate({buckets}{WINDOW})))");
    named(metric, &expr, format!("{} {word}", legend(by)).trim_end())
}

/// The part of a whole that is used.
pub(super) fn used(free: &Metric, whole: &Metric, word: &str) -> Curve {
    // A whole of 0 is one without a bound.
    let expr = format!("1 - {} / ({} > 0)", chosen(free), chosen(whole));
    let legend = format!("{} {word}", legend(free.labels));
    Curve { metrics: vec![*free, *whole], expr, legend }
}

fn named(metric: &Metric, expr: &str, legend: &str) -> Curve {
    Curve { metrics: vec![*metric], expr: expr.to_owned(), legend: legend.to_owned() }
}

// ---- what a metric gets that nobody has drawn -----------------------------------------------

/// A panel by the kind and the unit of a metric.
pub(super) fn plain(metric: &Metric) -> Panel {
    let words = metric.name.trim_start_matches("qmoor_");
    let (words, unit) = unit(words);
    let title = title(words);
    match metric.kind {
        Kind::Counter => {
            Panel::new(&title, Shape::Graph, "ops", vec![rate(metric, metric.labels, "")])
        }
        Kind::Histogram => {
            let curves =
                vec![percentile(metric, 50, &[], "p50"), percentile(metric, 99, &[], "p99")];
            Panel::new(&title, Shape::Graph, unit, curves)
        }
        Kind::Gauge if unit == WHEN => Panel::new(&title, Shape::Now, unit, vec![when(metric, "")]),
        Kind::Gauge => Panel::new(&title, Shape::Graph, unit, vec![value(metric)]),
    }
}

/// A name without its unit, and Grafana's word for that.
fn unit(name: &str) -> (&str, &'static str) {
    const UNITS: [(&str, &str); 6] = [
        ("_timestamp_seconds", WHEN),
        ("_seconds", "s"),
        ("_bytes", "bytes"),
        ("_ratio", "percentunit"),
        ("_days", "d"),
        ("_total", "short"),
    ];
    UNITS
        .iter()
        .find_map(|(end, unit)| Some((name.strip_suffix(end)?, *unit)))
        .unwrap_or((name, if name.contains("_days_") { "d" } else { "short" }))
}

fn title(words: &str) -> String {
    let words = words.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
