//! A node's state directory in the hands of its one owner: configuration, lock, journal and store together.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::backup::{Event, State};
use qmoor_plan::config::{Config, EngineKind};
use qmoor_plan::engine::{Image, Version};
use serde::{Deserialize, Serialize};

use crate::audit::Audit;
use crate::engine::container::{self, ContainerSpec};
use crate::engine::{EMBEDDED_API, EngineProcess, EngineSpec, RunsIn};
use crate::error::NodeError;
use crate::journal::Journal;
use crate::lock::{Holder, Lock, LockError};
use crate::store::{self, SnapshotStore};
use crate::volume;

/// One line of talk about a running backup, restore or drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, such as `first_pass`.
    pub step: String,
    /// How long it took, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// What there is to say about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Where progress goes. Called from the task that does the work; must not block.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// The owner's handle on a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NodeContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    program: PathBuf,
    idle: String,
    lock: Mutex<Lock>,
    journal: Mutex<Journal>,
    audit: Audit,
    store: Mutex<Option<Arc<dyn SnapshotStore>>>,
    busy: Mutex<Option<Holder>>,
    points: Mutex<BTreeMap<String, u64>>,
}

/// The right to do the one thing that is going on; dropping it lets the next one begin.
#[derive(Debug)]
pub struct Claim(NodeContext);

impl NodeContext {
    /// Makes the node's folders if they are missing, takes its lock for `why`, mounts its volume, and reads its
    /// journal.
    /// `program` is the `qmoor` binary, which is also the engine.
    ///
    /// # Errors
    /// [`NodeError::Busy`] when another process owns this node. Blocks; to be called at the start.
    pub fn open(config: Config, program: PathBuf, why: &str) -> Result<Self, NodeError> {
        let io_error = |source| NodeError::Io { doing: "making the node's folders", source };
        // What it holds is the node's own, the data too; one that is there stays as it is.
        private_dir(&config.node.dir).map_err(io_error)?;
        private_dir(&config.node.state).map_err(io_error)?;
        let lock = Lock::acquire(&config.node.state.join("lock"), why)?;
        // Before anything looks for the data: what a crash left frozen blocks, what is not mounted looks empty.
        volume::bring_up(&config)?;
        let journal = Journal::open(&config.node.state.join("journal.jsonl"))?;
        let audit = Audit::new(&config.node.state)
            .map_err(|source| NodeError::Io { doing: "starting the audit log", source })?;
        Ok(Self(Arc::new(Inner {
            config,
            program,
            idle: why.to_owned(),
            lock: Mutex::new(lock),
            journal: Mutex::new(journal),
            audit,
            store: Mutex::new(None),
            busy: Mutex::new(None),
            points: Mutex::default(),
        })))
    }

    /// The node's configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The `qmoor` binary.
    pub fn program(&self) -> &Path {
        &self.0.program
    }

    /// Where it is written down who did what.
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// The image of the engine and what it was when it was first used; nothing of the embedded one.
    pub fn image(&self) -> Option<String> {
        let config = &self.0.config;
        (config.engine.kind == EngineKind::Docker)
            .then(|| container::pinned(&container_of(config, false)))
    }

    /// The image that the docker engine runs: the configured one, or one it was upgraded to since.
    pub fn effective_image(&self) -> Image {
        container::effective(&container_of(&self.0.config, false))
    }

    /// The version of Qdrant's API that the engine speaks.
    pub fn api_version(&self) -> Version {
        match self.0.config.engine.kind {
            EngineKind::Docker => self.effective_image().version,
            EngineKind::Embedded => EMBEDDED_API,
        }
    }

    /// From the next start on the docker engine runs this image, or the configured one again.
    pub fn use_image(&self, image: Option<&Image>) -> Result<(), NodeError> {
        Ok(container::use_image(&container_of(&self.0.config, false), image)?)
    }

    /// What the journal says is true now.
    pub fn state(&self) -> State {
        self.0.journal.lock().state().clone()
    }

    /// Who is doing what just now, if anybody is.
    pub fn busy(&self) -> Option<Holder> {
        self.0.busy.lock().clone()
    }

    /// Remembers how many points each collection had when they were last counted.
    pub(crate) fn holds_points(&self, points: BTreeMap<String, u64>) {
        *self.0.points.lock() = points;
    }

    /// How many points each collection had when they were last counted, for a backup; empty before the first one
    /// of this agent.
    pub(crate) fn points(&self) -> BTreeMap<String, u64> {
        self.0.points.lock().clone()
    }

    /// Claims the node for one backup, restore, drill or prune.
    ///
    /// # Errors
    /// [`LockError::Held`] while another one is going on.
    pub fn claim(&self, why: &str) -> Result<Claim, LockError> {
        let mut busy = self.0.busy.lock();
        if let Some(holder) = busy.as_ref() {
            return Err(LockError::Held {
                path: self.0.config.node.state.join("lock"),
                by: holder.by.clone(),
                why: holder.why.clone(),
                since: holder.since,
            });
        }
        *busy = Some(Holder {
            by: format!("process {}", std::process::id()),
            why: why.to_owned(),
            since: Timestamp::now(),
        });
        drop(busy);
        let claim = Claim(self.clone());
        self.0.lock.lock().say(why)?;
        Ok(claim)
    }

