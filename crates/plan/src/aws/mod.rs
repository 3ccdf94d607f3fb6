//! The node on AWS: what its stack is made of, and the names that all who touch it use.

pub mod names;
