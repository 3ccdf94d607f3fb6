//! What wrote the data last, noted inside the data itself, so that it goes with every snapshot and restore.

use std::path::{Path, PathBuf};

use qmoor_plan::engine::Lineage;

use super::EngineError;
use crate::durable;

/// The name of the note, below the data directory.
pub const LINEAGE_FILE: &str = ".qmoor-engine.json";

fn file(data: &Path) -> PathBuf {
    data.join(LINEAGE_FILE)
}

/// What wrote the data last, if that is noted.
///
/// # Errors
/// When there is a note that cannot be read.
pub fn of(data: &Path) -> Result<Option<Lineage>, EngineError> {
    let path = file(data);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| EngineError::Prepare { path, source: error.into() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EngineError::Prepare { path, source }),
    }
}

/// Refuses an engine that must not open this data.
pub(super) fn check(data: &Path, next: Lineage) -> Result<(), EngineError> {
    match of(data)? {
        Some(before) => before.may_open(next).map_err(EngineError::Lineage),
        None => Ok(()),
    }
}

/// Notes that this engine has opened the data. What cannot be noted is said, and the engine runs.
pub(super) fn note(data: &Path, now: Lineage) {
    let Ok(bytes) = serde_json::to_vec(&now) else { return };
    if std::fs::read(file(data)).is_ok_and(|noted| noted == bytes) {
        return;
    }
    if let Err(error) = durable::write_durable(&file(data), &bytes, 0o644) {
        tracing::warn!(%error, "it could not be noted which engine has the data");
    }
}
