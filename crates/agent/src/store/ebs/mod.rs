//! Snapshots of a volume of EBS, kept by EBS.
//!
//! What makes a snapshot one of ours are its tags: the node, the backup's id, its grade, and, written last, the digest
//! of its manifest. So the list of backups survives the machine. The manifest itself and the list of what was on the
//! disk lie in a folder on the volume, beside the data:
//!
//! ```text
//! b-20261122T100911Z-b077/
//!   listing.json          every entry below the data folder, as it was at the cut
//!   manifest.json         written last
//! ```
//!
//! so that they survive the machine too, and are inside each later snapshot. Nothing is written there during a cut:
//! the volume may be frozen then.
//!
//! A look into a snapshot is a volume made of it, attached to this machine and mounted for a while. It is tagged as
//! scratch, and whatever is left of it by a crash is found by that and removed.

mod cloud;
mod look;
mod protect;
mod records;
mod take;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_aws::ec2::{Snapshot, SnapshotState};
use qmoor_aws::{Aws, AwsError};
use qmoor_plan::aws::names;
use qmoor_plan::config::Config;
use sha2::{Digest as _, Sha256};

use super::listing::Listing;
use super::{
    Entry, Labels, Manifests, Prepared, Restored, SnapshotStore, StoreError, Taken, io_error,
};
use crate::durable;
use crate::pace::Pace;
use crate::store::walk::{Walk, walk};
use crate::volume::ebs::{self, EbsSpec};
use cloud::Cloud;
use protect::{Protection, locked_until};

/// How long EBS is left alone between two questions about a snapshot, at the most.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Bytes of the records of one backup, at the most that is expected.
const RECORDS_BYTES: u64 = 16 * 1024 * 1024;

/// A store of snapshots of EBS.
#[derive(Debug)]
pub struct EbsStore {
    path: PathBuf,
    volume: EbsSpec,
    /// Where the data is inside the volume.
    inside: PathBuf,
    /// Where what is looked into is mounted.
    looks: PathBuf,
    cloud: Cloud,
    settles_within: Duration,
    protection: Protection,
    /// What was on the disk at cuts whose snapshot has not settled yet.
    unsettled: Mutex<BTreeMap<String, Listing>>,
    /// Digests of the drafts that are on the volume and in no snapshot yet.
    drafts: Mutex<BTreeMap<String, String>>,
}

impl EbsStore {
    /// Opens the store of the node of `config`. If it `must_exist`, there must be its folder or at least a snapshot.
    ///
    /// # Errors
    /// When AWS cannot be asked, or nothing is there that should be.
    pub fn open(config: &Config, must_exist: bool) -> Result<Self, StoreError> {
        let region = config.aws.as_ref().map(|aws| aws.region.as_str());
        Self::through(config, must_exist, Aws::load(region))
    }

    /// As [`EbsStore::open`], with the AWS that `load` finds.
    ///
    /// # Errors
    /// As [`EbsStore::open`].
    pub fn through(
        config: &Config,
        must_exist: bool,
        load: impl Future<Output = Result<Aws, AwsError>>,
    ) -> Result<Self, StoreError> {
        let volume = EbsSpec::of(config)?.ok_or(StoreError::NoVolume)?;
        let path = config.store.path.clone();
        let cloud = Cloud::open(load, config)?;
        let protection = Protection::of(config);
        let inside = config.node.data.strip_prefix(&config.volume.mount);
        let inside = inside.map(Path::to_owned).map_err(|_| StoreError::NoVolume)?;
        let looks = config.node.state.join("looks");
        let settles_within = config.store.settle_timeout;
        let (unsettled, drafts) = (Mutex::default(), Mutex::default());
        let store = Self {
            path,
            volume,
            inside,
            looks,
            cloud,
            settles_within,
            protection,
            unsettled,
            drafts,
        };
        if !store.path.exists() {
            if must_exist && store.cloud.snapshots()?.is_empty() {
                return Err(StoreError::Vanished { store: store.path });
            }
            fs_err::create_dir_all(&store.path).map_err(io_error("making the store's folder"))?;
        }
        Ok(store)
    }

