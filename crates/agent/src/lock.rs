//! One owner of a node's state at a time, who says who it is, why, and since when.
//!
//! The lock is an advisory `flock`, so that it goes with the process that held it, whatever its end. What
//! stands in the file is only for people: it says whom to wait for.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process, such as `process 4711`.
    pub by: String,
    /// What it is doing, such as `backup b-20260102`.
    pub why: String,
    /// When it began.
    pub since: Timestamp,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else is at work; the command line ends with 3.
    #[error("{} is held by {by} for {why} since {since}; wait for it to end", path.display())]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// The process that holds it.
        by: String,
        /// What it is doing.
        why: String,
        /// When it began.
        since: Timestamp,
    },
    /// The lock's file cannot be opened or written.
    #[error("the lock {} cannot be used: {source}", path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock at `path` at once or says who has it.
    pub fn acquire(path: &Path, why: &str) -> Result<Self, LockError> {
        let io_error = |source| LockError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
            Err(TryLockError::Error(source)) => return Err(io_error(source)),
        }
        let mut lock = Self { file, path: path.to_owned() };
        lock.say(why)?;
        Ok(lock)
    }

    /// Writes down what the lock is held for now.
    pub fn say(&mut self, why: &str) -> Result<(), LockError> {
        let holder = Holder {
            by: format!("process {}", std::process::id()),
            why: why.to_owned(),
            since: Timestamp::now(),
        };
        let text = serde_json::to_vec(&holder)
            .map_err(|err| LockError::Io { path: self.path.clone(), source: err.into() })?;
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .and_then(|_| self.file.write_all(&text))
            .map_err(|source| LockError::Io { path: self.path.clone(), source })
    }
}

/// What the holder wrote; it may be writing at this moment, so anything unreadable is just not known.
fn held(path: &Path, file: &mut File) -> LockError {
    let mut text = String::new();
    let holder = file
        .read_to_string(&mut text)
        .ok()
        .and_then(|_| serde_json::from_str::<Holder>(&text).ok())
        .unwrap_or_else(|| Holder {
            by: "another process".to_owned(),
            why: "something it has not yet said".to_owned(),
            since: Timestamp::now(),
        });
    LockError::Held { path: path.to_owned(), by: holder.by, why: holder.why, since: holder.since }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_is_told_who_and_why_and_gets_it_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let mut first = Lock::acquire(&path, "serve").unwrap();
        first.say("backup b-1").unwrap();
        let refusal = Lock::acquire(&path, "restore").unwrap_err();
        let LockError::Held { by, why, .. } = refusal else { panic!("{refusal}") };
        assert_eq!(why, "backup b-1");
        assert_eq!(by, format!("process {}", std::process::id()));
        drop(first);
        Lock::acquire(&path, "restore").unwrap();
    }
}
