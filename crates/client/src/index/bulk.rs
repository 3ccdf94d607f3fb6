//! `--bulk`: no vector index is built while a source is written, and it is built once afterwards.
//!
//! What the settings were is written to a file before they are changed, so that the next run puts
//! them back if this one does not live to do it.

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err::File;
use qdrant_client::qdrant::{OptimizersConfigDiff, UpdateCollection};
use serde::{Deserialize, Serialize};

use crate::ensure::info;
use crate::error::Error;
use crate::retry::Patience;
use crate::target::{Connection, request};

/// Qdrant's own threshold, in kilobytes, for a collection that never had one of its own.
const THRESHOLD_DEFAULT: u64 = 10_000;

/// What a collection's settings were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Former {
    collection: String,
    indexing_threshold: u64,
}

/// Puts right what a run before did not live to.
pub(super) async fn recover(
    connection: &Connection,
    patience: &Patience,
    state: &Path,
) -> Result<(), Error> {
    let Some(former) = load(state).await? else { return Ok(()) };
    let there = connection.to_collection(&former.collection);
    restore(&there, patience, &former).await?;
    forget(state).await
}

/// Puts off indexing.
pub(super) async fn begin(
    connection: &Connection,
    patience: &Patience,
    state: Option<&Path>,
) -> Result<Former, Error> {
    let info = info(connection, patience)
        .await?
        .ok_or_else(|| Error::NotFound { collection: connection.collection.clone() })?;
    let threshold = info
        .config
        .and_then(|config| config.optimizer_config)
        .and_then(|optimizer| optimizer.indexing_threshold);
    let former = Former {
        collection: connection.collection.clone(),
        indexing_threshold: threshold.unwrap_or(THRESHOLD_DEFAULT),
    };
    if let Some(path) = state {
        keep(path, &former).await?;
    }
    set(connection, patience, 0).await?;
    Ok(former)
}

/// Puts the settings back.
pub(super) async fn end(
    connection: &Connection,
    patience: &Patience,
    former: &Former,
    state: Option<&Path>,
) -> Result<(), Error> {
    restore(connection, patience, former).await?;
    match state {
        Some(path) => forget(path).await,
        None => Ok(()),
    }
}

/// Puts the settings back; a collection that is gone has none.
async fn restore(
    connection: &Connection,
    patience: &Patience,
    former: &Former,
) -> Result<(), Error> {
    match set(connection, patience, former.indexing_threshold).await {
        Err(Error::NotFound { .. }) | Ok(()) => Ok(()),
        Err(other) => Err(other),
    }
}

async fn set(connection: &Connection, patience: &Patience, threshold: u64) -> Result<(), Error> {
    let action = "change the collection's settings";
    let answer = patience
        .call(action, || {
            let mut client = connection.collections();
            let message = UpdateCollection {
                collection_name: connection.collection.clone(),
                optimizers_config: Some(OptimizersConfigDiff {
                    indexing_threshold: Some(threshold),
                    ..OptimizersConfigDiff::default()
                }),
                ..UpdateCollection::default()
            };
            async move { client.update(request(message)).await }
        })
        .await;
    answer.map(drop).map_err(|failure| failure.name(connection, action))
}

async fn load(path: &Path) -> Result<Option<Former>, Error> {
    on_file("read the former settings in", path, |path| match fs_err::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    })
    .await
}

/// Written beside, synced and renamed, so that after a crash there is a whole file or none.
async fn keep(path: &Path, former: &Former) -> Result<(), Error> {
    let former = former.clone();
    on_file("keep the former settings in", path, move |path| {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(&former)?)?;
        file.sync_all()?;
        fs_err::rename(&beside, path)?;
        sync_folder(path)
    })
    .await
}

async fn forget(path: &Path) -> Result<(), Error> {
    on_file("remove", path, |path| match fs_err::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    })
    .await
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

async fn on_file<T: Send + 'static>(
    action: &'static str,
    path: &Path,
    work: impl FnOnce(&Path) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let path = PathBuf::from(path);
    let file = path.clone();
    tokio::task::spawn_blocking(move || work(&file))
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
        .map_err(|source| Error::File { action, path, source })
}
