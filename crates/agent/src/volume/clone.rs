//! A copy of an image that shares its blocks, made in a moment whatever the size.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{VolumeError, io_error, on_path};
use crate::durable;

/// Makes `to` a clone of `from`, as of one moment between call and return. The name `to` stands for all of it or is
/// not there, after a crash too.
///
/// # Errors
/// [`VolumeError::NoClone`] when the two cannot share blocks.
pub fn clone_image(from: &Path, to: &Path) -> Result<(), VolumeError> {
    let io = io_error("cloning an image");
    let source = fs_err::File::open(from).map_err(&io)?;
    let dir = to.parent().unwrap_or(Path::new("/"));
    let temp = tempfile::Builder::new()
        .prefix(".qmoor-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(|error| io(on_path(dir, error)))?;
    rustix::fs::ioctl_ficlone(temp.as_file(), source.file()).map_err(|error| {
        let (from, to) = (from.to_owned(), to.to_owned());
        VolumeError::NoClone { from, to, why: error.to_string() }
    })?;
    temp.as_file().sync_all().map_err(|error| io(on_path(to, error)))?;
    temp.persist(to).map_err(|error| io(on_path(to, error.error)))?;
    durable::sync_dir(dir).map_err(io)
}
