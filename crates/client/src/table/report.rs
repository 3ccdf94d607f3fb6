//! What a write did.

use serde::Serialize;

/// A row that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// From 0, over all that was given to the write.
    pub row: u64,
    /// The column to blame, where that is known.
    pub column: Option<String>,
    /// What is wrong with it.
    pub why: String,
}

/// Bad rows that are told one by one.
const BAD_ROWS_TOLD: usize = 1000;

/// What a write did, or had done when it was stopped.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WriteReport {
    /// Rows read.
    pub rows_in: u64,
    /// Points that are written and can be found.
    pub points_acked: u64,
    /// Points that are in the node's log and not known to be applied.
    pub points_pending: u64,
    /// Requests that were repeated.
    pub retried: u64,
    /// Seconds spent waiting because the node asked for it, summed over requests.
    pub throttled_s: f64,
    /// Rows that were set aside: how many.
    pub bad_rows: u64,
    /// The first thousand of them.
    pub bad_row_list: Vec<BadRow>,
    /// All of them.
    #[serde(skip)]
    pub set_aside: Vec<BadRow>,
    /// Stale points that were removed.
    pub stale_deleted: u64,
    /// Bytes of points that were sent, repetitions not counted.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// The generation that was written.
    pub generation: Option<u64>,
    /// With `cleanup`: documents whose stale chunks could not be removed yet, because not all their
    /// chunks were in this write, and their number of chunks, where that is known. A document with
    /// a row that was set aside is not among them unless its number of chunks is known.
    pub open_documents: Vec<(String, Option<u64>)>,
}

impl WriteReport {
    pub(super) fn set_aside(&mut self, row: BadRow) {
        self.bad_rows += 1;
        if self.bad_row_list.len() < BAD_ROWS_TOLD {
            self.bad_row_list.push(row.clone());
        }
        self.set_aside.push(row);
    }
}
