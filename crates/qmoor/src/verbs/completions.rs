//! `qmoor completions`: a script for a shell, from the same definition as `--help`.

use clap::CommandFactory;

use crate::cli::{Cli, Completions};
use crate::error::CliError;
use crate::output::Output;

/// Prints the script on stdout.
pub(crate) fn run(args: &Completions, out: Output) -> Result<(), CliError> {
    // Into memory first: the generator panics where stdout is closed or full.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "qmoor", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end())
}
