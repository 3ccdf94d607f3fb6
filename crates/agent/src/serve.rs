//! `qmoor serve`: brings a node up, keeps it up, and takes it down in order.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::audit::{self, Outcome};
use qmoor_plan::config::Config;
use qmoor_plan::notify::Event;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::audit::this_process;
use crate::control::{Agent, Control, ControlError};
use crate::durable::write_durable;
use crate::engine::EngineError;
use crate::error::NodeError;
use crate::gateway::tls::{Tls, TlsError};
use crate::gateway::{Gateway, Limits, Listening, bind};
use crate::keys::vault::{Vault, VaultError};
use crate::keys::{Keyring, KeysError, NewKeys};
use crate::metrics::MetricsError;
use crate::node::NodeContext;
use crate::recover;
use crate::schedule;
use crate::supervise::supervise;
use crate::upgrade;

/// The settings of the last start, in the state directory.
const SETTINGS_SEEN: &str = "settings-seen.json";
/// How long the control socket may finish what it was asked.
const CONTROL_END: Duration = Duration::from_secs(5);
/// How long messages that still wait may take to be sent.
const NOTIFY_END: Duration = Duration::from_secs(3);
/// The pause before an engine whose data is held is tried again.
const FIRST_START_PAUSE: Duration = Duration::from_millis(250);
/// What an engine ends with when another process has its data open.
const DATA_HELD: i32 = 3;

/// A node that is up.
#[derive(Debug)]
pub struct ReadyInfo {
    /// Where clients come in: REST and gRPC.
    pub http: SocketAddr,
    /// The second door, for clients that expect gRPC on a port of its own. Also speaks both.
    pub grpc: SocketAddr,
    /// The keys, at the node's first start, to be shown once.
    pub new_keys: Option<NewKeys>,
}

/// Why a node does not come up, or went down in disorder.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ServeError {
    #[error(
        "cannot listen on {address} (hint: another program has this port, or the address is not this host's; `gateway` in qmoor.toml sets both)"
    )]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl ServeError {
    /// Whether another agent runs this node: the command line ends with 3 then.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Node(error) => error.is_busy(),
            Self::Listen { .. }
            | Self::Tls(_)
            | Self::Keys(_)
            | Self::Vault(_)
            | Self::Control(_)
            | Self::Metrics(_)
            | Self::Engine(_) => false,
        }
    }
}

/// Runs a node until the shutdown future ends, then takes it down: no new connections, what is in flight
/// ends, the engine stops by itself. `config_file` is where the configuration comes from, if from a file.
///
/// # Errors
/// When it cannot come up; nothing is left running then.
pub async fn serve(
    config: Config,
    program: PathBuf,
    config_file: Option<PathBuf>,
    on_ready: impl FnOnce(ReadyInfo),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (context, keys, mut new_keys) = open(config, program).await?;
    let config = context.config().clone();
    let vault = match config.gateway.enabled {
        true => Box::pin(Vault::of(&config)).await?,
        false => None,
    };
    if let Some(vault) = &vault {
        Box::pin(vault.at_start(&keys, new_keys.as_ref())).await?;
        // They are to be read where they are kept, by those who may.
        new_keys = None;
    }
    let engine = context.engine();
    let tls = config.gateway.tls().as_ref().map(Tls::open).transpose()?;
    let listeners = match config.gateway.enabled {
        true => Some(listen(&config).await?),
        false => None,
    };
    say_settings(&context).await;
    let agent = Agent::new(context, engine, keys, vault);
    if let Some(listeners) = &listeners {
        let (http, grpc) = addresses(listeners);
        agent.listens(http, grpc);
    }
    let control = Control::start(Arc::clone(&agent)).await?;
    let limits = Limits::new(agent.config.gateway.max_connections);
    let gateway = Arc::new(Gateway::new(Arc::clone(&agent), limits, tls, config_file)?);
    agent.notify.start();
    let listening = listeners.map(|listeners| Listening::start(&gateway, listeners.into()));

    tokio::pin!(shutdown);
    let outcome = tokio::select! {
        outcome = Box::pin(run(&agent, new_keys, on_ready)) => outcome,
        () = shutdown.as_mut() => Ok(()),
    };
    tracing::info!("shutting down");
    if let Some(listening) = listening
        && !listening.end(agent.config.gateway.drain_timeout).await
    {
        tracing::warn!("requests were still in flight at the end and were cut");
    }
    if !agent.jobs_ended(agent.config.gateway.drain_timeout).await {
        tracing::warn!("a backup or restore was not done; the next start puts things right");
    }
    control.end(CONTROL_END).await;
    if let Err(error @ ServeError::Engine(_)) = &outcome {
        agent.notify.tell(Event::EngineDown, None, None, error.to_string());
    }
    agent.notify.end(NOTIFY_END).await;
    outcome?;
    // Without a gateway clients talk to the container itself, and need no agent.
    if !agent.config.gateway.enabled {
        return Ok(());
    }
    let report = agent.engine.stop().await?;
    if !report.clean {
        tracing::warn!(exit_code = ?report.exit_code, "the engine did not stop cleanly");
    }
    Ok(())
}

/// Brings the engine up, says so, and keeps it up for ever.
async fn run(
    agent: &Arc<Agent>,
    new_keys: Option<NewKeys>,
    on_ready: impl FnOnce(ReadyInfo),
) -> Result<(), ServeError> {
    recover::before_engine(&agent.context).await?;
    let claim = agent.context.claim("recovery").map_err(NodeError::from)?;
    leftovers(agent).await;
    upgrade::take_back(&agent.context, &agent.engine).await?;
    first_start(agent).await?;
    if new_keys.is_some() {
        keep_keys(agent).await?;
    }
    on_ready(door(agent, new_keys));
    let cleaned = async {
        recover::after_engine(&agent.context).await;
        drop(claim);
        agent.has_recovered();
    };
    let other_keys = async {
        if let Some(vault) = &agent.vault {
            Box::pin(vault.watch(&agent.keys, agent.context.audit())).await;
        }
    };
    let ((), (), (), ()) =
        tokio::join!(cleaned, supervise(agent), other_keys, Box::pin(schedule::run(agent)));
    Ok(())
}

