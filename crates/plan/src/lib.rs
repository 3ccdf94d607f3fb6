//! Decides and touches nothing: no async, clock, file or socket.
//!
//! What is decided here is plain data, so that all of it can be tested by tables and properties;
//! the agent does what is decided. In reading order:

pub mod config;

pub mod aws;

pub mod systemd;

pub mod engine;

pub mod access;

pub mod manifest;

pub mod backup;

pub mod retention;

pub mod audit;

pub mod metrics;

pub mod history;

pub mod schedule;

pub mod notify;

pub mod doctor;

pub mod standing;

pub mod size;
