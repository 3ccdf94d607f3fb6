//! Where the node is reached, and by whom.

use std::net::SocketAddr;

use super::{Facts, Finding, Judged, known};
use crate::config::EngineKind;

/// The ports of Qdrant: REST, gRPC, and the one where its servers talk to each other without a key.
const PORTS: [u16; 3] = [6333, 6334, 6335];

/// An interface of this host has the address that clients come to.
pub(super) fn address_held(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    let address = config.gateway.listen;
    if address.is_unspecified() {
        return Ok(Finding::warn(
            format!("{address}: every interface is listened on, and none of them is the node's"),
            "gateway.listen = the one private address of this host",
        ));
    }
    if !*known(&facts.address_held)? {
        return Ok(Finding::fail(
            format!("no interface of this host has {address}"),
            "gateway.listen = an address that `ip -brief address` shows, or give the address to an interface",
        ));
    }
    Ok(Finding::pass(match address.is_loopback() {
        true => format!("{address}: only this host reaches it"),
        false => format!("{address} is an address of this host"),
    }))
}

/// The door is open where the configuration says, the engine is behind it, and nothing else is open to everybody.
pub(super) fn engine_bound(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    let node = known(&facts.node)?;
    let listeners = known(&facts.listeners)?;
    let doors: Vec<SocketAddr> = [node.http, node.grpc].into_iter().flatten().collect();
    if let Some(door) = doors.iter().find(|door| door.ip() != config.gateway.listen) {
        return Ok(Finding::warn(
            format!(
                "the node listens on {door}, and the configuration says {}",
                config.gateway.listen
            ),
            "restart `qmoor serve`: the configuration was changed under it",
        ));
    }
    if config.gateway.enabled
        && let Ok(engine) = &facts.engine
        && let Ok(listens) = &engine.listens
        && let Some(open) = listens.iter().find(|at| !at.ip().is_loopback())
    {
        return Ok(Finding::fail(
            format!("the engine listens on {open}, beside the gateway"),
            "restart `qmoor serve`: it starts the engine on loopback",
        ));
    }
    let open = listeners
        .iter()
        .find(|at| at.ip().is_unspecified() && PORTS.contains(&at.port()) && !doors.contains(at));
    if let Some(open) = open {
        return Ok(Finding::fail(
            format!("something listens on {open}, on every interface, beside the gateway"),
            format!(
                "`ss -ltnp 'sport = :{}'` shows what; end it, or bind it to 127.0.0.1",
                open.port()
            ),
        ));
    }
    let engine = match facts.engine.as_ref().map(|engine| &engine.listens) {
        Ok(Ok(listens)) => format!("the engine at {}", list(listens)),
        Ok(Err(why)) | Err(why) => format!("of the engine nothing was seen: {why}"),
    };
    Ok(Finding::pass(format!("the door at {}; {engine}", list(&doors))))
}

/// No container publishes a port of Qdrant to everybody: the host's usual firewall rules do not hold for those.
pub(super) fn docker_ports(facts: &Facts) -> Judged {
    let docker = known(&facts.docker)?;
    let own = docker.own.iter().flat_map(|own| &own.published);
    let mut open = own
        .chain(&docker.published)
        .filter(|port| PORTS.contains(&port.inside) && port.at.ip().is_unspecified());
    Ok(match open.next() {
        Some(port) => Finding::fail(
            format!(
                "the container `{}` publishes its port {} at {}: Docker's rules let it past the host's firewall",
                port.container, port.inside, port.at
            ),
            format!(
                "publish it at one address: `docker run -p 127.0.0.1:{0}:{0}`; until then `qmoor render firewall --allow NETWORK | nft -f -`",
                port.inside
            ),
        ),
        None => Finding::pass("no container publishes a port of Qdrant on every interface"),
    })
}

/// The host's firewall admits clients to the node's ports, and nobody else.
pub(super) fn host_firewall(facts: &Facts) -> Judged {
    let config = known(&facts.config)?;
    if config.gateway.listen.is_loopback() {
        return Err("the node is reached from this host alone".to_owned());
    }
    if config.aws.is_some() {
        return Err("the security group of the machine does it".to_owned());
    }
    let published = config.engine.kind == EngineKind::Docker && !config.gateway.enabled;
    Ok(match known(&facts.firewall)?.has_table {
        true => Finding::pass("the table `inet qmoor` of `qmoor render firewall` is loaded"),
        false => Finding::warn(
            match published {
                true => {
                    "whoever reaches this host reaches the node's ports; they are published by Docker, which the usual rules do not hold for"
                }
                false => {
                    "the table of `qmoor render firewall` is not loaded: unless other rules do it, whoever reaches this host reaches the node's ports"
                }
            },
            "qmoor render firewall --allow NETWORK | nft -f -",
        ),
    })
}

fn list(addresses: &[SocketAddr]) -> String {
    match addresses.is_empty() {
        true => "no address".to_owned(),
        false => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
