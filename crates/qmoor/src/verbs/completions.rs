//! `qmoor completions`: a script for a shell, from the same definition as `--help`.

use clap::CommandFactory;

use crate::cli::{Cli, Completions};
use crate::error::CliError;

/// Prints the script on stdout.
#[expect(clippy::unnecessary_wraps, reason = "every verb has this shape")]
pub(crate) fn run(args: &Completions) -> Result<(), CliError> {
    clap_complete::generate(args.shell, &mut Cli::command(), "qmoor", &mut std::io::stdout());
    Ok(())
}
