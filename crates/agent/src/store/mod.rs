//! Where backups are kept: what every kind of store can do, and what they share.
//!
//! There are two kinds. `restic` is a repository in the format of restic, in a local folder. `clone` keeps clones
//! of the image that the volume lives in: made in a moment whatever its size, on the same disk. Both keep the
//! same promises, which `tests/store` holds them to:
//!
//! - the point is fixed when [`SnapshotStore::take`] returns, and there is at most one snapshot for an id;
//! - the manifest is written last: a snapshot without one is an incomplete backup;
//! - what comes out is compared with a list of what was there at the cut.
//!
//! Everything here blocks. The node's own lock keeps two of our commands apart.

pub mod clones;
pub mod ebs;
mod listing;
pub mod restic;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use qmoor_plan::config::{Config, StoreKind};

use qmoor_aws::AwsError;

use crate::volume::VolumeError;
use crate::volume::image::ImageSpec;
use clones::CloneStore;
use ebs::EbsStore;
use listing::Listing;
use restic::{FirstPass, ResticStore};
use walk::{Walk, walk};

/// How much of a file is read at once, in bytes.
const READ_BYTES: usize = 1024 * 1024;

/// Keeps snapshots of a node's data.
pub trait SnapshotStore: Debug + Send + Sync {
    /// The folder that holds it.
    fn path(&self) -> &Path;

    /// Does beforehand, while the engine runs, whatever makes the cut short.
    fn prepare(&self, data: &Path, labels: &Labels) -> Result<Prepared, StoreError>;

    /// Keeps the manifest as far as it is known before the cut, where the snapshot will hold it. Only a store that
    /// keeps its manifests on the volume needs that: the manifest of the last snapshot is lost with it.
    fn keep_draft(&self, id: &str, draft: &[u8]) -> Result<(), StoreError> {
        let _kept_elsewhere = (id, draft);
        Ok(())
    }

    /// Makes the snapshot called `labels.id`, or finds the one that is there already. Nobody may write to `data`
    /// meanwhile; it must have been synced. The point is fixed when this returns.
    fn take(&self, prepared: &Prepared, data: &Path, labels: &Labels) -> Result<Taken, StoreError>;

    /// Removes what only helped to make a snapshot, and says how much there was.
    fn settle(&self) -> Result<usize, StoreError>;

    /// Reads a snapshot again: it must hold what was on the disk, each file in its full length. What the snapshot
    /// `taken` just now added is read back; with `read_data` everything is.
    fn verify(
        &self,
        entry: &Entry,
        taken: Option<&Taken>,
        read_data: bool,
    ) -> Result<(), StoreError>;

