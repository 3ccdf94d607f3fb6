//! A volume of EBS: a block device that the system names after the volume's id. It is formatted when the instance is
//! set up, by its user data; the agent finds it, mounts it, and never formats anything.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qmoor_plan::config::{Config, Filesystem, VolumeKind};
use rustix::mount::UnmountFlags;

use super::image::{check_ext4, empty_folder, mount};
use super::make::content;
use super::record::Current;
use super::{VolumeError, io_error, loops, mounts};
use crate::durable;
use crate::pace::Pace;

/// How the system names the disks of EBS on Nitro, before the id without its dash. See "Map Amazon EBS volumes to NVMe
/// device names" in the EC2 User Guide.
const NAMED: &str = "nvme-Amazon_Elastic_Block_Store_";
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which volume, and where it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EbsSpec {
    /// Its id, such as `vol-0123456789abcdef0`: the configured one, or the one that a restore has put in its place.
    pub id: String,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Folder in which the system names the disks.
    pub devices: PathBuf,
    /// Where it is written down which volume is in use.
    pub record: PathBuf,
    /// Longest wait for the disk to appear: CloudFormation attaches it after the instance has booted.
    pub timeout: Duration,
}

impl EbsSpec {
    /// The volume of a node, if it is one of EBS.
    ///
    /// # Errors
    /// When what is written down about it cannot be read.
    pub fn of(config: &Config) -> Result<Option<Self>, VolumeError> {
        let volume = &config.volume;
        let (VolumeKind::Ebs, Some(id)) = (volume.kind, &volume.id) else { return Ok(None) };
        let record = config.node.state.join("volume.json");
        let current = Current::read(&record)?.filter(|current| current.configured == *id);
        Ok(Some(Self {
            id: current.map_or_else(|| id.clone(), |current| current.id),
            mount: volume.mount.clone(),
            devices: volume.devices.clone(),
            record,
            timeout: volume.timeout,
        }))
    }

    /// The name of the disk of a volume.
    #[must_use]
    pub fn name_of(&self, id: &str) -> PathBuf {
        self.devices.join(format!("{NAMED}{}", id.replace('-', "")))
    }

