//! Making a snapshot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{COMING, CloneStore, ENTRY, IMAGE, LISTING, Saved};
use crate::durable;
use crate::store::listing::Listing;
use crate::store::walk::{Walk, walk};
use crate::store::{Labels, StoreError, Taken, io_error};
use crate::volume::clone::clone_image;
use crate::volume::mounts;

impl CloneStore {
    /// Everything goes into a folder of another name, which gets its own by a rename: the snapshot is there whole, or
    /// not at all.
    pub(super) fn take_clone(&self, data: &Path, labels: &Labels) -> Result<Taken, StoreError> {
        let folder = self.folder(&labels.id)?;
        if folder.exists() {
            // Made by a call whose answer got lost.
            return self.taken(&labels.id);
        }
        let io = io_error("making the snapshot");
        let inside = self.data_in_the_image(data)?;
        let at = Timestamp::now();
        let listing =
            Listing::of(data, &walk(data, Walk::Still).map_err(io_error("reading the data"))?);
        let coming = self.path.join(format!("{COMING}{}", labels.id));
        if coming.exists() {
            fs_err::remove_dir_all(&coming).map_err(&io)?;
        }
        fs_err::create_dir(&coming).map_err(&io)?;
        clone_image(&self.volume.image, &coming.join(IMAGE))?;
        let written = write_json(&coming.join(LISTING), &listing)?;
        let saved = Saved {
            id: labels.id.clone(),
            host: labels.host.clone(),
            batch: labels.batch.clone(),
            grade: labels.grade.clone(),
            at,
            bytes_total: listing.bytes(),
            bytes_added: written,
            filesystem: self.filesystem().as_str().to_owned(),
            data: inside,
        };
        write_json(&coming.join(ENTRY), &saved)?;
        fs_err::rename(&coming, &folder).map_err(&io)?;
        durable::sync_dir(&self.path).map_err(io)?;
        Ok(taken(saved, listing))
    }

    /// What a call that took it before returned.
    fn taken(&self, id: &str) -> Result<Taken, StoreError> {
        Ok(taken(self.saved(id)?, self.listing(id)?))
    }

    fn data_in_the_image(&self, data: &Path) -> Result<PathBuf, StoreError> {
        let io = io_error("looking for the data");
        let mount = fs_err::canonicalize(&self.volume.mount).map_err(&io)?;
        let whole = fs_err::canonicalize(data).map_err(&io)?;
        if mounts::at(&mount).map_err(&io)?.is_none() {
            return Err(self.not_mounted());
        }
        let inside = whole.strip_prefix(&mount).map_err(|_| StoreError::Unfit {
            path: self.path.clone(),
            why: format!("{} is not on the volume {}", data.display(), mount.display()),
            hint: "`node.data` must lie inside `volume.mount`",
        })?;
        Ok(inside.to_owned())
    }
}

fn taken(saved: Saved, listing: Listing) -> Taken {
    Taken {
        snapshot: saved.id,
        bytes_total: saved.bytes_total,
        bytes_added: saved.bytes_added,
        bytes_read_stopped: 0,
        listing,
        packs_before: Arc::new(BTreeSet::new()),
    }
}

/// Returns how many bytes that were.
fn write_json(path: &Path, value: &impl Serialize) -> Result<u64, StoreError> {
    let bytes = serde_json::to_vec(value)
        .map_err(std::io::Error::other)
        .map_err(io_error("making the snapshot"))?;
    durable::write_durable(path, &bytes, 0o600).map_err(io_error("making the snapshot"))?;
    Ok(bytes.len() as u64)
}
