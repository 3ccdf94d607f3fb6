//! A look at what the daemon runs, for `qmoor doctor`: nothing is changed.

use std::net::{IpAddr, SocketAddr};

use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::ListContainersOptionsBuilder;
use qmoor_plan::doctor::{Container, Docker, Published};

use super::{ContainerSpec, EngineError, connect, docker_error, inspect};

/// The node's own container, and the ports that the others publish.
pub(crate) async fn look(spec: &ContainerSpec) -> Result<Docker, EngineError> {
    let docker = connect(spec)?;
    let options = ListContainersOptionsBuilder::new().all(false).build();
    let running = docker
        .list_containers(Some(options))
        .await
        .map_err(|error| docker_error("listing the containers", &error))?;
    let (its, published) =
        running.iter().flat_map(published).partition(|port| port.container == spec.name);
    let found = inspect(&docker, &spec.name).await?;
    Ok(Docker { own: found.map(|found| own(&spec.name, &found, its)), published })
}

fn own(name: &str, found: &ContainerInspectResponse, published: Vec<Published>) -> Container {
    let program = found.path.iter().cloned();
    let arguments = found.args.iter().flatten().cloned();
    let policy = found
        .host_config
        .as_ref()
        .and_then(|host| host.restart_policy.as_ref())
        .and_then(|policy| policy.name.as_ref());
    Container {
        name: name.to_owned(),
        image: found.image.clone().unwrap_or_default(),
        command: program.chain(arguments).collect(),
        restart: policy.map(ToString::to_string).unwrap_or_default(),
        published,
    }
}

fn published(container: &ContainerSummary) -> Vec<Published> {
    let names = container.names.iter().flatten();
    let name = names.map(|name| name.trim_start_matches('/')).next().unwrap_or_default();
    let ports = container.ports.iter().flatten();
    ports
        .filter_map(|port| {
            // What is not published has no port on the host.
            let outside = port.public_port?;
            let address: IpAddr = port.ip.as_deref()?.parse().ok()?;
            Some(Published {
                container: name.to_owned(),
                inside: port.private_port,
                at: SocketAddr::new(address, outside),
            })
        })
        .collect()
}
