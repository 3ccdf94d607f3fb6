//! File systems that are frozen and thawed, and a node whose volume is an image: on real loop devices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "../../../agent/tests/volume/disk.rs"]
mod disk;
mod freeze;
mod node;
mod refusals;
mod serving;
