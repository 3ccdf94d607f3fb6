//! What a long-running verb shares with its process: its log and the signals that end it.

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::error::CliError;

/// Libraries that tell every step at level info; what matters of it is in our own lines.
const CHATTY: &str = "rustic_core=warn,qdrant_edge=warn";

/// Starts the log on stderr. `QMOOR_LOG` overrides `level`, with a filter for each module if wanted.
pub(crate) fn log(level: &str, json: bool) {
    let filter = EnvFilter::try_from_env("QMOOR_LOG").unwrap_or_else(|_| match level {
        "off" => EnvFilter::new("off"),
        level => EnvFilter::new(format!("{level},{CHATTY}")),
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // A second initialisation keeps the first, which is what a test wants.
    let _ignored = if json { builder.json().try_init() } else { builder.try_init() };
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
