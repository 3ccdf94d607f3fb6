//! Brings vectors into the page cache, so that the first searches after a start need not.
//!
//! The storage engine can do this itself when it opens a file, but then reads the whole of it: a
//! small collection lies in sparse files of 32 MiB, and hundreds of them would fill the memory with
//! pages of nothing. So it is told not to, and what is really there is read here.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::Path;

use fs_err as fs;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::{Collection, SHARD_FOLDER};

const SEGMENTS_FOLDER: &str = "segments";

/// How much is read at once.
const PIECE_BYTES: usize = 1 << 20;

impl Collection {
    /// Reads the vectors that are to be kept in memory, as far as half of the free memory holds them.
    pub(super) fn warm(&self) {
        let names: Vec<String> = {
            let settings = self.settings.read();
            let vectors = settings.params.vectors.by_name();
            let left_to_us = |params: &crate::model::collection::VectorParams| {
                params.memory.is_none() && params.on_disk.is_none()
            };
            vectors
                .into_iter()
                .filter(|(_, params)| left_to_us(params))
                .map(|(name, _)| folder_of(name))
                .collect()
        };
        let segments = self.dir.join(SHARD_FOLDER).join(SEGMENTS_FOLDER);
        let read = free_memory().and_then(|free| warm_segments(&segments, &names, free / 2));
        if let Err(error) = read {
            // Segments come and go; whatever was missed is read when it is needed.
            tracing::debug!(collection = self.name, %error, "not all vectors were read ahead");
        }
    }
}

/// The storage engine's folder of one vector.
fn folder_of(vector: &str) -> String {
    if vector.is_empty() { "vector_storage".into() } else { format!("vector_storage-{vector}") }
}

fn warm_segments(segments: &Path, names: &[String], mut room: u64) -> Result<()> {
    for segment in fs::read_dir(segments)? {
        let segment = segment?.path();
        for name in names {
            let folder = segment.join(name);
            if folder.is_dir() {
                room = warm_folder(&folder, room)?;
            }
        }
    }
    Ok(())
}

/// Reads what is in a folder, and returns how much room is left.
fn warm_folder(folder: &Path, mut room: u64) -> Result<u64> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            room = warm_folder(&entry.path(), room)?;
        } else if kind.is_file() {
            room = room.saturating_sub(warm_file(&entry.path(), room)?);
        }
    }
    Ok(room)
}

/// Reads the parts of a file that are no holes, and returns how much that was.
fn warm_file(path: &Path, room: u64) -> Result<u64> {
    let file = fs::File::open(path)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut read: u64 = 0;
    let mut at: u64 = 0;
    loop {
        at = match seek(&file, SeekFrom::Data(at)) {
            Ok(data) => data,
            // There is no more data.
            Err(Errno::NXIO) => return Ok(read),
            Err(error) => return Err(error.into()),
        };
        let end = seek(&file, SeekFrom::Hole(at))?;
        while at < end {
            if read >= room {
                return Ok(read);
            }
            let wanted =
                usize::try_from(end - at).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            let got = match piece.get_mut(..wanted) {
                Some(piece) => file.file().read_at(piece, at)?,
                None => 0,
            };
            if got == 0 {
                return Ok(read);
            }
            let got = u64::try_from(got).map_err(Error::other)?;
            at += got;
            read += got;
        }
    }
}

/// Bytes of memory that could be used without swapping.
fn free_memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    parse_free(&text).ok_or_else(|| Error::new(ErrorKind::InvalidData, "no MemAvailable"))
}

fn parse_free(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_what_is_there_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let file = fs::File::create(&path).unwrap();
        file.set_len(64 << 20).unwrap();
        file.file().write_all_at(&[1; 10_000], 0).unwrap();
        file.file().write_all_at(&[1; 10_000], 32 << 20).unwrap();
        file.sync_all().unwrap();
        let read = warm_file(&path, u64::MAX).unwrap();
        // File systems that cannot tell holes from data say that all is data.
        assert!(read >= 20_000);
        assert!(warm_file(&path, 0).unwrap() == 0);
    }

    #[test]
    fn free_memory_is_found() {
        assert_eq!(parse_free("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(parse_free("MemTotal: 9 kB\n"), None);
    }
}
