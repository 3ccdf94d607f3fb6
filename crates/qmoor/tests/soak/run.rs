//! A run: rounds of load and kill, and what must hold after each.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use qmoor_plan::backup::{Course, Mode, Step};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;

use crate::checks;
use crate::journal::Journal;
use crate::kill::{Kind, Moment};
use crate::load::{Load, WRITERS};
use crate::node::{Agent, Place, in_time, signal};
use crate::plan::Plan;
use crate::round::Round;
use crate::table::Table;
use crate::writers::{self, Writer};

/// After so many rounds the newest backup is drilled.
const DRILL_EVERY: u32 = 10;
/// Longest time into a start at which it is killed: past the moment at which it serves.
const INTO_START: Duration = Duration::from_millis(600);

/// The state of a run between two rounds: a node that serves, and what is known of it.
pub(crate) struct Soak {
    table: Table,
    random: StdRng,
    place: Place,
    agent: Option<Agent>,
    journal: Journal,
    writers: Vec<Writer>,
    version: Arc<AtomicU64>,
    /// Whether plain `restic` is there to have a look.
    has_restic: bool,
    /// Backups that were reported as made, and not pruned.
    made: BTreeSet<String>,
    /// Backups whose grade was held against the engine's end.
    graded: BTreeSet<String>,
    /// How the points of the backups are made, and the steps that this takes.
    mode: Mode,
    steps: Vec<Step>,
    rounds: u32,
}

/// The steps of a backup of this mode, pruning too.
fn steps(mode: Mode) -> Vec<Step> {
    let course = Course { mode, freezes: mode == Mode::Freeze, holds: true };
    course.steps().into_iter().chain([Step::Prune]).collect()
}

impl Soak {
    pub(crate) async fn begin(plan: &Plan) -> Self {
        let dir = tempfile::Builder::new().prefix("soak-").tempdir_in(&plan.above).unwrap().keep();
        eprintln!("QMOOR_SOAK_SEED={}, in {}, which stays if this fails", plan.seed, dir.display());
        let has_restic = Command::new("restic").arg("version").output().is_ok();
        if !has_restic {
            eprintln!("SKIPPED: `restic` is not installed, so nobody but us looks into the store");
        }
        let place = Place::new(dir, &plan.settings);
        let agent = place.spawn().serves(&place, None).await;
        writers::create_collection(&agent.client()).await;
        Self {
            table: Table::new(plan.seed),
            random: StdRng::seed_from_u64(plan.seed),
            journal: Journal::new(place.journal()),
            place,
            agent: Some(agent),
            writers: (0..WRITERS).map(Writer::new).collect(),
            version: Arc::new(AtomicU64::new(1)),
            has_restic,
            made: BTreeSet::new(),
            graded: BTreeSet::new(),
            mode: plan.mode,
            steps: steps(plan.mode),
            rounds: 0,
        }
    }

    pub(crate) fn goes_on(&self, plan: &Plan) -> bool {
        let in_time = plan.time.is_none_or(|time| self.table.elapsed() < time);
        self.table.kills() < plan.kills && in_time
    }

    /// One kill under load, and what must hold after it.
    pub(crate) async fn round(&mut self) {
        self.rounds += 1;
        let agent = self.agent.take().expect("between rounds there is one");
        let round = Round::new(&self.version);
        let writers = std::mem::take(&mut self.writers);
        let load = Load::begin(&agent, &round, writers, self.mode, &mut self.random);
        let (kind, moment) =
            (Kind::draw(&mut self.random), Moment::draw(&mut self.random, &self.steps));
        let said = format!("round {}: {kind:?} {moment:?}", self.rounds);
        moment.come(&mut self.journal).await;
        let agent = match kind {
            Kind::Engine => self.kill_engine(agent, &round).await,
            _ => self.kill_agent(agent, kind, &round).await,
        };
        round.end();
        let loaded = in_time("ending the load", load.ended()).await;
        self.writers = loaded.writers;
        self.made.extend(loaded.made);
        self.table.reads += loaded.reads;
        self.table.acknowledged += round.acknowledged();
        self.check(&agent).await;
        let (points, seconds) = (self.table.points, self.table.elapsed().as_secs());
        eprintln!("{seconds:>5} s {said}, {} writes, {points} points", round.acknowledged());
        self.agent = Some(agent);
    }

