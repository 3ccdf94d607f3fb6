//! A larger image: the file first, then its device, then the file system in it.

use std::path::Path;

use qmoor_plan::config::Filesystem;

use super::image::ImageSpec;
use super::record::Record;
use super::tool::Tool;
use super::{VolumeError, io_error, loops};

/// Makes a file system that is about to be mounted as large as is configured. An xfs can only grow once it is
/// mounted; an ext4 needs fewer rights before.
pub(super) fn before_mount(
    spec: &ImageSpec,
    record: &mut Record,
    device: &Path,
) -> Result<(), VolumeError> {
    if spec.size == record.size || spec.filesystem == Filesystem::Xfs {
        return Ok(());
    }
    lengthen(spec, device)?;
    let checked = Tool::new("e2fsck", "e2fsprogs").args(&["-f", "-p"]).arg(device).run()?;
    // 1 means that it mended something.
    if !matches!(checked.code, Some(0 | 1)) {
        return Err(checked.failure());
    }
    Tool::new("resize2fs", "e2fsprogs").arg(device).done()?;
    grown(spec, record)
}

/// Makes the mounted file system as large as is configured. What was cut short is done again, since the record
/// says the new size last.
pub(super) fn after_mount(
    spec: &ImageSpec,
    record: &mut Record,
    device: &Path,
) -> Result<(), VolumeError> {
    if spec.size == record.size {
        return Ok(());
    }
    lengthen(spec, device)?;
    match spec.filesystem {
        Filesystem::Xfs => Tool::new("xfs_growfs", "xfsprogs").arg("-d").arg(&spec.mount).done(),
        Filesystem::Ext4 => Tool::new("resize2fs", "e2fsprogs").arg(device).done(),
    }
    .map_err(|error| VolumeError::Refused {
        path: spec.mount.clone(),
        why: format!("cannot grow while it is mounted: {error}"),
        hint: format!("`umount {}` while no agent runs, and start it again", spec.mount.display()),
    })?;
    grown(spec, record)
}

fn lengthen(spec: &ImageSpec, device: &Path) -> Result<(), VolumeError> {
    let io = io_error("growing the image");
    let file = fs_err::OpenOptions::new().write(true).open(&spec.image).map_err(&io)?;
    if file.metadata().map_err(&io)?.len() < spec.size {
        file.set_len(spec.size).and_then(|()| file.sync_all()).map_err(&io)?;
    }
    loops::resized(device)
}

fn grown(spec: &ImageSpec, record: &mut Record) -> Result<(), VolumeError> {
    tracing::info!(from = record.size, to = spec.size, "volume: grown");
    record.size = spec.size;
    record.write(&spec.record)
}

/// A file system can grow and not shrink.
pub(super) fn refuse_smaller(spec: &ImageSpec, record: &Record) -> Result<(), VolumeError> {
    if spec.size >= record.size {
        return Ok(());
    }
    Err(VolumeError::Refused {
        path: spec.image.clone(),
        why: format!(
            "is {} bytes and `volume.size` is {}: a volume cannot shrink",
            record.size, spec.size
        ),
        hint: format!("set `volume.size` to \"{}B\" or more", record.size),
    })
}
