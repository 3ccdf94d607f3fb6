//! What a long-running verb shares with its process: its log and the signals that end it.

use tokio::signal::unix::{SignalKind, signal};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::error::CliError;

/// Libraries that tell every step at level info; what matters of it is in our own lines.
const CHATTY: &str = "rustic_core=warn,qdrant_edge=warn";

/// Lines that may wait for whoever reads stderr; more are left out.
const LINES: usize = 16 * 1024;

/// The log is written out when this is dropped.
#[must_use = "the log ends when this is dropped"]
pub(crate) struct Log(#[allow(dead_code, reason = "held for its drop")] WorkerGuard);

/// Starts the log on stderr. `QMOOR_LOG` overrides `level`, with a filter for each module if wanted.
///
/// Nobody waits for it: a disk that is full, or a reader that hangs, costs lines and not requests.
pub(crate) fn log(level: &str, json: bool) -> Log {
    let filter = EnvFilter::try_from_env("QMOOR_LOG").unwrap_or_else(|_| match level {
        "off" => EnvFilter::new("off"),
        level => EnvFilter::new(format!("{level},{CHATTY}")),
    });
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES)
        .thread_name("log")
        .finish(std::io::stderr());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    // A second initialisation keeps the first, which is what a test wants.
    let _ignored = if json { builder.json().try_init() } else { builder.try_init() };
    Log(guard)
}

/// Listens for TERM and INT from now on, so that one that comes while the verb still starts is not
/// the end of the process; resolves at the first of them.
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()>, CliError> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| CliError::failed(format!("cannot listen for signals: {error}")))
    };
    let mut term = listen(SignalKind::terminate())?;
    let mut int = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => tracing::info!("stopping: TERM"),
            _ = int.recv() => tracing::info!("stopping: INT"),
        }
    })
}
