//! The node on this host, seen from everywhere that it can be seen from.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use jiff::Timestamp;
use qmoor_agent::catalogue::BackupInfo;
use qmoor_agent::control::client::{Client, ClientError};
use qmoor_agent::control::wire::Status;
use qmoor_agent::node::look_at_docker;
use qmoor_plan::access::Role;
use qmoor_plan::config::{Config, EngineKind};
use qmoor_plan::doctor::{Backup, Docker, Door, Drill, Engine, Facts, Node, Process, Seen};

use super::door::{Keys, look};
use super::http::Server;
use super::processes::{Listener, listening};
use super::tls::Trust;
use super::{host, leaks, modes, processes};
use crate::cli::Global;
use crate::error::CliError;
use crate::node::{agent, agent_error, config, config_file};

/// All that can be seen. Whatever cannot be carries its reason.
pub(super) async fn facts(global: &Global, now: Timestamp) -> Facts {
    let config = match config(global) {
        Ok(config) => config,
        Err(error) => {
            let unseen = Facts::unseen(now, "the configuration cannot be used");
            return Facts { config: Err(told(error)), ..unseen };
        }
    };
    let file = config_file(global);
    let asked = ask(global, &config).await;
    let listening = listening();
    let docker = docker(&config).await;
    let engine = engine(&config, asked.status.as_ref(), &listening, &docker);
    let pids: Vec<u32> =
        asked.status.iter().flat_map(|it| [Some(it.pid), it.engine.pid]).flatten().collect();
    Facts {
        now,
        node: asked.status.as_ref().map(node).map_err(Clone::clone),
        agent_trouble: asked.trouble,
        backups: asked.backups,
        door: asked.door,
        address_held: host::is_held(config.gateway.listen),
        listeners: listening.map(|all| all.iter().map(|(at, _)| *at).collect()),
        engine,
        disks: host::disks(&config),
        volume_trouble: Ok(qmoor_agent::volume::trouble(&config)),
        modes: modes::look(&config, file.as_deref()),
        leaks: leaks::look(&config, file.as_deref(), &pids),
        docker,
        map_count: host::map_count(),
        clock: host::clock().await,
        firewall: host::firewall().await,
        config: Ok(config),
    }
}

/// What the agent answered, and the door behind it.
struct Asked {
    status: Seen<Status>,
    trouble: Option<String>,
    backups: Seen<Result<Vec<Backup>, String>>,
    door: Seen<Door>,
}

impl Asked {
    fn nothing(why: &str, trouble: Option<String>) -> Self {
        let why = || why.to_owned();
        Self { status: Err(why()), trouble, backups: Err(why()), door: Err(why()) }
    }
}

async fn ask(global: &Global, config: &Config) -> Asked {
    let agent = match agent(global, config) {
        Ok(agent) => agent,
        Err(error) => return Asked::nothing("the agent cannot be asked", Some(told(error))),
    };
    let status = match agent.status().await {
        Ok(status) => status,
        Err(ClientError::Connect { source, .. })
            if source.kind() == ErrorKind::PermissionDenied =>
        {
            return Asked::nothing(
                "the agent answers root, and the user that the node runs as",
                None,
            );
        }
        Err(error) => {
            let trouble = Some(told(agent_error(&error)));
            return Asked::nothing("the agent does not answer", trouble);
        }
    };
    let backups = agent.backups().await;
    let backups = backups
        .map(|all| all.into_iter().map(backup).collect())
        .map_err(|error| told(agent_error(&error)));
    let door = door(&agent, config, &status).await;
    Asked { status: Ok(status), trouble: None, backups: Ok(backups), door }
}

async fn door(agent: &Client, config: &Config, status: &Status) -> Seen<Door> {
    let at = status.http.ok_or("the node listens nowhere yet")?;
    let scheme = if config.gateway.tls_cert.is_some() { "https" } else { "http" };
    let server = Server::parse(&format!("{scheme}://{}", reached(at))).map_err(told)?;
    let key = async |role| match agent.session_key(role).await {
        Ok(fresh) => Ok(fresh.key),
        Err(error) => Err(told(agent_error(&error))),
    };
    let keys = Keys { full: key(Role::Admin).await, search: key(Role::Search).await };
    let trust = config.gateway.tls_cert.as_ref().map(own_certificate);
    Ok(look(&server, trust.as_ref(), &keys).await)
}

/// Who listens everywhere is reached here.
fn reached(at: SocketAddr) -> SocketAddr {
    match at.ip().is_unspecified() {
        true => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), at.port()),
        false => at,
    }
}

/// The gateway shows the certificate of the file, and this host need not know who signed it.
fn own_certificate(file: &PathBuf) -> Seen<Trust> {
    let text = fs_err::read_to_string(file).map_err(|error| error.to_string())?;
    Trust::only(&text).ok_or_else(|| format!("`{}` holds no certificate in PEM", file.display()))?
}

async fn docker(config: &Config) -> Seen<Docker> {
    let is_used = config.engine.kind == EngineKind::Docker;
    if !is_used && !config.engine.socket.exists() {
        return Err("there is no Docker here".to_owned());
    }
    look_at_docker(config).await.map_err(|error| {
        let (why, _) = crate::error::hint_taken_out(&error.to_string());
        format!("the Docker daemon does not tell: {why}")
    })
}

/// The process of the engine. That of a container listens in a network of its own, and is reached where it is published.
fn engine(
    config: &Config,
    status: Result<&Status, &String>,
    listening: &Seen<Vec<Listener>>,
    docker: &Seen<Docker>,
) -> Seen<Process> {
    let status = status.map_err(Clone::clone)?;
    let pid = status.engine.pid.ok_or("the engine does not run")?;
    let process = processes::look(pid, listening);
    if config.engine.kind == EngineKind::Embedded {
        return Ok(process);
    }
    let own = docker.as_ref().map_err(Clone::clone).map(|docker| docker.own.iter());
    let listens = own.map(|own| own.flat_map(|own| &own.published).map(|port| port.at).collect());
    Ok(Process { listens, ..process })
}

fn node(status: &Status) -> Node {
    Node {
        pid: status.pid,
        started: status.started,
        http: status.http,
        grpc: status.grpc,
        engine: Engine {
            up: status.engine.up,
            starts: status.engine.starts,
            trouble: status.engine.trouble.clone(),
        },
    }
}

fn backup(info: BackupInfo) -> Backup {
    Backup {
        id: info.id,
        at: info.at,
        complete: info.complete,
        in_progress: info.in_progress,
        trouble: info.trouble,
        grade: info.grade,
        pause_ms: info.pause_ms,
        bytes_total: info.bytes_total,
        drill: info.drilled.map(|drill| Drill { at: drill.at, ok: drill.ok, rto_ms: drill.rto_ms }),
    }
}

/// An error as a reason, with what to do about it.
fn told(error: CliError) -> String {
    match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    }
}
