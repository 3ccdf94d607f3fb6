//! The `qmoor` command: one file a verb under `verbs/`.

mod cli;
mod error;
mod node;
mod output;
mod patience;
mod process;
mod reach;
mod verbs;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
use crate::error::CliError;
use crate::output::Output;

/// Called by the name of Qdrant's server, as in its image, this is the embedded engine.
const SERVER: &str = "qdrant";

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let is_server =
        arguments.first().and_then(|name| Path::new(name).file_name()) == Some(SERVER.as_ref());
    if is_server {
        arguments.insert(1, "engine".into());
    }
    let cli = match Cli::try_parse_from(arguments) {
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
    let global = cli.global;
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::failed(format!("cannot start the async runtime: {error}")))
    };
    match cli.verb {
        Verb::Quickstart(args) => runtime()?.block_on(verbs::quickstart::run(args, out)),
        Verb::Init(args) => verbs::init::run(&args, out),
        Verb::Serve(args) => runtime()?.block_on(verbs::serve::run(&global, &args, out)),
        Verb::Plan(args) => runtime()?.block_on(verbs::plan::run(&global, args, out)),
        Verb::Up(args) => runtime()?.block_on(verbs::up::run(&global, args, out)),
        Verb::Down(args) => runtime()?.block_on(verbs::down::run(&global, args, out)),
        Verb::Status(args) => runtime()?.block_on(verbs::status::run(&global, &args, out)),
        Verb::Audit(args) => runtime()?.block_on(verbs::audit::run(&global, args, out)),
        Verb::Doctor(args) => runtime()?.block_on(verbs::doctor::run(&global, args, out)),
        Verb::Index(args) => runtime()?.block_on(verbs::index::run(&global, args, out)),
        Verb::Search(args) => runtime()?.block_on(verbs::search::run(&global, args, out)),
        Verb::Backup(args) => runtime()?.block_on(verbs::backup::run(&global, args, out)),
        Verb::Backups => runtime()?.block_on(verbs::backups::run(&global, out)),
        Verb::Hold(args) => runtime()?.block_on(verbs::hold::run(&global, args, out)),
        Verb::Release => runtime()?.block_on(verbs::hold::release(&global, out)),
        Verb::Restore(args) => runtime()?.block_on(verbs::restore::run(&global, args, out)),
        Verb::Drill(args) => runtime()?.block_on(verbs::drill::run(&global, args, out)),
        Verb::Remote(args) => runtime()?.block_on(verbs::remote::run(&global, args, out)),
        Verb::Prune(args) => runtime()?.block_on(verbs::prune::run(&global, args, out)),
        Verb::Pin(args) => runtime()?.block_on(verbs::pin::run(&global, args, out)),
        Verb::Upgrade(args) => runtime()?.block_on(verbs::upgrade::run(&global, &args, out)),
        Verb::Notify(_) => runtime()?.block_on(verbs::notify::run(&global, out)),
        Verb::Keys(args) => runtime()?.block_on(verbs::keys::run(&global, args, out)),
        Verb::Engine(args) => runtime()?.block_on(verbs::engine::run(args, out)),
        Verb::ThawWatchdog(args) => runtime()?.block_on(verbs::thaw_watchdog::run(args)),
        Verb::Size(args) => verbs::size::run(&args, out),
        Verb::Render(args) => verbs::render::run(&global, &args, out),
        Verb::Completions(args) => verbs::completions::run(&args, out),
    }
}

fn report(out: Output, error: &CliError) {
    let what = if error.is_warning() { "warning" } else { "error" };
    out.warn(format_args!("{what}: {}", error.message));
    if let Some(hint) = &error.hint {
        out.warn(format_args!("hint:  {hint}"));
    }
}
