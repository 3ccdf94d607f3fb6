//! Opening the repository, what is in it, and taking things out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustic_backend::BackendOptions;
use rustic_core::repofile::{MasterKey, SnapshotFile, SnapshotId};
use rustic_core::{
    ConfigOptions, Credentials, KeyOptions, OpenStatus, PruneOptions, Repository,
    RepositoryBackends, RepositoryOptions,
};

use super::{TAG_DATA, TAG_FIRST_PASS, TAG_MANIFEST, key, repository_error};
use crate::durable;
use crate::store::walk::{Walk, walk};
use crate::store::{Entry, StoreError, io_error};

/// An open repository. Cheap to clone; every call reads the repository afresh.
#[derive(Clone)]
pub struct ResticStore {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    backends: RepositoryBackends,
    master_key: MasterKey,
}

impl std::fmt::Debug for ResticStore {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ResticStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl ResticStore {
    /// Opens the repository at `path` with the password in `key_path`. The first time it makes both,
    /// unless `must_exist`: then backups were made before, and an empty folder means a disk that is not there.
    pub fn open(path: &Path, key_path: &Path, must_exist: bool) -> Result<Self, StoreError> {
        let location = path.to_string_lossy();
        let backends = BackendOptions::default()
            .repository(format!("local:{location}"))
            .to_backends()
            .map_err(repository_error("opening the store"))?;
        let exists = path.join("config").exists();
        let password = key::read(key_path)?;
        let master_key = match (exists, password) {
            (true, Some(password)) => unlock(path, key_path, &backends, password)?,
            (true, None) => {
                return Err(StoreError::KeyMissing {
                    store: path.to_owned(),
                    key: key_path.to_owned(),
                });
            }
            (false, _) if must_exist => {
                return Err(StoreError::Vanished { store: path.to_owned() });
            }
            (false, Some(password)) => create(path, &backends, password)?,
            (false, None) => create(path, &backends, key::create(key_path)?)?,
        };
        Ok(Self { inner: Arc::new(Inner { path: path.to_owned(), backends, master_key }) })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.inner.path
    }

    pub(super) fn repository(&self) -> Result<Repository<OpenStatus>, StoreError> {
        blank(&self.inner.backends)?
            .open(&Credentials::Masterkey(self.inner.master_key.clone()))
            .map_err(repository_error("opening the store"))
    }

    pub(super) fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let snapshots = self.snapshots()?;
        let manifests: BTreeMap<String, String> = snapshots
            .iter()
            .filter(|snapshot| snapshot.tags.contains(TAG_MANIFEST))
            .filter_map(|snapshot| Some((backup_id(snapshot)?, full_id(snapshot))))
            .collect();
        let mut entries: Vec<Entry> = snapshots
            .iter()
            .filter(|snapshot| snapshot.tags.contains(TAG_DATA))
            .filter_map(|snapshot| {
                let id = backup_id(snapshot)?;
                Some(Entry {
                    manifest: manifests.get(&id).cloned(),
                    id,
                    snapshot: full_id(snapshot),
                    at: snapshot.time.timestamp(),
                    locked_until: None,
                    pinned: false,
                    bytes_total: snapshot
                        .summary
                        .as_ref()
                        .map_or(0, |summary| summary.total_bytes_processed),
                })
            })
            .collect();
        entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(entries)
    }

    pub(super) fn take_out(&self, ids: &[String]) -> Result<(), StoreError> {
        for tag in [TAG_MANIFEST, TAG_DATA] {
            self.delete(|snapshot| {
                snapshot.tags.contains(tag)
                    && backup_id(snapshot).is_some_and(|id| ids.contains(&id))
            })?;
        }
        Ok(())
    }

    /// Deletes what first passes left behind, and says how many there were.
    pub fn remove_first_passes(&self) -> Result<usize, StoreError> {
        self.delete(|snapshot| snapshot.tags.contains(TAG_FIRST_PASS))
    }

