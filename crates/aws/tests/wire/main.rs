//! What goes over the wire, and what is made of what comes back: against a server in this process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod answers;
mod retries;
mod secrecy;
mod server;
mod signature;
