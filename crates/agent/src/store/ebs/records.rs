//! What is written down about a backup, in a folder of its own on the volume.

use std::io;
use std::path::PathBuf;

use super::EbsStore;
use crate::durable;
use crate::store::listing::Listing;
use crate::store::{StoreError, io_error};

const LISTING: &str = "listing.json";
pub(super) const MANIFEST: &str = "manifest.json";

impl EbsStore {
    /// An id is a name and never a way elsewhere.
    fn folder(&self, id: &str) -> Result<PathBuf, StoreError> {
        if id.is_empty() || id.starts_with('.') || id.contains(['/', '\0']) {
            return Err(StoreError::NoSuchBackup { id: id.to_owned(), store: self.path.clone() });
        }
        Ok(self.path.join(id))
    }

    pub(super) fn write_record(&self, id: &str, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let io = io_error("writing down a backup");
        let folder = self.folder(id)?;
        fs_err::create_dir_all(&folder).map_err(&io)?;
        durable::write_durable(&folder.join(name), bytes, 0o600).map_err(&io)?;
        durable::sync_dir(&self.path).map_err(io)
    }

    pub(super) fn read_record(&self, id: &str, name: &str) -> Result<Vec<u8>, StoreError> {
        fs_err::read(self.folder(id)?.join(name))
            .map_err(io_error("reading what is written down about a backup"))
    }

    pub(super) fn write_listing(&self, id: &str, listing: &Listing) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(listing)
            .map_err(io::Error::other)
            .map_err(io_error("writing down a backup"))?;
        self.write_record(id, LISTING, &bytes)
    }

    /// What was on the disk at the cut.
    pub(super) fn listing(&self, id: &str) -> Result<Listing, StoreError> {
        let bytes = self.read_record(id, LISTING)?;
        serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
            what: format!("the list of what is in `{id}`: {error}"),
        })
    }

    pub(super) fn remove_records(&self, id: &str) -> Result<(), StoreError> {
        match fs_err::remove_dir_all(self.folder(id)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("removing what is written down about a backup")(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
