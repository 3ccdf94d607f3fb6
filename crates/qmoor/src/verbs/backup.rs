//! `qmoor backup`: one consistent snapshot of the whole node.

use std::fmt::Write;

use qmoor_agent::backup::{BackupPlan, BackupReport, BackupRequest};
use qmoor_plan::backup::Mode;
use serde_json::json;

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node;
use crate::output::{Output, bytes};
use crate::patience::patiently;
use crate::reach::Reach;

/// Asks the agent for a backup and tells what it was like.
pub(crate) async fn run(global: &Global, args: cli::Backup, out: Output) -> Result<(), CliError> {
    let reach = Reach::new(global, node::config(global)?, "backup", out).await?;
    let request = BackupRequest {
        batch_id: args.batch_id,
        labels: args.labels.into_iter().collect(),
        max_pause: args.max_pause,
        mode: match args.mode {
            cli::Mode::Stop => Mode::Stop,
            cli::Mode::Freeze => Mode::Freeze,
        },
        allow_crash_consistent: args.allow_crash_consistent,
        why: "qmoor backup".to_owned(),
    };
    if args.explain {
        let plan = reach.explain(&request).await?;
        return out.result(&plan, plan_text(&plan));
    }
    if !args.wait {
        let id = patiently(&args.lock, out, async || reach.begin_backup(&request).await).await?;
        return out.result(&json!({ "id": id }), format_args!("backup {id} has begun"));
    }
    let report = patiently(&args.lock, out, async || reach.backup(&request).await).await?;
    for warning in &report.warnings {
        out.warn(format_args!("warning: {warning}"));
    }
    out.result(&report, report_text(&report))
}

/// The plan for people.
fn plan_text(plan: &BackupPlan) -> String {
    let seconds = |ms: f64| format!("{:.1} s", ms / 1000.0);
    let forecast = plan.pause_ms.map_or_else(|| "not known yet".to_owned(), seconds);
    let mut text = format!(
        "a backup by {} would be of grade {}\n\
         pause: {forecast} by the last ones; more than {} is refused; a request is held for {}",
        plan.mode,
        plan.grade,
        seconds(plan.max_pause_ms),
        seconds(plan.hold_budget_ms),
    );
    for step in &plan.steps {
        // Writing to a string cannot fail.
        let _ignored =
            write!(text, "\n  {:<12} {}", step.to_string().replace('_', " "), step.meaning());
    }
    text
}

/// The report for people.
pub(crate) fn report_text(report: &BackupReport) -> String {
    let mut text = format!(
        "backup {}: grade {}, pause {:.0} ms (reads {:.0} ms), {} in all, {} new in the store",
        report.id,
        report.grade,
        report.pause_ms,
        report.reads_pause_ms,
        bytes(report.bytes_total),
        bytes(report.bytes_added),
    );
    for phase in &report.phases {
        // Writing to a string cannot fail.
        let _ignored =
            write!(text, "\n  {:<12} {:>8.1} ms", phase.name.replace('_', " "), phase.ms);
    }
    text
}
