//! What a container is made from.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, PortBinding,
    ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use sha2::{Digest, Sha256};

use super::image::Found;
use super::{ContainerSpec, LABEL_NODE, LABEL_SCRATCH, LABEL_SPEC, secret};
use crate::engine::{EngineError, EngineSpec};

/// Where the image has its program and its storage.
const HOME: &str = "/qdrant";
const PROGRAM: &str = "./qdrant";
const STORAGE: &str = "/qdrant/storage";
/// Where the file with the keys is inside.
const SETTINGS: &str = "/qdrant/qmoor.yaml";

/// Names all that a container is made from; one that was made from something else is made anew.
pub(super) fn hash(spec: &EngineSpec, container: &ContainerSpec, image: &Found) -> String {
    let parts = format!(
        "3 {} {:?} {:?} {} {} {} {} {}",
        image.id,
        container.user,
        container.nofile,
        container.address,
        container.http_port,
        container.grpc_port,
        absolute(&spec.data).display(),
        absolute(&secret::file(container)).display(),
    );
    Sha256::digest(parts.as_bytes()).iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// The container's description for the daemon.
pub(super) fn create(
    spec: &EngineSpec,
    container: &ContainerSpec,
    image: String,
    owner: Option<(u32, u32)>,
    hash: &str,
) -> ContainerCreateBody {
    let mut labels = HashMap::from([
        (LABEL_NODE.to_owned(), container.node.to_string_lossy().into_owned()),
        (LABEL_SPEC.to_owned(), hash.to_owned()),
    ]);
    if container.is_scratch {
        labels.insert(LABEL_SCRATCH.to_owned(), "1".to_owned());
    }
    ContainerCreateBody {
        image: Some(image),
        user: owner.map(|(user, group)| format!("{user}:{group}")),
        working_dir: Some(HOME.to_owned()),
        // The server is process 1: a shell in its place would end on SIGTERM before it.
        entrypoint: Some(vec![PROGRAM.to_owned()]),
        cmd: Some(vec!["--config-path".to_owned(), SETTINGS.to_owned()]),
        env: Some(vec![
            "QDRANT__SERVICE__HOST=0.0.0.0".to_owned(),
            "QDRANT__SERVICE__HTTP_PORT=6333".to_owned(),
            "QDRANT__SERVICE__GRPC_PORT=6334".to_owned(),
            format!("QDRANT__STORAGE__STORAGE_PATH={STORAGE}"),
            "QDRANT__TELEMETRY_DISABLED=true".to_owned(),
            // A snapshot of anybody's URL would make the server fetch it.
            "QDRANT__SERVICE__ENABLE_SNAPSHOT_URL_RECOVERY=false".to_owned(),
        ]),
        labels: Some(labels),
        stop_signal: Some("SIGTERM".to_owned()),
        host_config: Some(host(spec, container)),
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &EngineSpec, container: &ContainerSpec) -> HostConfig {
    let binding = |port: u16| {
        Some(vec![PortBinding {
            host_ip: Some(container.address.to_string()),
            host_port: Some(if port == 0 { String::new() } else { port.to_string() }),
        }])
    };
    let mount = |source: PathBuf, target: &str, read_only| Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Mount::default()
    };
    let limit = |most: u64| {
        let most = i64::try_from(most).ok();
        ResourcesUlimits { name: Some("nofile".to_owned()), soft: most, hard: most }
    };
    let rotated = [("max-size", "16m"), ("max-file", "3")];
    HostConfig {
        port_bindings: Some(HashMap::from([
            ("6333/tcp".to_owned(), binding(container.http_port)),
            ("6334/tcp".to_owned(), binding(container.grpc_port)),
        ])),
        mounts: Some(vec![
            mount(absolute(&spec.data), STORAGE, false),
            mount(absolute(&secret::file(container)), SETTINGS, true),
        ]),
        ulimits: container.nofile.map(|most| vec![limit(most)]),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(rotated.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        }),
        // Set once it is ready: a container that dies at its start is the agent's to start again.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        ..HostConfig::default()
    }
}

/// Gives the data to the user that the engine runs as, where it is another's: a restore writes as the agent. A
/// process without capabilities may not even read what is not its own, root included.
pub(super) fn own_data(spec: &EngineSpec, owner: (u32, u32)) -> Result<(), EngineError> {
    fs_err::create_dir_all(&spec.data)
        .and_then(|()| give(&spec.data, owner))
        .map_err(|source| EngineError::Prepare { path: spec.data.clone(), source })
}

fn give(path: &Path, owner: (u32, u32)) -> std::io::Result<()> {
    let meta = fs_err::symlink_metadata(path)?;
    if meta.is_dir() {
        for entry in fs_err::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    if (meta.uid(), meta.gid()) == owner {
        return Ok(());
    }
    lchown(path, Some(owner.0), Some(owner.1))
}

/// The daemon wants whole paths; one that cannot be told is refused by it.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
