//! What the volume is for.

use super::measured::{COPIES, LINKS_FILLED, PAYLOAD_INDEX, POINT_DISK, SPARSE_INDEX, SPARSE_KEPT};
use super::{Contents, FLOAT, Held, Line, Quantization};

/// The block in which payloads are kept: the last one of each is not full.
const PAYLOAD_BLOCK: u64 = 128;

/// The engine merges segments up to so many bytes of vectors for each thread that indexes (`max_segment_size`)…
const SEGMENT_PER_THREAD: u64 = 256_000 << 10;

/// …of which a machine of the list has eight, or fewer.
const THREADS: u64 = 8;

/// What is deleted or replaced stays until it is so many hundredths of a segment (`deleted_threshold`).
const DELETED: u64 = 20;

/// Log files of a collection: two of 32 MiB in the docker engine, of 8 MiB in the embedded one.
const LOG: u64 = 64 << 20;

/// Journal, log of the engine, keys.
const STATE: u64 = 64 << 20;

pub(super) fn lines(of: &Contents) -> Vec<Line> {
    let Contents { points, dim, vectors, payload_bytes, payload_indexes, sparse, .. } = *of;
    let line = |part, held, bytes, why| Line { part, bytes, held, why };
    let payload = payload_bytes.div_ceil(PAYLOAD_BLOCK) * PAYLOAD_BLOCK;
    let mut lines = vec![
        line(
            "vectors",
            Held::Disk,
            points * vectors * dim * FLOAT,
            format!("{points} x {vectors} x {dim} x {FLOAT} bytes"),
        ),
        line("graph", Held::Disk, graph_bytes(of), "as in memory".to_owned()),
        line(
            "payload",
            Held::Disk,
            points * payload,
            format!(
                "{points} x {payload} bytes, in blocks of {PAYLOAD_BLOCK}; text is packed to less"
            ),
        ),
        line(
            "ids",
            Held::Disk,
            points * POINT_DISK,
            format!("{points} x {POINT_DISK} bytes; measured"),
        ),
    ];
    if of.quantization != Quantization::None {
        let bytes = points * vectors * of.quantization.bytes(dim);
        lines.push(line("quantized copy", Held::Disk, bytes, "as in memory".to_owned()));
    }
    if payload_indexes > 0 {
        let bytes = points * payload_indexes * PAYLOAD_INDEX;
        lines.push(line("payload indexes", Held::Disk, bytes, "as in memory".to_owned()));
    }
    if sparse > 0 {
        let bytes = points * sparse * (SPARSE_INDEX + SPARSE_KEPT);
        let why = "index, and the vectors as they came".to_owned();
        lines.push(line("sparse vectors", Held::Disk, bytes, why));
    }
    let data: u64 = lines.iter().map(|line| line.bytes).sum();
    let largest = largest_segment(of, data);
    lines.extend([
        line(
            "write-ahead log",
            Held::Room,
            LOG,
            "two files of 32 MiB, longer for a moment where a batch is large".to_owned(),
        ),
        line(
            "deleted and replaced",
            Held::Room,
            data / 100 * DELETED,
            format!("up to {DELETED} % of a segment before it is vacuumed"),
        ),
        line(
            "a segment while it is rebuilt",
            Held::Room,
            COPIES * largest,
            format!(
                "the largest one beside itself, {COPIES} times until the old ones go; measured"
            ),
        ),
        line("journal, log, keys", Held::Room, STATE, "state/ of the node".to_owned()),
    ]);
    lines
}

/// Links on the lowest level, each in as many bits as the largest number of a point takes, and where each point's begin.
pub(super) fn graph_bytes(of: &Contents) -> u64 {
    if of.m == 0 {
        return 0;
    }
    let bits = u64::from(segment_points(of).max(2).ilog2() + 1);
    let links = 2 * of.m * LINKS_FILLED;
    of.points * of.vectors * (links * bits / 800 + FLOAT)
}

/// Points of the largest segment.
pub(super) fn segment_points(of: &Contents) -> u64 {
    let each = (of.vectors * of.dim * FLOAT).max(1);
    of.points.min(SEGMENT_PER_THREAD * THREADS / each)
}

/// What the largest segment has of all the data.
fn largest_segment(of: &Contents, data: u64) -> u64 {
    data / of.points.max(1) * segment_points(of)
}
