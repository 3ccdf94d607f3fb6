//! The engine as its users meet it: over both doors, through the official Rust client and plain
//! HTTP. One request is made through each door wherever both have it, since they must not differ.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod access;
mod collections;
mod engine;
mod errors;
mod filters;
mod payloads;
mod points;
mod queries;
mod reading;
mod restart;
mod sample;
mod vectors;
mod wire;
