//! What the memory is for.

use super::disk::{graph_bytes, segment_points};
use super::measured::{
    BUILDING, LINK_BUILT, PAYLOAD_INDEX, POINT_BUILT, POINT_MEMORY, PROCESSES, PROGRAM,
    SPARSE_INDEX, SYSTEM,
};
use super::{Contents, FLOAT, Held, Line, Quantization};

/// The lines that are there only while the engine loads and optimizes.
const BUILT: [&str; 2] = ["a graph while it is built", "a segment while it is rebuilt"];

/// The lines that are read from the disk into the process at a start.
const READ_IN: [&str; 2] = ["quantized copy", "sparse index"];

/// Whether a line is filled from the disk after a start of the machine.
pub(super) fn is_read(line: &Line) -> bool {
    is_quiet(line) && (line.held == Held::Cache || READ_IN.contains(&line.part))
}

/// Whether a line counts in a quiet moment.
pub(super) fn is_quiet(line: &Line) -> bool {
    !BUILT.contains(&line.part)
}

pub(super) fn lines(of: &Contents) -> Vec<Line> {
    let Contents { points, dim, vectors, payload_indexes, sparse, .. } = *of;
    let [copied, indexed] = READ_IN;
    let line = |part, held, bytes, why: String| Line { part, bytes, held, why };
    let (dense, dense_why) = if of.on_disk {
        (0, "read from the disk for each search (--on-disk)".to_owned())
    } else {
        let why = format!("{points} x {vectors} x {dim} x {FLOAT} bytes, mapped");
        (points * vectors * dim * FLOAT, why)
    };
    let mut lines = vec![
        line("agent and engine", Held::Process, PROCESSES, "without points; measured".to_owned()),
        line(
            "program and log",
            Held::Cache,
            PROGRAM,
            "pages of both that are in use; measured".to_owned(),
        ),
        line("vectors", Held::Cache, dense, dense_why),
        line(
            "graph",
            Held::Cache,
            graph_bytes(of),
            format!("at most {} links of a point on the lowest level, packed", 2 * of.m),
        ),
        line(
            "ids",
            Held::Process,
            points * POINT_MEMORY,
            format!("{points} x {POINT_MEMORY} bytes: id both ways, version, marks; measured"),
        ),
    ];
    if of.quantization != Quantization::None {
        let copy = of.quantization.bytes(dim);
        let why = format!("{points} x {vectors} x {copy} bytes, {}", of.quantization.as_str());
        lines.push(line(copied, Held::Process, points * vectors * copy, why));
    }
    if payload_indexes > 0 {
        let bytes = points * payload_indexes * PAYLOAD_INDEX;
        let why = format!("{points} x {payload_indexes} fields x {PAYLOAD_INDEX} bytes; measured");
        lines.push(line("payload indexes", Held::Cache, bytes, why));
    }
    if sparse > 0 {
        let why = format!("{points} x {sparse} numbers x {SPARSE_INDEX} bytes: point and weights");
        lines.push(line(indexed, Held::Process, points * sparse * SPARSE_INDEX, why));
    }
    lines.push(line("payload", Held::Cache, 0, "read from the disk for what is found".to_owned()));
    lines.extend(built(of));
    let why = "kernel, other processes, files read once".to_owned();
    lines.push(line("the system", Held::Process, SYSTEM, why));
    lines
}

/// What comes on top while the largest segment is written anew.
fn built(of: &Contents) -> [Line; 2] {
    let [graph, segment] = BUILT;
    let points = segment_points(of);
    let links = if of.m == 0 { 0 } else { 2 * of.m * LINK_BUILT + POINT_BUILT };
    let each = links + of.quantization.bytes(of.dim);
    let copy = if of.quantization == Quantization::None { "" } else { ", the quantized copy anew" };
    [
        Line {
            part: graph,
            held: Held::Process,
            bytes: BUILDING + points * of.vectors * each,
            why: format!("{points} points x {each} bytes: links not packed yet{copy}; measured"),
        },
        Line {
            part: segment,
            held: Held::Cache,
            bytes: points * of.vectors * of.dim * FLOAT,
            why: format!("{points} points of the largest segment, vectors once more"),
        },
    ]
}
