//! Getting things back out of the repository.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use rustic_core::repofile::{Node, NodeType, SnapshotFile};
use rustic_core::{IndexedFullStatus, LsOptions, Repository};

use super::{DATA, MANIFEST, ResticStore, repository_error};
use crate::durable;
use crate::store::listing::Listing;
use crate::store::walk::{Kind, Walk, walk};
use crate::store::{Entry, Manifests, Restored, StoreError, io_error};

/// The smallest hole that is left, in bytes.
const PIECE_BYTES: usize = 4096;

impl ResticStore {
    pub(super) fn read_manifest(&self, entry: &Entry) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(snapshot) = &entry.manifest else { return Ok(None) };
        let (repository, snapshot) = self.opened(snapshot)?;
        file(&repository, &snapshot, MANIFEST).map(Some)
    }

    /// All at once, so that the index is read once.
    pub(super) fn read_manifests(&self, entries: &[Entry]) -> Result<Manifests, StoreError> {
        let doing = repository_error("reading a manifest from the store");
        let repository = self.repository()?.to_indexed().map_err(&doing)?;
        let read = |snapshot: &str| {
            let snapshot = repository.get_snapshot_from_str(snapshot, |_| true).map_err(&doing)?;
            file(&repository, &snapshot, MANIFEST)
        };
        let manifests = entries
            .iter()
            .filter_map(|entry| Some((entry.id.clone(), read(entry.manifest.as_ref()?))));
        Ok(manifests.collect())
    }

    pub(super) fn restore_into(&self, entry: &Entry, into: &Path) -> Result<Restored, StoreError> {
        let doing = repository_error("restoring from the store");
        let (repository, snapshot) = self.opened(&entry.snapshot)?;
        let root = data_node(&repository, &snapshot)?;
        fs_err::create_dir(into).map_err(io_error("making the folder to restore into"))?;
        let mut folders = Vec::new();
        for node in repository.ls(&root, &LsOptions::default()).map_err(&doing)? {
            let (path, node) = node.map_err(&doing)?;
            let path = into.join(path);
            write_entry(&repository, &node, &path)?;
            if node.is_dir() {
                folders.push((path, node));
            }
        }
        // What is written into a folder changes its time, and its mode may forbid writing.
        for (path, node) in folders.iter().rev() {
            dress(path, node).map_err(io_error("restoring a folder"))?;
        }
        durable::sync_filesystem(into).map_err(io_error("syncing what was restored"))?;

        let expected = listing(&repository, &root)?;
        let found = walk(into, Walk::Still).map_err(io_error("reading what was restored"))?;
        match expected.difference(&Listing::of(into, &found)) {
            None => Ok(Restored { bytes: expected.bytes(), data: into.to_owned() }),
            Some(what) => Err(StoreError::Differs { what }),
        }
    }

    pub(super) fn opened(
        &self,
        snapshot: &str,
    ) -> Result<(Repository<IndexedFullStatus>, SnapshotFile), StoreError> {
        let repository = self
            .repository()?
            .to_indexed()
            .map_err(repository_error("reading the store's index"))?;
        let snapshot = repository
            .get_snapshot_from_str(snapshot, |_| true)
            .map_err(repository_error("reading a snapshot"))?;
        Ok((repository, snapshot))
    }
}

fn file(
    repository: &Repository<IndexedFullStatus>,
    snapshot: &SnapshotFile,
    path: &str,
) -> Result<Vec<u8>, StoreError> {
    let doing = repository_error("reading a file from the store");
    let node = repository
        .node_from_snapshot_and_path(snapshot, path.trim_start_matches('/'))
        .map_err(&doing)?;
    let mut bytes = Vec::new();
    repository.dump(&node, &mut bytes).map_err(&doing)?;
    Ok(bytes)
}

/// The folder that holds the data inside a snapshot.
pub(super) fn data_node(
    repository: &Repository<IndexedFullStatus>,
    snapshot: &SnapshotFile,
) -> Result<Node, StoreError> {
    repository
        .node_from_snapshot_and_path(snapshot, DATA.trim_start_matches('/'))
        .map_err(repository_error("reading a snapshot"))
}

/// Our own, because the library's way to restore panics on a damaged piece and on a full disk. Owner and
/// group are those of the process that restores.
fn write_entry(
    repository: &Repository<IndexedFullStatus>,
    node: &Node,
    path: &Path,
) -> Result<(), StoreError> {
    match &node.node_type {
        NodeType::Dir => fs_err::create_dir(path).map_err(io_error("restoring a folder")),
        NodeType::Symlink { .. } => fs_err::os::unix::fs::symlink(node.node_type.to_link(), path)
            .map_err(io_error("restoring a link")),
        NodeType::File => {
            let io = io_error("restoring a file");
            let file = fs_err::File::create_new(path).map_err(&io)?;
            let mut out = Out { file, length: 0, failed: None };
            let dumped = repository.dump(node, &mut out);
            if let Some(err) = out.failed {
                return Err(io(err));
            }
            dumped.map_err(|err| StoreError::Damaged {
                what: format!("`{}`: {}", path.display(), repository_error("reading")(err)),
            })?;
            out.finish().and_then(|()| dress(path, node)).map_err(io)
        }
        other @ (NodeType::Dev { .. }
        | NodeType::Chardev { .. }
        | NodeType::Fifo
        | NodeType::Socket) => {
            Err(StoreError::Damaged { what: format!("`{}` is a {other}", path.display()) })
        }
    }
}

/// Gives a file or folder the mode and the time it had.
fn dress(path: &Path, node: &Node) -> io::Result<()> {
    if let Some(mtime) = node.meta.mtime {
        let times = std::fs::FileTimes::new().set_modified(mtime.into());
        fs_err::File::open(path)?.file().set_times(times)?;
    }
    let mode = node.meta.mode.unwrap_or(0o600) & 0o777;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// A file being written. Tells a disk that is full from a store that is damaged, and leaves holes where there
/// are only zeros: an engine's logs are mostly holes, and would take many times their room without.
struct Out {
    file: fs_err::File,
    length: u64,
    failed: Option<io::Error>,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            if piece.iter().any(|byte| *byte != 0) {
                self.file.file().write_all_at(piece, self.length)?;
            }
            self.length += piece.len() as u64;
        }
        Ok(())
    }

    /// Holes at the end count too.
    fn finish(&self) -> io::Result<()> {
        self.file.set_len(self.length)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.put(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(err) => {
                let kind = err.kind();
                self.failed =
                    Some(io::Error::new(kind, format!("{}: {err}", self.file.path().display())));
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a snapshot holds.
pub(super) fn listing(
    repository: &Repository<IndexedFullStatus>,
    root: &Node,
) -> Result<Listing, StoreError> {
    let doing = repository_error("reading a snapshot");
    let mut entries = BTreeMap::new();
    for node in repository.ls(root, &LsOptions::default()).map_err(&doing)? {
        let (path, node) = node.map_err(&doing)?;
        let path = path.to_string_lossy().into_owned();
        let kind = match node.node_type {
            NodeType::Dir => Kind::Folder,
            NodeType::File => Kind::File { bytes: node.meta.size },
            NodeType::Symlink { .. } => Kind::Link,
            other @ (NodeType::Dev { .. }
            | NodeType::Chardev { .. }
            | NodeType::Fifo
            | NodeType::Socket) => {
                return Err(StoreError::Damaged { what: format!("`{path}` is a {other}") });
            }
        };
        entries.insert(path, kind);
    }
    Ok(Listing(entries))
}
