//! A set of point ids that may be larger than memory: what does not fit is sorted and written to an
//! unnamed temporary file, and everything is merged in order at the end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

/// Ids kept in memory: about 12 MB.
const RECENT_MAX: usize = 1 << 18;
/// An id and the row it came from, as written.
const ENTRY_BYTES: usize = 24;
/// Read from each run at a time while merging.
const BUFFER_ENTRIES: usize = 512;

/// An id and the row it came from.
pub(crate) type Entry = (u128, u64);

/// The set, while it grows.
#[derive(Debug)]
pub(crate) struct Spill {
    recent: BTreeMap<u128, u64>,
    recent_max: usize,
    file: Option<File>,
    /// Entries of each run in the file, one run after another.
    runs: Vec<u64>,
}

impl Spill {
    pub(crate) fn new() -> Self {
        Self::with_room(RECENT_MAX)
    }

    fn with_room(recent_max: usize) -> Self {
        Self { recent: BTreeMap::new(), recent_max, file: None, runs: Vec::new() }
    }

    /// Adds an id; the row it came from before, if that is still in memory. One that is not shows
    /// up twice in [`Spill::sorted`].
    pub(crate) fn insert(&mut self, id: u128, row: u64) -> Option<u64> {
        if let Some(earlier) = self.recent.get(&id) {
            return Some(*earlier);
        }
        self.recent.insert(id, row);
        None
    }

    /// Whether [`Spill::flush`] is due.
    pub(crate) fn is_full(&self) -> bool {
        self.recent.len() >= self.recent_max
    }

    /// Writes what is in memory to the file. Blocking.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(self.recent.len() * ENTRY_BYTES);
        for (id, row) in &self.recent {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&row.to_be_bytes());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(&bytes)?;
        self.runs.push(u64::try_from(self.recent.len()).unwrap_or(u64::MAX));
        self.recent.clear();
        Ok(())
    }

    /// Whether some of it is in the file.
    pub(crate) fn has_spilled(&self) -> bool {
        self.file.is_some()
    }

    /// All entries by id; an id put in twice may come twice. Blocking.
    pub(crate) fn sorted(&mut self) -> std::io::Result<Sorted> {
        if self.file.is_some() && !self.recent.is_empty() {
            self.flush()?;
        }
        let file = self.file.as_ref().map(File::try_clone).transpose()?;
        let mut begin = 0;
        let mut runs = Vec::new();
        for entries in &self.runs {
            runs.push(Run { next: begin, end: begin + entries, buffer: Vec::new() });
            begin += entries;
        }
        let recent = self.recent.clone();
        let mut sorted = Sorted { recent, file, runs, heads: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }
}

/// One sorted stretch of the file, in entries.
#[derive(Debug)]
struct Run {
    next: u64,
    end: u64,
    /// Entries read ahead, the next one last.
    buffer: Vec<Entry>,
}

/// The set in order.
#[derive(Debug)]
pub(crate) struct Sorted {
    recent: BTreeMap<u128, u64>,
    file: Option<File>,
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Sorted {
    /// The next entry by id. Blocking.
    pub(crate) fn next(&mut self) -> std::io::Result<Option<Entry>> {
        if let Some(Reverse((entry, run))) = self.heads.pop() {
            self.refill(run)?;
            return Ok(Some(entry));
        }
        Ok(self.recent.pop_first())
    }

    /// Puts the next entry of a run among the heads.
    fn refill(&mut self, number: usize) -> std::io::Result<()> {
        let (Some(run), Some(file)) = (self.runs.get_mut(number), &self.file) else {
            return Ok(());
        };
        if run.buffer.is_empty() && run.next < run.end {
            let left = usize::try_from(run.end - run.next).unwrap_or(usize::MAX);
            let count = left.min(BUFFER_ENTRIES);
            let mut bytes = vec![0; count * ENTRY_BYTES];
            let entry_bytes = u64::try_from(ENTRY_BYTES).unwrap_or(0);
            file.read_exact_at(&mut bytes, run.next * entry_bytes)?;
            run.next += u64::try_from(count).unwrap_or(0);
            let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
            run.buffer = entries.iter().rev().map(decode).collect();
        }
        if let Some(entry) = run.buffer.pop() {
            self.heads.push(Reverse((entry, number)));
        }
        Ok(())
    }
}

fn decode(bytes: &[u8; ENTRY_BYTES]) -> Entry {
    let id = bytes.first_chunk().map_or(0, |id| u128::from_be_bytes(*id));
    let row = bytes.last_chunk().map_or(0, |row| u64::from_be_bytes(*row));
    (id, row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(mut sorted: Sorted) -> Vec<Entry> {
        std::iter::from_fn(|| sorted.next().unwrap()).collect()
    }

    #[test]
    fn an_id_still_in_memory_is_told_at_once() {
        let mut spill = Spill::with_room(10);
        assert_eq!(spill.insert(7, 1), None);
        assert_eq!(spill.insert(7, 2), Some(1));
    }

    proptest! {
        #[test]
        fn what_went_in_comes_out_in_order(ids in prop::collection::vec(0_u128..500, 0..2000)) {
            let mut spill = Spill::with_room(64);
            let mut expected = Vec::new();
            for (row, id) in (0..).zip(ids) {
                if spill.insert(id, row).is_none() {
                    expected.push((id, row));
                }
                if spill.is_full() {
                    spill.flush().unwrap();
                }
            }
            expected.sort_unstable();
            prop_assert_eq!(all(spill.sorted().unwrap()), expected);
        }
    }
}
