//! Volumes made of snapshots: attached and mounted for as long as somebody looks into them, then removed.

use std::path::Path;
use std::time::Duration;

use qmoor_aws::ec2::Volume;
use qmoor_plan::aws::names;
use rustix::mount::UnmountFlags;

use super::EbsStore;
use super::cloud::attached_to;
use crate::pace::Pace;
use crate::store::{Entry, Restored, StoreError, io_error};
use crate::volume::{ebs, mounts};

/// How long EC2 is left alone between two questions, at the most.
const ASK_EVERY: Duration = Duration::from_secs(2);

impl EbsStore {
    /// Shows the data of a backup to `see`, and removes the volume it was on, whatever came of it.
    pub(super) fn look<T>(
        &self,
        entry: &Entry,
        at: &Path,
        see: impl FnOnce(&Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let seen = self.mount_copy(entry, at).and_then(|copy| see(&copy.data));
        let removed = self.unmount_copy(at);
        let seen = seen?;
        if let Err(error) = removed {
            tracing::warn!(%error, "store: a volume that was looked into is left over");
        }
        Ok(seen)
    }

    /// Makes a volume of the snapshot and mounts it on the new folder `at`.
    pub(super) fn mount_copy(&self, entry: &Entry, at: &Path) -> Result<Restored, StoreError> {
        let io = io_error("making a mount point");
        fs_err::create_dir_all(at.parent().unwrap_or(Path::new("/"))).map_err(&io)?;
        fs_err::create_dir(at).map_err(&io)?;
        self.mounted_copy(entry, at).inspect_err(|_| {
            if let Err(error) = self.unmount_copy(at) {
                tracing::warn!(%error, "store: a volume made of a snapshot is left over");
            }
        })
    }

    fn mounted_copy(&self, entry: &Entry, at: &Path) -> Result<Restored, StoreError> {
        let own = self.cloud.volume(&self.volume.id)?;
        let tags = [
            (names::ROLE, names::SCRATCH.to_owned()),
            (names::BACKUP, entry.id.clone()),
            (names::MOUNT, at.display().to_string()),
            ("Name", format!("{} scratch of {}", self.cloud.node(), entry.id)),
        ];
        let made = self.cloud.create_volume(&entry.snapshot, &own, &tags)?;
        self.until(&made, "be made", |vol| vol.state == "available")?;
        self.cloud.attach(&made, &own)?;
        self.until(&made, "be attached", |vol| attached_to(vol).is_some())?;
        let device = self.volume.await_device(&made)?;
        ebs::mount_beside(&device, at)?;
        let data = at.join(&self.inside);
        Ok(Restored { bytes: entry.bytes_total, data })
    }

    /// Unmounts what is mounted on `at`, and removes the volume and the folder. Nothing there is fine.
    pub(super) fn unmount_copy(&self, at: &Path) -> Result<(), StoreError> {
        let io = io_error("removing a mount point");
        mounts::unmount(at, UnmountFlags::empty())?;
        let shown = at.display().to_string();
        for vol in self.cloud.volumes(names::SCRATCH)? {
            if vol.tags.get(names::MOUNT) == Some(&shown) {
                self.discard(&vol)?;
            }
        }
        match fs_err::remove_dir(at) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes what looks that were cut short have left, and says how many there were. The node does one thing at a
    /// time, so nobody looks into them any more. What is attached to another machine is not touched.
    pub(super) fn clear_looks(&self) -> Result<usize, StoreError> {
        let mut left = self.cloud.volumes(names::SCRATCH)?;
        if left.is_empty() {
            return Ok(0);
        }
        let here = attached_to(&self.cloud.volume(&self.volume.id)?);
        left.retain(|vol| {
            vol.id != self.volume.id && (vol.attachments.is_empty() || attached_to(vol) == here)
        });
        for vol in &left {
            match vol.tags.get(names::MOUNT) {
                Some(at) => self.unmount_copy(Path::new(at))?,
                None => self.discard(vol)?,
            }
        }
        Ok(left.len())
    }

    /// After a restore has put another volume in the place of the one in use: that one is the node's data now, and the
    /// old one is detached and kept.
    pub(super) fn after_swap(&self) -> Result<(), StoreError> {
        let role = |role: &str| [(names::ROLE, role.to_owned())];
        let own = self.cloud.volume(&self.volume.id)?;
        if own.tags.get(names::ROLE).map(String::as_str) == Some(names::SCRATCH) {
            self.cloud.tag(&own.id, &role(names::DATA))?;
            self.cloud.untag(&own.id, &[names::MOUNT])?;
        }
        for old in self.cloud.volumes(names::DATA)? {
            if old.id == own.id || attached_to(&old) != attached_to(&own) {
                continue;
            }
            self.cloud.tag(&old.id, &role(names::REPLACED))?;
            self.cloud.detach(&old)?;
            tracing::info!(volume = old.id, "restore: the old volume is kept, detached");
        }
        Ok(())
    }

    /// Detaches a volume and deletes it.
    fn discard(&self, vol: &Volume) -> Result<(), StoreError> {
        if vol.state == "deleting" || vol.state == "deleted" {
            return Ok(());
        }
        if !matches!(vol.state.as_str(), "available" | "error") {
            self.cloud.detach(vol)?;
            self.until(&vol.id, "be detached", |vol| vol.state == "available")?;
        }
        self.cloud.delete_volume(&vol.id)
    }

    fn until(
        &self,
        volume: &str,
        to: &'static str,
        is_so: impl Fn(&Volume) -> bool,
    ) -> Result<Volume, StoreError> {
        let mut pace = Pace::up_to(ASK_EVERY, self.volume.timeout);
        loop {
            let vol = self.cloud.volume(volume)?;
            if is_so(&vol) {
                return Ok(vol);
            }
            if vol.state == "error" {
                return Err(StoreError::VolumeBroken { volume: volume.to_owned() });
            }
            if !pace.wait() {
                return Err(StoreError::VolumeStuck {
                    volume: volume.to_owned(),
                    to,
                    state: vol.state,
                });
            }
        }
    }
}
