//! How much memory and disk a node needs for so many points, which machine has that, and which volume.
//!
//! Each figure is a line with its reason. What the engine keeps of a point comes from the layout of its files; what only a
//! running engine can tell was measured (`bench/size`, docs/operations.md) and stands in [`measured`].

mod disk;
mod machine;
mod measured;
mod memory;
mod volume;

use std::ops::RangeInclusive;

use serde::Serialize;

pub use machine::{MACHINES, Machine};
pub use volume::Volume;

/// Bytes of a number of a vector.
const FLOAT: u64 = 4;

/// What is to be kept, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Points.
    pub points: u64,
    /// Numbers in each dense vector.
    pub dim: u64,
    /// Dense vectors of each point.
    pub vectors: u64,
    /// Links of a point in the graph (HNSW's m); 0 for no graph.
    pub m: u64,
    /// Bytes of a point's payload, as JSON.
    pub payload_bytes: u64,
    /// Fields of the payload that have an index.
    pub payload_indexes: u64,
    /// Numbers that are not zero in each sparse vector; 0 for no sparse vectors.
    pub sparse: u64,
    /// The compressed copy of the dense vectors.
    pub quantization: Quantization,
    /// Whether the dense vectors themselves are read from the disk for each search.
    pub on_disk: bool,
}

impl Default for Contents {
    /// A chunk of text with the usual settings; how many, and how many dimensions, is for the caller.
    fn default() -> Self {
        Self {
            points: 0,
            dim: 0,
            vectors: 1,
            m: 16,
            payload_bytes: 1024,
            payload_indexes: 1,
            sparse: 0,
            quantization: Quantization::None,
            on_disk: false,
        }
    }
}

/// Which compressed copy of the vectors is searched first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantization {
    /// None.
    None,
    /// A byte for a number.
    Scalar,
    /// A bit for a number.
    Binary,
    /// A byte for sixteen bytes of numbers.
    Product,
}

impl Quantization {
    /// Its name in Qdrant.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scalar => "scalar",
            Self::Binary => "binary",
            Self::Product => "product",
        }
    }

    /// Bytes of the copy of one vector.
    fn bytes(self, dim: u64) -> u64 {
        match self {
            Self::None => 0,
            // Each vector has a number of its own in front, by which scores are set right.
            Self::Scalar => dim + FLOAT,
            // In words of 128 bits.
            Self::Binary => dim.div_ceil(128) * 16,
            Self::Product => (dim * FLOAT).div_ceil(16),
        }
    }
}

/// One part of what is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is.
    pub part: &'static str,
    /// How much of it.
    pub bytes: u64,
    /// How it is held.
    pub held: Held,
    /// How it comes about.
    pub why: String,
}

/// How something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Memory of the process, which nothing gives back while it runs.
    Process,
    /// Pages of files. Searches wait for the disk when they are not in memory.
    Cache,
    /// On the disk, for as long as the points are there.
    Disk,
    /// On the disk, now and then.
    Room,
}

impl Held {
    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Cache => "cache",
            Self::Disk => "disk",
            Self::Room => "room",
        }
    }
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// What it is for.
    pub contents: Contents,
    /// What the memory is for.
    pub memory: Vec<Line>,
    /// All of the memory: what searches need to find without the disk, and what one optimization takes beside them.
    pub memory_bytes: u64,
    /// Of this, what the processes have in a quiet moment.
    pub process_bytes: u64,
    /// Of this, what lies in the page cache in a quiet moment.
    pub cache_bytes: u64,
    /// What the volume is for.
    pub disk: Vec<Line>,
    /// All of it.
    pub disk_bytes: u64,
    /// Of this, what the data takes in a quiet moment.
    pub data_bytes: u64,
    /// The machine of each family that is large enough, if there is one.
    pub machines: Vec<Machine>,
    /// The one of these that costs least. None when there is none.
    pub advised: Option<&'static str>,
    /// The volume, with what it gives.
    pub volume: Volume,
    /// What would be better otherwise.
    pub advice: Vec<String>,
}

/// Why there is no estimate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeError {
    /// Which number.
    pub what: &'static str,
    /// What it must be.
    pub must: String,
}

/// Each number by its flag, and what it may be.
fn bounds(of: &Contents) -> [(&'static str, u64, RangeInclusive<u64>); 7] {
    [
        ("--points", of.points, 1..=10_000_000_000),
        ("--dim", of.dim, 1..=65_536),
        ("--vectors", of.vectors, 1..=64),
        ("--m", of.m, 0..=512),
        ("--payload-bytes", of.payload_bytes, 0..=16 << 20),
        ("--payload-indexes", of.payload_indexes, 0..=256),
        ("--sparse", of.sparse, 0..=65_536),
    ]
}

/// What `contents` come to.
///
/// # Errors
/// When a number is out of range.
pub fn estimate(contents: Contents) -> Result<Estimate, SizeError> {
    for (what, number, range) in bounds(&contents) {
        if !range.contains(&number) {
            return Err(SizeError { what, must: format!("{} to {}", range.start(), range.end()) });
        }
    }
    let memory = memory::lines(&contents);
    let disk = disk::lines(&contents);
    let memory_bytes = total(&memory, |_| true);
    let (disk_bytes, data_bytes) =
        (total(&disk, |_| true), total(&disk, |line| line.held == Held::Disk));
    let machines = machine::that_fit(memory_bytes);
    let advised = machine::cheapest(&machines).copied();
    let quiet = |held| total(&memory, |line| line.held == held && memory::is_quiet(line));
    let (process_bytes, cache_bytes) = (quiet(Held::Process), quiet(Held::Cache));
    let volume =
        volume::advise(disk_bytes, data_bytes, total(&memory, memory::is_read), advised.as_ref());
    Ok(Estimate {
        advice: advice(&contents, advised.as_ref()),
        contents,
        memory,
        memory_bytes,
        process_bytes,
        cache_bytes,
        disk,
        disk_bytes,
        data_bytes,
        machines,
        advised: advised.map(|machine| machine.name),
        volume,
    })
}

fn total(lines: &[Line], counts: impl Fn(&Line) -> bool) -> u64 {
    lines.iter().filter(|line| counts(line)).map(|line| line.bytes).sum()
}

fn advice(contents: &Contents, machine: Option<&Machine>) -> Vec<String> {
    let mut all = Vec::new();
    let plain = contents.quantization == Quantization::None;
    if machine.is_none() {
        let how = if plain {
            "--quantization scalar --on-disk"
        } else {
            "--on-disk, or fewer points on one node"
        };
        all.push(format!("no machine of the list is large enough: try {how}"));
    }
    if contents.on_disk && plain {
        all.push(
            "each step of a search reads a vector from the disk: add --quantization, whose copy stays in memory"
                .to_owned(),
        );
    }
    if contents.quantization == Quantization::Binary && contents.dim < 1024 {
        all.push(
            "a bit for a number finds much less below 1024 dimensions: measure the recall, or take scalar"
                .to_owned(),
        );
    }
    if contents.m == 0 {
        all.push("without a graph every search compares all vectors".to_owned());
    }
    all
}

#[cfg(test)]
mod tests;
