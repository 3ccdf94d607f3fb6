//! A node whose engine is a container, on a real Docker engine.
//!
//! The image is a stand-in made of the project's own engine, laid out as the official one is; `QMOOR_TEST_IMAGE` names a
//! real one to run the same tests on. Where there is no Docker engine each test says so and does nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod backups;
mod daemon;
#[path = "../../../agent/tests/volume/disk.rs"]
mod disk;
mod doorless;
mod freezing;
mod host;
mod kills;
mod life;
mod upgrades;

use std::time::Duration;

/// Longer than anything here takes, shorter than a test may.
const LONG: Duration = Duration::from_secs(120);
