//! Whether a snapshot is really all there.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use rustic_core::CheckOptions;
use rustic_core::repofile::{Node, NodeType};
use sha2::{Digest as _, Sha256};

use super::restore::{data_node, listing};
use super::{ResticStore, repository_error};
use crate::store::{Entry, StoreError, Taken, io_error};

impl ResticStore {
    /// Reads a backup's trees again from the repository: it must hold what was on the disk, each file in its
    /// full length, every piece must be in the index, and every pack the index names must be there in its
    /// size. The packs that the backup `taken` just now added are read and hashed; with `read_data` all packs are
    /// read, and their contents decrypted.
    pub(super) fn check(
        &self,
        entry: &Entry,
        taken: Option<&Taken>,
        read_data: bool,
    ) -> Result<(), StoreError> {
        let (repository, snapshot) = self.opened(&entry.snapshot)?;
        let root = data_node(&repository, &snapshot)?;
        let found = listing(&repository, &root)?;
        if let Some(taken) = taken {
            if let Some(what) = taken.listing.difference(&found) {
                return Err(StoreError::Differs { what });
            }
            for pack in self.packs()?.difference(&taken.packs_before) {
                check_pack(pack)?;
            }
        }
        let doing = repository_error("checking the store");
        let nodes = repository.ls(&root, &rustic_core::LsOptions::default()).map_err(&doing)?;
        for node in nodes {
            let (path, node) = node.map_err(&doing)?;
            let stored = self::content_bytes(&repository, &node)?;
            if matches!(node.node_type, NodeType::File) && stored != node.meta.size {
                let size = node.meta.size;
                let what = format!("`{}` holds {stored} of {size} bytes", path.display());
                return Err(StoreError::Damaged { what });
            }
        }
        let options = CheckOptions::default().read_data(read_data);
        let results = repository
            .drop_index()
            .check_with_trees(options, vec![snapshot.tree])
            .map_err(&doing)?;
        match results.is_ok() {
            Ok(()) => Ok(()),
            Err(_) => {
                let first = results.0.first().map(|(_, finding)| finding.to_string());
                Err(StoreError::Damaged { what: first.unwrap_or_default() })
            }
        }
    }
}

/// A pack is called after the hash of what is in it.
fn check_pack(path: &Path) -> Result<(), StoreError> {
    let io = io_error("reading a new pack back");
    let mut file = fs_err::File::open(path).map_err(&io)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let count = file.read(&mut buffer).map_err(&io)?;
        match buffer.get(..count) {
            Some([]) | None => break,
            Some(bytes) => hash.update(bytes),
        }
    }
    let expected = path.file_name().unwrap_or_default().to_string_lossy();
    let found = hash.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    });
    match found == expected {
        true => Ok(()),
        false => {
            Err(StoreError::Damaged { what: format!("pack {expected} reads back as {found}") })
        }
    }
}

/// Bytes of the pieces that make up a file.
fn content_bytes(
    repository: &rustic_core::Repository<rustic_core::IndexedFullStatus>,
    node: &Node,
) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for id in node.content.iter().flatten() {
        let entry = repository
            .get_index_entry(id)
            .map_err(repository_error("looking for a piece of a file"))?;
        bytes += u64::from(entry.location.data_length());
    }
    Ok(bytes)
}
