//! The dashboard shows the list, all of it and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::super::{Kind, Metric, PARTS};
use super::dashboard;

fn all() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().flat_map(|(_, _, metrics)| *metrics)
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().collect()
}

/// Every expression, with its legend.
fn curves(dashboard: &Value) -> Vec<(&str, &str)> {
    let targets = panels(dashboard).into_iter().filter_map(|panel| panel["targets"].as_array());
    targets
        .flatten()
        .map(|target| (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap()))
        .collect()
}

/// Names of qmoor's metrics in an expression, a histogram by its own name.
fn names(expr: &str) -> BTreeSet<&str> {
    expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("qmoor_"))
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word))
        .collect()
}

#[test]
fn every_metric_of_the_list_is_shown_and_nothing_that_is_not_on_it() {
    let dashboard = dashboard();
    let shown: BTreeSet<&str> =
        curves(&dashboard).iter().flat_map(|(expr, _)| names(expr)).collect();
    let listed: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    assert_eq!(shown, listed);
}

#[test]
fn an_expression_adds_up_by_labels_that_there_are_and_treats_a_metric_by_its_kind() {
    let dashboard = dashboard();
    for (expr, legend) in curves(&dashboard) {
        let metrics: Vec<&Metric> =
            all().filter(|metric| names(expr).contains(metric.name)).collect();
        let mut labels: BTreeSet<&str> = metrics.iter().flat_map(|m| m.labels).copied().collect();
        labels.extend(["instance", "le"]);
        let by = expr.split("by (").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or("");
        for label in by.split(", ").filter(|label| !label.is_empty()) {
            assert!(labels.contains(label), "{expr}: {label}");
        }
        for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            assert!(labels.contains(label), "{legend}: {label}");
            // What is added up over a label has it no more.
            assert!(by.is_empty() || by.split(", ").any(|kept| kept == label), "{expr}: {legend}");
        }
        let grows = expr.contains("rate(") || expr.contains("increase(");
        for metric in metrics {
            assert_eq!(grows, metric.kind != Kind::Gauge, "{expr}");
        }
    }
}

#[test]
fn panels_lie_beside_each_other_with_ids_of_their_own() {
    let dashboard = dashboard();
    let panels = panels(&dashboard);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let rows = panels.iter().filter(|panel| panel["type"] == "row");
    assert_eq!(rows.count(), PARTS.len());
    let mut taken = BTreeSet::new();
    for panel in &panels {
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "two panels at {cell:?}");
        }
    }
}

/// With keys in the order of the alphabet, whatever other packages make of the order in which they are written.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<String, Value> =
                map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(map.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// `UPDATE_DOCS=1` writes the file instead.
#[test]
fn the_dashboard_in_the_docs_is_what_the_list_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring/grafana.json");
    let wanted = format!("{:#}\n", sorted(dashboard()));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let advice =
        "monitoring/grafana.json is not what the list says; run the test with UPDATE_DOCS=1";
    assert!(found == wanted, "{advice}");
}
