//! `qmoor hold` and `qmoor release`: the gate by hand.

use qmoor_agent::control::wire::HoldRequest;

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node::{agent, agent_error, config};
use crate::output::Output;
use crate::patience::patiently;

/// Holds requests; returns when those in flight have ended.
pub(crate) async fn run(global: &Global, args: cli::Hold, out: Output) -> Result<(), CliError> {
    let agent = agent(global, &config(global)?)?;
    let request = HoldRequest {
        lease_ms: u64::try_from(args.lease.as_millis()).unwrap_or(u64::MAX),
        reads: args.reads,
        why: args.why,
    };
    let held = patiently(&args.lock, out, async || {
        agent.hold(&request).await.map_err(|error| agent_error(&error))
    })
    .await?;
    let what = if request.reads { "requests are" } else { "writes are" };
    out.result(&held, format_args!("{what} held until {}, or until `qmoor release`", held.until))
}

/// Lets the held requests go.
pub(crate) async fn release(global: &Global, out: Output) -> Result<(), CliError> {
    let released =
        agent(global, &config(global)?)?.release().await.map_err(|error| agent_error(&error))?;
    let told = match released.released {
        true => "released: held requests go on, the first ones first",
        false => "nothing was held by hand",
    };
    out.result(&released, told)
}