/// Takes the node's state directory, which nobody else may look into, and reads its keys.
async fn open(
    config: Config,
    program: PathBuf,
) -> Result<(NodeContext, Keyring, Option<NewKeys>), ServeError> {
    let opened = tokio::task::spawn_blocking(move || {
        let state = config.node.state.clone();
        let context = NodeContext::open(config, program, "serve")?;
        let private = std::fs::Permissions::from_mode(0o700);
        fs_err::set_permissions(&state, private).map_err(|source| NodeError::Io {
            doing: "closing the state directory to others",
            source,
        })?;
        let (keys, new_keys) = Keyring::open_or_create(&state.join("keys.json"), Timestamp::now())?;
        Ok((context, keys, new_keys))
    });
    opened.await.unwrap_or(Err(ServeError::Node(NodeError::BrokeOff { doing: "opening the node" })))
}

/// Writes down that the agent starts, and which settings are not what they were at its last start.
async fn say_settings(context: &NodeContext) {
    let seen = context.config().node.state.join(SETTINGS_SEEN);
    let now = context.config().settings();
    let compared = tokio::task::spawn_blocking(move || {
        // A file that is missing, or is no JSON, is that of a first start.
        let before: Option<BTreeMap<String, String>> =
            fs_err::read(&seen).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let changed = before.map(|before| audit::changed(&before, &now));
        let written = match &changed {
            Some(changed) if changed.is_empty() => Ok(()),
            Some(_) | None => serde_json::to_vec(&now)
                .map_err(std::io::Error::from)
                .and_then(|bytes| write_durable(&seen, &bytes, 0o600)),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "audit: the settings of this start could not be kept");
        }
        changed
    });
    let changed = compared.await.ok().flatten();
    let what = json!({ "version": env!("CARGO_PKG_VERSION"), "settings_changed": changed });
    context.audit().note(this_process(), "serve", what, Outcome::Done, "");
}

/// Only now, when they are about to be shown.
async fn keep_keys(agent: &Arc<Agent>) -> Result<(), ServeError> {
    let agent = Arc::clone(agent);
    let kept = tokio::task::spawn_blocking(move || agent.keys.keep());
    let broke_off = NodeError::BrokeOff { doing: "writing the keys" };
    Ok(kept.await.map_err(|_| ServeError::Node(broke_off))??)
}

/// Where clients come in, and with which keys: those of the gateway, or without one those of the container.
fn door(agent: &Agent, new_keys: Option<NewKeys>) -> ReadyInfo {
    if agent.config.gateway.enabled {
        let (http, grpc) = agent.addresses();
        return ReadyInfo { http, grpc, new_keys };
    }
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let (http, grpc) = agent.engine.endpoint().map_or((nowhere, nowhere), |at| (at.http, at.grpc));
    agent.listens(http, grpc);
    let keys = agent.engine.door_keys().map(|keys| NewKeys {
        search: keys.read_only,
        index: keys.full.clone(),
        admin: keys.full,
    });
    ReadyInfo { http, grpc, new_keys: new_keys.and(keys) }
}

/// Puts an end to what a former agent had begun with containers, which outlive it: a stop half done, an engine on scratch.
/// When the daemon does not answer, the start says so.
async fn leftovers(agent: &Arc<Agent>) {
    let stopped = match agent.context.state().engine_down {
        true => agent.engine.finish_stop().await,
        false => Ok(()),
    };
    let scratch = agent.context.engine_on(agent.config.node.data.clone(), "scratch.log");
    for outcome in [stopped, scratch.discard().await] {
        if let Err(error) = outcome {
            tracing::warn!(%error, "recovery: a container of a former agent could not be seen to");
        }
    }
}

/// An engine left by an agent that was killed may still be flushing, and have the data locked: until the
/// start timeout is over that is waited for. Every other failure is one for good. Data that is missing is no
/// failure of the agent: it stays up, so that a restore can be asked for.
async fn first_start(agent: &Arc<Agent>) -> Result<(), EngineError> {
    let deadline = Instant::now() + agent.config.engine.start_timeout;
    loop {
        match agent.engine.start().await {
            Ok(_) => return Ok(()),
            Err(error @ EngineError::DataMissing { .. }) => {
                agent.engine_in_trouble(&error);
                return Ok(());
            }
            Err(EngineError::Died { exit_code: Some(DATA_HELD), last_words })
                if Instant::now() < deadline =>
            {
                tracing::warn!(last_words, "the engine did not start and is tried again");
                tokio::time::sleep(FIRST_START_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn listen(config: &Config) -> Result<[TcpListener; 2], ServeError> {
    let gateway = &config.gateway;
    let open = async |port| {
        let address = SocketAddr::new(gateway.listen, port);
        bind(address).await.map_err(|source| ServeError::Listen { address, source })
    };
    Ok([open(gateway.http_port).await?, open(gateway.grpc_port).await?])
}

/// The ports that were really taken; the system chooses for port 0.
fn addresses([http, grpc]: &[TcpListener; 2]) -> (SocketAddr, SocketAddr) {
    let real = |listener: &TcpListener| {
        listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    };
    (real(http), real(grpc))
}
