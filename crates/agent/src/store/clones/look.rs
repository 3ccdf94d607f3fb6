//! Looking into a snapshot: to check it, and to copy the data out.

use std::fs::FileTimes;
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use qmoor_plan::config::Filesystem;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::{CloneStore, IMAGE, LOOK, Saved};
use crate::durable;
use crate::store::listing::Listing;
use crate::store::walk::{Found, Walk, walk};
use crate::store::{Entry, Restored, StoreError, Taken, below, holds, io_error};
use crate::volume::scratch::Scratch;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 1024 * 1024;

impl CloneStore {
    /// What is in the clone must be what was on the disk, and the system's own program must find no fault with the
    /// file system. With `read_data` every file is read to its end, too.
    pub(super) fn check(
        &self,
        entry: &Entry,
        taken: Option<&Taken>,
        read_data: bool,
    ) -> Result<(), StoreError> {
        let expected = self.listing(&entry.id)?;
        if let Some(what) = taken.and_then(|taken| taken.listing.difference(&expected)) {
            return Err(StoreError::Differs { what });
        }
        let (look, saved) = self.look(entry)?;
        let data = look.mount().join(&saved.data);
        holds(&data, &expected, read_data)?;
        look.check().map_err(|error| StoreError::Damaged { what: error.to_string() })
    }

    /// Copies the data out, with its holes, modes and times.
    pub(super) fn copy_out(&self, entry: &Entry, into: &Path) -> Result<Restored, StoreError> {
        let expected = self.listing(&entry.id)?;
        let (look, saved) = self.look(entry)?;
        let data = look.mount().join(&saved.data);
        let found = walk(&data, Walk::Still).map_err(io_error("reading a snapshot"))?;
        fs_err::create_dir(into).map_err(io_error("making the folder to restore into"))?;
        for found in &found {
            copy(found, &into.join(below(&data, &found.path)))?;
        }
        // What is written into a folder changes its time, and its mode may forbid writing.
        for folder in found.iter().rev().filter(|found| found.meta.is_dir()) {
            dress(folder, &into.join(below(&data, &folder.path)))
                .map_err(io_error("restoring a folder"))?;
        }
        durable::sync_filesystem(into).map_err(io_error("syncing what was restored"))?;
        let copied = walk(into, Walk::Still).map_err(io_error("reading what was restored"))?;
        match expected.difference(&Listing::of(into, &copied)) {
            None => Ok(Restored { bytes: expected.bytes(), data: into.to_owned() }),
            Some(what) => Err(StoreError::Differs { what }),
        }
    }

    fn look(&self, entry: &Entry) -> Result<(Scratch, Saved), StoreError> {
        let saved = self.saved(&entry.id)?;
        let kinds = [Filesystem::Xfs, Filesystem::Ext4];
        let Some(kind) = kinds.into_iter().find(|kind| kind.as_str() == saved.filesystem) else {
            let what = format!("`{}` holds an unknown file system, {}", entry.id, saved.filesystem);
            return Err(StoreError::Damaged { what });
        };
        let image = self.folder(&entry.id)?.join(IMAGE);
        let dir = self.path.join(format!("{LOOK}{}", entry.id));
        Ok((Scratch::open(&image, &dir, kind)?, saved))
    }
}

fn copy(found: &Found, to: &Path) -> Result<(), StoreError> {
    if found.meta.is_dir() {
        return fs_err::create_dir(to).map_err(io_error("restoring a folder"));
    }
    if let Some(target) = &found.link {
        return fs_err::os::unix::fs::symlink(target, to).map_err(io_error("restoring a link"));
    }
    copy_file(&found.path, to).and_then(|()| dress(found, to)).map_err(io_error("restoring a file"))
}

/// Only what is written is copied: an engine's logs are mostly holes.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let source = fs_err::File::open(from)?;
    let target = fs_err::File::create_new(to)?;
    let length = source.metadata()?.len();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < length {
        // Past the last data there is only a hole.
        let start = match seek(source.file(), SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = seek(source.file(), SeekFrom::Hole(start))?;
        at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            source.file().read_exact_at(piece, at)?;
            target.file().write_all_at(piece, at)?;
            at += wanted as u64;
        }
    }
    target.set_len(length)
}

/// Gives a file or folder the mode and the time it had.
fn dress(found: &Found, to: &Path) -> io::Result<()> {
    let times = FileTimes::new().set_modified(found.meta.modified()?);
    fs_err::File::open(to)?.file().set_times(times)?;
    let mode = found.meta.permissions().mode() & 0o777;
    fs_err::set_permissions(to, std::fs::Permissions::from_mode(mode))
}
