//! The engine as a container of the official image, over the Docker Engine API.
//!
//! The server itself is process 1: the image's own entrypoint is a shell that ends on SIGTERM at once, whereupon the
//! kernel kills the server. The container outlives an agent that is killed, and the next one adopts it. Its key is
//! in a file that is mounted into it, never in its arguments or environment, which `docker inspect` shows.

mod body;
mod compose;
mod image;
mod look;
mod own;
mod ready;
mod secret;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
};
use bollard::{ClientVersion, Docker};
use futures::StreamExt;
use qmoor_plan::config::EngineKind;
use qmoor_plan::engine::{Image, Lineage};
use tokio::sync::watch;
use tokio::time::Instant;

use super::running::Running;
use super::{Endpoint, EngineError, EngineSpec, lineage};
pub use compose::compose;
pub(crate) use look::look;
pub use secret::DoorKeys;

/// How long the Docker daemon may take over one request.
const REQUEST_TIMEOUT: u64 = 60;
/// Says which node a container is of: the path of its state directory.
const LABEL_NODE: &str = "qmoor.node";
/// Says what a container was made from, so that it is made anew when that changes.
const LABEL_SPEC: &str = "qmoor.spec";
/// On containers that are thrown away after their use.
const LABEL_SCRATCH: &str = "qmoor.scratch";
/// How often a fresh container is looked at until it answers.
const READY_POLL: Duration = Duration::from_millis(20);

/// How to run an engine in a container.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// The container's name.
    pub name: String,
    /// The node's state directory: says whose the container is.
    pub node: PathBuf,
    /// The image.
    pub image: Image,
    /// User and group inside, if not the image's.
    pub user: Option<(u32, u32)>,
    /// Most open files, if not what the daemon allows.
    pub nofile: Option<u64>,
    /// The daemon's socket.
    pub socket: PathBuf,
    /// Where the file with the key lies, and what the image was.
    pub private: PathBuf,
    /// The host's address on which it is published.
    pub address: IpAddr,
    /// The REST port there; 0 for any free one.
    pub http_port: u16,
    /// The gRPC port there; 0 for any free one.
    pub grpc_port: u16,
    /// Whether its keys are given to clients, and so stay the same.
    pub is_door: bool,
    /// Whether it is removed once it has stopped.
    pub is_scratch: bool,
}

/// Talks to the daemon of `spec`.
fn connect(spec: &ContainerSpec) -> Result<Docker, EngineError> {
    let path = spec.socket.to_string_lossy();
    Docker::connect_with_unix(&path, REQUEST_TIMEOUT, &API_VERSION)
        .map_err(|error| docker_error("reaching the Docker daemon", &error))
}

/// The oldest form of the API that has all that is asked here: Docker 20.10.
const API_VERSION: ClientVersion = ClientVersion { major_version: 1, minor_version: 41 };

/// A failure of the daemon, in one line.
fn docker_error(doing: &'static str, error: &bollard::errors::Error) -> EngineError {
    let hint = match error {
        bollard::errors::Error::SocketNotFoundError(_) => {
            " (hint: is Docker installed and running? `systemctl status docker`; `engine.socket` says where its socket is)"
        }
        bollard::errors::Error::DockerResponseServerError { message, .. }
            if message.contains("rlimit") =>
        {
            " (hint: this host does not let containers raise their limit of open files: set `engine.nofile` to 0, or lower)"
        }
        _ => "",
    };
    EngineError::Docker {
        doing,
        message: format!("{}{hint}", error.to_string().replace('\n', " ")),
    }
}

fn is_missing(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

async fn inspect(
    docker: &Docker,
    name: &str,
) -> Result<Option<ContainerInspectResponse>, EngineError> {
    match docker.inspect_container(name, None).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(docker_error("looking at the container", &error)),
    }
}

fn is_running(container: &ContainerInspectResponse) -> bool {
    let state = container.state.as_ref();
    state.and_then(|state| state.running).unwrap_or(false)
}

fn label<'a>(container: &'a ContainerInspectResponse, name: &str) -> Option<&'a str> {
    container.config.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

