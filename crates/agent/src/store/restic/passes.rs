//! Reading the data while the engine runs, as often as it takes for the pause to be short.

use std::path::Path;

use super::ResticStore;
use crate::store::{Labels, Prepared, StoreError};

/// How many passes there are at most before the pause.
const PASSES_MAX: usize = 3;
/// So much may be left for the pause without another pass, in bytes.
const LEFT_BYTES: u64 = 256 * 1024 * 1024;

impl ResticStore {
    /// Passes over the data until little is left to be read, or another pass would not help.
    pub(super) fn passes(&self, data: &Path, labels: &Labels) -> Result<Prepared, StoreError> {
        self.remove_first_passes()?;
        let mut first = self.first_pass(data, labels, None)?;
        let mut left = first.bytes_to_read(data)?;
        let mut passes = 1;
        while left > LEFT_BYTES && passes < PASSES_MAX {
            first = self.first_pass(data, labels, Some(&first))?;
            passes += 1;
            let still = first.bytes_to_read(data)?;
            let helps = still < left / 2;
            left = still;
            if !helps {
                break;
            }
        }
        let note = format!("{passes} passes, {left} bytes left to read");
        Ok(Prepared { bytes_left: left, note, first: Some(first) })
    }
}
