//! A larger image: the file first, then its device, then the file system in it.

use std::path::Path;

use qmoor_plan::config::Filesystem;

use super::image::ImageSpec;
use super::record::Record;
use super::tool::Tool;
use super::{VolumeError, io_error, loops};

/// Makes the mounted file system as large as is configured. What was cut short is done again, since the record
/// says the new size last.
pub(super) fn grow(spec: &ImageSpec, record: &Record, device: &Path) -> Result<(), VolumeError> {
    if spec.size == record.size {
        return Ok(());
    }
    let io = io_error("growing the image");
    let file = fs_err::OpenOptions::new().write(true).open(&spec.image).map_err(&io)?;
    if file.metadata().map_err(&io)?.len() < spec.size {
        file.set_len(spec.size).and_then(|()| file.sync_all()).map_err(&io)?;
    }
    loops::resized(device)?;
    match spec.filesystem {
        Filesystem::Xfs => Tool::new("xfs_growfs", "xfsprogs").arg("-d").arg(&spec.mount).done(),
        Filesystem::Ext4 => Tool::new("resize2fs", "e2fsprogs").arg(device).done(),
    }?;
    tracing::info!(from = record.size, to = spec.size, "volume: grown");
    Record { size: spec.size, ..record.clone() }.write(&spec.record)
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
