//! Files that must survive a power cut. Nothing else in the agent writes a file it has to find again.

use std::fs::{File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Replaces `path` with `bytes`, readable by its owner only when `mode` is 0o600.
///
/// After an error or a crash the file holds either all of its old contents or all of its new ones.
pub fn write_durable(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{} has no folder", path.display()))
    })?;
    let mut temp = tempfile::Builder::new()
        .prefix(".qmoor-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)
        .map_err(|err| with_path(&err, dir))?;
    temp.write_all(bytes).map_err(|err| with_path(&err, path))?;
    temp.as_file().sync_all().map_err(|err| with_path(&err, path))?;
    temp.persist(path).map_err(|err| with_path(&err.error, path))?;
    sync_dir(dir)
}

/// Adds `bytes` at the end of `file`, which holds `length` bytes, and waits until they are on the disk.
///
/// When that fails (a full disk) the file is cut back to `length`, so that no half record is left behind.
pub fn append_durable(file: &mut File, length: u64, bytes: &[u8]) -> io::Result<u64> {
    let added = file
        .seek(SeekFrom::Start(length))
        .and_then(|_| file.write_all(bytes))
        .and_then(|()| file.sync_data());
    match added {
        Ok(()) => Ok(length + bytes.len() as u64),
        Err(err) => {
            file.set_len(length).ok();
            Err(err)
        }
    }
}

/// Makes the names in `dir` durable: a file's own `fsync` does not promise that its name is there.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    fs_err::File::open(dir)?.sync_all()
}

/// Writes everything that is still in memory for the file system that holds `dir`.
pub fn sync_filesystem(dir: &Path) -> io::Result<()> {
    let dir_file = fs_err::File::open(dir)?;
    rustix::fs::syncfs(dir_file.file()).map_err(|err| with_path(&err.into(), dir))
}

/// Bytes that may still be written on the file system that holds `dir`.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(dir).map_err(|err| with_path(&err.into(), dir))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn with_path(err: &io::Error, path: &Path) -> io::Error {
    io::Error::new(err.kind(), format!("{}: {err}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_whole_private_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        write_durable(&path, b"old", 0o600).unwrap();
        write_durable(&path, b"new", 0o600).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"new");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_path() {
        let err = write_durable(Path::new("/nowhere/at/all"), b"", 0o600).unwrap_err();
        assert!(err.to_string().contains("/nowhere/at"), "{err}");
    }
}
