//! What only a running engine can tell: measured with `bench/size` on the embedded engine, as docs/operations.md shows.

/// Memory of the agent and of an engine without points: 12 MB were seen.
pub(super) const PROCESSES: u64 = 16 << 20;

/// Pages of files of both that are in use: the program, which is one file, and the log that is written to.
pub(super) const PROGRAM: u64 = 76 << 20;

/// What is left to the system: its own processes, the kernel, and pages of files that are read once.
pub(super) const SYSTEM: u64 = 512 << 20;

/// Hundredths of the links that a point may have on the lowest level (2 m) that it does have, those on higher levels
/// counted in: 86 were seen with random vectors, and real ones have fewer.
pub(super) const LINKS_FILLED: u64 = 90;

/// Bytes of the process for each point: its id both ways, its version, whether it is deleted, and marks of where a search
/// was. The ids are UUIDs.
pub(super) const POINT_MEMORY: u64 = 200;

/// Bytes on the disk for each point: its id both ways, its version, and where its payload lies.
pub(super) const POINT_DISK: u64 = 48;

/// Bytes of one point in the index of one field of the payload whose values are words, like a document's name.
pub(super) const PAYLOAD_INDEX: u64 = 50;

/// Bytes of one number of a sparse vector in its index: its point, its weight, and the largest weight behind it.
/// From the layout; not measured.
pub(super) const SPARSE_INDEX: u64 = 12;

/// Bytes of one number of a sparse vector as it is kept to be given back: its dimension and its weight.
/// From the layout; not measured.
pub(super) const SPARSE_KEPT: u64 = 8;

/// Bytes of one point while its graph is built, for each link that it may have: a number, not packed yet.
pub(super) const LINK_BUILT: u64 = 4;

/// Bytes of one point while its graph is built, besides the links: lists with their locks, ids of the new segment.
pub(super) const POINT_BUILT: u64 = 450;

/// Memory of the process while it loads and builds, however little: batches under way, buffers.
pub(super) const BUILDING: u64 = 16 << 20;

/// How often the largest segment lies on the disk beside itself until the engine lets go of what it has replaced.
pub(super) const COPIES: u64 = 2;