    fn entry(snap: &Snapshot) -> Option<Entry> {
        let number = |tag| snap.tags.get(tag).and_then(|text| text.parse().ok());
        let at = snap.tags.get(names::AT).and_then(|text| text.parse().ok());
        Some(Entry {
            id: snap.tags.get(names::BACKUP)?.clone(),
            snapshot: snap.id.clone(),
            at: at.or(snap.started)?,
            manifest: snap.tags.get(names::MANIFEST).cloned(),
            locked_until: locked_until(snap),
            pinned: snap.tags.contains_key(names::PINNED),
            bytes_total: number(names::BYTES).unwrap_or_default(),
        })
    }

    /// Waits until EBS has everything of the snapshot.
    fn completed(&self, snapshot: &str) -> Result<Snapshot, StoreError> {
        let mut pace = Pace::up_to(ASK_EVERY, self.settles_within);
        loop {
            let snap = self.cloud.snapshot(snapshot)?;
            match snap.state {
                SnapshotState::Completed => return Ok(snap),
                SnapshotState::Pending if pace.wait() => {
                    tracing::debug!(snapshot, progress = snap.progress, "store: EBS is copying");
                }
                state => {
                    return Err(StoreError::Unsettled {
                        snapshot: snapshot.to_owned(),
                        state: format!("{state:?}, {}", snap.progress).to_lowercase(),
                        why: snap.state_message.map(|why| format!(": {why}")).unwrap_or_default(),
                    });
                }
            }
        }
    }
}

impl SnapshotStore for EbsStore {
    fn path(&self) -> &Path {
        &self.path
    }

    /// What is written out now need not be written out during the pause.
    fn prepare(&self, data: &Path, _labels: &Labels) -> Result<Prepared, StoreError> {
        let device = self.volume.await_device(&self.volume.id)?;
        if !ebs::is_mounted(&self.volume, &device)? {
            return Err(StoreError::Unfit {
                path: self.volume.mount.clone(),
                why: format!("the volume {} is not mounted there", self.volume.id),
                hint: "start `qmoor serve` again: it mounts it",
            });
        }
        // Whoever may not ask should hear of it now, and not when the engine is stopped.
        self.cloud.volume(&self.volume.id)?;
        durable::sync_filesystem(data).map_err(io_error("syncing the volume"))?;
        Ok(Prepared { bytes_left: 0, note: "nothing to copy".to_owned(), first: None })
    }

    fn keep_draft(&self, id: &str, draft: &[u8]) -> Result<(), StoreError> {
        self.write_record(id, records::DRAFT, draft)?;
        self.drafts.lock().insert(id.to_owned(), digest(draft));
        Ok(())
    }

    fn take(&self, _: &Prepared, data: &Path, labels: &Labels) -> Result<Taken, StoreError> {
        self.take_snapshot(data, labels)
    }

    /// Writes down what was on the disk, and waits until EBS has it.
    fn settle(&self) -> Result<usize, StoreError> {
        let unsettled = self.unsettled.lock().clone();
        for (id, listing) in unsettled {
            self.write_listing(&id, &listing)?;
            let Some(snap) = self.cloud.named(&id)? else {
                return Err(StoreError::NoSuchBackup { id, store: self.path.clone() });
            };
            self.completed(&snap.id)?;
            self.unsettled.lock().remove(&id);
        }
        if let Err(error) = self.after_swap() {
            tracing::warn!(%error, "store: a volume that a restore has replaced is still attached");
        }
        self.clear_looks()
    }

    /// A volume made of the snapshot must hold what was on the disk. With `read_data` every file is read to its end.
    fn verify(
        &self,
        entry: &Entry,
        taken: Option<&Taken>,
        read_data: bool,
    ) -> Result<(), StoreError> {
        let expected = self.listing(&entry.id)?;
        if let Some(what) = taken.and_then(|taken| taken.listing.difference(&expected)) {
            return Err(StoreError::Differs { what });
        }
        self.completed(&entry.snapshot)?;
        self.look(entry, &self.looks.join(&entry.id), |data| {
            super::holds(data, &expected, read_data)
        })
    }

