//! What people read.

use qmoor_plan::doctor::{At, Check, Finding, Verdict, checks};
use serde_json::{Value, json};

use crate::output::table;

/// One line for each check.
pub(super) fn list() -> String {
    let row = |check: &Check| {
        let root = if check.needs_root { "root" } else { "" };
        vec![check.id.to_owned(), at(check).to_owned(), root.to_owned(), check.about.to_owned()]
    };
    let rows: Vec<Vec<String>> = checks().iter().map(row).collect();
    table(&["CHECK", "AT", "SEES ALL AS", "PASSES WHEN"], &rows)
}

/// The same for programs.
pub(super) fn listed(check: &Check) -> Value {
    json!({ "id": check.id, "at": at(check), "needs_root": check.needs_root, "about": check.about })
}

fn at(check: &Check) -> &'static str {
    match check.at {
        At::Node => "node",
        At::Url => "url",
        At::Both => "node, url",
    }
}

/// A line for each finding, with what mends it below, and a sum at the end.
pub(super) fn report(findings: &[Finding]) -> String {
    let width = findings.iter().map(|one| one.id.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for one in findings {
        let verdict = word(one.verdict);
        lines.push(format!("{verdict:<4}  {:<width$}  {}", one.id, one.seen));
        if let Some(fix) = &one.fix {
            lines.push(format!("{:<4}  {:<width$}  > {fix}", "", ""));
        }
    }
    let count = |verdict| findings.iter().filter(|one| one.verdict == verdict).count();
    lines.push(format!(
        "{} checks: {} pass, {} warn, {} fail, {} do not apply",
        findings.len(),
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail),
        count(Verdict::NotApplicable)
    ));
    lines.join("\n")
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "WARN",
        Verdict::Fail => "FAIL",
        Verdict::NotApplicable => "n/a",
    }
}