/// Brings the container up, or takes over one that is up already, and waits until it is ready and guarded.
pub(super) async fn launch(
    spec: &EngineSpec,
    container: &ContainerSpec,
    up: watch::Sender<Option<Endpoint>>,
) -> Result<(Running, Endpoint), EngineError> {
    let deadline = Instant::now() + spec.start_timeout;
    let container = &ContainerSpec { image: effective(container), ..container.clone() };
    let docker = connect(container)?;
    let image = image::ensure(&docker, container).await?;
    lineage::check(&spec.data, lineage_of(container))?;
    let wanted = body::hash(spec, container, &image);
    let found = inspect(&docker, &container.name).await?;
    if let Some(found) = &found {
        ours(container, found)?;
        if is_running(found)
            && label(found, LABEL_SPEC) == Some(wanted.as_str())
            && let Some(keys) = secret::read(container)
        {
            tracing::info!(name = container.name, "engine: a running container is taken over");
            let taken = follow(&docker, spec, container, keys, up.clone(), deadline).await;
            match taken {
                // It was on its way down when it was found.
                Err(EngineError::Died { .. }) => {}
                taken => return taken,
            }
        }
    }
    let keys = secret::write(container, image.owner(container)?)?;
    body::own_data(spec, image.owner(container)?)?;
    match inspect(&docker, &container.name).await? {
        Some(found)
            if label(&found, LABEL_SPEC) == Some(wanted.as_str()) && !is_running(&found) => {}
        found => {
            if let Some(found) = found {
                replace(&docker, spec, container, &found).await?;
            }
            let options = CreateContainerOptionsBuilder::new().name(&container.name).build();
            let owner = Some(image.owner(container)?);
            let body = body::create(spec, container, image.id.clone(), owner, &wanted);
            docker
                .create_container(Some(options), body)
                .await
                .map_err(|error| docker_error("making the container", &error))?;
        }
    }
    docker
        .start_container(&container.name, None)
        .await
        .map_err(|error| docker_error("starting the container", &error))?;
    follow(&docker, spec, container, keys, up, deadline).await
}

fn lineage_of(container: &ContainerSpec) -> Lineage {
    Lineage { kind: EngineKind::Docker, version: container.image.version }
}

/// A container of that name that is not this node's is left alone.
fn ours(container: &ContainerSpec, found: &ContainerInspectResponse) -> Result<(), EngineError> {
    let node = container.node.to_string_lossy();
    match label(found, LABEL_NODE) {
        Some(owner) if owner == node => Ok(()),
        owner => Err(EngineError::Docker {
            doing: "looking at the container",
            message: format!(
                "a container called `{}` is there and belongs to {} (hint: give this node another `node.name`, or remove it: `docker rm -f {}`)",
                container.name,
                owner.map_or_else(
                    || "something else".to_owned(),
                    |owner| format!("the node at {owner}")
                ),
                container.name
            ),
        }),
    }
}

/// Ends and removes a container that was made from something else.
async fn replace(
    docker: &Docker,
    spec: &EngineSpec,
    container: &ContainerSpec,
    found: &ContainerInspectResponse,
) -> Result<(), EngineError> {
    if is_running(found) {
        tracing::info!(name = container.name, "engine: the container is made anew");
        let run = owned(docker, container, found, watch::Sender::new(None));
        run.end(spec.stop_timeout).await?;
    }
    remove(docker, &container.name).await
}

