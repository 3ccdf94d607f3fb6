//! Images and clones, on real loop devices with the kernel's own xfs and ext4.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::mem_forget,
    reason = "tests"
)]

mod clones;
mod disk;
mod images;