    pub(super) fn prune(&self) -> Result<u64, StoreError> {
        let doing = repository_error("reclaiming space in the store");
        let repository = self.repository()?;
        // Nobody else writes here while the node's lock is held, so nothing needs a time of grace.
        let options = PruneOptions::default().instant_delete(true);
        let plan = repository.prune_plan(&options).map_err(&doing)?;
        let sizes = plan.stats.size.values().fold(0, |sum, size| sum + size.remove + size.repackrm);
        let bytes = sizes + plan.stats.size_unref;
        repository.prune(&options, plan).map_err(&doing)?;
        self.sync()?;
        Ok(bytes)
    }

    /// The files that hold the repository's contents.
    pub(super) fn packs(&self) -> Result<BTreeSet<PathBuf>, StoreError> {
        let found = walk(&self.inner.path.join("data"), Walk::Living);
        let found = found.map_err(io_error("listing the store"))?;
        let packs = found.into_iter().filter(|found| found.meta.is_file()).map(|found| found.path);
        Ok(packs.collect())
    }

    /// Waits until everything written to the repository is on the disk, names too.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        durable::sync_filesystem(&self.inner.path).map_err(io_error("syncing the store"))
    }

    /// One that is damaged is said in the log, and does not hide the others.
    pub(super) fn snapshots(&self) -> Result<Vec<SnapshotFile>, StoreError> {
        let doing = repository_error("listing the store");
        let repository = self.repository()?;
        let mut snapshots = Vec::new();
        for id in repository.list::<SnapshotId>().map_err(&doing)? {
            match repository.get_file::<SnapshotFile>(&id) {
                Ok(snapshot) => snapshots.push(SnapshotFile { id, ..snapshot }),
                Err(err) => tracing::error!(snapshot = %id, error = %doing(err), "store: damaged"),
            }
        }
        Ok(snapshots)
    }

    fn delete(&self, which: impl Fn(&SnapshotFile) -> bool) -> Result<usize, StoreError> {
        let found = self.snapshots()?;
        let ids: Vec<SnapshotId> =
            found.iter().filter(|snapshot| which(snapshot)).map(|snapshot| snapshot.id).collect();
        if !ids.is_empty() {
            self.repository()?
                .delete_snapshots(&ids)
                .map_err(repository_error("deleting a snapshot from the store"))?;
            self.sync()?;
        }
        Ok(ids.len())
    }
}

/// All of the repository's id; its `Display` is only the beginning.
pub(super) fn full_id(snapshot: &SnapshotFile) -> String {
    snapshot.id.to_hex().as_str().to_owned()
}

/// The `id=…` tag.
fn backup_id(snapshot: &SnapshotFile) -> Option<String> {
    snapshot.tags.iter().find_map(|tag| tag.strip_prefix("id=").map(str::to_owned))
}

fn blank(backends: &RepositoryBackends) -> Result<Repository<()>, StoreError> {
    Repository::new(&RepositoryOptions::default().no_cache(true), backends)
        .map_err(repository_error("opening the store"))
}

fn unlock(
    path: &Path,
    key_path: &Path,
    backends: &RepositoryBackends,
    password: String,
) -> Result<MasterKey, StoreError> {
    match blank(backends)?.open(&Credentials::Password(password)) {
        Ok(repository) => Ok(repository.key()),
        Err(err) if err.is_incorrect_password() => {
            Err(StoreError::WrongKey { store: path.to_owned(), key: key_path.to_owned() })
        }
        Err(err) => Err(repository_error("opening the store")(err)),
    }
}

fn create(
    path: &Path,
    backends: &RepositoryBackends,
    password: String,
) -> Result<MasterKey, StoreError> {
    fs_err::create_dir_all(path).map_err(io_error("making the store"))?;
    let repository = blank(backends)?
        .init(&Credentials::Password(password), &KeyOptions::default(), &ConfigOptions::default())
        .map_err(repository_error("making the store"))?;
    durable::sync_filesystem(path).map_err(io_error("making the store"))?;
    Ok(repository.key())
}
