//! What the page shows at one moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::backup::State;
use qmoor_plan::config::{EngineKind, StoreKind, VolumeKind};
use qmoor_plan::history::{Forecast, Reading, Sample};
use qmoor_plan::standing::{Known, Standing, standing};

use super::checks::{self, Checks};
use super::kept::Kept;
use crate::catalogue::{self, BackupInfo};
use crate::control::Agent;
use crate::control::wire::{ScheduleNow, Status};
use crate::history::{History, read_volume};
use crate::node::Progress;

/// How long a look is waited for; it goes on without us.
const WAIT: Duration = Duration::from_millis(100);
/// How long a list of the backups is good if the journal says nothing else.
const LIST_AGE: Duration = Duration::from_secs(60);
/// How long the verdicts of the checks are.
const CHECKS_AGE: Duration = Duration::from_secs(10 * 60);
/// How long they are when the engine has come up or gone down since.
const CHECKS_AGE_WRONG: Duration = Duration::from_secs(10);
/// What is older than this, in seconds, is said to be.
const STALE: f64 = 5.0;

/// What is looked at, and kept for those who look next.
#[derive(Debug)]
pub(super) struct Looks {
    config_file: Option<PathBuf>,
    journal: Kept<Journal>,
    volume: Kept<Reading>,
    backups: Kept<Listed>,
    checks: Kept<Checks>,
}

/// What the journal says, whose lock is held for as long as the disk takes.
#[derive(Debug)]
struct Journal {
    at: Timestamp,
    status: Status,
    state: State,
    api_version: String,
}

#[derive(Debug)]
struct Listed {
    /// What the journal said when it was listed.
    of: u64,
    backups: Result<Vec<BackupInfo>, String>,
}

/// What the page shows.
#[derive(Debug)]
pub(super) struct View {
    pub(super) now: Timestamp,
    /// None while the journal has never answered in time.
    pub(super) status: Option<Status>,
    /// When that was, if it was not just now.
    pub(super) stale_since: Option<Timestamp>,
    pub(super) state: State,
    pub(super) api_version: String,
    pub(super) engine_kind: EngineKind,
    pub(super) volume_kind: VolumeKind,
    pub(super) store_kind: StoreKind,
    pub(super) volume: Option<Reading>,
    pub(super) readings: Arc<Vec<Reading>>,
    pub(super) forecast: Option<Forecast>,
    pub(super) traffic: Vec<Sample>,
    /// None while they are being listed for the first time.
    pub(super) backups: Option<Result<Vec<BackupInfo>, String>>,
    pub(super) progress: Option<Progress>,
    pub(super) held_by_hand: bool,
    /// None while they are being looked at for the first time.
    pub(super) checks: Option<Arc<Checks>>,
}

impl Looks {
    pub(super) fn new(config_file: Option<PathBuf>) -> Self {
        Self {
            config_file,
            journal: Kept::new(),
            volume: Kept::new(),
            backups: Kept::new(),
            checks: Kept::new(),
        }
    }

    /// Looks at everything, for no longer than a moment.
    pub(super) async fn view(&self, agent: &Arc<Agent>, history: &History) -> View {
        let (journal, volume) = tokio::join!(self.journal(agent), self.volume(agent));
        let state = journal.as_ref().map(|journal| journal.state.clone()).unwrap_or_default();
        let (listed, checks) =
            tokio::join!(self.list(agent, &state), self.checks(agent, journal.as_deref()));
        let now = Timestamp::now();
        let is_old = |journal: &Arc<Journal>| now.duration_since(journal.at).as_secs_f64() > STALE;
        View {
            now,
            stale_since: journal.as_ref().filter(|journal| is_old(journal)).map(|old| old.at),
            status: journal.as_ref().map(|journal| journal.status.clone()),
            api_version: journal.as_ref().map(|read| read.api_version.clone()).unwrap_or_default(),
            state,
            engine_kind: agent.config.engine.kind,
            volume_kind: agent.config.volume.kind,
            store_kind: agent.config.store.kind,
            volume: volume.map(|reading| *reading),
            readings: history.volume(),
            forecast: history.forecast(),
            traffic: history.traffic(),
            backups: listed.map(|listed| listed.backups.clone()),
            progress: agent.progress(),
            held_by_hand: agent.is_held_by_hand(),
            checks,
        }
    }

