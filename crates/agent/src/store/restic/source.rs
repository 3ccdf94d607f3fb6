//! The engine's data as the repository library reads it.
//!
//! The library logs what it cannot read and goes on without it. A backup may not: every trouble is kept here,
//! and the caller looks at them all before it calls the snapshot good.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{
    ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult,
};

use super::changes::Baseline;
use crate::store::walk::Found;

/// What went wrong while files were read, one line each.
#[derive(Debug, Clone, Default)]
pub(super) struct Troubles(Arc<Mutex<Vec<String>>>);

impl Troubles {
    fn add(&self, path: &Path, what: &impl ToString) {
        self.0.lock().push(format!("{}: {}", path.display(), what.to_string()));
    }

    /// Everything so far.
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// Files below one folder.
#[derive(Debug)]
pub(super) struct DataSource {
    found: Vec<Found>,
    baseline: Option<Arc<Baseline>>,
    pub(super) troubles: Troubles,
}

impl DataSource {
    /// With a baseline, every file that it does not vouch for is read again even if it looks unchanged.
    pub(super) fn new(found: Vec<Found>, baseline: Option<Arc<Baseline>>) -> Self {
        Self { found, baseline, troubles: Troubles::default() }
    }

    fn entry(&self, found: &Found) -> ReadSourceEntry<Opening> {
        let must_read =
            self.baseline.as_ref().is_some_and(|base| base.must_read(&found.path, &found.meta));
        let kind = match &found.link {
            Some(target) => NodeType::from_link(target),
            None if found.meta.is_dir() => NodeType::Dir,
            None => NodeType::File,
        };
        let name = found.path.file_name().unwrap_or_default();
        let opening = found.meta.is_file().then(|| Opening {
            path: found.path.clone(),
            bytes: found.meta.len(),
            troubles: self.troubles.clone(),
        });
        ReadSourceEntry {
            path: found.path.clone(),
            node: Node::new_node(name, kind, node_meta(&found.meta, must_read)),
            open: opening,
        }
    }
}

impl ReadSource for DataSource {
    type Open = Opening;
    type Iter = std::vec::IntoIter<RusticResult<ReadSourceEntry<Opening>>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(Some(self.found.iter().filter(|f| f.meta.is_file()).map(|f| f.meta.len()).sum()))
    }

    fn entries(&self) -> Self::Iter {
        self.found.iter().map(|found| Ok(self.entry(found))).collect::<Vec<_>>().into_iter()
    }
}

/// The repository library leaves a file alone when times, size and inode are those of the parent snapshot.
/// One nanosecond more on the time of change makes it read the file again; the file itself is not touched.
fn node_meta(meta: &std::fs::Metadata, must_read: bool) -> Metadata {
    let time = |seconds: i64, nanos: i64| {
        Timestamp::new(seconds, i32::try_from(nanos).unwrap_or_default()).ok()
    };
    let mtime = time(meta.mtime(), meta.mtime_nsec());
    let ctime = time(meta.ctime(), meta.ctime_nsec());
    let nudge = SignedDuration::from_nanos(i64::from(must_read));
    Metadata {
        mode: Some(go_mode(meta.mode())),
        mtime,
        atime: mtime,
        ctime: ctime.map(|ctime| ctime.checked_add(nudge).unwrap_or(Timestamp::UNIX_EPOCH)),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
        user: None,
        group: None,
        inode: meta.ino(),
        // Hard links are stored as files of their own.
        device_id: 0,
        size: if meta.is_file() { meta.len() } else { 0 },
        links: u64::from(!meta.is_dir()),
        extended_attributes: Vec::new(),
    }
}

/// The repository format keeps modes as the Go language does: permission bits, and its own bits for kinds.
fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        _ => 0,
    };
    (mode & 0o777) | kind
}

/// A file that is going to be read.
#[derive(Debug)]
pub(super) struct Opening {
    path: PathBuf,
    bytes: u64,
    troubles: Troubles,
}

impl ReadSourceOpen for Opening {
    type Reader = Watched;

    fn open(self) -> RusticResult<Watched> {
        match File::open(&self.path) {
            Ok(file) => Ok(Watched { file, read: 0, opening: self }),
            Err(err) => {
                self.troubles.add(&self.path, &err);
                Err(RusticError::with_source(ErrorKind::InputOutput, "cannot open a file", err))
            }
        }
    }
}

/// A file being read, that notes errors and a length other than expected.
#[derive(Debug)]
pub(super) struct Watched {
    file: File,
    read: u64,
    opening: Opening,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Opening { path, bytes, troubles } = &self.opening;
        match self.file.read(buffer) {
            Ok(0) if !buffer.is_empty() && self.read != *bytes => {
                let what = format!("{} bytes were expected, {} were there", bytes, self.read);
                troubles.add(path, &what);
                Ok(0)
            }
            Ok(count) => {
                self.read += count as u64;
                Ok(count)
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => Err(err),
            Err(err) => {
                troubles.add(path, &err);
                Err(err)
            }
        }
    }
}

/// One file that exists only in memory.
#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) time: Timestamp,
}

impl ReadSource for MemoryFile {
    type Open = Cursor<Vec<u8>>;
    type Iter = std::iter::Once<RusticResult<ReadSourceEntry<Self::Open>>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(Some(self.bytes.len() as u64))
    }

    fn entries(&self) -> Self::Iter {
        let meta = Metadata {
            mode: Some(0o600),
            mtime: Some(self.time),
            atime: Some(self.time),
            ctime: Some(self.time),
            size: self.bytes.len() as u64,
            links: 1,
            ..Metadata::default()
        };
        let name = self.path.file_name().unwrap_or_default();
        std::iter::once(Ok(ReadSourceEntry {
            path: self.path.clone(),
            node: Node::new_node(name, NodeType::File, meta),
            open: Some(Cursor::new(self.bytes.clone())),
        }))
    }
}
