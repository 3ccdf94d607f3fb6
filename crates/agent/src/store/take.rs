//! Taking a backup: the first pass, the second, and the manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustic_core::repofile::{SnapshotFile, StringList};
use rustic_core::{BackupOptions, IndexedIdsStatus, ParentOptions, Repository, SnapshotOptions};

use super::changes::Baseline;
use super::repository::full_id;
use super::source::{DataSource, MemoryFile};
use super::walk::{Found, Kind, Walk, walk};
use super::{
    DATA, MANIFEST, Store, StoreError, TAG_DATA, TAG_FIRST_PASS, TAG_MANIFEST, below, io_error,
    repository_error,
};

/// What is written on a snapshot.
#[derive(Debug, Clone)]
pub struct Labels {
    /// The backup's id.
    pub id: String,
    /// The node's name, which stands where restic keeps the host.
    pub host: String,
    /// The batch, if one was named.
    pub batch: Option<String>,
    /// The grade, in its written form.
    pub grade: String,
}

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

/// Every entry that was on the disk when the point was fixed, by path below the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing(pub(super) BTreeMap<String, Kind>);

/// A fixed point.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The repository's id of the data snapshot.
    pub snapshot: String,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// Bytes that the repository grew by, in both passes.
    pub bytes_added: u64,
    /// Bytes that were read while the engine stood still.
    pub bytes_read_stopped: u64,
    /// What must be in it.
    pub(super) listing: Listing,
    /// The packs that the repository had before this backup.
    pub(super) packs_before: Arc<BTreeSet<PathBuf>>,
}

impl Store {
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
            None => self.list()?.pop().map(|entry| entry.snapshot),
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

    /// Stores the manifest, which makes the backup complete. To be called last.
    pub fn write_manifest(
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

impl Listing {
    pub(super) fn of(root: &Path, found: &[Found]) -> Self {
        Self(found.iter().map(|found| (below(root, &found.path), found.kind())).collect())
    }

    /// The first thing that `other` has otherwise, or nothing if both are the same.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        for (path, kind) in &self.0 {
            match other.0.get(path) {
                None => return Some(format!("`{path}` is missing")),
                Some(found) if found != kind => {
                    return Some(format!("`{path}` is {found:?} and should be {kind:?}"));
                }
                Some(_) => {}
            }
        }
        let extra = other.0.keys().find(|path| !self.0.contains_key(*path))?;
        Some(format!("`{extra}` should not be there"))
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.0
            .values()
            .map(|kind| match kind {
                Kind::File { bytes } => *bytes,
                Kind::Folder | Kind::Link => 0,
            })
            .sum()
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
