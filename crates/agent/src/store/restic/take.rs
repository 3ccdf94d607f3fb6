//! Taking a backup: the first pass, the second, and the manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustic_core::repofile::{SnapshotFile, StringList};
use rustic_core::{BackupOptions, IndexedIdsStatus, ParentOptions, Repository, SnapshotOptions};

use super::changes::Baseline;
use super::repository::full_id;
use super::restore::{data_node, listing};
use super::source::{DataSource, MemoryFile};
use super::{
    DATA, MANIFEST, ResticStore, TAG_DATA, TAG_FIRST_PASS, TAG_MANIFEST, repository_error,
};
use crate::store::listing::Listing;
use crate::store::walk::{Walk, walk};
use crate::store::{Entry, Labels, StoreError, Taken, io_error};

/// A finished first pass; what the second one needs, prepared while the engine still runs.
pub struct FirstPass {
    repository: Repository<IndexedIdsStatus>,
    snapshot: String,
    baseline: Arc<Baseline>,
    bytes_added: u64,
    packs_before: Arc<BTreeSet<PathBuf>>,
}

impl std::fmt::Debug for FirstPass {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FirstPass").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl ResticStore {
    /// Reads the data while the engine runs. What this stores may be torn and is only there to make the
    /// second pass short. Where much has changed since one first pass, another `after` it is shorter.
    pub fn first_pass(
        &self,
        data: &Path,
        labels: &Labels,
        after: Option<&FirstPass>,
    ) -> Result<FirstPass, StoreError> {
        let packs_before = match after {
            Some(former) => Arc::clone(&former.packs_before),
            None => Arc::new(self.packs()?),
        };
        let found = walk(data, Walk::Living).map_err(io_error("reading the data"))?;
        let baseline = Baseline::take(data, &found).map_err(io_error("syncing the data"))?;
        let previous = match after {
            Some(former) => Some(former.snapshot.clone()),
            None => self.entries()?.pop().map(|entry| entry.snapshot),
        };
        let repository = self.indexed()?;
        let mut snapshot = blank_snapshot(TAG_FIRST_PASS, labels)?;
        snapshot.tags.add(format!("id={}", labels.id));
        // What goes away between the walk and the reading is looked at again by the second pass.
        let source = DataSource::new(found, after.map(|former| Arc::clone(&former.baseline)));
        let snapshot = archive(&repository, &source, snapshot, data, previous)?;
        Ok(FirstPass {
            snapshot: full_id(&snapshot),
            bytes_added: added(&snapshot) + after.map_or(0, |former| former.bytes_added),
            baseline: Arc::new(baseline),
            packs_before,
            // The index is read again here, since it has to know what the first pass stored.
            repository: self.indexed()?,
        })
    }

    /// Reads what changed since the first pass. Nobody may write to `data` meanwhile; it must have been
    /// synced. The point is fixed when this returns.
    pub fn second_pass(
        &self,
        first: &FirstPass,
        data: &Path,
        labels: &Labels,
    ) -> Result<Taken, StoreError> {
        // One that is there was made by a call whose answer got lost.
        if let Some(there) = self.entries()?.into_iter().find(|entry| entry.id == labels.id) {
            return self.taken_before(&there, first);
        }
        let found = walk(data, Walk::Still).map_err(io_error("reading the data"))?;
        let listing = Listing::of(data, &found);
        let bytes_read_stopped = first.baseline.bytes_to_read(&found);
        let mut snapshot = blank_snapshot(TAG_DATA, labels)?;
        snapshot.tags.add(format!("id={}", labels.id));
        snapshot.tags.add(format!("grade={}", labels.grade));
        if let Some(batch) = &labels.batch {
            snapshot.tags.add(format!("batch={batch}"));
        }
        let source = DataSource::new(found, Some(Arc::clone(&first.baseline)));
        let parent = Some(first.snapshot.clone());
        let snapshot = archive(&first.repository, &source, snapshot, data, parent)?;
        let troubles = source.troubles.all();
        if let Some(trouble) = troubles.first() {
            return Err(StoreError::Unread { count: troubles.len(), first: trouble.clone() });
        }
        self.sync()?;
        Ok(Taken {
            snapshot: full_id(&snapshot),
            bytes_total: listing.bytes(),
            bytes_added: first.bytes_added + added(&snapshot),
            bytes_read_stopped,
            listing,
            packs_before: Arc::clone(&first.packs_before),
        })
    }

    fn taken_before(&self, entry: &Entry, first: &FirstPass) -> Result<Taken, StoreError> {
        let (repository, snapshot) = self.opened(&entry.snapshot)?;
        let listing = listing(&repository, &data_node(&repository, &snapshot)?)?;
        Ok(Taken {
            snapshot: entry.snapshot.clone(),
            bytes_total: listing.bytes(),
            bytes_added: first.bytes_added + added(&snapshot),
            bytes_read_stopped: 0,
            listing,
            packs_before: Arc::clone(&first.packs_before),
        })
    }

    pub(super) fn store_manifest(
        &self,
        labels: &Labels,
        manifest: Vec<u8>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let path = PathBuf::from(MANIFEST);
        let source = MemoryFile { path: path.clone(), bytes: manifest, time: at };
        let mut snapshot = blank_snapshot(TAG_MANIFEST, labels)?;
        snapshot.tags.add(format!("id={}", labels.id));
        let options = BackupOptions::default()
            .no_scan(true)
            .parent_opts(ParentOptions::default().force(true));
        self.indexed()?
            .archive(&options, &source, snapshot, &[path])
            .map_err(repository_error("storing the manifest"))?;
        self.sync()
    }

    fn indexed(&self) -> Result<Repository<IndexedIdsStatus>, StoreError> {
        self.repository()?.to_indexed_ids().map_err(repository_error("reading the store's index"))
    }
}

impl FirstPass {
    /// Bytes that would have to be read if the engine stopped now.
    pub fn bytes_to_read(&self, data: &Path) -> Result<u64, StoreError> {
        let found = walk(data, Walk::Living).map_err(io_error("reading the data"))?;
        Ok(self.baseline.bytes_to_read(&found))
    }
}

fn archive(
    repository: &Repository<IndexedIdsStatus>,
    source: &DataSource,
    snapshot: SnapshotFile,
    data: &Path,
    parent: Option<String>,
) -> Result<SnapshotFile, StoreError> {
    let parents = match parent {
        Some(parent) => ParentOptions::default().parents(vec![parent]),
        None => ParentOptions::default().force(true),
    };
    let options =
        BackupOptions::default().no_scan(true).as_path(PathBuf::from(DATA)).parent_opts(parents);
    repository
        .archive(&options, source, snapshot, &[data.to_owned()])
        .map_err(repository_error("storing the data"))
}

fn blank_snapshot(tag: &str, labels: &Labels) -> Result<SnapshotFile, StoreError> {
    let mut snapshot = SnapshotOptions::default()
        .host(labels.host.clone())
        .command("qmoor backup".to_owned())
        .to_snapshot()
        .map_err(repository_error("describing the snapshot"))?;
    let mut tags = StringList::default();
    tags.add(tag.to_owned());
    snapshot.tags = tags;
    Ok(snapshot)
}

fn added(snapshot: &SnapshotFile) -> u64 {
    snapshot.summary.as_ref().map_or(0, |summary| summary.data_added_packed)
}
