//! Does on the host what `qmoor-plan` decides: runs the engine, is the gateway, makes and restores backups.

pub mod backup;
pub mod catalogue;
pub mod control;
pub mod drill;
pub mod durable;
pub mod engine;
pub mod error;
pub mod gate;
pub mod gateway;
pub mod journal;
pub mod keys;
pub mod lock;
pub mod metrics;
pub mod node;
pub mod notify;
mod pace;
pub mod probe;
pub mod prune;
pub mod recover;
pub mod restore;
pub mod schedule;
pub mod serve;
pub mod store;
pub mod supervise;
pub mod upgrade;
pub mod volume;
