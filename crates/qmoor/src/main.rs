//! The `qmoor` command.
fn main() {}
