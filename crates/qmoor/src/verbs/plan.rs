//! `qmoor plan`: what `up` would do.

use super::stack::{Session, drift, plan, prepare, take_back};
use crate::cli::{self, Global};
use crate::error::CliError;
use crate::output::Output;

/// Shows it; makes nothing that stays.
pub(crate) async fn run(global: &Global, args: cli::Plan, out: Output) -> Result<(), CliError> {
    let session = Session::open(global).await?;
    let prepared = prepare(&session, args.new_ami, out).await?;
    take_back(&session, &prepared).await?;
    let drift = match prepared.stack {
        Some(_) => drift(&session, out).await?,
        None => Vec::new(),
    };
    let plan = plan(&session, &prepared, drift);
    out.result(&plan, &plan)
}
