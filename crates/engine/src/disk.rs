//! Files that must survive a power cut, and the room left for them.

use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::error::ApiError;

/// Below this many free bytes writes are refused: log and storage are sparse files mapped into
/// memory, and a full disk would end the process instead of failing a call. Upstream's figure.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Replaces `path` with `bytes`: all of it or nothing, and on the disk when this returns.
pub(crate) fn write_durable(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    sync_dir(folder)
}

/// Removes a file, and is sure of it.
pub(crate) fn remove_durable(path: &Path) -> Result<()> {
    fs::remove_file(path)?;
    sync_dir(folder_of(path)?)
}

fn folder_of(path: &Path) -> Result<&Path> {
    path.parent().ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("{} has no folder", path.display()))
    })
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Makes a directory with everything in it durable. What is renamed or removed meanwhile is passed
/// over: whoever did that sees to it.
pub(crate) fn sync_tree(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            match fs::File::open(entry.path()) {
                Ok(file) => file.sync_all()?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    sync_dir(path)
}

/// Bytes a process may still write to the file system that holds `path`.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses a write where the disk that holds `dir` is nearly full.
pub(crate) fn check_room(dir: &Path) -> std::result::Result<(), ApiError> {
    let free = free_bytes(dir)
        .map_err(|error| ApiError::internal("cannot tell the free disk space", &error))?;
    if free < FREE_BYTES_MIN {
        return Err(ApiError::Internal(format!(
            "No space left on device: {free} bytes are free where {} is, at least {FREE_BYTES_MIN} are needed. hint: free some space, or delete collections",
            dir.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write_durable(&path, b"one").unwrap();
        write_durable(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn there_is_room_somewhere() {
        assert!(free_bytes(Path::new("/")).unwrap() > 0);
    }
}