async fn remove(docker: &Docker, name: &str) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    match docker.remove_container(name, Some(options)).await {
        Err(error) if !is_missing(&error) => Err(docker_error("removing the container", &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn owned(
    docker: &Docker,
    container: &ContainerSpec,
    found: &ContainerInspectResponse,
    up: watch::Sender<Option<Endpoint>>,
) -> Running {
    let pid = found.state.as_ref().and_then(|state| state.pid).unwrap_or_default();
    let (docker, container) = (docker.clone(), container.clone());
    Running::owned(u32::try_from(pid).unwrap_or_default(), up, |inbox| async move {
        own::own(&docker, &container, pid, inbox).await
    })
}

/// Watches a container that was started, until it is ready.
async fn follow(
    docker: &Docker,
    spec: &EngineSpec,
    container: &ContainerSpec,
    keys: DoorKeys,
    up: watch::Sender<Option<Endpoint>>,
    deadline: Instant,
) -> Result<(Running, Endpoint), EngineError> {
    let found = inspect(docker, &container.name).await?;
    let Some(found) = found.filter(is_running) else {
        return Err(EngineError::Died {
            exit_code: None,
            last_words: last_words(docker, container).await,
        });
    };
    let run = owned(docker, container, &found, up);
    let endpoint = match published(&found) {
        Some((http, grpc)) => Endpoint { http, grpc, api_key: keys.full },
        None => {
            let last_words = last_words(docker, container).await;
            let exit_code = run.kill().await?.exit.code;
            return Err(EngineError::Died { exit_code, last_words });
        }
    };
    match ready::wait(docker, spec, container, &run, &endpoint, deadline).await {
        Ok(()) => {
            // Behind a gateway it is of no use without its agent, which starts it again sooner.
            restarts(docker, container, container.is_door).await?;
            lineage::note(&spec.data, lineage_of(container));
            Ok((run, endpoint))
        }
        Err(error) => {
            run.kill().await?;
            Err(error)
        }
    }
}

/// Where the daemon has published the two ports.
fn published(found: &ContainerInspectResponse) -> Option<(SocketAddr, SocketAddr)> {
    let ports = found.network_settings.as_ref()?.ports.as_ref()?;
    let at = |port: &str| {
        let binding = ports.get(port)?.as_ref()?.first()?;
        let address: IpAddr = binding.host_ip.as_ref()?.parse().ok()?;
        Some(SocketAddr::new(address, binding.host_port.as_ref()?.parse().ok()?))
    };
    Some((at("6333/tcp")?, at("6334/tcp")?))
}

/// Says whether the daemon starts the container again when it ends. While the agent stops it for a backup it must
/// not, or the engine would come up in the middle of the snapshot.
async fn restarts(docker: &Docker, container: &ContainerSpec, on: bool) -> Result<(), EngineError> {
    let name = if on { RestartPolicyNameEnum::UNLESS_STOPPED } else { RestartPolicyNameEnum::NO };
    let policy = RestartPolicy { name: Some(name), maximum_retry_count: None };
    let update =
        ContainerUpdateBody { restart_policy: Some(policy), ..ContainerUpdateBody::default() };
    docker
        .update_container(&container.name, update)
        .await
        .map_err(|error| docker_error("setting the container's restart policy", &error))
}

/// Takes the restart policy away before a stop.
pub(super) async fn will_stop(container: &ContainerSpec) -> Result<(), EngineError> {
    let docker = connect(container)?;
    restarts(&docker, container, false).await
}

/// Whether the container does not run at this moment; an error when that is not known.
pub(super) async fn is_down(container: &ContainerSpec) -> Result<bool, EngineError> {
    let found = inspect(&connect(container)?, &container.name).await?;
    Ok(!found.is_some_and(|found| is_running(&found)))
}

/// Brings a stop to its end that a former agent may have begun: the signal may have come at a moment when the server
/// hears only half of it, and stays half alive for ever.
pub(super) async fn finish_stop(
    spec: &EngineSpec,
    container: &ContainerSpec,
) -> Result<(), EngineError> {
    let docker = connect(container)?;
    let Some(found) = inspect(&docker, &container.name).await? else { return Ok(()) };
    ours(container, &found)?;
    if is_running(&found) {
        restarts(&docker, container, false).await?;
        owned(&docker, container, &found, watch::Sender::new(None)).end(spec.stop_timeout).await?;
    }
    Ok(())
}

/// Removes a container of this node, whatever it does.
pub(super) async fn discard(container: &ContainerSpec) -> Result<(), EngineError> {
    let docker = connect(container)?;
    let Some(found) = inspect(&docker, &container.name).await? else { return Ok(()) };
    ours(container, &found)?;
    remove(&docker, &container.name).await
}

/// The image that runs: the configured one, or one that it was upgraded to since.
pub fn effective(container: &ContainerSpec) -> Image {
    image::upgraded(container).unwrap_or_else(|| container.image.clone())
}

/// From the next start on this image runs, or the configured one again.
pub(crate) fn use_image(
    container: &ContainerSpec,
    image: Option<&Image>,
) -> Result<(), EngineError> {
    image::upgrade(container, image)
}

/// Makes sure that an image is there.
pub(super) async fn fetch(container: &ContainerSpec, image: &Image) -> Result<(), EngineError> {
    let container = ContainerSpec { image: image.clone(), ..container.clone() };
    image::present(&connect(&container)?, &container).await.map(drop)
}

/// The keys of a container, from the file that is mounted into it.
pub(super) fn door_keys(container: &ContainerSpec) -> Option<DoorKeys> {
    secret::read(container)
}

/// The name of the image, and the hash of what it was when it was first used here.
pub fn pinned(container: &ContainerSpec) -> String {
    let container = &ContainerSpec { image: effective(container), ..container.clone() };
    match image::pinned(container) {
        Some(id) => format!("{}@{id}", container.image.tagged()),
        None => container.image.to_string(),
    }
}

/// The last line that the container wrote.
async fn last_words(docker: &Docker, container: &ContainerSpec) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20").build();
    let mut lines = docker.logs(&container.name, Some(options));
    let mut last = None;
    while let Some(Ok(line)) = lines.next().await {
        let text = line.to_string();
        if !text.trim().is_empty() {
            last = Some(text.trim().to_owned());
        }
    }
    last.unwrap_or_else(|| format!("nothing in `docker logs {}`", container.name))
}
