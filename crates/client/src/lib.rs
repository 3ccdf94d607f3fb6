//! Bulk writing and searching against any Qdrant endpoint, over gRPC.
//!
//! In reading order: how a point gets its id, where records come from, how they are written, how
//! they are found again, and the pieces those stand on.

pub mod ids;

pub mod source;

pub mod index;

pub mod table;

pub mod search;

pub mod query;

pub mod ensure;
pub mod filter;

pub mod error;
pub mod target;

mod arrow;
mod json;
mod pace;
mod retry;
mod spill;
