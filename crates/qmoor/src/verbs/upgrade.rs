//! `qmoor upgrade`: another version of the docker engine.

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node::{agent, agent_error, config};
use crate::output::Output;
use crate::patience::patiently;
use crate::reach::shown;

/// Upgrades, and says what to write into the configuration.
pub(crate) async fn run(global: &Global, args: &cli::Upgrade, out: Output) -> Result<(), CliError> {
    let agent = agent(global, &config(global)?)?;
    // That there is no agent is said before anybody waits.
    agent.status().await.map_err(|error| agent_error(&error))?;
    let report = patiently(&args.lock, out, async || {
        let version = args.version.as_str();
        shown(out, "upgrade", async |bar| {
            agent.upgrade(version, move |progress| crate::reach::show(&bar, &progress)).await
        })
        .await
    })
    .await?;
    out.result(
        &report,
        format_args!(
            "upgraded from {} to {}: not served for {:.0} ms; backup {} has what was before\n\
             next: set engine.image = \"{}\" in qmoor.toml",
            report.from, report.to, report.pause_ms, report.backup, report.to
        ),
    )
}
