//! A volume that is an image: a sparse file with a file system in it, on a loop device. The agent makes, checks and
//! mounts it, and leaves it mounted when it ends.

use std::ffi::CStr;
use std::path::{Path, PathBuf};

use qmoor_plan::config::{Config, Filesystem, VolumeKind};
use rustix::mount::{MountFlags, UnmountFlags};

use super::make::{content, foreign, make, new_uuid};
use super::mounts::{self, Mount};
use super::record::Record;
use super::tool::Tool;
use super::{VolumeError, grow, io_error, loops, on_path};

/// What is removed inside gives its room back to the disk the image lies on.
const GIVE_BACK: &CStr = c"discard";

/// Which image, and where it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// The file.
    pub image: PathBuf,
    /// Its length in bytes; it only takes the room of what is in it.
    pub size: u64,
    /// What is in it.
    pub filesystem: Filesystem,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Where it is written down which image this is.
    pub record: PathBuf,
}

impl ImageSpec {
    /// The volume of a node, if it is an image.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let volume = &config.volume;
        match volume.kind {
            VolumeKind::Directory | VolumeKind::Ebs => None,
            VolumeKind::Image => Some(Self {
                image: volume.image.clone(),
                size: volume.size,
                filesystem: volume.filesystem,
                mount: volume.mount.clone(),
                record: config.node.state.join("volume.json"),
            }),
        }
    }
}

/// A mounted image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The loop device.
    pub device: PathBuf,
    /// Whether it was mounted before.
    pub adopted: bool,
}

/// Sees to it that the image is mounted, whatever of that is done already. Makes it if there never was one. Grows
/// it if a larger one is configured.
///
/// May be called again after a crash at any point: it goes on from there, and no device is left over.
///
/// # Errors
/// When the image is gone, or another one, or smaller than it was; when the folder to mount it on holds files.
pub fn ensure_mounted(spec: &ImageSpec) -> Result<Mounted, VolumeError> {
    let mut record = ready(spec)?;
    let done = match mounted(spec)? {
        Some(device) => Mounted { device, adopted: true },
        None => Mounted { device: mount_anew(spec, &mut record)?, adopted: false },
    };
    grow::after_mount(spec, &mut record, &done.device)?;
    Ok(done)
}

/// The device that is mounted at the image's mount point, if one is.
///
/// # Errors
/// When it is not that of the image.
pub fn mounted(spec: &ImageSpec) -> Result<Option<PathBuf>, VolumeError> {
    let io = io_error("looking at what is mounted");
    let Some(mount) = mounts::at(&spec.mount).map_err(io)? else { return Ok(None) };
    for device in loops::of(&spec.image)? {
        if loops::number(&device)? == mount.device {
            return Ok(Some(device));
        }
    }
    Err(VolumeError::Refused {
        path: spec.mount.clone(),
        why: format!("has {} mounted on it, not {}", mount.source.display(), spec.image.display()),
        hint: "unmount that, or let `volume.mount` name another folder".to_owned(),
    })
}

/// Unmounts the image and lets its device go. One that is not mounted is fine.
///
/// # Errors
/// When somebody still uses it.
pub fn unmount(spec: &ImageSpec) -> Result<(), VolumeError> {
    if mounted(spec)?.is_some() {
        rustix::mount::unmount(&spec.mount, UnmountFlags::empty())
            .map_err(|error| io_error("unmounting the volume")(on_path(&spec.mount, error)))?;
    }
    loops::of(&spec.image)?.iter().try_for_each(|device| loops::detach(device))
}

/// Sees to it that the image is there, and the one that it was.
fn ready(spec: &ImageSpec) -> Result<Record, VolumeError> {
    let record = match Record::read(&spec.record)? {
        Some(record) => record,
        None => {
            // Before anything is written down, since what is written down may be formatted.
            if spec.image.exists()
                && let Some(found) = content(&spec.image)?
            {
                return Err(foreign(spec, &found));
            }
            let filesystem = spec.filesystem.as_str().to_owned();
            let record = Record { uuid: new_uuid()?, filesystem, size: spec.size, made: false };
            record.write(&spec.record)?;
            record
        }
    };
    if record.filesystem != spec.filesystem.as_str() {
        return Err(VolumeError::Refused {
            path: spec.image.clone(),
            why: format!(
                "was made with {}, and `volume.filesystem` is {}",
                record.filesystem,
                spec.filesystem.as_str()
            ),
            hint: format!("set `volume.filesystem` to \"{}\"", record.filesystem),
        });
    }
    grow::refuse_smaller(spec, &record)?;
    if !record.made {
        make(spec, &record)?;
        let made = Record { made: true, ..record };
        made.write(&spec.record)?;
        tracing::info!(image = %spec.image.display(), uuid = made.uuid, "volume: made");
        return Ok(made);
    }
    check(spec, &record)?;
    Ok(record)
}

