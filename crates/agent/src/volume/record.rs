//! What is known of an image, kept in the state directory: an image that once was there and is not any more is not
//! made anew, and one that is another is not taken for it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{VolumeError, io_error};
use crate::durable;

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Of the file system in it.
    pub(super) uuid: String,
    /// Kind of file system, such as `xfs`.
    pub(super) filesystem: String,
    /// Bytes that the file system fills.
    pub(super) size: u64,
    /// Whether it was made. Before that it was never mounted, and holds nothing.
    pub(super) made: bool,
}

impl Record {
    /// What is known, if anything is.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, VolumeError> {
        let bytes = match fs_err::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("reading what is known of the volume")(error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| VolumeError::Refused {
            path: path.to_owned(),
            why: format!("cannot be read: {error}"),
            hint: "put a saved copy of it back; it says which image is this node's".to_owned(),
        })
    }

    /// Writes it down.
    pub(super) fn write(&self, path: &Path) -> Result<(), VolumeError> {
        serde_json::to_vec(self)
            .map_err(io::Error::other)
            .and_then(|bytes| durable::write_durable(path, &bytes, 0o600))
            .map_err(io_error("writing down what is known of the volume"))
    }
}
