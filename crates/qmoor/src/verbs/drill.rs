//! `qmoor drill`: proves that a backup restores.

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node;
use crate::output::Output;
use crate::patience::patiently;
use crate::reach::Reach;

/// Drills and tells what was found. A backup that is not as its manifest says is a failure.
pub(crate) async fn run(global: &Global, args: cli::Drill, out: Output) -> Result<(), CliError> {
    let reach = Reach::new(global, node::config(global)?, "drill", out).await?;
    let id = reach.resolve(&args.id).await?;
    let report = patiently(&args.lock, out, async || reach.drill(&id).await).await?;
    let verdict = if report.ok { "restores" } else { "DOES NOT restore as it should" };
    let mut text = format!(
        "backup {} {verdict}: {} points, back in {:.1} s, all checks {:.1} s",
        report.id,
        report.points,
        report.rto_ms / 1000.0,
        report.total_ms / 1000.0,
    );
    for difference in &report.differences {
        text.push_str(&format!("\n  {difference}"));
    }
    out.result(&report, text)?;
    if report.ok {
        Ok(())
    } else {
        Err(CliError::failed(format!("backup `{id}` failed its drill"))
            .hint("`qmoor drill` an older one, and take a new backup now"))
    }
}
