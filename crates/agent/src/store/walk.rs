//! Every entry below a folder, in the order the repository format wants: folders before what is in them,
//! names sorted.
//!
//! Our own walk, because a backup must hold *every* file: the one that comes with the repository library
//! obeys the user's global ignore file inside a git work tree, and skips what it cannot read.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One entry below the root.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) meta: Metadata,
    /// Where a symbolic link leads.
    pub(super) link: Option<PathBuf>,
}

/// What one entry is, enough to tell whether a backup holds all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Folder,
    File { bytes: u64 },
    Link,
}

/// Whether entries that vanish or appear meanwhile are an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// The engine runs: files come and go.
    Living,
    /// Nobody writes: whatever is odd is an error.
    Still,
}

/// Walks `root`, which is not itself in the answer.
pub(super) fn walk(root: &Path, how: Walk) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut open = vec![Level::read(root)?];
    while let Some(level) = open.last_mut() {
        let Some(path) = level.names.next() else {
            open.pop();
            continue;
        };
        match look(&path) {
            Ok(entry) => {
                let is_dir = entry.meta.is_dir();
                found.push(entry);
                if is_dir {
                    match Level::read(&path) {
                        Ok(level) => open.push(level),
                        Err(err) if gone(&err, how) => {}
                        Err(err) => return Err(err),
                    }
                }
            }
            Err(err) if gone(&err, how) => {}
            Err(err) => return Err(err),
        }
    }
    Ok(found)
}

impl Found {
    /// What the entry is, and how long.
    pub(super) fn kind(&self) -> Kind {
        if self.meta.is_dir() {
            Kind::Folder
        } else if self.meta.is_symlink() {
            Kind::Link
        } else {
            Kind::File { bytes: self.meta.len() }
        }
    }
}

struct Level {
    names: std::vec::IntoIter<PathBuf>,
}

impl Level {
    fn read(dir: &Path) -> io::Result<Self> {
        let mut names = fs_err::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(Self { names: names.into_iter() })
    }
}

fn look(path: &Path) -> io::Result<Found> {
    let meta = fs_err::symlink_metadata(path)?;
    let kind = meta.file_type();
    let link = if kind.is_symlink() { Some(fs_err::read_link(path)?) } else { None };
    if kind.is_dir() || kind.is_file() || kind.is_symlink() {
        return Ok(Found { path: path.to_owned(), meta, link });
    }
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "{} is neither a file, a folder nor a link, and cannot be backed up",
            path.display()
        ),
    ))
}

fn gone(err: &io::Error, how: Walk) -> bool {
    match how {
        Walk::Living => err.kind() == io::ErrorKind::NotFound,
        Walk::Still => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_their_contents_and_names_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/x", "b/a/deep", "a.txt", "c"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let names: Vec<_> = walk(dir.path(), Walk::Still)
            .unwrap()
            .into_iter()
            .map(|found| found.path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a.txt", "b", "b/a", "b/a/deep", "b/x", "c"]);
    }

    #[test]
    fn a_socket_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap();
        let err = walk(dir.path(), Walk::Still).unwrap_err();
        assert!(err.to_string().contains("sock"), "{err}");
    }
}
