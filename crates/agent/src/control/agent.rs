//! The node as all its parts see it: what they share, and what it can say of itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::backup::{InProgress, State};
use qmoor_plan::config::Config;
use qmoor_plan::notify::Event;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::hold::ByHand;
use super::wire::{BackupNow, EngineStatus, LastBackup, LastDrill, Status};
use crate::engine::{EngineError, EngineProcess};
use crate::gate::{Gate, GateLimits};
use crate::keys::Keyring;
use crate::keys::vault::Vault;
use crate::node::{NodeContext, Progress};
use crate::notify::Notifier;
use crate::schedule::Schedules;

/// How long a job waits for the end of the recovery.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// One agent: shared by the gateway, the control socket and the supervision.
#[derive(Debug)]
pub struct Agent {
    /// What was configured.
    pub config: Config,
    /// The node's state: lock, journal and store.
    pub context: NodeContext,
    /// The engine, running or not.
    pub engine: EngineProcess,
    /// Where requests wait around a backup.
    pub gate: Gate,
    /// Who may come in.
    pub keys: Keyring,
    /// Where the keys are kept besides, on AWS.
    pub vault: Option<Vault>,
    /// What it does by itself.
    pub schedules: Schedules,
    /// Who is told what has happened.
    pub notify: Arc<Notifier>,
    /// When this agent started.
    pub started: Timestamp,
    /// Backups and the like that are going on.
    pub(super) jobs: TaskTracker,
    /// Whether what a crash had left is cleaned up.
    recovered: watch::Sender<bool>,
    facts: Mutex<Facts>,
    /// What the job that is going on said last.
    pub(super) progress: Mutex<Option<Progress>>,
    /// The hold that an operator has asked for.
    pub(super) by_hand: Mutex<Option<ByHand>>,
}

/// What changes while a node runs.
#[derive(Debug, Default, Clone)]
struct Facts {
    http: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
    engine_trouble: Option<String>,
}

impl Agent {
    /// A node whose engine is not running yet.
    #[must_use]
    pub fn new(
        context: NodeContext,
        engine: EngineProcess,
        keys: Keyring,
        vault: Option<Vault>,
    ) -> Arc<Self> {
        let config = context.config().clone();
        let limits = GateLimits {
            hold_budget: config.gateway.hold_budget,
            max_held: config.gateway.max_held,
        };
        let schedules = Schedules::new(&config);
        let notify = Notifier::new(&config.node.name, &config.notify);
        Arc::new(Self {
            config,
            schedules,
            notify,
            context,
            engine,
            gate: Gate::new(limits),
            keys,
            vault,
            started: Timestamp::now(),
            jobs: TaskTracker::new(),
            recovered: watch::Sender::new(false),
            facts: Mutex::default(),
            progress: Mutex::default(),
            by_hand: Mutex::default(),
        })
    }

    /// Remembers where the gateway really listens.
    pub fn listens(&self, http: SocketAddr, grpc: SocketAddr) {
        let mut facts = self.facts.lock();
        facts.http = Some(http);
        facts.grpc = Some(grpc);
    }

    /// Where the gateway listens.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        let facts = self.facts.lock();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        (facts.http.unwrap_or(nowhere), facts.grpc.unwrap_or(nowhere))
    }

    /// Says and remembers why the engine is not running; the same trouble is said once.
    pub fn engine_in_trouble(&self, error: &EngineError) {
        let why = error.to_string();
        let mut facts = self.facts.lock();
        if facts.engine_trouble.as_ref() != Some(&why) {
            tracing::error!(%error, "the engine does not run");
            self.notify.tell(Event::EngineDown, None, None, why.clone());
            facts.engine_trouble = Some(why);
        }
    }

    /// Forgets the trouble: the engine is up.
    pub fn engine_is_up(&self) {
        self.facts.lock().engine_trouble = None;
    }

    /// Lets jobs begin: what a crash had left is cleaned up.
    pub fn has_recovered(&self) {
        self.recovered.send_replace(true);
    }

    /// Waits until jobs may begin. After a while it ends all the same: the job is then told what is going on.
    pub(super) async fn recovered(&self) {
        let mut recovered = self.recovered.subscribe();
        let _in_time =
            tokio::time::timeout(RECOVERY_MAX, recovered.wait_for(|recovered| *recovered)).await;
    }

    /// Waits for the jobs that are going on. Says whether they ended in time.
    pub async fn jobs_ended(&self, within: Duration) -> bool {
        self.jobs.close();
        tokio::time::timeout(within, self.jobs.wait()).await.is_ok()
    }

    /// The node at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let facts = self.facts.lock().clone();
        let up = self.engine.endpoint().is_some();
        let state = self.context.state();
        let life = self.engine.life();
        Status {
            name: self.config.node.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            http: facts.http,
            grpc: facts.grpc,
            data: self.config.node.data.clone(),
            engine: EngineStatus {
                up,
                pid: self.engine.pid(),
                since: life.since.filter(|_| up),
                starts: life.starts,
                trouble: facts.engine_trouble.filter(|_| !up),
            },
            gate: self.gate.status(),
            busy: self.context.busy(),
            backup: state.current.as_ref().map(backup_now),
            last_backup: last_backup(&state),
            last_drill: last_drill(&state),
            schedules: self.schedules.now(),
        }
    }
}

fn backup_now(current: &InProgress) -> BackupNow {
    BackupNow {
        id: current.id.clone(),
        mode: current.course.mode,
        begun: current.begun_at,
        step: current.step,
        failed: current.why_failed(),
    }
}

fn last_backup(state: &State) -> Option<LastBackup> {
    let (id, last) = state.completed.iter().max_by_key(|(_, completed)| completed.at)?;
    Some(LastBackup { id: id.clone(), at: last.at, pause_ms: last.pause_ms })
}

fn last_drill(state: &State) -> Option<LastDrill> {
    let (id, last) = state.drilled.iter().max_by_key(|(_, drill)| drill.at)?;
    Some(LastDrill { id: id.clone(), at: last.at, ok: last.ok, rto_ms: last.rto_ms })
}
