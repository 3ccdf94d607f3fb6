//! Backups of a real engine: made under load, lost, restored, drilled, pruned, made to fail at every step, and
//! killed at every step.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod agent;
mod bench;
mod clients;
mod crash;
mod failing;
mod keeping;
mod killed;
mod load;
