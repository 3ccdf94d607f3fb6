//! What is known of a volume, kept in the state directory: an image that once was there and is not any more is not
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

/// Which volume of EBS is in use, once a restore has put another in the place of the configured one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    /// The configured one. When that is another now, the operator has decided, and this no longer counts.
    pub(super) configured: String,
    /// The one in use.
    pub(super) id: String,
    /// The one that is about to take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) coming: Option<String>,
}

impl Current {
    /// What is known, if anything is.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, VolumeError> {
        read(path)
    }

    /// Writes it down.
    pub(super) fn write(&self, path: &Path) -> Result<(), VolumeError> {
        write(path, self)
    }
}

impl Record {
    /// What is known, if anything is.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, VolumeError> {
        read(path)
    }

    /// Writes it down.
    pub(super) fn write(&self, path: &Path) -> Result<(), VolumeError> {
        write(path, self)
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, VolumeError> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("reading what is known of the volume")(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| VolumeError::Refused {
        path: path.to_owned(),
        why: format!("cannot be read: {error}"),
        hint: "put a saved copy of it back; it says which volume is this node's".to_owned(),
    })
}

fn write(path: &Path, known: &impl Serialize) -> Result<(), VolumeError> {
    serde_json::to_vec(known)
        .map_err(io::Error::other)
        .and_then(|bytes| durable::write_durable(path, &bytes, 0o600))
        .map_err(io_error("writing down what is known of the volume"))
}