    /// The node's engine.
    pub fn engine(&self) -> EngineProcess {
        let config = &self.0.config;
        self.engine_of(config.node.data.clone(), "engine.log", false)
            .remembering(config.node.state.join("data-existed"))
    }

    /// An engine on another data folder, for a look at what was restored there.
    pub fn engine_on(&self, data: PathBuf, log: &str) -> EngineProcess {
        self.engine_of(data, log, true)
    }

    fn engine_of(&self, data: PathBuf, log: &str, is_scratch: bool) -> EngineProcess {
        let config = &self.0.config;
        let runs_in = match config.engine.kind {
            EngineKind::Embedded => RunsIn::Child(self.0.program.clone()),
            EngineKind::Docker => RunsIn::Container(Box::new(container_of(config, is_scratch))),
        };
        EngineProcess::new(EngineSpec {
            runs_in,
            data,
            log: config.node.state.join(log),
            start_timeout: config.engine.start_timeout,
            stop_timeout: config.engine.stop_timeout,
        })
    }

    /// Writes one record into the journal; it is on the disk when this returns.
    pub async fn record(&self, backup: &str, event: Event) -> Result<(), NodeError> {
        let backup = backup.to_owned();
        self.blocking("writing the journal", move |node| {
            Ok(node.0.journal.lock().append(&backup, event)?)
        })
        .await
    }

    /// As [`NodeContext::record`], where an error must not get in the way of bringing the service back.
    pub async fn try_record(&self, backup: &str, event: Event) {
        if let Err(error) = self.record(backup, event).await {
            tracing::error!(backup, %error, "journal: a record could not be written");
        }
    }

    /// Does blocking work with the node on the blocking pool.
    pub async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Self) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let node = self.clone();
        tokio::task::spawn_blocking(move || work(&node))
            .await
            .unwrap_or(Err(NodeError::BrokeOff { doing }))
    }

    /// Has the store opened anew at its next use: what it is kept for has changed.
    pub(crate) fn reopen_store(&self) {
        *self.0.store.lock() = None;
    }

    /// The store, opened at its first use. Blocks.
    pub fn store(&self) -> Result<Arc<dyn SnapshotStore>, NodeError> {
        let mut store = self.0.store.lock();
        if let Some(store) = store.as_ref() {
            return Ok(Arc::clone(store));
        }
        let must_exist = !self.0.journal.lock().state().completed.is_empty();
        let opened = store::open(&self.0.config, must_exist)?;
        *store = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let inner = &self.0.0;
        if let Err(error) = inner.lock.lock().say(&inner.idle) {
            tracing::warn!(%error, "lock: cannot say that the node is idle again");
        }
        *inner.busy.lock() = None;
    }
}

/// The container of a node of this configuration, as a Compose file.
#[must_use]
pub fn compose(config: &Config) -> String {
    let container = container_of(config, false);
    let spec = EngineSpec {
        runs_in: RunsIn::Container(Box::new(container.clone())),
        data: config.node.data.clone(),
        log: config.node.state.join("engine.log"),
        start_timeout: config.engine.start_timeout,
        stop_timeout: config.engine.stop_timeout,
    };
    container::compose(&spec, &container)
}

/// What the Docker daemon runs, looked at without changing anything.
///
/// # Errors
/// When there is no daemon, or it does not answer.
pub async fn look_at_docker(
    config: &Config,
) -> Result<qmoor_plan::doctor::Docker, crate::engine::EngineError> {
    container::look(&container_of(config, false)).await
}

/// The container of a node, or one beside it for scratch.
fn container_of(config: &Config, is_scratch: bool) -> ContainerSpec {
    let is_door = !config.gateway.enabled && !is_scratch;
    let gateway = &config.gateway;
    let (address, http_port, grpc_port) = match is_door {
        true => (gateway.listen, gateway.http_port, gateway.grpc_port),
        false => (Ipv4Addr::LOCALHOST.into(), 0, 0),
    };
    let state = std::path::absolute(&config.node.state);
    let node = state.unwrap_or_else(|_| config.node.state.clone());
    let suffix = if is_scratch { "-scratch" } else { "" };
    ContainerSpec {
        name: format!("qmoor-{}{suffix}", config.node.name),
        private: node.join("container"),
        node,
        image: config.engine.image.clone(),
        user: config.engine.user,
        nofile: config.engine.nofile,
        socket: config.engine.socket.clone(),
        address,
        http_port,
        grpc_port,
        is_door,
        is_scratch,
    }
}

/// Makes a folder that only its owner may look into.
fn private_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|err| io::Error::new(err.kind(), format!("{}: {err}", path.display())))
}
