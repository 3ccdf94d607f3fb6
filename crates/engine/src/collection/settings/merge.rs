//! What a change of settings leaves of those before: each value that is given replaces one.

use crate::model::collection::{HnswDiff, OptimizersDiff, SparseVectorParams};

pub(super) fn merge_hnsw(into: &mut HnswDiff, diff: &HnswDiff) {
    let HnswDiff {
        m,
        ef_construct,
        full_scan_threshold,
        max_indexing_threads,
        on_disk,
        memory,
        payload_m,
        inline_storage,
    } = *diff;
    into.m = m.or(into.m);
    into.ef_construct = ef_construct.or(into.ef_construct);
    into.full_scan_threshold = full_scan_threshold.or(into.full_scan_threshold);
    into.max_indexing_threads = max_indexing_threads.or(into.max_indexing_threads);
    into.on_disk = on_disk.or(into.on_disk);
    into.memory = memory.or(into.memory);
    into.payload_m = payload_m.or(into.payload_m);
    into.inline_storage = inline_storage.or(into.inline_storage);
}

pub(super) fn merge_optimizers(into: &mut OptimizersDiff, diff: OptimizersDiff) {
    let OptimizersDiff {
        deleted_threshold,
        vacuum_min_vector_number,
        default_segment_number,
        max_segment_size,
        memmap_threshold,
        indexing_threshold,
        flush_interval_sec,
        max_optimization_threads,
        prevent_unoptimized,
    } = diff;
    into.deleted_threshold = deleted_threshold.or(into.deleted_threshold);
    into.vacuum_min_vector_number = vacuum_min_vector_number.or(into.vacuum_min_vector_number);
    into.default_segment_number = default_segment_number.or(into.default_segment_number);
    into.max_segment_size = max_segment_size.or(into.max_segment_size);
    into.memmap_threshold = memmap_threshold.or(into.memmap_threshold);
    into.indexing_threshold = indexing_threshold.or(into.indexing_threshold);
    into.flush_interval_sec = flush_interval_sec.or(into.flush_interval_sec);
    // `auto` goes back to the default, which is shown as nothing.
    into.max_optimization_threads = match max_optimization_threads {
        None => into.max_optimization_threads.take(),
        Some(serde_json::Value::Number(number)) => Some(number.into()),
        Some(_) => None,
    };
    into.prevent_unoptimized = prevent_unoptimized.or(into.prevent_unoptimized);
}

pub(super) fn merge_sparse(into: &mut SparseVectorParams, diff: SparseVectorParams) {
    into.modifier = diff.modifier.or(into.modifier);
    if let Some(index) = diff.index {
        let current = into.index.get_or_insert_default();
        current.full_scan_threshold = index.full_scan_threshold.or(current.full_scan_threshold);
        current.on_disk = index.on_disk.or(current.on_disk);
        current.memory = index.memory.or(current.memory);
        current.datatype = index.datatype.or(current.datatype);
    }
}
