//! A server that speaks Qdrant's REST and gRPC API over the `qdrant-edge` storage engine.
//!
//! Reading order: [`serve`] starts it; `node` holds the collections; `collection` is one of them;
//! `rest` and `grpc` are the doors, which both speak `model`.

mod auth;
mod collection;
mod disk;
mod error;
mod grpc;
mod metrics;
mod model;
mod node;
mod rest;
mod serve;
mod version;

pub use serve::{Options, Ready, ServeError, serve};
