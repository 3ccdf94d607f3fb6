//! `qmoor backup`: one consistent snapshot of the whole node.

use std::fmt::Write;

use qmoor_agent::backup::{BackupReport, BackupRequest};

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node;
use crate::output::{Output, bytes};
use crate::reach::Reach;

/// Asks the agent for a backup and tells what it was like.
pub(crate) async fn run(global: &Global, args: cli::Backup, out: Output) -> Result<(), CliError> {
    let reach = Reach::new(node::config(global)?, "backup", out).await?;
    let request = BackupRequest {
        batch_id: args.batch_id,
        labels: args.labels.into_iter().collect(),
        max_pause: args.max_pause,
        why: "qmoor backup".to_owned(),
    };
    let report = reach.backup(&request).await?;
    for warning in &report.warnings {
        out.warn(format_args!("warning: {warning}"));
    }
    out.result(&report, report_text(&report))
}

/// The report for people.
pub(crate) fn report_text(report: &BackupReport) -> String {
    let mut text = format!(
        "backup {}: grade {}, pause {:.0} ms, {} in all, {} new in the store",
        report.id,
        report.grade,
        report.pause_ms,
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
