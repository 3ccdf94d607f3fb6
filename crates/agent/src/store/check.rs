//! Whether a snapshot is really all there.

use rustic_core::CheckOptions;
use rustic_core::repofile::{Node, NodeType};

use super::restore::{data_node, listing};
use super::take::Listing;
use super::{Entry, Store, StoreError, repository_error};

impl Store {
    /// Reads a backup's trees again from the repository: it must hold what was on the disk, each file in its
    /// full length, every piece must be in the index, and every pack the index names must be there in its
    /// size. With `read_data` every pack is read too, and its contents checked.
    pub fn verify(
        &self,
        entry: &Entry,
        expected: Option<&Listing>,
        read_data: bool,
    ) -> Result<(), StoreError> {
        let (repository, snapshot) = self.opened(&entry.snapshot)?;
        let root = data_node(&repository, &snapshot)?;
        let found = listing(&repository, &root)?;
        if let Some(what) = expected.and_then(|expected| expected.difference(&found)) {
            return Err(StoreError::Differs { what });
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
