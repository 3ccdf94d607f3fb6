//! Every call against the emulator of AWS in `tests/aws/emulator`, over the real wire protocols.
//!
//! Needs its Python environment: `QMOOR_AWS_EMULATOR_PYTHON`, or `.venv-aws` at the root, which
//! `./test` makes. Without it the tests say loudly that they were skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod ec2;
mod other;
mod stack;
mod start;
