//! The client against a node: a fake one that fails when told to, and the real engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod corpus;
mod engine;
mod fake;
mod faults;
mod random;
mod real;
mod table_faults;
mod table_real;
mod table_rows;
mod tables;
