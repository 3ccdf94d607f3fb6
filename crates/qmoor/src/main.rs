//! The `qmoor` command: one file a verb under `verbs/`.
#![allow(dead_code, reason = "until all verbs are in")]

mod cli;
mod error;
mod node;
mod output;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
use crate::error::CliError;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too, with exit code 0.
            let _ignored = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let out = Output::new(cli.global.json, cli.global.quiet);
    match run(cli, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(out, &error);
            error.exit_code()
        }
    }
}

fn run(cli: Cli, out: Output) -> Result<(), CliError> {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::failed(format!("cannot start the async runtime: {error}")))
    };
    let global = cli.global;
    match cli.verb {
        Verb::Init(args) => verbs::init::run(&args, out),
        Verb::Engine(args) => runtime()?.block_on(verbs::engine::run(args, out)),
        Verb::Index(args) => runtime()?.block_on(verbs::index::run(&global, args, out)),
        Verb::Search(args) => runtime()?.block_on(verbs::search::run(&global, args, out)),
        Verb::Keys(args) => runtime()?.block_on(verbs::keys::run(&global, args, out)),
        Verb::Render(args) => verbs::render::run(&global, &args, out),
        Verb::Completions(args) => verbs::completions::run(&args),
        _ => Err(CliError::failed("not built yet")),
    }
}

fn report(out: Output, error: &CliError) {
    out.warn(format_args!("error: {}", error.message));
    if let Some(hint) = &error.hint {
        out.warn(format_args!("hint:  {hint}"));
    }
}
