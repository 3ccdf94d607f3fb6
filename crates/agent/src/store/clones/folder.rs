//! The folder of a store: what is in it, what is taken out of it.

use std::io;
use std::path::{Path, PathBuf};

use super::{COMING, CloneStore, ENTRY, GOING, IMAGE, LISTING, LOOK, MANIFEST, Saved};
use crate::durable;
use crate::store::listing::Listing;
use crate::store::{Entry, StoreError, folder_of, io_error};
use crate::volume::scratch;

impl CloneStore {
    /// The folder of a snapshot.
    pub(super) fn folder(&self, id: &str) -> Result<PathBuf, StoreError> {
        folder_of(&self.path, id)
    }

    pub(super) fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let io = io_error("listing the store");
        let mut entries = Vec::new();
        for found in fs_err::read_dir(&self.path).map_err(&io)? {
            let folder = found.map_err(&io)?.path();
            let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if id.starts_with('.') || !folder.is_dir() {
                continue;
            }
            match self.saved(&id) {
                Ok(saved) => entries.push(Entry {
                    manifest: folder.join(MANIFEST).exists().then(|| MANIFEST.to_owned()),
                    snapshot: id.clone(),
                    at: saved.at,
                    locked_until: None,
                    pinned: false,
                    bytes_total: saved.bytes_total,
                    id,
                }),
                Err(error) => tracing::error!(snapshot = id, %error, "store: damaged"),
            }
        }
        entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        Ok(entries)
    }

    /// What is written down about a snapshot.
    pub(super) fn saved(&self, id: &str) -> Result<Saved, StoreError> {
        let saved: Saved = json(&self.folder(id)?.join(ENTRY))?;
        if saved.id == id {
            return Ok(saved);
        }
        Err(StoreError::Damaged { what: format!("`{id}` says that it is `{}`", saved.id) })
    }

    /// What was on the disk at the cut.
    pub(super) fn listing(&self, id: &str) -> Result<Listing, StoreError> {
        json(&self.folder(id)?.join(LISTING))
    }

    /// First the manifest, so that nothing half-removed claims to be whole, then the name.
    pub(super) fn take_out(&self, id: &str) -> Result<(), StoreError> {
        let io = io_error("removing a snapshot");
        let folder = self.folder(id)?;
        if !folder.exists() {
            return Ok(());
        }
        match fs_err::remove_file(folder.join(MANIFEST)) {
            Ok(()) => durable::sync_dir(&folder).map_err(&io)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
        let going = self.path.join(format!("{GOING}{id}"));
        if going.exists() {
            fs_err::remove_dir_all(&going).map_err(&io)?;
        }
        fs_err::rename(&folder, &going).map_err(&io)?;
        durable::sync_dir(&self.path).map_err(io)
    }

    /// Removes what is on its way out. How much room that gives is what the disk says: most of it may be shared.
    pub(super) fn give_back(&self) -> Result<u64, StoreError> {
        let io = io_error("reclaiming space in the store");
        let before = durable::free_bytes(&self.path).map_err(&io)?;
        self.empty_images().map_err(&io)?;
        self.remove_named(&[GOING])?;
        durable::sync_filesystem(&self.path).map_err(&io)?;
        let after = durable::free_bytes(&self.path).map_err(io)?;
        Ok(after.saturating_sub(before))
    }

    /// A file that is removed gives its room back some time later, one that is cut short at once.
    fn empty_images(&self) -> io::Result<()> {
        for found in fs_err::read_dir(&self.path)? {
            let found = found?;
            let image = found.path().join(IMAGE);
            if found.file_name().to_string_lossy().starts_with(GOING) && image.exists() {
                fs_err::OpenOptions::new().write(true).open(&image)?.set_len(0)?;
            }
        }
        Ok(())
    }

    /// Removes what somebody who was killed, or failed, has left half-made.
    pub(super) fn remove_leftovers(&self) -> Result<usize, StoreError> {
        self.remove_named(&[COMING, GOING, LOOK])
    }

    fn remove_named(&self, beginnings: &[&str]) -> Result<usize, StoreError> {
        let io = io_error("tidying the store");
        let mut removed = 0;
        for found in fs_err::read_dir(&self.path).map_err(&io)? {
            let found = found.map_err(&io)?;
            let name = found.file_name().to_string_lossy().into_owned();
            if !beginnings.iter().any(|beginning| name.starts_with(beginning)) {
                continue;
            }
            let path = found.path();
            if !path.is_dir() {
                fs_err::remove_file(&path).map_err(&io)?;
            } else if name.starts_with(LOOK) {
                // It may still be mounted.
                scratch::clear(&path)?;
            } else {
                fs_err::remove_dir_all(&path).map_err(&io)?;
            }
            removed += 1;
        }
        if removed > 0 {
            durable::sync_dir(&self.path).map_err(io)?;
        }
        Ok(removed)
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let bytes = fs_err::read(path).map_err(io_error("reading the store"))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Damaged { what: format!("`{}`: {error}", path.display()) })
}
