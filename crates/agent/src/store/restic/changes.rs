//! Which files must be read again once the engine has stopped.
//!
//! A backup reads the data twice: once while the engine runs (long, and torn where the engine wrote), once
//! while it is stopped, over what changed since. "Changed" cannot be read off the modification time alone:
//! **the engine writes through memory maps, and a store to a page that is already dirty leaves the time as it
//! was.** A page dirtied before the first pass and written again after it would look unchanged, and the
//! backup would keep the old bytes and call them good.
//!
//! So before the first pass every file is stamped and then synced. Syncing cleans its pages and write-protects
//! them; the next store to any of them faults, and the fault sets the time. After the stop a file is left
//! alone only if all of these hold, and is read again otherwise:
//!
//! - its time of modification, time of change, size and inode are those of the stamp;
//! - both times were at least two seconds old when the stamp was made, since times are only as fine as
//!   the kernel's tick and two writes within one look the same;
//! - the file system is one that is known to set the time on such a fault (`tmpfs` never does).

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::store::walk::Found;

/// A time younger than this may be shared by a later write.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// File systems that set a file's time when a clean mapped page is first written: ext2/3/4, xfs, btrfs,
/// and overlayfs, which passes the fault on to one of them.
const KNOWN_FILE_SYSTEMS: [u64; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x794C_7630];

/// What was seen of one file before the first pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    mtime: (i64, i64),
    ctime: (i64, i64),
    size: u64,
    inode: u64,
    settled: bool,
}

/// The stamps of all files, by path.
#[derive(Debug, Default)]
pub(super) struct Baseline(BTreeMap<PathBuf, Stamp>);

impl Baseline {
    /// Stamps and syncs every file of `found` under `root`. A file that has gone meanwhile has no stamp.
    pub(super) fn take(root: &Path, found: &[Found]) -> io::Result<Self> {
        let known = known_file_system(root)?;
        let mut stamps = BTreeMap::new();
        for file in found.iter().filter(|file| file.meta.is_file()) {
            let handle = match fs_err::File::open(&file.path) {
                Ok(handle) => handle,
                Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
                Err(err) => return Err(err),
            };
            let stamp = Stamp::of(&handle.metadata()?, SystemTime::now(), known);
            handle.sync_all()?;
            stamps.insert(file.path.clone(), stamp);
        }
        Ok(Self(stamps))
    }

    /// Whether the file must be read again, however unchanged it looks.
    pub(super) fn must_read(&self, path: &Path, now: &std::fs::Metadata) -> bool {
        let Some(before) = self.0.get(path) else { return true };
        !(before.settled && before.same_file(now))
    }
}

impl Baseline {
    /// Bytes of the files among `found` that must be read again.
    pub(super) fn bytes_to_read(&self, found: &[Found]) -> u64 {
        found
            .iter()
            .filter(|found| found.meta.is_file() && self.must_read(&found.path, &found.meta))
            .map(|found| found.meta.len())
            .sum()
    }
}

impl Stamp {
    fn of(meta: &std::fs::Metadata, now: SystemTime, known_file_system: bool) -> Self {
        let mtime = (meta.mtime(), meta.mtime_nsec());
        let ctime = (meta.ctime(), meta.ctime_nsec());
        let settled = known_file_system && is_old(mtime, now) && is_old(ctime, now);
        Self { mtime, ctime, size: meta.len(), inode: meta.ino(), settled }
    }

    fn same_file(&self, now: &std::fs::Metadata) -> bool {
        self.mtime == (now.mtime(), now.mtime_nsec())
            && self.ctime == (now.ctime(), now.ctime_nsec())
            && self.size == now.len()
            && self.inode == now.ino()
    }
}

/// A time in the future (the clock jumped) is not old.
fn is_old(time: (i64, i64), now: SystemTime) -> bool {
    let Ok(now) = now.duration_since(UNIX_EPOCH) else { return false };
    let Ok(seconds) = u64::try_from(time.0) else { return true };
    let Ok(nanos) = u32::try_from(time.1) else { return false };
    now.checked_sub(Duration::new(seconds, nanos)).is_some_and(|age| age >= SETTLED_AFTER)
}

fn known_file_system(root: &Path) -> io::Result<bool> {
    let kind = rustix::fs::statfs(root)?.f_type;
    Ok(u64::try_from(kind).is_ok_and(|kind| KNOWN_FILE_SYSTEMS.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp_at(path: &Path, seconds_later: u64, known: bool) -> Stamp {
        let meta = std::fs::metadata(path).unwrap();
        let now = meta.modified().unwrap() + Duration::from_secs(seconds_later);
        Stamp::of(&meta, now, known)
    }

    fn must_read(stamp: Stamp, path: &Path) -> bool {
        Baseline(BTreeMap::from([(path.to_owned(), stamp)]))
            .must_read(path, &std::fs::metadata(path).unwrap())
    }

    fn a_file() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vectors.dat");
        std::fs::write(&path, b"bytes").unwrap();
        (dir, path)
    }

    #[test]
    fn an_old_untouched_file_is_left_alone() {
        let (_dir, path) = a_file();
        assert!(!must_read(stamp_at(&path, 60, true), &path));
    }

    #[test]
    fn a_file_written_just_before_its_stamp_is_read_again() {
        let (_dir, path) = a_file();
        assert!(must_read(stamp_at(&path, 1, true), &path));
    }

    #[test]
    fn a_file_from_the_future_is_read_again() {
        let (_dir, path) = a_file();
        let meta = std::fs::metadata(&path).unwrap();
        let stamp = Stamp::of(&meta, meta.modified().unwrap() - Duration::from_secs(60), true);
        assert!(must_read(stamp, &path));
    }

    #[test]
    fn an_unknown_file_system_is_never_trusted() {
        let (_dir, path) = a_file();
        assert!(must_read(stamp_at(&path, 60, false), &path));
    }

    #[test]
    fn a_file_nobody_stamped_is_read() {
        let (_dir, path) = a_file();
        assert!(Baseline::default().must_read(&path, &std::fs::metadata(&path).unwrap()));
    }

    #[test]
    fn each_of_time_size_and_inode_counts() {
        let (dir, path) = a_file();
        let stamp = stamp_at(&path, 60, true);
        let (mut mtime, mut ctime, mut size) = (stamp.clone(), stamp.clone(), stamp.clone());
        (mtime.mtime, ctime.ctime, size.size) = ((1, 1), (1, 1), 1);
        assert!(must_read(mtime, &path) && must_read(ctime, &path) && must_read(size, &path));
        let other = dir.path().join("other");
        std::fs::write(&other, b"bytes").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(must_read(stamp, &path));
    }
}