/// Whether the image is there, is the one that was made, and all of it is there.
fn check(spec: &ImageSpec, record: &Record) -> Result<(), VolumeError> {
    let refused = |why: String, hint: &str| VolumeError::Refused {
        path: spec.image.clone(),
        why,
        hint: hint.to_owned(),
    };
    let length = match std::fs::metadata(&spec.image) {
        Ok(meta) => meta.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let hint = "is its disk mounted? To begin with an empty one, remove the `volume.json` of the state directory";
            return Err(refused("is gone, and held the data of this node".to_owned(), hint));
        }
        Err(error) => return Err(io_error("looking for the image")(on_path(&spec.image, error))),
    };
    if length < record.size {
        return Err(refused(
            format!("is {length} bytes and was {}: its end is missing", record.size),
            "put the whole image back; it was not mounted",
        ));
    }
    match content(&spec.image)? {
        Some(found) if found.uuid == record.uuid && found.kind == record.filesystem => Ok(()),
        Some(found) => Err(refused(
            format!(
                "holds {} with UUID {:?}, not that of this node, {:?}",
                found.kind, found.uuid, record.uuid
            ),
            "put this node's image back, or see `volume.image`",
        )),
        None => Err(refused(
            "is blank, and held the data of this node".to_owned(),
            "put this node's image back, or see `volume.image`",
        )),
    }
}

fn mount_anew(spec: &ImageSpec, record: &mut Record) -> Result<PathBuf, VolumeError> {
    empty_folder(&spec.mount)?;
    let device = one_device(spec)?;
    let mounted_now = check_ext4(spec.filesystem, &device)
        .and_then(|()| grow::before_mount(spec, record, &device))
        .and_then(|()| mount(spec.filesystem, &device, &spec.mount, Some(GIVE_BACK)))
        .and_then(|()| mounted(spec));
    match mounted_now {
        Ok(Some(device)) => Ok(device),
        Ok(None) => Err(VolumeError::Refused {
            path: spec.mount.clone(),
            why: "is not mounted, though the system said so".to_owned(),
            hint: "see what `findmnt` says".to_owned(),
        }),
        Err(error) => {
            if let Err(left) = loops::detach(&device) {
                tracing::warn!(error = %left, "volume: a loop device is left over");
            }
            Err(error)
        }
    }
}

/// What lies in the folder was written while nothing was mounted on it, and would be hidden by the mount.
pub(super) fn empty_folder(dir: &Path) -> Result<(), VolumeError> {
    let io = io_error("making the mount point");
    fs_err::create_dir_all(dir).map_err(&io)?;
    let Some(first) = fs_err::read_dir(dir).map_err(&io)?.next() else { return Ok(()) };
    let name = first.map_err(&io)?.file_name();
    Err(VolumeError::Refused {
        path: dir.to_owned(),
        why: format!("holds `{}` and no volume is mounted on it", name.display()),
        hint: "move what is in it away: it was written while the volume was not mounted".to_owned(),
    })
}

/// The device of the image: the one it has, or a new one. There may be several if somebody else attached it.
fn one_device(spec: &ImageSpec) -> Result<PathBuf, VolumeError> {
    let mut devices = loops::of(&spec.image)?;
    let all = mounts::all().map_err(io_error("looking at what is mounted"))?;
    for device in &devices {
        let number = loops::number(device)?;
        if let Some(Mount { point, .. }) = all.iter().find(|mount| mount.device == number) {
            return Err(VolumeError::Refused {
                path: spec.image.clone(),
                why: format!("is mounted on {} already", point.display()),
                hint: format!(
                    "unmount that, or set `volume.mount` to {:?}",
                    point.display().to_string()
                ),
            });
        }
    }
    let Some(first) = devices.pop() else { return loops::attach(&spec.image) };
    devices.iter().try_for_each(|device| loops::detach(device))?;
    Ok(first)
}

/// What a start of the system does for an ext4: the rest is for a person. An xfs needs none of it.
pub(super) fn check_ext4(kind: Filesystem, device: &Path) -> Result<(), VolumeError> {
    match kind {
        Filesystem::Xfs => Ok(()),
        Filesystem::Ext4 => {
            let ended = Tool::new("e2fsck", "e2fsprogs").arg("-p").arg(device).run()?;
            // 1 means that it mended something.
            if matches!(ended.code, Some(0 | 1)) { Ok(()) } else { Err(ended.failure()) }
        }
    }
}

/// Mounts `device`, which replays its log.
pub(super) fn mount(
    kind: Filesystem,
    device: &Path,
    point: &Path,
    options: Option<&CStr>,
) -> Result<(), VolumeError> {
    let flags = MountFlags::NOATIME | MountFlags::NODEV | MountFlags::NOSUID;
    rustix::mount::mount(device, point, kind.as_str(), flags, options).map_err(|error| {
        let why = format!("cannot be mounted on {}: {error}", point.display());
        let hint = match (error, kind) {
            (rustix::io::Errno::PERM, _) => "run qmoor as root",
            (_, Filesystem::Xfs) => "`dmesg` says more; `xfs_repair` mends what can be mended",
            (_, Filesystem::Ext4) => "`dmesg` says more; `e2fsck` mends what can be mended",
        };
        VolumeError::Refused { path: device.to_owned(), why, hint: hint.to_owned() }
    })
}
