//! `qmoor restore`: a plan first, then the data of a backup in place of what is there.

use std::io::{self, BufRead, IsTerminal};

use qmoor_agent::restore::{RestorePlan, RestoreReport};

use crate::cli::{self, Global};
use crate::error::{CliError, hint_taken_out};
use crate::node;
use crate::output::{Output, bytes};
use crate::patience::patiently;
use crate::reach::Reach;

/// Shows the plan, asks, restores.
pub(crate) async fn run(global: &Global, args: cli::Restore, out: Output) -> Result<(), CliError> {
    let reach = Reach::new(global, node::config(global)?, "restore", out).await?;
    let id = reach.resolve(&args.id).await?;
    let plan = reach.plan_restore(&id).await?;
    if args.dry_run {
        return out.result(&plan, plan_text(&plan));
    }
    out.say(plan_text(&plan));
    if let Some(refusal) = plan.refusals.first() {
        let (refusal, hint) = hint_taken_out(refusal);
        let message = format!("backup `{id}` cannot be restored: {refusal}");
        return Err(CliError::failed(message).maybe_hint(hint));
    }
    if !args.yes && !confirmed(out)? {
        return Err(CliError::failed("nothing was restored: the plan was not confirmed")
            .hint("--yes confirms it without asking"));
    }
    let report = patiently(&args.lock, out, async || reach.restore(&id).await).await?;
    out.result(&report, report_text(&report))
}

fn confirmed(out: Output) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    out.warn("Restore? Type yes:");
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| CliError::failed(format!("cannot read the answer: {error}")))?;
    Ok(line.trim() == "yes")
}

/// The plan for people.
fn plan_text(plan: &RestorePlan) -> String {
    let proved =
        plan.verified.map_or_else(|| "never proved".to_owned(), |at| format!("proved {at}"));
    let old = match &plan.old_data {
        Some(path) => format!("what is there now is kept at {}", path.display()),
        None => "nothing is there now".to_owned(),
    };
    let mut text = format!(
        "plan: restore {} (grade {}, of {}, {proved})\n\
         \x20 {} points, {} to write, {} free\n\
         \x20 into {}; {old}",
        plan.id,
        plan.grade,
        plan.at,
        plan.points,
        bytes(plan.bytes),
        bytes(plan.bytes_free),
        plan.data.display(),
    );
    for refusal in &plan.refusals {
        text.push_str("\n  refused: ");
        text.push_str(refusal);
    }
    text
}

/// The report for people.
pub(crate) fn report_text(report: &RestoreReport) -> String {
    let mut text = format!(
        "restored {}: {} points, {} in {:.1} s; the node stood still for {:.0} ms",
        report.id,
        report.points,
        bytes(report.bytes),
        report.total_ms / 1000.0,
        report.pause_ms,
    );
    if let Some(old) = &report.old_data {
        text.push_str(&format!(
            "\nthe data from before is at {}: delete it when you no longer want it",
            old.display()
        ));
    }
    text
}
