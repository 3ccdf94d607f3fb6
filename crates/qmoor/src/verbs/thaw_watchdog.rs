//! `qmoor thaw-watchdog`: stands by while a file system is frozen.

use std::time::Duration;

use qmoor_agent::volume::watchdog;

use crate::cli;
use crate::error::CliError;
use crate::process;

/// Waits, and thaws. A TERM that goes to everything of a service, or an INT from a terminal, is for the agent: the
/// volume may not be thawed under a snapshot, nor stay frozen because this process is gone.
pub(crate) async fn run(args: cli::ThawWatchdog) -> Result<(), CliError> {
    let _not_heeded = process::asked_to_stop()?;
    let after = Duration::from_millis(args.after_ms);
    let watch = move || watchdog::run(&args.mount, after, &mut std::io::stdout());
    let watched = tokio::task::spawn_blocking(watch).await;
    let thawed = watched.map_err(|_| CliError::failed("the watchdog broke off"))?;
    thawed.map(drop).map_err(|error| CliError::of(&error))
}
