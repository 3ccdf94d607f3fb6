//! What is written down about a backup, in a folder of its own on the volume.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use qmoor_plan::aws::names;

use super::{EbsStore, digest};
use crate::durable;
use crate::store::listing::Listing;
use crate::store::{Entry, StoreError, folder_of, io_error};

const LISTING: &str = "listing.json";
pub(super) const MANIFEST: &str = "manifest.json";
/// The manifest as far as it was known before the cut.
pub(super) const DRAFT: &str = "draft.json";

impl EbsStore {
    fn folder(&self, id: &str) -> Result<PathBuf, StoreError> {
        folder_of(&self.path, id)
    }

    pub(super) fn write_record(
        &self,
        id: &str,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let io = io_error("writing down a backup");
        let folder = self.folder(id)?;
        fs_err::create_dir_all(&folder).map_err(&io)?;
        durable::write_durable(&folder.join(name), bytes, 0o600).map_err(&io)?;
        durable::sync_dir(&self.path).map_err(io)
    }

    /// A record that is there, which must have this digest.
    pub(super) fn record_of(
        &self,
        id: &str,
        name: &str,
        expected: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.read_record(id, name) {
            Ok(bytes) if digest(&bytes) == expected => Ok(Some(bytes)),
            Ok(_) => Err(StoreError::Damaged {
                what: format!("{name} of `{id}` is not the one its snapshot names"),
            }),
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The manifest of a backup whose volume is lost: from inside the snapshot, as it was known before the cut. It is
    /// written down here then.
    pub(super) fn draft_of(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let snap = self.completed(&entry.snapshot)?;
        let Some(expected) = snap.tags.get(names::DRAFT) else {
            return Err(StoreError::Damaged {
                what: format!("`{}` has no manifest here, and none inside its snapshot", entry.id),
            });
        };
        if let Some(draft) = self.record_of(&entry.id, DRAFT, expected)? {
            return Ok(draft);
        }
        let root = self.path.strip_prefix(&self.volume.mount).unwrap_or(&self.path).to_owned();
        let at = self.looks.join(&entry.id);
        let draft = self.look(entry, &at, |_| {
            fs_err::read(at.join(root).join(&entry.id).join(DRAFT))
                .map_err(io_error("reading the manifest inside a snapshot"))
        })?;
        if digest(&draft) != *expected {
            return Err(StoreError::Damaged {
                what: format!("the manifest inside `{}` is not the one it names", entry.snapshot),
            });
        }
        self.write_record(&entry.id, DRAFT, &draft)?;
        Ok(draft)
    }

    fn read_record(&self, id: &str, name: &str) -> Result<Vec<u8>, StoreError> {
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

    /// Removes what is written down about backups that are neither in `kept` nor being made.
    pub(super) fn remove_records_but(&self, kept: &BTreeSet<String>) -> Result<(), StoreError> {
        let io = io_error("looking for what is written down about backups");
        for found in fs_err::read_dir(&self.path).map_err(&io)? {
            let id = found.map_err(&io)?.file_name().to_string_lossy().into_owned();
            let is_being_made =
                self.unsettled.lock().contains_key(&id) || self.drafts.lock().contains_key(&id);
            if !id.starts_with('.') && !kept.contains(&id) && !is_being_made {
                self.remove_records(&id)?;
            }
        }
        Ok(())
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
