//! Facts about a running engine: what a backup writes into its manifest, and what a restored engine is held
//! against.
//!
//! Asked over REST on loopback while writes are held, so it is kept cheap: counts, a fixed sample of points, a
//! few exact queries.

mod ask;
mod facts;
mod golden;

use std::net::SocketAddr;
use std::time::Duration;

pub use ask::{Client, escaped};
pub use facts::{Facts, Scope, observe, optimizers_busy, points, updates_queued};

/// Why the facts could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The engine did not answer.
    #[error("the engine at {address} did not answer `{request}`: {message}")]
    Unreachable {
        /// Where it listens.
        address: SocketAddr,
        /// Method and path.
        request: String,
        /// What went wrong.
        message: String,
    },
    /// The engine answered with an error.
    #[error("the engine answered `{request}` with {status}: {message}")]
    Status {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        message: String,
    },
    /// The answer is not what this API answers.
    #[error("the engine's answer to `{request}` has no `{field}`")]
    Shape {
        /// Method and path.
        request: String,
        /// What was looked for.
        field: &'static str,
    },
    /// It took too long.
    #[error("the engine did not answer `{request}` within {after:?}")]
    TooSlow {
        /// Method and path.
        request: String,
        /// The deadline.
        after: Duration,
    },
}
