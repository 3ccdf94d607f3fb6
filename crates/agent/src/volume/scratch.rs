//! A look into an image that is kept: a clone of it, mounted somewhere for a while. The image itself is never
//! written to, though a mount replays the log.

use std::path::{Path, PathBuf};

use qmoor_plan::config::Filesystem;
use rustix::mount::UnmountFlags;

use super::clone::clone_image;
use super::tool::Tool;
use super::{VolumeError, image, io_error, loops, mounts};

/// Names inside the folder.
const IMAGE: &str = "volume.img";
const MOUNT: &str = "mount";

/// A mounted clone; dropping it unmounts and removes it.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    filesystem: Filesystem,
}

impl Scratch {
    /// Clones `image` into the new folder `dir`, which must lie where it can share blocks with it, and mounts the
    /// clone there.
    ///
    /// # Errors
    /// Nothing is left behind then.
    pub fn open(image: &Path, dir: &Path, filesystem: Filesystem) -> Result<Self, VolumeError> {
        clear(dir)?;
        let scratch = Self { dir: dir.to_owned(), filesystem };
        fs_err::create_dir_all(scratch.mount()).map_err(io_error("making scratch"))?;
        clone_image(image, &scratch.image())?;
        let device = loops::attach(&scratch.image())?;
        // The same file system is mounted elsewhere; xfs minds.
        let options = match filesystem {
            Filesystem::Xfs => Some(c"nouuid"),
            Filesystem::Ext4 => None,
        };
        image::mount(filesystem, &device, &scratch.mount(), options)?;
        // While it is mounted this only means that the device goes with the mount.
        loops::detach(&device)?;
        Ok(scratch)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn mount(&self) -> PathBuf {
        self.dir.join(MOUNT)
    }

    fn image(&self) -> PathBuf {
        self.dir.join(IMAGE)
    }

    /// Unmounts it, and has the system's own program check the file system, which must be without fault.
    ///
    /// # Errors
    /// What the program found.
    pub fn check(self) -> Result<(), VolumeError> {
        mounts::unmount(&self.mount(), UnmountFlags::empty())?;
        match self.filesystem {
            Filesystem::Xfs => {
                Tool::new("xfs_repair", "xfsprogs").args(&["-n", "-f"]).arg(self.image()).done()
            }
            Filesystem::Ext4 => {
                Tool::new("e2fsck", "e2fsprogs").args(&["-f", "-n"]).arg(self.image()).done()
            }
        }
        .map(drop)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.dir) {
            tracing::warn!(%error, dir = %self.dir.display(), "volume: scratch is left over");
        }
    }
}

/// Removes a scratch folder, whatever there is of it: a process that was killed leaves one mounted.
///
/// # Errors
/// What is left.
pub fn clear(dir: &Path) -> Result<(), VolumeError> {
    if !dir.exists() {
        return Ok(());
    }
    // Whoever still looks into it must not keep it.
    mounts::unmount(&dir.join(MOUNT), UnmountFlags::DETACH)?;
    let image = dir.join(IMAGE);
    if image.exists() {
        loops::of(&image)?.iter().try_for_each(|device| loops::detach(device))?;
    }
    fs_err::remove_dir_all(dir).map_err(io_error("removing scratch"))
}
