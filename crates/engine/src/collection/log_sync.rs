//! Makes the write-ahead log durable for many writers at once.
//!
//! The storage engine appends to memory-mapped log files and does not sync them. Syncing a file
//! writes its dirty mapped pages too, so one `fdatasync` answers for every append before it. Whoever
//! comes first syncs; those who come meanwhile wait, and the next of them syncs for all the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use fs_err as fs;
use parking_lot::Mutex;

use crate::disk::sync_dir;
use crate::error::ApiError;

/// The log of one collection.
#[derive(Debug)]
pub(super) struct LogSync {
    dir: PathBuf,
    written: Mutex<Written>,
    synced: Mutex<Synced>,
}

/// What has been appended. Touched under the collection's write lock, so that no log file is renamed
/// meanwhile.
#[derive(Debug, Default)]
struct Written {
    /// How many appends there have been.
    appends: u64,
    /// The log files there were at the last append.
    names: BTreeSet<OsString>,
    /// Those of them that are not appended to any more, and were synced since.
    done: BTreeSet<OsString>,
    /// The log files with appends not synced yet. A handle stays good when the engine renames its
    /// file; none is kept once it is synced, since there may be hundreds of collections.
    unsynced: BTreeMap<OsString, fs::File>,
    /// Names came or went since the directory was synced.
    names_changed: bool,
}

/// What is known to be on the disk.
#[derive(Debug, Default)]
struct Synced {
    upto: u64,
    /// A sync failed: the kernel may have dropped the pages, so a later success would prove nothing.
    failed: Option<String>,
}

/// One append: [`LogSync::wait`] returns when it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl LogSync {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, written: Mutex::default(), synced: Mutex::default() }
    }

    /// Notes an append. The caller holds the collection's write lock.
    pub(super) fn appended(&self) -> io::Result<Ticket> {
        let names = self.names()?;
        let mut written = self.written.lock();
        if written.names != names {
            written.unsynced.retain(|name, _| names.contains(name));
            written.done.retain(|name| names.contains(name));
            written.names = names;
            written.names_changed = true;
        }
        let Written { names, done, unsynced, .. } = &mut *written;
        let open = names.iter().filter(|name| !is_closed(name)).min_by_key(|name| number(name));
        let closed = names.iter().filter(|name| is_closed(name) && !done.contains(*name));
        for name in closed.chain(open) {
            if !unsynced.contains_key(name) {
                unsynced.insert(name.clone(), fs::File::open(self.dir.join(name))?);
            }
        }
        written.appends += 1;
        Ok(Ticket(written.appends))
    }

    /// Waits until an append is on the disk, syncing if nobody else does.
    ///
    /// # Errors
    /// When the disk refused, now or ever before: what is on it is then not known until the engine
    /// has been started again.
    pub(super) fn wait(&self, ticket: Ticket) -> Result<(), ApiError> {
        let mut synced = self.synced.lock();
        if let Some(error) = &synced.failed {
            return Err(failure(error));
        }
        if synced.upto >= ticket.0 {
            return Ok(());
        }
        match self.sync() {
            Ok(upto) => {
                synced.upto = upto;
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                let answer = failure(&text);
                synced.failed = Some(text);
                Err(answer)
            }
        }
    }

    /// Syncs everything appended before it was called; returns how many appends that were.
    fn sync(&self) -> io::Result<u64> {
        let (upto, files, names_changed) = {
            let mut written = self.written.lock();
            let files = std::mem::take(&mut written.unsynced);
            (written.appends, files, std::mem::take(&mut written.names_changed))
        };
        for file in files.values() {
            file.sync_data()?;
        }
        if names_changed {
            sync_dir(&self.dir)?;
        }
        let mut written = self.written.lock();
        for name in files.into_keys().filter(is_closed) {
            if written.names.contains(&name) {
                written.done.insert(name);
            }
        }
        Ok(upto)
    }

    /// The log files there are now.
    fn names(&self) -> io::Result<BTreeSet<OsString>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            if is_log(&name) {
                names.insert(name);
            }
        }
        Ok(names)
    }
}

fn is_log(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("open-") || name.starts_with("closed-"))
}

fn is_closed(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("closed-"))
}

/// The number in a log file's name: the engine appends to the open file with the lowest.
fn number(name: &OsString) -> u64 {
    name.to_str()
        .and_then(|name| name.split_once('-'))
        .and_then(|(_, digits)| digits.parse().ok())
        .unwrap_or(u64::MAX)
}

fn failure(error: &str) -> ApiError {
    ApiError::Internal(format!(
        "the write-ahead log could not be written to the disk: {error}. hint: check the disk, then start the engine again"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn log() -> (tempfile::TempDir, LogSync) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("open-1"), b"x").unwrap();
        fs::write(dir.path().join("open-2"), b"").unwrap();
        fs::write(dir.path().join("first-index"), b"").unwrap();
        let log = LogSync::new(dir.path().to_owned());
        (dir, log)
    }

    #[test]
    fn one_sync_answers_for_every_append_before_it() {
        let (_dir, log) = log();
        let first = log.appended().unwrap();
        let second = log.appended().unwrap();
        log.wait(second).unwrap();
        assert_eq!(log.synced.lock().upto, 2);
        log.wait(first).unwrap();
    }

    #[test]
    fn a_file_that_was_closed_is_synced_once_more_and_then_left_alone() {
        let (dir, log) = log();
        let first = log.appended().unwrap();
        fs::rename(dir.path().join("open-1"), dir.path().join("closed-0")).unwrap();
        let second = log.appended().unwrap();
        log.wait(first).unwrap();
        log.wait(second).unwrap();
        let third = log.appended().unwrap();
        let written = log.written.lock();
        assert!(written.done.contains(&OsString::from("closed-0")));
        assert_eq!(written.unsynced.keys().collect::<Vec<_>>(), ["open-2"]);
        drop(written);
        log.wait(third).unwrap();
        assert!(log.written.lock().unsynced.is_empty());
    }

    #[test]
    fn a_failed_sync_is_never_forgotten() {
        let (dir, log) = log();
        let ticket = log.appended().unwrap();
        dir.close().unwrap();
        assert!(log.wait(ticket).is_err());
        assert!(log.wait(Ticket(0)).is_err());
    }

    #[test]
    fn the_open_file_is_told_by_number_and_not_by_spelling() {
        assert!(number(&OsString::from("open-9")) < number(&OsString::from("open-10")));
    }
}