    async fn journal(&self, agent: &Arc<Agent>) -> Option<Arc<Journal>> {
        let agent = Arc::clone(agent);
        let look = async move {
            let look = move || Journal {
                at: Timestamp::now(),
                status: agent.status(),
                state: agent.context.state(),
                api_version: agent.context.api_version().to_string(),
            };
            tokio::task::spawn_blocking(look).await.ok()
        };
        self.journal.get(WAIT, |_, _| false, look).await
    }

    async fn volume(&self, agent: &Agent) -> Option<Arc<Reading>> {
        let data = agent.config.node.data.clone();
        let look =
            async move { tokio::task::spawn_blocking(move || read_volume(&data)).await.ok()?.ok() };
        self.volume.get(WAIT, |_, _| false, look).await
    }

    async fn list(&self, agent: &Arc<Agent>, state: &State) -> Option<Arc<Listed>> {
        let of = changes_of(state);
        let node = agent.context.clone();
        let look = async move {
            let backups = catalogue::list(&node).await.map_err(|error| error.to_string());
            Some(Listed { of, backups })
        };
        let is_good = move |listed: &Listed, age| listed.of == of && age < LIST_AGE;
        self.backups.get(WAIT, is_good, look).await
    }

    /// Not while something is going on: a backup needs the machine for itself, and what is seen then is soon wrong.
    async fn checks(&self, agent: &Arc<Agent>, journal: Option<&Journal>) -> Option<Arc<Checks>> {
        let Some(idle) = journal.filter(|journal| journal.status.busy.is_none()) else {
            return self.checks.last();
        };
        let up = idle.status.engine.up;
        let is_good = move |checks: &Checks, age| {
            age < if checks.engine_up == up { CHECKS_AGE } else { CHECKS_AGE_WRONG }
        };
        let look = checks::look(Arc::clone(agent), self.config_file.clone());
        self.checks.get(Duration::ZERO, is_good, look).await
    }
}

/// Differs when there are other backups, or something else is known of one.
fn changes_of(state: &State) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for (id, completed) in &state.completed {
        (id, completed.at).hash(&mut hasher);
    }
    for (id, drill) in &state.drilled {
        (id, drill.at).hash(&mut hasher);
    }
    let current = state.current.as_ref().map(|current| &current.id);
    (current, &state.verified, &state.pinned, &state.abandoned, &state.pruning).hash(&mut hasher);
    hasher.finish()
}

impl View {
    /// What is done by itself, and when.
    pub(super) fn schedules(&self) -> &[ScheduleNow] {
        self.status.as_ref().map_or(&[], |status| &status.schedules)
    }

    /// The verdict.
    pub(super) fn standing(&self) -> Standing {
        let engine = self.status.as_ref().map(|status| &status.engine);
        let state = &self.state;
        let stopped = state.engine_down || state.restore.is_some() || state.upgrade.is_some();
        let busy = self.status.as_ref().and_then(|status| status.busy.as_ref());
        let last_good = state.completed.values().map(|completed| completed.at).max();
        let failed = state
            .last_abandoned
            .as_ref()
            .filter(|failed| last_good.is_none_or(|good| good < failed.begun_at));
        let newest_drill = state.drilled.values().max_by_key(|drill| drill.at);
        let up = engine.is_none_or(|engine| engine.up);
        // What was seen of another state of the engine is no news of this one.
        let checks = self.checks.iter().filter(|checks| checks.engine_up == up || stopped);
        let findings = checks.flat_map(|checks| checks.findings());
        standing(&Known {
            engine_up: up,
            stopped_for: busy.filter(|_| stopped).map(|busy| busy.why.clone()),
            engine_trouble: engine.and_then(|engine| engine.trouble.clone()),
            held_by_hand: self.held_by_hand,
            has_backup: self.status.is_some().then_some(!state.completed.is_empty()),
            last_failed: failed
                .map(|failed| failed.why_failed().unwrap_or_else(|| "it was given up".to_owned())),
            drill_ok: newest_drill.map(|drill| drill.ok),
            days_to_full: self.forecast.and_then(|forecast| forecast.days_to_full),
            missed: super::schedules::missed(self),
            findings: findings.collect(),
        })
    }
}
