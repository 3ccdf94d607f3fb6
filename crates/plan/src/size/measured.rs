//! What only a running engine can tell: measured with `bench/size` on the embedded engine, as docs/operations.md shows.

/// Memory of the agent and of an engine without points: both programs, their threads and buffers.
pub(super) const PROCESSES: u64 = 96 << 20;

/// What is left to the system: its own processes, the kernel, and pages of files that are read once.
pub(super) const SYSTEM: u64 = 512 << 20;

/// Hundredths of the links that a point may have on the lowest level (2 m) that it does have.
pub(super) const LINKS_FILLED: u64 = 75;

/// Bytes of the process for each point: its id both ways, its version, and whether it is deleted.
pub(super) const POINT_MEMORY: u64 = 60;

/// Bytes on the disk for each point: the same, and where its payload lies.
pub(super) const POINT_DISK: u64 = 60;

/// Bytes of one point in the index of one field of the payload whose values are words, like a document's name.
pub(super) const PAYLOAD_INDEX: u64 = 40;

/// Bytes of one number of a sparse vector in its index: which dimension's list it is on is known, the rest is its point, its
/// weight, and the largest weight behind it.
pub(super) const SPARSE_INDEX: u64 = 12;

/// Bytes of one number of a sparse vector as it is kept to be given back: its dimension and its weight.
pub(super) const SPARSE_KEPT: u64 = 8;

/// Bytes of one point while its graph is built, for each link that it may have: a number, not packed yet.
pub(super) const LINK_BUILT: u64 = 4;

/// Bytes of one point while its graph is built, besides the links: lists with their locks, and marks of where a search was.
pub(super) const POINT_BUILT: u64 = 100;
