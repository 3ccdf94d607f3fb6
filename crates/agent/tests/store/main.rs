//! Stores with plain files in the place of an engine's data: what every kind promises, and what is special to each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::mem_forget,
    reason = "tests"
)]

mod clones;
mod contract;
#[path = "../volume/disk.rs"]
mod disk;
mod emulator;
mod place;
mod restic;
