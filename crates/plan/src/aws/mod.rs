//! The node on AWS: what its stack is made of, and the names that all who touch it use.

pub mod change;
pub mod iam;
pub mod instance;
pub mod names;
pub mod preflight;
pub mod stack;
pub mod steps;
pub mod template;
pub mod user_data;

#[cfg(test)]
mod tests;
