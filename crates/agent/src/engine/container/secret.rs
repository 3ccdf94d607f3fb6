//! The engine's keys, in the one file that is mounted into its container.
//!
//! A key in the environment or the arguments is shown by `docker inspect` and kept by the daemon on its own disk. A
//! configuration file is read by the server itself, is readable by its user alone, and is written anew at each
//! start. It is JSON, which is YAML too.

use std::os::unix::fs::chown;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ContainerSpec;
use crate::durable;
use crate::engine::EngineError;
use crate::keys::Secret;

/// The keys of a container.
#[derive(Debug, Clone)]
pub struct DoorKeys {
    /// May do everything.
    pub full: Secret,
    /// May read, and download snapshots.
    pub read_only: Secret,
}

#[derive(Serialize, Deserialize)]
struct Settings {
    service: Service,
}

#[derive(Serialize, Deserialize)]
struct Service {
    api_key: String,
    read_only_api_key: String,
}

/// Where the file lies on the host.
pub(super) fn file(container: &ContainerSpec) -> PathBuf {
    // The server takes the form of the file from its name.
    container.private.join(format!("{}.yaml", container.name))
}

/// The keys of a container that runs; none if they cannot be had.
pub(super) fn read(container: &ContainerSpec) -> Option<DoorKeys> {
    let bytes = std::fs::read(file(container)).ok()?;
    let Service { api_key, read_only_api_key } =
        serde_json::from_slice::<Settings>(&bytes).ok()?.service;
    // An empty key is an open door.
    (!api_key.is_empty() && !read_only_api_key.is_empty())
        .then(|| DoorKeys { full: Secret::new(api_key), read_only: Secret::new(read_only_api_key) })
}

/// Writes the file for the next start: with new keys, unless clients have been given the ones there are.
pub(super) fn write(container: &ContainerSpec, owner: (u32, u32)) -> Result<DoorKeys, EngineError> {
    let path = file(container);
    let failed = |source| EngineError::Prepare { path: path.clone(), source };
    let kept = if container.is_door { read(container) } else { None };
    let keys =
        kept.unwrap_or_else(|| DoorKeys { full: Secret::random(), read_only: Secret::random() });
    let settings = Settings {
        service: Service {
            api_key: keys.full.expose().to_owned(),
            read_only_api_key: keys.read_only.expose().to_owned(),
        },
    };
    let bytes = serde_json::to_vec(&settings).map_err(|error| failed(error.into()))?;
    fs_err::create_dir_all(&container.private).map_err(failed)?;
    durable::write_durable(&path, &bytes, 0o400).map_err(failed)?;
    chown(&path, Some(owner.0), Some(owner.1)).map_err(failed)?;
    Ok(keys)
}