    fn write_manifest(
        &self,
        labels: &Labels,
        manifest: &[u8],
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        let snap = self.cloud.named(&labels.id)?.ok_or_else(|| StoreError::NoSuchBackup {
            id: labels.id.clone(),
            store: self.path.clone(),
        })?;
        self.write_record(&labels.id, records::MANIFEST, manifest)?;
        self.cloud.tag(&snap.id, &[(names::MANIFEST, digest(manifest))])
    }

    fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<_> = self.cloud.snapshots()?.iter().filter_map(Self::entry).collect();
        entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(entries)
    }

    fn manifest(&self, entry: &Entry) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(expected) = &entry.manifest else { return Ok(None) };
        match self.record_of(&entry.id, records::MANIFEST, expected)? {
            Some(manifest) => Ok(Some(manifest)),
            None => self.draft_of(entry).map(Some),
        }
    }

    /// Only what is written down here: a look into each snapshot would take a volume each.
    fn manifests(&self, entries: &[Entry]) -> Result<Manifests, StoreError> {
        let read = |entry: &Entry| {
            let written = self.record_of(&entry.id, records::MANIFEST, entry.manifest.as_ref()?);
            let missing = || StoreError::ManifestInside { id: entry.id.clone() };
            Some((entry.id.clone(), written.and_then(|manifest| manifest.ok_or_else(missing))))
        };
        Ok(entries.iter().filter_map(read).collect())
    }

    fn restore(&self, entry: &Entry, into: &Path) -> Result<Restored, StoreError> {
        self.completed(&entry.snapshot)?;
        let restored = self.mount_copy(entry, into)?;
        // Of a backup whose volume is lost there is no list.
        if let Ok(expected) = self.listing(&entry.id)
            && let Err(error) = super::holds(&restored.data, &expected, false)
        {
            self.unmount_copy(into)?;
            return Err(error);
        }
        Ok(restored)
    }

    fn forget(&self, into: &Path) -> Result<(), StoreError> {
        self.unmount_copy(into)
    }

    fn remove(&self, ids: &[String]) -> Result<(), StoreError> {
        let snaps = self.cloud.snapshots()?;
        for id in ids {
            self.remove_copies(id)?;
            let of_it = |snap: &&Snapshot| snap.tags.get(names::BACKUP) == Some(id);
            for snap in snaps.iter().filter(of_it) {
                if let Some(until) = locked_until(snap) {
                    return Err(StoreError::Locked { id: id.clone(), until });
                }
                // First the manifest, so that nothing half-removed claims to be whole.
                self.cloud.untag(&snap.id, &[names::MANIFEST])?;
                self.cloud.delete_snapshot(&snap.id)?;
            }
            self.remove_records(id)?;
        }
        // A volume that was restored brings the records of its time with it.
        let kept = snaps.iter().filter_map(|snap| snap.tags.get(names::BACKUP));
        self.remove_records_but(&kept.cloned().collect())
    }

    /// EBS does not say what a snapshot held alone.
    fn reclaim(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn room_needed(&self, _data: &Path, _last_added: Option<u64>) -> u64 {
        RECORDS_BYTES
    }

    fn room_to_restore(&self, _entry: &Entry) -> u64 {
        0
    }

    fn protect(&self, id: &str) -> Vec<String> {
        let troubles = [self.lock(id), self.copy(id)];
        troubles.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect()
    }

    fn pin(&self, id: &str, pinned: bool) -> Result<(), StoreError> {
        self.note_pin(id, pinned)
    }

    fn swapped(&self) -> Result<(), StoreError> {
        self.after_swap()
    }

    /// One that is still being copied is removed as it is.
    fn sweep(&self, id: &str) -> Result<bool, StoreError> {
        self.unsettled.lock().remove(id);
        self.clear_looks()?;
        let complete =
            self.cloud.named(id)?.is_some_and(|snap| snap.tags.contains_key(names::MANIFEST));
        if !complete {
            self.remove(&[id.to_owned()])?;
        }
        Ok(complete)
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is in `data`, which must be what it was when `expected` was made.
fn listing_of(data: &Path) -> Result<Listing, StoreError> {
    Ok(Listing::of(data, &walk(data, Walk::Still).map_err(io_error("reading the data"))?))
}
