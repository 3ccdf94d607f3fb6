//! What an operator or an indexing job may ask of a running node, over a socket that only the node's owner
//! may open, or, for a few things, through the gateway.

mod agent;
pub mod client;
mod hold;
mod jobs;
mod public;
mod reply;
mod routes;
mod socket;
mod told;
pub mod wire;

pub use agent::Agent;
pub(crate) use public::public;
pub use socket::{Control, ControlError};