    /// The volume whose disk has this number.
    fn id_of(&self, device: (u32, u32)) -> Result<Option<String>, VolumeError> {
        let io = io_error("looking for the disks of volumes");
        for found in fs_err::read_dir(&self.devices).map_err(&io)? {
            let path = found.map_err(&io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(serial) = name.strip_prefix(NAMED).filter(|serial| !serial.contains('-'))
            else {
                continue;
            };
            if loops::number(&path).ok() == Some(device) {
                return Ok(serial.strip_prefix("vol").map(|digits| format!("vol-{digits}")));
            }
        }
        Ok(None)
    }

    /// Waits until the disk of the volume `id` is there.
    ///
    /// # Errors
    /// When it does not appear.
    pub fn await_device(&self, id: &str) -> Result<PathBuf, VolumeError> {
        let name = self.name_of(id);
        let mut pace = Pace::up_to(LOOK_EVERY, self.timeout);
        loop {
            match fs_err::canonicalize(&name) {
                Ok(device) => return Ok(device),
                Err(_) if pace.wait() => {}
                Err(error) => {
                    return Err(VolumeError::Refused {
                        path: name,
                        why: format!("did not appear within {:?}: {error}", self.timeout),
                        hint: format!(
                            "is the volume attached? `aws ec2 describe-volumes --volume-ids {id}`"
                        ),
                    });
                }
            }
        }
    }
}

/// Sees to it that the volume is mounted.
///
/// # Errors
/// When it is not there, is blank, holds something else than a file system, or something else is mounted there.
pub fn ensure_mounted(spec: &EbsSpec) -> Result<PathBuf, VolumeError> {
    let device = spec.await_device(&spec.id)?;
    if !is_mounted(spec, &device)? {
        empty_folder(&spec.mount)?;
        let filesystem = filesystem(&device)?;
        check_ext4(filesystem, &device)?;
        mount(filesystem, &device, &spec.mount, None)?;
    }
    Ok(device)
}

/// Whether the volume is mounted where it should be.
///
/// # Errors
/// When something else is.
pub fn is_mounted(spec: &EbsSpec, device: &Path) -> Result<bool, VolumeError> {
    let io = io_error("looking at what is mounted");
    let Some(found) = mounts::at(&spec.mount).map_err(io)? else { return Ok(false) };
    if found.device == loops::number(device)? {
        return Ok(true);
    }
    Err(VolumeError::Refused {
        path: spec.mount.clone(),
        why: format!("has {} mounted on it, not {}", found.source.display(), spec.id),
        hint: "unmount that, or see `volume.id` and `volume.mount`".to_owned(),
    })
}

/// What the device is formatted with.
///
/// # Errors
/// When it is blank or holds anything else.
pub fn filesystem(device: &Path) -> Result<Filesystem, VolumeError> {
    let refused = |why: String, hint: &str| VolumeError::Refused {
        path: device.to_owned(),
        why,
        hint: hint.to_owned(),
    };
    let Some(found) = content(device)? else {
        let hint = "the user data of the instance formats a new one: `cloud-init status --long`, or `mkfs.xfs` by hand";
        return Err(refused("is blank".to_owned(), hint));
    };
    let kinds = [Filesystem::Xfs, Filesystem::Ext4];
    kinds.into_iter().find(|kind| kind.as_str() == found.kind).ok_or_else(|| {
        refused(
            format!("holds {}, neither xfs nor ext4", found.kind),
            "is `volume.id` the right one?",
        )
    })
}

/// Why the volume cannot be written to now; nothing if it can.
pub(super) fn trouble(spec: &EbsSpec) -> Option<String> {
    let name = spec.name_of(&spec.id);
    let Ok(device) = fs_err::canonicalize(&name) else {
        return Some(format!("the volume {} is not attached", spec.id));
    };
    match is_mounted(spec, &device) {
        Ok(true) => None,
        Ok(false) => {
            Some(format!("the volume {} is not mounted on {}", spec.id, spec.mount.display()))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Mounts a copy of a volume that may be mounted elsewhere at the same time.
///
/// # Errors
/// When it cannot be mounted. Its file system is checked first where that is usual.
pub fn mount_beside(device: &Path, at: &Path) -> Result<(), VolumeError> {
    let filesystem = filesystem(device)?;
    check_ext4(filesystem, device)?;
    // Both bear the same UUID; xfs minds.
    let options = match filesystem {
        Filesystem::Xfs => Some(c"nouuid"),
        Filesystem::Ext4 => None,
    };
    mount(filesystem, device, at, options)
}

/// Writes down that the volume that is mounted on `incoming` is about to take the place of the one in use. From then
/// on [`swap`] puts it there, after a crash too.
///
/// # Errors
/// When none is mounted there.
pub fn announce_swap(config: &Config, incoming: &Path) -> Result<(), VolumeError> {
    let (Some(spec), Some(configured)) = (EbsSpec::of(config)?, &config.volume.id) else {
        return Ok(());
    };
    let found = mounts::at(incoming).map_err(io_error("looking at what is mounted"))?;
    let coming = match found {
        Some(found) => spec.id_of(found.device)?,
        None => None,
    };
    let Some(coming) = coming else {
        return Err(VolumeError::Refused {
            path: incoming.to_owned(),
            why: "has no volume of EBS mounted on it".to_owned(),
            hint: "begin the restore anew".to_owned(),
        });
    };
    let current = Current { configured: configured.clone(), id: spec.id, coming: Some(coming) };
    current.write(&spec.record)
}

/// Puts the announced volume in the place of the one in use, which goes on being attached; nothing if none is
/// announced. Records of backups that only the old volume has are copied to the new one. May be called again after a
/// crash at any point.
///
/// # Errors
/// When somebody still uses the old one, or the new one cannot be mounted.
pub fn swap(config: &Config, incoming: &Path) -> Result<(), VolumeError> {
    let Some(spec) = EbsSpec::of(config)? else { return Ok(()) };
    let Some(current) = Current::read(&spec.record)? else { return Ok(()) };
    let Some(coming) = current.coming.clone() else { return Ok(()) };
    let device = spec.await_device(&coming)?;
    let old = fs_err::canonicalize(spec.name_of(&spec.id)).ok();
    if let Some(old) = &old
        && is_mounted(&spec, old)?
    {
        // Only there to be copied to.
        if mounts::at(incoming).map_err(io_error("looking at what is mounted"))?.is_none() {
            fs_err::create_dir_all(incoming).map_err(io_error("making a mount point"))?;
            mount_beside(&device, incoming)?;
        }
        let store = &config.store.path;
        if let Ok(inside) = store.strip_prefix(&spec.mount) {
            keep_records(store, &incoming.join(inside))?;
        }
        mounts::unmount(&spec.mount, UnmountFlags::empty())?;
    }
    mounts::unmount(incoming, UnmountFlags::empty())?;
    let next = EbsSpec { id: coming.clone(), ..spec.clone() };
    ensure_mounted(&next)?;
    Current { id: coming, coming: None, ..current }.write(&spec.record)?;
    match fs_err::remove_dir(incoming) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("removing a mount point")(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Backups are newer than the one that was restored, and their manifests must outlive the old volume.
fn keep_records(from: &Path, to: &Path) -> Result<(), VolumeError> {
    let io = io_error("copying the records of backups to the restored volume");
    fs_err::create_dir_all(to).map_err(&io)?;
    let Ok(folders) = fs_err::read_dir(from) else { return Ok(()) };
    for folder in folders {
        let folder = folder.map_err(&io)?.path();
        let target = to.join(folder.file_name().unwrap_or_default());
        fs_err::create_dir_all(&target).map_err(&io)?;
        for record in fs_err::read_dir(&folder).map_err(&io)? {
            let record = record.map_err(&io)?.path();
            let copy = target.join(record.file_name().unwrap_or_default());
            if !copy.exists() {
                let bytes = fs_err::read(&record).map_err(&io)?;
                durable::write_durable(&copy, &bytes, 0o600).map_err(&io)?;
            }
        }
    }
    durable::sync_filesystem(to).map_err(io)
}
