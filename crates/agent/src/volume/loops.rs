//! Loop devices: an image as a block device.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::tool::Tool;
use super::{VolumeError, io_error};

fn losetup() -> Tool {
    Tool::new("losetup", "mount")
}

/// The devices that stand for `image` now.
pub(super) fn of(image: &Path) -> Result<Vec<PathBuf>, VolumeError> {
    let listed = losetup().args(&["--raw", "--noheadings", "--output", "NAME", "--associated"]);
    Ok(listed.arg(image).done()?.lines().map(|name| PathBuf::from(name.trim())).collect())
}

/// A new device for `image`. Past the page cache of the system where that is possible, since the file system on
/// the device has one of its own.
pub(super) fn attach(image: &Path) -> Result<PathBuf, VolumeError> {
    let find = || losetup().args(&["--find", "--show"]);
    let direct = find().arg("--direct-io=on").arg(image).run()?;
    let name = match direct.code {
        Some(0) => direct.out,
        // It may have been attached, and only refused the second half.
        Some(_) | None => match of(image)?.pop() {
            Some(device) => return Ok(device),
            None => find().arg(image).done()?,
        },
    };
    Ok(PathBuf::from(name.trim()))
}

/// Lets go of `device`: at once, or, while it is mounted, at the unmount.
pub(super) fn detach(device: &Path) -> Result<(), VolumeError> {
    losetup().arg("--detach").arg(device).done().map(drop)
}

/// Takes over the length that the image has now.
pub(super) fn resized(device: &Path) -> Result<(), VolumeError> {
    losetup().arg("--set-capacity").arg(device).done().map(drop)
}

/// Major and minor number of a device.
pub(super) fn number(device: &Path) -> Result<(u32, u32), VolumeError> {
    let meta = fs_err::metadata(device).map_err(io_error("looking at a loop device"))?;
    Ok((rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev())))
}

/// The file behind a device, if it is a loop device.
pub(super) fn backing(device: (u32, u32)) -> Option<PathBuf> {
    let (major, minor) = device;
    let told = fs_err::read_to_string(format!("/sys/dev/block/{major}:{minor}/loop/backing_file"));
    Some(PathBuf::from(told.ok()?.trim_end_matches('\n')))
}
