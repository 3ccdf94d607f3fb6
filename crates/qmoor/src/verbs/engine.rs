//! `qmoor engine`: the embedded engine alone.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use qmoor_engine::{Options, Ready, ServeError};

use crate::cli;
use crate::error::{CliError, chain, next_step};
use crate::output::Output;
use crate::process;

/// Largest request body, as upstream (`service.max_request_size_mb`).
const MAX_REQUEST_BYTES: usize = 32 << 20;

/// Serves until TERM, INT or (when asked) the end of standard input, then flushes and returns.
pub(crate) async fn run(args: cli::Engine, out: Output) -> Result<(), CliError> {
    let _log = process::log("info", false);
    let asked = process::asked_to_stop()?;
    let kept = match &args.config_path {
        Some(path) => keys(path)?,
        None => Keys::default(),
    };
    let host = args.host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let options = Options {
        data: args.data,
        http: args.http.unwrap_or(SocketAddr::new(host, args.http_port.unwrap_or(6333))),
        grpc: args.grpc.unwrap_or(SocketAddr::new(host, args.grpc_port.unwrap_or(6334))),
        // Keys come by environment or file only: arguments can be read by every process on the host.
        api_key: std::env::var("QDRANT__SERVICE__API_KEY").ok().or(kept.api_key),
        read_only_api_key: std::env::var("QDRANT__SERVICE__READ_ONLY_API_KEY")
            .ok()
            .or(kept.read_only_api_key),
        max_request_bytes: MAX_REQUEST_BYTES,
        says_version: args.says_version,
    };
    let ready = move |ready: Ready| {
        let addresses = serde_json::json!({ "http": ready.http, "grpc": ready.grpc });
        // A parent that closed the pipe will also close standard input; the server goes on.
        let _ignored = out.line(addresses);
    };
    let stop = async {
        tokio::select! {
            () = asked => {}
            () = stdin_closed(), if args.until_stdin_closes => {
                tracing::info!("stopping: the parent is gone");
            }
        }
    };
    qmoor_engine::serve(options, ready, stop).await.map_err(|error| failure(&error))
}

/// As much of Qdrant's configuration as is understood here.
#[derive(Default, serde::Deserialize)]
struct Settings {
    #[serde(default)]
    service: Keys,
}

#[derive(Default, serde::Deserialize)]
struct Keys {
    api_key: Option<String>,
    read_only_api_key: Option<String>,
}

fn keys(path: &Path) -> Result<Keys, CliError> {
    let failed = |why: String| CliError::failed(format!("cannot read {}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let settings: Settings = serde_json::from_slice(&bytes)
        .map_err(|error| failed(format!("it is not JSON: {error}")))?;
    Ok(settings.service)
}

/// In one line: the agent takes the last line of the log for what the engine died of.
fn failure(error: &ServeError) -> CliError {
    let mut text = chain(error);
    if !text.contains("hint: ")
        && let Some(step) = next_step(&text)
    {
        text.push_str(". hint: ");
        text.push_str(step);
    }
    if error.is_held() { CliError::locked(text) } else { CliError::failed(text) }
}

/// A thread of its own, because a blocking read in the runtime would hold up its shutdown.
async fn stdin_closed() {
    let (closed, seen) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        // Whatever ends the read, an error too, means that nobody is there any more.
        let _ignored = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(closed);
    });
    let _closed = seen.await;
}
