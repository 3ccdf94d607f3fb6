//! Snapshots as clones of the image that the volume is, on the same disk as the image.
//!
//! ```text
//! store.json              makes the folder a store of this kind
//! b-20261122T100911Z-b077/
//!   volume.img            the clone
//!   entry.json            what the snapshot is
//!   listing.json          every entry below the data folder, as it was at the cut
//!   manifest.json         written last
//! ```
//!
//! Names that begin with a dot are on the way in or out, or in use for a look, and may be removed by the next one
//! who finds them. A clone shares its blocks with the image until either is written to: it costs nothing when it is
//! made, guards against everything but the loss of the disk, and holds no hashes of what is in the files.

mod folder;
mod look;
mod take;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use qmoor_plan::config::Filesystem;
use serde::{Deserialize, Serialize};

use super::{Entry, Labels, Prepared, Restored, SnapshotStore, StoreError, Taken, io_error};
use crate::durable;
use crate::volume::image::{self, ImageSpec};

/// Makes a folder a store of this kind.
const STORE: &str = "store.json";
const IMAGE: &str = "volume.img";
const ENTRY: &str = "entry.json";
const LISTING: &str = "listing.json";
const MANIFEST: &str = "manifest.json";
/// Beginnings of names on the way in, on the way out, and in use for a look.
const COMING: &str = ".coming-";
const GOING: &str = ".going-";
const LOOK: &str = ".look-";
/// Of the image's own bytes, so much must be free: what is written after a snapshot is no longer shared with it,
/// and takes room of its own.
const ROOM_PART: u64 = 10;

/// A store of clones.
#[derive(Debug)]
pub struct CloneStore {
    path: PathBuf,
    volume: ImageSpec,
}

/// What a snapshot is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Saved {
    id: String,
    host: String,
    batch: Option<String>,
    grade: String,
    at: Timestamp,
    bytes_total: u64,
    bytes_added: u64,
    /// What is in the image, and where in it the data is.
    filesystem: String,
    data: PathBuf,
}

impl CloneStore {
    /// Opens the store at `path`, of clones of the image of `volume`, and removes what one that was killed has left
    /// half-made. The first time it makes it, unless it `must_exist`.
    pub fn open(path: &Path, volume: &ImageSpec, must_exist: bool) -> Result<Self, StoreError> {
        let store = Self { path: path.to_owned(), volume: volume.clone() };
        if !path.join(STORE).exists() {
            if must_exist {
                return Err(StoreError::Vanished { store: path.to_owned() });
            }
            store.create()?;
        }
        store.try_cloning()?;
        store.remove_leftovers()?;
        Ok(store)
    }

    /// A folder that holds anything else is not taken for one.
    fn create(&self) -> Result<(), StoreError> {
        let io = io_error("making the store");
        fs_err::create_dir_all(&self.path).map_err(&io)?;
        if let Some(first) = fs_err::read_dir(&self.path).map_err(&io)?.next() {
            let name = first.map_err(&io)?.file_name();
            return Err(StoreError::Unfit {
                path: self.path.clone(),
                why: format!("it holds `{}`", name.display()),
                hint: "let `store.path` name an empty folder or a new one",
            });
        }
        durable::write_durable(&self.path.join(STORE), b"{\"version\":1}\n", 0o600).map_err(io)
    }

    /// Whether blocks can really be shared between where the image is and here.
    fn try_cloning(&self) -> Result<(), StoreError> {
        let io = io_error("trying to clone");
        let image = fs_err::canonicalize(&self.volume.image).map_err(&io)?;
        let beside = image.parent().unwrap_or(Path::new("/"));
        let trial = tempfile::Builder::new().prefix(".qmoor-").tempfile_in(beside).map_err(&io)?;
        std::io::Write::write_all(&mut trial.as_file(), &[1; 4096]).map_err(&io)?;
        let clone = self.path.join(format!("{COMING}trial"));
        crate::volume::clone::clone_image(trial.path(), &clone)?;
        fs_err::remove_file(&clone).map_err(io)
    }

    /// Without it, what is in the folder is not what is in the image.
    fn not_mounted(&self) -> StoreError {
        StoreError::Unfit {
            path: self.path.clone(),
            why: format!("the volume {} is not mounted", self.volume.mount.display()),
            hint: "start `qmoor serve` again: it mounts it",
        }
    }

    fn filesystem(&self) -> Filesystem {
        self.volume.filesystem
    }
}

impl SnapshotStore for CloneStore {
    fn path(&self) -> &Path {
        &self.path
    }

    /// What is written out now need not be written out during the pause.
    fn prepare(&self, data: &Path, _labels: &Labels) -> Result<Prepared, StoreError> {
        if image::mounted(&self.volume)?.is_none() {
            return Err(self.not_mounted());
        }
        let io = io_error("syncing the volume");
        durable::sync_filesystem(data).map_err(&io)?;
        durable::sync_filesystem(&self.path).map_err(&io)?;
        Ok(Prepared { bytes_left: 0, note: "nothing to copy".to_owned(), first: None })
    }

    fn take(
        &self,
        _prepared: &Prepared,
        data: &Path,
        labels: &Labels,
    ) -> Result<Taken, StoreError> {
        self.take_clone(data, labels)
    }

    fn settle(&self) -> Result<usize, StoreError> {
        self.remove_leftovers()
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
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        let path = self.folder(&labels.id)?.join(MANIFEST);
        durable::write_durable(&path, manifest, 0o600).map_err(io_error("storing the manifest"))
    }

    fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.entries()
    }

    fn manifest(&self, entry: &Entry) -> Result<Option<Vec<u8>>, StoreError> {
        if entry.manifest.is_none() {
            return Ok(None);
        }
        let read = fs_err::read(self.folder(&entry.id)?.join(MANIFEST));
        read.map(Some).map_err(io_error("reading a manifest from the store"))
    }

    fn restore(&self, entry: &Entry, into: &Path) -> Result<Restored, StoreError> {
        self.copy_out(entry, into)
    }

    fn remove(&self, ids: &[String]) -> Result<(), StoreError> {
        ids.iter().try_for_each(|id| self.take_out(id))
    }

    fn reclaim(&self) -> Result<u64, StoreError> {
        self.give_back()
    }

    /// A clone is free when it is made. What it costs is paid later, when the volume is written to.
    fn room_needed(&self, _data: &Path, _last_added: Option<u64>) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        let held = fs_err::metadata(&self.volume.image).map_or(0, |meta| meta.blocks() * 512);
        held / ROOM_PART
    }
}
