//! `qmoor serve`: the node on this host.

use qmoor_agent::keys::NewKeys;
use qmoor_agent::serve::{ReadyInfo, serve};
use qmoor_plan::config::LogFormat;
use serde_json::json;

use crate::cli::{self, Global};
use crate::error::CliError;
use crate::node;
use crate::output::Output;
use crate::process;
use crate::reach::program;

/// Serves until TERM or INT. Says where it listens once it is up; shows new keys once.
pub(crate) async fn run(global: &Global, args: &cli::Serve, out: Output) -> Result<(), CliError> {
    let mut config = node::config(global)?;
    config.gateway.http_port = args.http_port.unwrap_or(config.gateway.http_port);
    config.gateway.grpc_port = args.grpc_port.unwrap_or(config.gateway.grpc_port);
    let _log = process::log(config.log.level.as_str(), config.log.format == LogFormat::Json);
    let stop = process::asked_to_stop()?;
    let ready = move |ready: ReadyInfo| {
        // Whoever started us may have closed stdout; the node goes on.
        let _ignored = tell(out, &ready);
    };
    serve(config, program()?, node::config_file(global), ready, stop)
        .await
        .map_err(|error| CliError::of(&error).locked_if(error.is_busy()))
}

fn tell(out: Output, ready: &ReadyInfo) -> Result<(), CliError> {
    let keys = ready.new_keys.as_ref();
    let value = json!({
        "http": ready.http,
        "grpc": ready.grpc,
        "keys": keys.map(|keys| json!({
            "search": keys.search.expose(), "index": keys.index.expose(), "admin": keys.admin.expose(),
        })),
    });
    let keys = keys.map(keys_text).unwrap_or_default();
    out.result(
        &value,
        format_args!("serving REST and gRPC on {}, and on {}{keys}", ready.http, ready.grpc),
    )
}

fn keys_text(keys: &NewKeys) -> String {
    format!(
        "\n\nThe keys of this node, shown this once:\n  search  {}\n  index   {}\n  admin   {}\n\
         Commands on this host need none: they ask the agent.",
        keys.search.expose(),
        keys.index.expose(),
        keys.admin.expose(),
    )
}
