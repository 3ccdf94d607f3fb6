//! Waiting for whoever is at work on the node, where that was asked for.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cli::Patience;
use crate::error::CliError;
use crate::output::Output;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries again for as long as somebody else holds the lock and the patience lasts.
pub(crate) async fn patiently<T>(
    patience: &Patience,
    out: Output,
    mut attempt: impl AsyncFnMut() -> Result<T, CliError>,
) -> Result<T, CliError> {
    let deadline = Instant::now() + patience.lock_wait.unwrap_or_default();
    let bar = out.spinner("waiting");
    loop {
        match attempt().await {
            Err(error) if error.is_locked() && Instant::now() < deadline => {
                bar.set_message(error.message);
                sleep(PAUSE).await;
            }
            outcome => {
                bar.finish_and_clear();
                return outcome;
            }
        }
    }
}
