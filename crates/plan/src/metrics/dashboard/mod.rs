//! The dashboard for Grafana: `monitoring/grafana.json`, made from the list.
//!
//! Each part of the list is a row. What belongs together has a panel that is drawn by hand ([`drawn`]); every other metric
//! of the part gets a plain one, by its kind and the unit in its name, so that a new metric is on the dashboard at once.

mod drawn;
mod panel;

use serde_json::{Value, json};

use self::panel::{HOLDS, Panel, TIMES, mark, plain};
use super::{Metric, PARTS};

/// Cells of Grafana's grid from left to right.
const GRID: usize = 24;
const PANEL_WIDTH: usize = 8;
const PANEL_HEIGHT: usize = 7;
const ROW_HEIGHT: usize = 1;
/// The layout of the file, as Grafana counts it. Newer ones take it over as it is loaded.
const SCHEMA_VERSION: u32 = 39;

/// The dashboard, as Grafana imports it.
#[must_use]
pub fn dashboard() -> Value {
    json!({
        "uid": "qmoor",
        "title": "qmoor",
        "description": "A qmoor node: made by the code from the list of metrics in docs/metrics.md",
        "tags": ["qmoor", "qdrant"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "timezone": "browser",
        "templating": { "list": variables() },
        "annotations": { "list": annotations() },
        "panels": panels(),
    })
}

/// The data source, the job and the instances: chosen above the panels.
fn variables() -> Vec<Value> {
    let of_labels = |name: &str, label: &str, query: String| {
        json!({
            "name": name,
            "label": label,
            "type": "query",
            "datasource": panel::datasource(),
            "definition": query,
            "query": { "query": query, "refId": name },
            "refresh": 2,
            "sort": 1,
        })
    };
    let info = super::BUILD_INFO.name;
    let mut instances =
        of_labels("instance", "Node", format!("label_values({info}{{job=\"$job\"}}, instance)"));
    if let Some(instances) = instances.as_object_mut() {
        instances.insert("multi".to_owned(), true.into());
        instances.insert("includeAll".to_owned(), true.into());
        instances.insert("allValue".to_owned(), ".+".into());
        instances.insert("current".to_owned(), json!({ "text": ["All"], "value": ["$__all"] }));
    }
    vec![
        json!({ "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus" }),
        of_labels("job", "Job", format!("label_values({info}, job)")),
        instances,
    ]
}

/// What is marked over all panels: times of backups and drills, and holds for as long as they last.
fn annotations() -> Vec<Value> {
    let (title, metric, effect, color) = HOLDS;
    let mut all = vec![mark(title, &panel::held(&metric, effect), color, false)];
    for (title, metric, color) in TIMES {
        all.push(mark(title, &panel::milliseconds(metric), color, true));
    }
    all
}

/// A row for each part, with its panels from left to right.
fn panels() -> Vec<Value> {
    let (mut all, mut top) = (Vec::new(), 0);
    for (title, _, metrics) in PARTS {
        all.push(json!({
            "id": all.len() + 1,
            "type": "row",
            "title": title,
            "collapsed": false,
            "panels": [],
            "gridPos": { "x": 0, "y": top, "w": GRID, "h": ROW_HEIGHT },
        }));
        top += ROW_HEIGHT;
        let panels = of_part(metrics);
        for (number, panel) in panels.iter().enumerate() {
            let column = number % (GRID / PANEL_WIDTH);
            let line = number / (GRID / PANEL_WIDTH);
            all.push(panel.json(
                all.len() + 1,
                &json!({
                    "x": column * PANEL_WIDTH,
                    "y": top + line * PANEL_HEIGHT,
                    "w": PANEL_WIDTH,
                    "h": PANEL_HEIGHT,
                }),
            ));
        }
        top += panels.len().div_ceil(GRID / PANEL_WIDTH) * PANEL_HEIGHT;
    }
    all
}

/// The panels of a part: those drawn by hand, and plain ones for what these do not show.
fn of_part(metrics: &[Metric]) -> Vec<Panel> {
    let mut panels: Vec<Panel> = drawn::panels()
        .into_iter()
        .filter(|panel| panel.first().is_some_and(|first| metrics.contains(first)))
        .collect();
    for metric in metrics {
        if !panels.iter().any(|panel| panel.shows(metric)) {
            panels.push(plain(metric));
        }
    }
    panels
}

#[cfg(test)]
mod tests;