    /// Stores the manifest, which makes the backup complete. To be called last.
    fn write_manifest(
        &self,
        labels: &Labels,
        manifest: &[u8],
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// All backups, oldest first. One that is damaged is said in the log, and does not hide the others.
    fn list(&self) -> Result<Vec<Entry>, StoreError>;

    /// The manifest of a backup, or nothing if the backup is incomplete.
    fn manifest(&self, entry: &Entry) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts the data of a backup into the new folder `into`, where it may be written to: copied there and waited for
    /// until it is on the disk, or on a volume of its own that is mounted there. Every entry is there in its full
    /// length. [`SnapshotStore::forget`] takes it away again.
    fn restore(&self, entry: &Entry, into: &Path) -> Result<Restored, StoreError>;

    /// Takes away what [`SnapshotStore::restore`] has put into `into`, all of it or a part. Nothing there is fine.
    fn forget(&self, into: &Path) -> Result<(), StoreError> {
        remove_folder(into)
    }

    /// Takes backups out, manifests first, so that a crash half-way leaves an incomplete backup and not one
    /// that claims to be whole. Their space is given back by [`SnapshotStore::reclaim`].
    fn remove(&self, ids: &[String]) -> Result<(), StoreError>;

    /// Gives back the space that no snapshot uses any more, and says about how many bytes.
    fn reclaim(&self) -> Result<u64, StoreError>;

    /// About how many bytes the next snapshot of `data` will need, when the last one added `last_added`.
    fn room_needed(&self, data: &Path, last_added: Option<u64>) -> u64;

    /// How many bytes must be free where a backup is restored to.
    fn room_to_restore(&self, entry: &Entry) -> u64 {
        entry.bytes_total
    }

    /// Keeps a complete backup from being lost or deleted, as far as is configured. Returns what could not be done.
    fn protect(&self, id: &str) -> Vec<String> {
        let _nothing_to_do = id;
        Vec::new()
    }

    /// Notes on a backup whether it is pinned, where the store can: a node that is made anew has lost its journal.
    fn pin(&self, id: &str, pinned: bool) -> Result<(), StoreError> {
        let _kept_in_the_journal = (id, pinned);
        Ok(())
    }

    /// Called when the data that [`SnapshotStore::restore`] made ready has been put in its place, once or more often.
    fn swapped(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The backup called `id`.
    fn find(&self, id: &str) -> Result<Entry, StoreError> {
        self.list()?.into_iter().find(|entry| entry.id == id).ok_or_else(|| {
            StoreError::NoSuchBackup { id: id.to_owned(), store: self.path().to_owned() }
        })
    }

    /// The manifests of all backups that have one, by the backup's id. One that is damaged does not hide
    /// the others.
    fn manifests(&self, entries: &[Entry]) -> Result<Manifests, StoreError> {
        let read = |entry: &Entry| Some((entry.id.clone(), self.manifest(entry).transpose()?));
        Ok(entries.iter().filter_map(read).collect())
    }

    /// Removes whatever a backup that was cut off has left under its id, unless it is complete: returns whether
    /// it is.
    fn sweep(&self, id: &str) -> Result<bool, StoreError> {
        self.settle()?;
        let complete = self.list()?.iter().any(|entry| entry.id == id && entry.manifest.is_some());
        if !complete {
            self.remove(&[id.to_owned()])?;
            self.reclaim()?;
        }
        Ok(complete)
    }
}

/// Manifests by the id of their backup.
pub type Manifests = BTreeMap<String, Result<Vec<u8>, StoreError>>;

/// Opens the store that the configuration names. The first time it makes it, unless it `must_exist`: then backups
/// were made before, and an empty folder means a disk that is not there.
///
/// # Errors
/// When it is not there, cannot be read, or cannot keep the promises of its kind where it lies.
pub fn open(config: &Config, must_exist: bool) -> Result<Arc<dyn SnapshotStore>, StoreError> {
    let path = &config.store.path;
    match config.store.kind {
        StoreKind::Restic => {
            let key = config.node.state.join("store.key");
            Ok(Arc::new(ResticStore::open(path, &key, must_exist)?))
        }
        StoreKind::Ebs => Ok(Arc::new(EbsStore::open(config, must_exist)?)),
        StoreKind::Clone => {
            let volume = ImageSpec::of(config).ok_or(StoreError::NoImage)?;
            Ok(Arc::new(CloneStore::open(path, &volume, must_exist)?))
        }
    }
}

/// What is written on a snapshot.
#[derive(Debug, Clone, Default)]
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

/// What was done beforehand.
#[derive(Debug)]
pub struct Prepared {
    /// Bytes that would have to be read if the engine stopped now.
    pub bytes_left: u64,
    /// What there is to say about it.
    pub note: String,
    /// The last pass over the data, of a store that copies it.
    first: Option<FirstPass>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Bytes of all files.
    pub bytes: u64,
    /// The folder that an engine can open.
    pub data: PathBuf,
}

/// A fixed point.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The store's own id of the snapshot.
    pub snapshot: String,
    /// Bytes of all files.
    pub bytes_total: u64,
    /// Bytes that the store grew by.
    pub bytes_added: u64,
    /// Bytes that were read while the engine stood still.
    pub bytes_read_stopped: u64,
    /// What must be in it.
    listing: Listing,
    /// The packs that the repository had before this backup.
    packs_before: Arc<BTreeSet<PathBuf>>,
}

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The repository answered with an error.
    #[error("{doing}: {message}")]
    Repository {
        /// What was being done.
        doing: &'static str,
        /// What the repository library said, on one line.
        message: String,
    },
    /// A file or folder cannot be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said, with the path.
        source: io::Error,
    },
    /// There is a repository, but not its password.
    #[error("the store {} is encrypted and its password file {} is missing (hint: put the saved copy of the password back)", store.display(), key.display())]
    KeyMissing {
        /// The repository.
        store: PathBuf,
        /// Where the password should be.
        key: PathBuf,
    },
    /// The password does not open the repository.
    #[error("the password in {} does not open the store {} (hint: is this the store of another node?)", key.display(), store.display())]
    WrongKey {
        /// The repository.
        store: PathBuf,
        /// The password file.
        key: PathBuf,
    },
    /// Backups were made, and the folder that held them is empty now.
    #[error("the store {} held backups and is empty now (hint: is its disk mounted?)", store.display())]
    Vanished {
        /// The repository.
        store: PathBuf,
    },
    /// Files could not be read, so there is no backup.
    #[error("{count} files could not be backed up, the first: {first}")]
    Unread {
        /// How many.
        count: usize,
        /// The first of them and why.
        first: String,
    },
    /// The snapshot does not hold what was on the disk.
    #[error("the snapshot is not what was on the disk: {what}")]
    Differs {
        /// The first difference.
        what: String,
    },
    /// No such snapshot.
    #[error("there is no backup `{id}` in the store {} (hint: `qmoor backups` lists them)", store.display())]
    NoSuchBackup {
        /// What was asked for.
        id: String,
        /// The repository.
        store: PathBuf,
    },
    /// A folder that is not a store of this kind stands in its place.
    #[error("{} cannot be a store of kind `clone`: {why} (hint: {hint})", path.display())]
    Unfit {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Clones are made of an image.
    #[error(
        "`store.kind` is \"clone\" and the volume is no image (hint: `volume.kind = \"image\"` in qmoor.toml)"
    )]
    NoImage,
    /// Snapshots of EBS are made of a volume of EBS that holds the data.
    #[error(
        "`store.kind` is \"ebs\" and the data is on no volume of EBS (hint: `volume.kind = \"ebs\"` and `volume.id` in qmoor.toml)"
    )]
    NoVolume,
    /// A manifest that is not written down here, but in the snapshot.
    #[error(
        "the manifest of `{id}` is inside its snapshot and not on this volume (hint: `qmoor drill {id}` fetches it)"
    )]
    ManifestInside {
        /// The backup.
        id: String,
    },
    /// AWS could not be asked, or said no.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// What must be there is not.
    #[error(
        "{what} is not there (hint: was it deleted by hand? `qmoor backups` lists what there is)"
    )]
    Gone {
        /// What.
        what: String,
    },
    /// A backup that cannot be removed yet.
    #[error("`{id}` is locked until {until} and cannot be removed before")]
    Locked {
        /// The backup.
        id: String,
        /// The end of the lock.
        until: Timestamp,
    },
    /// The client of AWS does not run.
    #[error("the client of AWS cannot be started: {0}")]
    NoClient(io::Error),
    /// EBS has not made a snapshot whole.
    #[error(
        "the snapshot {snapshot} is {state}{why} (hint: `aws ec2 describe-snapshots --snapshot-ids {snapshot}`; take another backup, this one does not count)"
    )]
    Unsettled {
        /// The snapshot.
        snapshot: String,
        /// What it is instead, and how far it came.
        state: String,
        /// What EBS says about it, after a colon.
        why: String,
    },
    /// A volume of a snapshot came out broken.
    #[error(
        "no volume can be made of the snapshot: {volume} came out broken (hint: usually its KMS key may not be used: see the key's policy, and the role of this machine)"
    )]
    VolumeBroken {
        /// The volume.
        volume: String,
    },
    /// A volume did not become what was asked for in time.
    #[error(
        "the volume {volume} did not come to {to}: it is {state} (hint: `aws ec2 describe-volumes --volume-ids {volume}`; what is left over is removed by the next backup or prune)"
    )]
    VolumeStuck {
        /// The volume.
        volume: String,
        /// What it was to be.
        to: &'static str,
        /// What it is.
        state: String,
    },
    /// The volume that the snapshots are made of, or a look into one of them.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Something in the store is damaged.
    #[error(
        "the store is damaged: {what} (hint: restore from another backup; `restic check` tells more about a repository)"
    )]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

