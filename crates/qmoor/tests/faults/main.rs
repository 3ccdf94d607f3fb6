//! Bad input and a bad world, through the real program: each ends in one message with what, which and what next,
//! and nothing half-written that a second run does not put right.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod command;
mod disk;
mod doors;
mod files;
mod node;
mod readonly;
mod settings;
mod small_disk;
mod sources;
