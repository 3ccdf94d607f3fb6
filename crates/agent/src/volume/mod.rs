//! The volume that holds the data: frozen and thawed for a clean cut, and, where it is an image, made, checked,
//! mounted and cloned.
//!
//! Everything here blocks. Freezing and mounting need root.

pub mod clone;
pub mod ebs;
pub mod freeze;
mod grow;
pub mod image;
mod ioctl;
mod loops;
mod make;
pub mod mounts;
mod record;
pub mod scratch;
mod tool;
pub mod watchdog;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qmoor_plan::config::Config;

use ebs::EbsSpec;
use freeze::Freezable;
use image::ImageSpec;

/// Why a volume cannot be used. What was asked for was not done, and nothing was formatted or overwritten.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A file, folder or device cannot be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said, with the path.
        source: io::Error,
    },
    /// This file system must not be frozen, or cannot be.
    #[error("{} cannot be frozen: {why} (hint: {hint})", data.display())]
    NotFreezable {
        /// What was to be frozen.
        data: PathBuf,
        /// Why not.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Somebody else froze it.
    #[error("{} is frozen already (hint: `fsfreeze --unfreeze {}` thaws what nobody needs frozen)", mount.display(), mount.display())]
    AlreadyFrozen {
        /// The mount point.
        mount: PathBuf,
    },
    /// The process that would thaw in our place does not run, so nothing was frozen.
    #[error("nothing watches over the freeze of {}, so it was not frozen: {why}", mount.display())]
    NoWatchdog {
        /// The mount point.
        mount: PathBuf,
        /// Why not.
        why: String,
    },
    /// The freeze ended before its end was asked for: what was done meanwhile was not done on a frozen volume.
    #[error("{} was thawed before its time: a freeze may last {max:?}", mount.display())]
    ThawedEarly {
        /// The mount point.
        mount: PathBuf,
        /// The longest freeze.
        max: Duration,
    },
    /// Something stands in the way that only the operator can judge.
    #[error("{} {why} (hint: {hint})", path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The file system cannot share blocks between two files.
    #[error(
        "{} cannot be cloned to {}: {why} (hint: both must lie on one xfs made with reflink=1, or one btrfs)",
        from.display(),
        to.display()
    )]
    NoClone {
        /// The image.
        from: PathBuf,
        /// The clone.
        to: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A program of the system is not installed.
    #[error("`{program}` is missing (hint: `apt-get install {package}`)")]
    ToolMissing {
        /// The program.
        program: &'static str,
        /// The Debian package it comes in.
        package: &'static str,
    },
    /// A program of the system failed.
    #[error("`{command}` {how}")]
    Tool {
        /// What was run.
        command: String,
        /// How it ended and what it said.
        how: String,
    },
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> VolumeError {
    move |source| VolumeError::Io { doing, source }
}

fn on_path(path: &Path, error: impl Into<io::Error>) -> io::Error {
    let error: io::Error = error.into();
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Before the data is touched at a start: thaws what a crash left frozen, and mounts the volume if it is an image.
///
/// # Errors
/// When the configured volume cannot be mounted. The data folder below it must not be used then.
pub fn bring_up(config: &Config) -> Result<(), VolumeError> {
    thaw_what_was_left(&config.node.data);
    if let Some(spec) = EbsSpec::of(config)? {
        thaw_what_was_left(&spec.mount);
        let device = ebs::ensure_mounted(&spec)?;
        tracing::info!(mount = %spec.mount.display(), id = spec.id, device = %device.display(), "volume: mounted");
        return Ok(());
    }
    let Some(spec) = ImageSpec::of(config) else { return Ok(()) };
    thaw_what_was_left(&spec.mount);
    let mounted = image::ensure_mounted(&spec)?;
    tracing::info!(mount = %spec.mount.display(), device = %mounted.device.display(),
        adopted = mounted.adopted, "volume: mounted");
    Ok(())
}

/// Why the configured volume cannot be written to now; nothing if it can, or is a plain folder.
#[must_use]
pub fn trouble(config: &Config) -> Option<String> {
    match EbsSpec::of(config) {
        Ok(Some(spec)) => return ebs::trouble(&spec),
        Ok(None) => {}
        Err(error) => return Some(error.to_string()),
    }
    let spec = ImageSpec::of(config)?;
    match image::mounted(&spec) {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("the volume is not mounted on {}", spec.mount.display())),
        Err(error) => Some(error.to_string()),
    }
}

/// Only a file system of its own can have been frozen by us. What cannot be thawed is said, and is found out by
/// the first write at the latest.
fn thaw_what_was_left(dir: &Path) {
    let Ok(freezable) = Freezable::find(dir, &[]) else { return };
    match freeze::thaw_if_frozen(freezable.mount()) {
        Ok(true) => {
            tracing::warn!(mount = %freezable.mount().display(), "volume: thawed what was left frozen");
        }
        Ok(false) => {}
        // Who may not thaw could not freeze either.
        Err(VolumeError::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
        }
        Err(error) => tracing::warn!(%error, "volume: cannot see whether it was left frozen"),
    }
}
