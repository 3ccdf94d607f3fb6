//! A restic-format repository in a local folder, so that plain `restic` can read it without us.
//!
//! One backup is two snapshots of the repository. The first holds the engine's data under `/data` and is
//! tagged `qmoor` and `id=…`; the second holds `manifest.json`, is tagged `qmoor-manifest`, and is written last:
//! data without a manifest is an incomplete backup. While a backup runs there is a third, `qmoor-pass1`,
//! which makes the second pass short and is deleted afterwards.
//!
//! The repository library takes no locks: the node's own lock keeps two of our commands apart, and an operator
//! must not run `restic prune` beside a backup.

mod changes;
mod check;
mod key;
mod passes;
mod repository;
mod restore;
mod source;
mod take;

use std::path::Path;

use jiff::Timestamp;
use rustic_core::RusticError;

use super::{
    Entry, Labels, Manifests, Prepared, Restored, SnapshotStore, StoreError, Taken, allocated,
};
pub use repository::ResticStore;
pub use take::FirstPass;

/// Where the data lies inside a snapshot.
const DATA: &str = "/data";
/// Where the manifest lies inside its snapshot.
const MANIFEST: &str = "/manifest.json";
/// On every data snapshot.
const TAG_DATA: &str = "qmoor";
/// On every manifest snapshot.
const TAG_MANIFEST: &str = "qmoor-manifest";
/// On the snapshot of a first pass.
const TAG_FIRST_PASS: &str = "qmoor-pass1";

fn repository_error(doing: &'static str) -> impl Fn(Box<RusticError>) -> StoreError {
    move |err| {
        let message = err.display_log().replace('\n', " ");
        let message = message.strip_prefix("Error: ").unwrap_or(&message).to_owned();
        StoreError::Repository { doing, message }
    }
}

impl SnapshotStore for ResticStore {
    fn path(&self) -> &Path {
        self.folder()
    }

    fn prepare(&self, data: &Path, labels: &Labels) -> Result<Prepared, StoreError> {
        self.passes(data, labels)
    }

    fn take(&self, prepared: &Prepared, data: &Path, labels: &Labels) -> Result<Taken, StoreError> {
        match &prepared.first {
            Some(first) => self.second_pass(first, data, labels),
            None => self.second_pass(&self.first_pass(data, labels, None)?, data, labels),
        }
    }

    fn settle(&self) -> Result<usize, StoreError> {
        self.remove_first_passes()
    }

    fn verify(
        &self,
        entry: &Entry,
        taken: Option<&Taken>,
        read_data: bool,
    ) -> Result<(), StoreError> {
        self.check(entry, taken, read_data)
    }

    fn write_manifest(
        &self,
        labels: &Labels,
        manifest: &[u8],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.store_manifest(labels, manifest.to_vec(), at)
    }

    fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.entries()
    }

    fn manifest(&self, entry: &Entry) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_manifest(entry)
    }

    fn manifests(&self, entries: &[Entry]) -> Result<Manifests, StoreError> {
        self.read_manifests(entries)
    }

    fn restore(&self, entry: &Entry, into: &Path) -> Result<Restored, StoreError> {
        self.restore_into(entry, into)
    }

    fn remove(&self, ids: &[String]) -> Result<(), StoreError> {
        self.take_out(ids)
    }

    fn reclaim(&self) -> Result<u64, StoreError> {
        self.prune()
    }

    /// As much as there is at the first backup, twice what the last one added at others.
    fn room_needed(&self, data: &Path, last_added: Option<u64>) -> u64 {
        last_added.map_or_else(|| allocated(data), |last| last.saturating_mul(2))
    }
}
