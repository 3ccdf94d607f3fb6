//! What an operator or an indexing job may ask of a running node, over a socket that only the node's owner
//! may open, or, for a few things, through the gateway.

mod agent;
pub mod client;
mod hold;
mod jobs;
mod page;
mod public;
mod reply;
mod routes;
mod socket;
mod told;
pub mod wire;

pub use agent::Agent;
pub(crate) use page::Asked;
pub(crate) use public::public;
pub(crate) use reply::status as reply_status;
pub use socket::{Control, ControlError};
