//! A list of what is in a folder, to be held against what comes out of a snapshot.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::below;
use super::walk::{Found, Kind};

/// Every entry that was on the disk when the point was fixed, by path below the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listing(pub(super) BTreeMap<String, Kind>);

impl Listing {
    pub(super) fn of(root: &Path, found: &[Found]) -> Self {
        Self(found.iter().map(|found| (below(root, &found.path), found.kind())).collect())
    }

    /// The first thing that `other` has otherwise, or nothing if both are the same.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        for (path, kind) in &self.0 {
            match other.0.get(path) {
                None => return Some(format!("`{path}` is missing")),
                Some(found) if found != kind => {
                    return Some(format!("`{path}` is {found:?} and should be {kind:?}"));
                }
                Some(_) => {}
            }
        }
        let extra = other.0.keys().find(|path| !self.0.contains_key(*path))?;
        Some(format!("`{extra}` should not be there"))
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.0
            .values()
            .map(|kind| match kind {
                Kind::File { bytes } => *bytes,
                Kind::Folder | Kind::Link => 0,
            })
            .sum()
    }
}
