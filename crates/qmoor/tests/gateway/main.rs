//! The door of a whole node, with the real engine behind it: who gets in, what passes, and what survives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod access;
mod endings;
mod floods;
mod holding;
mod keys;
mod life;
mod limits;
mod metrics;
mod node;
mod scopes;
mod smuggling;
mod tls;

use std::time::Duration;

/// Longer than anything here takes, shorter than a test may.
const LONG: Duration = Duration::from_secs(60);
