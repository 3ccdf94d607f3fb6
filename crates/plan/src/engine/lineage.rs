//! Which engine wrote a node's data last, and which may open it next.
//!
//! Qdrant itself does not refuse a downgrade or a skipped minor version: it fails later, or reads the data
//! wrongly. So what wrote the data is noted beside it, travels with every snapshot, and is asked first.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Version;
use crate::config::EngineKind;

/// The engine that wrote the data last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// Which kind: the two do not read each other's data.
    pub kind: EngineKind,
    /// Its version.
    pub version: Version,
}

/// Why an engine must not open the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineageError {
    /// The data is another kind of engine's.
    OtherKind(Lineage, EngineKind),
    /// The data is a newer version's.
    Downgrade(Version, Version),
    /// A minor version between the two was left out.
    Skipped(Version, Version),
}

impl Lineage {
    /// Whether `next` may open what `self` has written.
    ///
    /// # Errors
    /// When it is of another kind, older, or more than one minor version newer.
    pub fn may_open(self, next: Self) -> Result<(), LineageError> {
        let (from, to) = (self.version, next.version);
        if self.kind != next.kind {
            return Err(LineageError::OtherKind(self, next.kind));
        }
        if to < from {
            return Err(LineageError::Downgrade(from, to));
        }
        let same_major = to.major == from.major;
        let next_minor = same_major && to.minor <= from.minor.saturating_add(1);
        // The step to another major version is from the last minor one to the first, and nobody knows the last.
        let next_major = to.major == from.major.saturating_add(1) && to.minor == 0;
        if next_minor || next_major { Ok(()) } else { Err(LineageError::Skipped(from, to)) }
    }
}

impl fmt::Display for LineageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKind(had, kind) => write!(
                f,
                "the data was written by the {} engine {}, which the {} engine does not read (hint: set `engine.kind` back, or index again into a new `node.dir`)",
                had.kind.as_str(),
                had.version,
                kind.as_str()
            ),
            Self::Downgrade(from, to) => write!(
                f,
                "the data was written by version {from}, and {to} is older (hint: set `engine.image` back to {from}, or restore a backup made with {to})"
            ),
            Self::Skipped(from, to) => write!(
                f,
                "the data was written by version {from}, and {to} skips a minor version (hint: `qmoor upgrade {}.{}.x` first, one minor version at a time)",
                from.major,
                from.minor + 1
            ),
        }
    }
}

impl std::error::Error for LineageError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn docker(version: &str) -> Lineage {
        Lineage { kind: EngineKind::Docker, version: Version::parse(version).unwrap() }
    }

    #[test]
    fn one_minor_version_at_a_time_and_never_back() {
        let may = |from, to| docker(from).may_open(docker(to));
        for (from, to) in
            [("1.18.3", "1.18.3"), ("1.18.3", "1.18.4"), ("1.18.3", "1.19.0"), ("1.19.2", "2.0.0")]
        {
            assert_eq!(may(from, to), Ok(()), "{from} to {to}");
        }
        for (from, to) in [("1.19.0", "1.18.3"), ("1.19.1", "1.19.0"), ("2.0.0", "1.99.0")] {
            assert!(matches!(may(from, to), Err(LineageError::Downgrade(..))), "{from} to {to}");
        }
        for (from, to) in [("1.17.0", "1.19.0"), ("1.19.0", "2.1.0"), ("1.0.0", "3.0.0")] {
            assert!(matches!(may(from, to), Err(LineageError::Skipped(..))), "{from} to {to}");
        }
    }

    #[test]
    fn the_two_kinds_of_engine_do_not_open_each_others_data() {
        let embedded = Lineage { kind: EngineKind::Embedded, ..docker("1.19.0") };
        assert!(matches!(embedded.may_open(docker("1.19.0")), Err(LineageError::OtherKind(..))));
        assert!(matches!(docker("1.19.0").may_open(embedded), Err(LineageError::OtherKind(..))));
    }

    #[test]
    fn a_refusal_names_both_versions_and_the_next_step() {
        let error = docker("1.17.2").may_open(docker("1.19.0")).unwrap_err().to_string();
        assert!(error.contains("1.17.2") && error.contains("qmoor upgrade 1.18.x"), "{error}");
    }
}
