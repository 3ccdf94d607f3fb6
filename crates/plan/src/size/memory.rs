//! What the memory is for.

use super::disk::segment_points;
use super::measured::{
    LINK_BUILT, PAYLOAD_INDEX, POINT_BUILT, POINT_MEMORY, PROCESSES, SPARSE_INDEX, SYSTEM,
};
use super::{Contents, FLOAT, Held, Line, Quantization};
use crate::size::disk::graph_bytes;

/// The line that is there only while the engine optimizes.
pub(super) const REBUILD: &str = "a segment while it is rebuilt";

pub(super) fn lines(of: &Contents) -> Vec<Line> {
    let Contents { points, dim, vectors, m, payload_indexes, sparse, .. } = *of;
    let line = |part, held, bytes, why| Line { part, bytes, held, why };
    let each = vectors * dim * FLOAT;
    let (dense, dense_why) = if of.on_disk {
        (0, "read from the disk for each search (--on-disk)".to_owned())
    } else {
        (points * each, format!("{points} x {vectors} x {dim} x {FLOAT} bytes, mapped"))
    };
    let mut lines = vec![
        line("agent and engine", Held::Process, PROCESSES, "without points; measured".to_owned()),
        line("vectors", Held::Cache, dense, dense_why),
        line(
            "graph",
            Held::Cache,
            graph_bytes(of),
            format!("links to at most {} points each on the lowest level, packed", 2 * m),
        ),
        line(
            "ids",
            Held::Process,
            points * POINT_MEMORY,
            format!("{points} x {POINT_MEMORY} bytes: id both ways, version, deleted; measured"),
        ),
    ];
    if of.quantization != Quantization::None {
        let copy = of.quantization.bytes(dim);
        let why = format!("{points} x {vectors} x {copy} bytes, {}", of.quantization.as_str());
        lines.push(line("quantized copy", Held::Process, points * vectors * copy, why));
    }
    if payload_indexes > 0 {
        let why = format!("{points} x {payload_indexes} fields x {PAYLOAD_INDEX} bytes");
        lines.push(line(
            "payload indexes",
            Held::Process,
            points * payload_indexes * PAYLOAD_INDEX,
            why,
        ));
    }
    if sparse > 0 {
        let why = format!("{points} x {sparse} numbers x {SPARSE_INDEX} bytes: point and weights");
        lines.push(line("sparse index", Held::Process, points * sparse * SPARSE_INDEX, why));
    }
    lines.push(line("payload", Held::Cache, 0, "read from the disk for what is found".to_owned()));
    lines.push(line(REBUILD, Held::Cache, rebuild(of), rebuild_why(of)));
    lines.push(line(
        "the system",
        Held::Process,
        SYSTEM,
        "kernel, other processes, files read once".to_owned(),
    ));
    lines
}

/// The largest segment once more, and the links of its graph before they are packed.
fn rebuild(of: &Contents) -> u64 {
    let links = if of.m == 0 { 0 } else { 2 * of.m * LINK_BUILT + POINT_BUILT };
    let vectors = of.vectors * (of.dim * FLOAT + of.quantization.bytes(of.dim) + links);
    segment_points(of) * vectors
}

fn rebuild_why(of: &Contents) -> String {
    format!(
        "{} points of the largest segment: new vectors, links before they are packed",
        segment_points(of)
    )
}
