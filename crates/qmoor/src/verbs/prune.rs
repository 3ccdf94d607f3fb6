//! `qmoor prune`: deletes what no rule keeps.

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node;
use crate::output::{Output, bytes, table};
use crate::patience::patiently;
use crate::reach::Reach;

/// Prunes, or with `--dry-run` shows what would go, with the reasons.
pub(crate) async fn run(global: &Global, args: cli::Prune, out: Output) -> Result<(), CliError> {
    let reach = Reach::new(global, node::config(global)?, "prune", out).await?;
    let report = patiently(&args.lock, out, async || reach.prune(args.dry_run).await).await?;
    let rows: Vec<Vec<String>> = report
        .decisions
        .iter()
        .map(|decision| {
            let verdict = if decision.keep { "keep" } else { "delete" };
            vec![decision.id.clone(), verdict.to_owned(), decision.reasons.join(", ")]
        })
        .collect();
    let done = if report.dry_run {
        "nothing was deleted: this was a dry run".to_owned()
    } else {
        format!("{} deleted, {} given back", report.removed.len(), bytes(report.bytes_freed))
    };
    let text = format!("{}\n{done}", table(&["ID", "VERDICT", "WHY"], &rows));
    out.result(&report, if rows.is_empty() { "there is no backup yet".to_owned() } else { text })
}