    /// The agent lives, and brings another engine up.
    async fn kill_engine(&mut self, agent: Agent, round: &Round) -> Agent {
        let Some(engine) = agent.engine().await else {
            return self.kill_agent(agent, Kind::Agent, round).await;
        };
        round.kill();
        let killed = Instant::now();
        signal(Signal::KILL, engine);
        self.journal.look();
        self.table.hit(self.journal.at(), Kind::Engine);
        agent.engine_after(engine).await;
        self.is_back(&agent, Kind::Engine, killed).await;
        agent
    }

    /// Another agent is started, as a service manager would, and perhaps killed while it starts.
    async fn kill_agent(&mut self, agent: Agent, mut kind: Kind, round: &Round) -> Agent {
        let engine = match kind {
            Kind::Both => agent.status().await.engine.pid,
            _ => None,
        };
        let (pid, key) = (agent.pid(), agent.key().to_owned());
        round.kill();
        if let Some(engine) = engine {
            signal(Signal::KILL, engine);
        }
        signal(if kind == Kind::Term { Signal::TERM } else { Signal::KILL }, pid);
        self.journal.look();
        let at = self.journal.at();
        let ended = agent.ended().await;
        assert!(kind != Kind::Term || ended.code() == Some(0), "a stop in order: {ended}");
        let mut killed = Instant::now();
        // One that was killed wrote its last record before it was, one that was asked to end did not.
        self.journal.look();
        self.table.hit(if kind == Kind::Term { at } else { self.journal.at() }, kind);
        if self.random.random_ratio(1, 4) {
            let pause = self.random.random_range(Duration::ZERO..INTO_START);
            self.place.spawn().kill_after(pause).await;
            (killed, kind) = (Instant::now(), Kind::Starting);
            self.journal.look();
            self.table.hit("start of the agent", kind);
        }
        let agent = self.place.spawn().serves(&self.place, Some(&key)).await;
        self.is_back(&agent, kind, killed).await;
        agent
    }

    /// It answers a client, and it is one.
    async fn is_back(&mut self, agent: &Agent, kind: Kind, killed: Instant) {
        agent.client().list_collections().await.expect("the node is back");
        self.table.back(kind, killed.elapsed());
        in_time("the end of the former engine", self.place.at_most_one_engine()).await;
    }

    /// Everything that must hold, whatever was hit.
    async fn check(&mut self, agent: &Agent) {
        let client = agent.client();
        let found = writers::read_all(&client).await;
        for writer in &mut self.writers {
            if let Err(lost) = writer.ledger.settle(&found) {
                self.table.lost += 1;
                panic!("round {}: {lost}", self.rounds);
            }
        }
        let known: usize = self.writers.iter().map(|writer| writer.ledger.len()).sum();
        assert_eq!(found.len(), known, "round {}: points that nobody wrote", self.rounds);
        writers::check_index(&client, &found).await;
        self.table.points = known;
        self.check_backups(agent).await;
    }

    async fn check_backups(&mut self, agent: &Agent) {
        let listed = checks::backups(agent, &mut self.journal).await;
        let records = self.journal.records();
        checks::nothing_made_is_missing(&mut self.made, &listed, records);
        (self.table.made, self.table.abandoned) = self.journal.made_and_abandoned();
        let Some(newest) = listed.last() else { return };
        let wrong = checks::false_grades(&self.place, &listed, records, &mut self.graded);
        self.table.false_grades += wrong.len();
        assert_eq!(wrong, Vec::<String>::new(), "a grade that is not true");
        if self.rounds.is_multiple_of(DRILL_EVERY) {
            if self.place.is_restic && self.has_restic {
                checks::repository(&self.place, &listed);
            }
            checks::drill(agent, &newest.id).await;
            self.table.drilled += 1;
        }
    }

    /// A last backup and a drill of all that there are.
    pub(crate) async fn end(mut self, plan: &Plan) {
        let agent = self.agent.take().expect("it serves");
        let report = agent.control.backup(&Default::default(), |_| {}).await.unwrap();
        let listed = checks::backups(&agent, &mut self.journal).await;
        assert!(listed.iter().any(|backup| backup.id == report.id));
        (self.table.made, self.table.abandoned) = self.journal.made_and_abandoned();
        for backup in &listed {
            checks::drill(&agent, &backup.id).await;
            self.table.drilled += 1;
        }
        signal(Signal::TERM, agent.pid());
        assert_eq!(agent.ended().await.code(), Some(0));
        let kills = self.table.kills();
        assert!(kills >= plan.kills_min, "only {kills} kills in {:?}", self.table.elapsed());
        assert!(self.table.acknowledged > u64::from(kills) * 10, "too few writes to mean anything");
        std::fs::remove_dir_all(&self.place.dir).unwrap();
    }
}