/// One snapshot in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The backup's id.
    pub id: String,
    /// The store's own id for the snapshot.
    pub snapshot: String,
    /// When it was made.
    pub at: Timestamp,
    /// The store's own id for the manifest; without one the backup is incomplete.
    pub manifest: Option<String>,
    /// Until when the store refuses to remove it.
    pub locked_until: Option<Timestamp>,
    /// Whether it says itself that it is pinned: only a store that outlives the node's journal keeps that.
    pub pinned: bool,
    /// Bytes of all files in it.
    pub bytes_total: u64,
}

/// Removes a folder; one that is not there is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("removing a folder")(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { doing, source }
}

/// The folder of a backup in a store that has one for each. An id is a name and never a way elsewhere.
fn folder_of(store: &Path, id: &str) -> Result<PathBuf, StoreError> {
    if id.is_empty() || id.starts_with('.') || id.contains(['/', '\0']) {
        return Err(StoreError::NoSuchBackup { id: id.to_owned(), store: store.to_owned() });
    }
    Ok(store.join(id))
}

/// Whether `data` holds what `expected` says; with `read_data` every file is read to its end, too.
fn holds(data: &Path, expected: &Listing, read_data: bool) -> Result<(), StoreError> {
    let found = walk(data, Walk::Still).map_err(io_error("reading a snapshot"))?;
    if let Some(what) = expected.difference(&Listing::of(data, &found)) {
        return Err(StoreError::Differs { what });
    }
    for file in found.iter().filter(|found| read_data && found.meta.is_file()) {
        read_through(&file.path)
            .map_err(|error| StoreError::Damaged { what: error.to_string() })?;
    }
    Ok(())
}

fn read_through(path: &Path) -> io::Result<()> {
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// The path below `root`, as text.
fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// Bytes that the files below `dir` take on the disk. What cannot be looked at is found out when it is read.
fn allocated(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let meta = entry.metadata().ok()?;
            Some(if meta.is_dir() { allocated(&entry.path()) } else { meta.blocks() * 512 })
        })
        .sum()
}
