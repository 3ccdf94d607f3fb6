//! Asking before something is done.

use std::io::{self, BufRead, IsTerminal};

use crate::error::CliError;
use crate::output::Output;

/// Refuses to begin where nobody can be asked and nobody has agreed.
pub(super) fn possible(yes: bool) -> Result<(), CliError> {
    if yes || io::stdin().is_terminal() {
        return Ok(());
    }
    Err(CliError::usage("there is no terminal to ask on").hint("--yes does it without asking"))
}

/// Whether the answer is yes.
pub(super) fn asked(question: &str, out: Output) -> Result<bool, CliError> {
    out.warn(format_args!("{question} Type yes:"));
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| CliError::failed(format!("cannot read the answer: {error}")))?;
    Ok(line.trim() == "yes")
}
