//! Where backups are kept: a restic-format repository in a local folder, so that plain `restic` can read it
//! without us.
//!
//! One backup is two snapshots of the repository. The first holds the engine's data under `/data` and is
//! tagged `qmoor` and `id=…`; the second holds `manifest.json`, is tagged `qmoor-manifest`, and is written last:
//! data without a manifest is an incomplete backup. While a backup runs there is a third, `qmoor-pass1`,
//! which makes the second pass short and is deleted afterwards.
//!
//! Everything here blocks. The repository library takes no locks: the node's own lock keeps two of our commands
//! apart, and an operator must not run `restic prune` beside a backup.

mod changes;
mod check;
mod key;
mod repository;
mod restore;
mod source;
mod take;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustic_core::RusticError;

pub use repository::Store;
pub use restore::Manifests;
pub use take::{FirstPass, Labels, Taken};

/// Where the data lies inside a snapshot.
const DATA: &str = "/data";
/// Where the manifest lies inside its snapshot.
const MANIFEST: &str = "/manifest.json";
/// On every data snapshot.
const TAG_DATA: &str = "qmoor";
/// On every manifest snapshot.
const TAG_MANIFEST: &str = "qmoor-manifest";
/// On the snapshot of a first pass.
const TAG_FIRST_PASS: &str = "qmoor-pass1";

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The repository answered with an error.
    #[error("{doing}: {message}")]
    Repository {
        /// What was being done.
        doing: &'static str,
        /// What the repository library said, on one line.
        message: String,
    },
    /// A file or folder cannot be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said, with the path.
        source: io::Error,
    },
    /// There is a repository, but not its password.
    #[error("the store {} is encrypted and its password file {} is missing (hint: put the saved copy of the password back)", store.display(), key.display())]
    KeyMissing {
        /// The repository.
        store: PathBuf,
        /// Where the password should be.
        key: PathBuf,
    },
    /// The password does not open the repository.
    #[error("the password in {} does not open the store {} (hint: is this the store of another node?)", key.display(), store.display())]
    WrongKey {
        /// The repository.
        store: PathBuf,
        /// The password file.
        key: PathBuf,
    },
    /// Backups were made, and the folder that held them is empty now.
    #[error("the store {} held backups and is empty now (hint: is its disk mounted?)", store.display())]
    Vanished {
        /// The repository.
        store: PathBuf,
    },
    /// Files could not be read, so there is no backup.
    #[error("{count} files could not be backed up, the first: {first}")]
    Unread {
        /// How many.
        count: usize,
        /// The first of them and why.
        first: String,
    },
    /// The snapshot does not hold what was on the disk.
    #[error("the snapshot is not what was on the disk: {what}")]
    Differs {
        /// The first difference.
        what: String,
    },
    /// No such snapshot.
    #[error("there is no backup `{id}` in the store {} (hint: `qmoor backups` lists them)", store.display())]
    NoSuchBackup {
        /// What was asked for.
        id: String,
        /// The repository.
        store: PathBuf,
    },
    /// Something in the store is damaged.
    #[error(
        "the store is damaged: {what} (hint: restore from another backup; `restic check` tells more)"
    )]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

/// One data snapshot in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The backup's id.
    pub id: String,
    /// The repository's own id for the data snapshot.
    pub snapshot: String,
    /// When it was made.
    pub at: Timestamp,
    /// The repository's id for the manifest snapshot; without one the backup is incomplete.
    pub manifest: Option<String>,
    /// Bytes of all files in it.
    pub bytes_total: u64,
}

fn repository_error(doing: &'static str) -> impl Fn(Box<RusticError>) -> StoreError {
    move |err| {
        let message = err.display_log().replace('\n', " ");
        let message = message.strip_prefix("Error: ").unwrap_or(&message).to_owned();
        StoreError::Repository { doing, message }
    }
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { doing, source }
}

/// The path below `root`, as text.
fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
