//! The list as people read it.

use super::PARTS;

/// What comes before the tables.
const ABOVE: &str = "\
# Metrics

`GET /qmoor/metrics` on the gateway's port tells Prometheus how the node is, in the text format. It needs the admin key.
It answers within 100 ms while requests are held for a backup too: what does not answer in time is left out. A node without
a gateway has no such page.

```yaml
scrape_configs:
  - job_name: qmoor
    metrics_path: /qmoor/metrics
    authorization:
      credentials_file: /etc/prometheus/qmoor-admin-key
    static_configs:
      - targets: [\"10.0.1.10:6333\"]
rule_files:
  - /etc/prometheus/qmoor-alerts.yml
```

[`monitoring/alerts.yml`](../monitoring/alerts.yml) has alerts on these metrics for a job of this name. Each one links to
its section of [runbook.md](runbook.md). [`monitoring/grafana.json`](../monitoring/grafana.json) is a dashboard for Grafana,
made from the list below: import it, and choose the data source, the job and the nodes above the panels. Backups and drills
are marked over all of them, holds for as long as they last.

Below the node's own metrics come those of Qdrant, under its names, when the engine gives them within 100 ms
(50 while writes are held). They are not asked for while reads are held.
";

/// The page `docs/metrics.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = ABOVE.to_owned();
    for (part, about, metrics) in PARTS {
        text.push_str(&format!("\n## {part}\n\n"));
        if !about.is_empty() {
            text.push_str(&format!("{about}\n\n"));
        }
        text.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for metric in *metrics {
            let labels: Vec<String> =
                metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, labels, help) =
                (metric.name, metric.kind.as_str(), labels.join(", "), metric.help);
            text.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
        }
    }
    text
}
