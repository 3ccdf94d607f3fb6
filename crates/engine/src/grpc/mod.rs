//! The gRPC door: Qdrant's Collections, Points and health services over the same node as REST.
//!
//! A message becomes a request of [`crate::model`], the node carries it out, and the answer becomes
//! a message. `points`, `collections` and `health` are the services; `door` lets requests in; the
//! rest converts. What the engine does not have is answered UNIMPLEMENTED, by name.

mod collections;
mod config;
mod door;
mod filter;
mod health;
mod ids;
mod index;
mod index_info;
mod info;
mod points;
mod quantization;
mod queries;
mod reads;
mod results;
mod select;
mod status;
mod updates;
mod value;
mod vectors;

pub(crate) use door::{routes, serve};
