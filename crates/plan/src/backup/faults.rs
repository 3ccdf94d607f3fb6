//! Every sequence of faults over a backup and over the recovery from it, walked to its end.
//!
//! A world in miniature (an engine, a gate, a file system, a store) goes through the steps that [`next`] and
//! [`recovery`] name. At each of them it may go well, fail before or after its effect, or the agent may be
//! killed before the effect, after it, or after its record. Worlds that are alike are walked once, and the
//! ways that lead through them are counted.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    Course, Event, Mode, Next, RECORD_VERSION, Record, RecoveryAction, State, Step, next, recovery,
};
use crate::manifest::Grade;

/// How many faults a sequence has at most.
const FAULTS: u8 = 4;

/// What can happen at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    FailsBefore,
    FailsAfter,
    CrashBefore,
    CrashAfter,
    CrashAfterRecord,
}

const FATES: [Fate; 6] = [
    Fate::Well,
    Fate::FailsBefore,
    Fate::FailsAfter,
    Fate::CrashBefore,
    Fate::CrashAfter,
    Fate::CrashAfterRecord,
];

/// What outlives the agent.
#[derive(Debug, Clone, Copy)]
struct Outlives {
    /// A container does; a child process does not.
    engine: bool,
    /// The process that thaws when the agent is gone; it may be killed with it.
    watchdog: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Snapshot {
    of_stopped_engine: bool,
    of_frozen_files: bool,
    of_held_writes: bool,
    settled: bool,
    read_back: bool,
    manifest: Option<Grade>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a world in miniature")]
struct World {
    engine_up: bool,
    engine_wanted: bool,
    writes_held: bool,
    frozen: bool,
    snapshot: Option<Snapshot>,
    snapshots_made: u8,
}

impl World {
    fn new() -> Self {
        Self {
            engine_up: true,
            engine_wanted: true,
            writes_held: false,
            frozen: false,
            snapshot: None,
            snapshots_made: 0,
        }
    }

    /// Whether the step can have its effect at all.
    fn allows(&self, step: Step) -> bool {
        match step {
            Step::Gate | Step::Manifest | Step::Compare | Step::HoldWrites => self.engine_up,
            // A frozen file system lets no engine write: it could neither stop nor start.
            Step::Stop | Step::Start => !self.frozen,
            Step::Settle | Step::Observe | Step::Verify => self.snapshot.is_some(),
            Step::FirstPass
            | Step::Drain
            | Step::HoldAll
            | Step::Sync
            | Step::Freeze
            | Step::Snapshot
            | Step::Thaw
            | Step::Release
            | Step::Prune => true,
        }
    }

    fn effect(&mut self, step: Step, grade: Grade) {
        match step {
            Step::HoldWrites | Step::HoldAll => self.writes_held = true,
            Step::Stop => (self.engine_up, self.engine_wanted) = (false, false),
            Step::Freeze => self.frozen = true,
            Step::Thaw => self.frozen = false,
            Step::Start => (self.engine_up, self.engine_wanted) = (true, true),
            Step::Release => self.writes_held = false,
            Step::Snapshot => {
                self.snapshots_made += 1;
                self.snapshot = Some(Snapshot {
                    of_stopped_engine: !self.engine_up,
                    of_frozen_files: self.frozen,
                    of_held_writes: self.writes_held,
                    settled: false,
                    read_back: false,
                    manifest: None,
                });
            }
            Step::Settle => self.of_snapshot(|snapshot| snapshot.settled = true),
            Step::Verify => self.of_snapshot(|snapshot| {
                snapshot.read_back = true;
                snapshot.manifest = Some(grade);
            }),
            Step::Gate
            | Step::FirstPass
            | Step::Drain
            | Step::Manifest
            | Step::Sync
            | Step::Compare
            | Step::Observe
            | Step::Prune => {}
        }
    }

    fn of_snapshot(&mut self, change: impl Fn(&mut Snapshot)) {
        if let Some(snapshot) = &mut self.snapshot {
            change(snapshot);
        }
    }

    /// What is in the agent's memory goes with it.
    fn agent_killed(&mut self, outlives: Outlives) {
        self.writes_held = false;
        self.engine_wanted = false;
        self.engine_up &= outlives.engine;
        self.frozen &= !outlives.watchdog;
    }

    /// What happens while nobody does anything: leases and deadlines run out, the supervisor goes on.
    fn left_alone(&mut self) {
        self.writes_held = false;
        self.frozen = false;
        self.engine_up |= self.engine_wanted;
    }

    /// What `abandon` does: a snapshot without a manifest is removed, one with it is kept.
    fn sweep(&mut self) -> bool {
        let complete = self.snapshot.as_ref().is_some_and(|snapshot| snapshot.manifest.is_some());
        if !complete {
            self.snapshot = None;
        }
        complete
    }
}

/// One agent at one moment, and its world.
#[derive(Debug, Clone)]
struct Run {
    state: State,
    world: World,
    course: Course,
    outlives: Outlives,
    /// Whether the agent has just been started, and has yet to put things right.
    starting: bool,
    /// Whether a step that brings the service back has failed: then a lease or the supervisor has to.
    not_brought_back: bool,
}

impl Run {
    fn new(course: Course, outlives: Outlives) -> Self {
        let mut run = Self {
            state: State::default(),
            world: World::new(),
            course,
            outlives,
            starting: false,
            not_brought_back: false,
        };
        run.journal(Event::Begin {
            batch_id: None,
            labels: std::collections::BTreeMap::new(),
            why: String::new(),
            course,
        });
        run
    }

    fn journal(&mut self, event: Event) {
        let backup = "b".to_owned();
        let at = Timestamp::UNIX_EPOCH;
        // The number says nothing here, and alike worlds must look alike.
        self.state.apply(&Record { version: RECORD_VERSION, seq: 0, at, backup, event });
    }

    /// The grade that the agent would write: from what it has done itself.
    fn grade(&self) -> Grade {
        let done = |step| self.state.current.as_ref().is_some_and(|open| open.done.contains(&step));
        match (done(Step::Stop), done(Step::Freeze)) {
            (true, _) => Grade::Clean,
            (false, true) if self.course.holds => Grade::Frozen,
            (false, _) => Grade::Crash,
        }
    }

    fn killed(&mut self) {
        self.world.agent_killed(self.outlives);
        self.starting = true;
    }

    /// Takes one step with this fate.
    fn step(mut self, step: Step, fate: Fate) -> Self {
        let grade = self.grade();
        self.journal(Event::Intent { step });
        let possible = self.world.allows(step);
        match fate {
            Fate::CrashBefore => self.killed(),
            Fate::FailsBefore => self.failed(step),
            Fate::Well | Fate::FailsAfter | Fate::CrashAfter | Fate::CrashAfterRecord
                if !possible =>
            {
                self.failed(step);
            }
            Fate::Well => {
                self.world.effect(step, grade);
                self.done(step);
            }
            Fate::FailsAfter => {
                self.world.effect(step, grade);
                self.failed(step);
            }
            Fate::CrashAfter => {
                self.world.effect(step, grade);
                self.killed();
            }
            Fate::CrashAfterRecord => {
                self.world.effect(step, grade);
                self.done(step);
                self.killed();
            }
        }
        self
    }

    fn done(&mut self, step: Step) {
        self.journal(Event::Done { step, note: String::new() });
    }

    fn failed(&mut self, step: Step) {
        // From the call on an engine is wanted, whether or not this start works.
        self.world.engine_wanted |= step == Step::Start;
        self.not_brought_back |= matches!(step, Step::Thaw | Step::Start | Step::Release);
        self.journal(Event::Failed { step, error: String::new() });
    }

    /// The end of a backup.
    fn finish(mut self, ok: bool, fate: Fate) -> Self {
        if fate == Fate::CrashBefore {
            self.killed();
            return self;
        }
        let ok = ok || (fate != Fate::FailsBefore && self.world.sweep());
        if fate == Fate::CrashAfter {
            self.killed();
            return self;
        }
        self.journal(Event::given_up(ok));
        if fate == Fate::CrashAfterRecord {
            self.killed();
        }
        self
    }

    /// One action of the recovery. One that fails is left for later, but for those that bring the service
    /// back, which are tried until they work.
    fn recover(mut self, action: &RecoveryAction, fate: Fate) -> Self {
        let fails = matches!(fate, Fate::FailsBefore | Fate::FailsAfter);
        if fate == Fate::CrashBefore {
            self.killed();
            return self;
        }
        let record = match action {
            RecoveryAction::Thaw => {
                self.world.frozen = false;
                Event::Done { step: Step::Thaw, note: String::new() }
            }
            RecoveryAction::StartEngine => {
                self.world.effect(Step::Start, Grade::Crash);
                Event::Done { step: Step::Start, note: String::new() }
            }
            RecoveryAction::ReleaseGate => Event::Done { step: Step::Release, note: String::new() },
            RecoveryAction::AbandonBackup(_) => {
                let ok = !fails && self.world.sweep();
                Event::given_up(ok)
            }
            other @ (RecoveryAction::UndoRestore { .. }
            | RecoveryAction::FinishSwap { .. }
            | RecoveryAction::FinishPrune(_)) => panic!("no restore was begun: {other:?}"),
        };
        if fate == Fate::CrashAfter {
            self.killed();
            return self;
        }
        self.journal(record);
        if fate == Fate::CrashAfterRecord {
            self.killed();
        }
        self
    }

    /// All that may come of this moment with this fate, or nothing when all is done.
    fn advance(&self, fate: Fate) -> Option<Self> {
        let run = self.clone();
        if self.starting {
            let Some(action) = recovery(&self.state).into_iter().next() else {
                let mut run = run;
                // An agent that starts starts its engine, whatever its journal says.
                run.world.effect(Step::Start, Grade::Crash);
                run.starting = false;
                return (fate == Fate::Well).then_some(run);
            };
            return Some(run.recover(&action, fate));
        }
        Some(match next(&self.state)? {
            Next::Take(step) | Next::BringBack(step) => run.step(step, fate),
            Next::Finish { ok } => run.finish(ok, fate),
        })
    }

    /// What holds at every moment: whoever takes the node then, it comes back.
    fn always(&self) {
        let mut later = self.world.clone();
        later.left_alone();
        assert!(
            !later.writes_held && !later.frozen,
            "a lease that ran out has released: {self:#?}"
        );
        assert!(self.world.snapshots_made <= 1, "at most one snapshot a backup: {self:#?}");
        self.honest();
    }

    /// What holds at the end of every schedule.
    fn at_the_end(mut self) {
        let World { engine_up, writes_held, frozen, .. } = self.world;
        let back = engine_up && !writes_held && !frozen;
        assert!(back || self.not_brought_back, "nobody needs to wait for a lease: {self:#?}");
        self.world.left_alone();
        assert!(self.world.engine_up, "the engine is up at the end: {self:#?}");
        assert!(!self.world.writes_held && !self.world.frozen, "nothing is held: {self:#?}");
        assert_eq!(self.state.current, None, "no backup is open at the end");
        let Some(snapshot) = &self.world.snapshot else {
            assert!(self.state.completed.is_empty(), "a good backup is in the store: {self:#?}");
            return;
        };
        let complete = self.state.completed.contains_key("b");
        // One whose removal failed is known as abandoned, and goes with the next pruning.
        assert!(complete || self.state.abandoned.contains("b"), "{self:#?}");
        if complete {
            assert!(snapshot.settled && snapshot.read_back, "good means checked: {self:#?}");
        }
    }

    /// No manifest says more than is true.
    fn honest(&self) {
        let Some(snapshot) = &self.world.snapshot else { return };
        match snapshot.manifest {
            Some(Grade::Clean) => assert!(snapshot.of_stopped_engine, "clean: {self:#?}"),
            Some(Grade::Frozen) => {
                assert!(snapshot.of_frozen_files && snapshot.of_held_writes, "frozen: {self:#?}");
            }
            Some(Grade::Crash) | None => {}
        }
        if snapshot.manifest.is_some() {
            assert!(snapshot.settled, "the manifest is written last: {self:#?}");
        }
        if self.state.completed.contains_key("b") {
            assert!(snapshot.manifest.is_some(), "complete: {self:#?}");
        }
    }
}

/// Walks everything that may come of `run`, and returns how many ways there are.
fn walk(run: &Run, faults: u8, known: &mut HashMap<String, u128>) -> u128 {
    run.always();
    let marks = (run.starting, run.not_brought_back);
    let key = format!("{faults}{marks:?}{:?}{:?}", run.world, run.state);
    if let Some(count) = known.get(&key) {
        return *count;
    }
    let mut ways = 0;
    for fate in FATES {
        let cost = u8::from(fate != Fate::Well);
        if cost > faults {
            break;
        }
        match run.advance(fate) {
            Some(after) => ways += walk(&after, faults - cost, known),
            None if fate == Fate::Well => {
                run.clone().at_the_end();
                ways += 1;
            }
            None => {}
        }
    }
    known.insert(key, ways);
    ways
}

#[test]
fn every_sequence_of_up_to_four_faults_ends_with_the_service_back_and_nothing_called_good_that_is_not()
 {
    let both = [false, true];
    let mut ways = 0;
    for mode in [Mode::Stop, Mode::Freeze] {
        for (freezes, holds) in both.iter().flat_map(|freezes| both.map(|holds| (*freezes, holds)))
        {
            for (engine, watchdog) in
                both.iter().flat_map(|engine| both.map(|watchdog| (*engine, watchdog)))
            {
                let run = Run::new(Course { mode, freezes, holds }, Outlives { engine, watchdog });
                ways += walk(&run, FAULTS, &mut HashMap::new());
            }
        }
    }
    eprintln!("{ways} ways with up to {FAULTS} faults");
    assert!(ways > 300_000, "{ways}");
}

#[test]
fn without_a_fault_every_course_ends_well() {
    for mode in [Mode::Stop, Mode::Freeze] {
        for freezes in [false, true] {
            let course = Course { mode, freezes, holds: true };
            let mut run = Run::new(course, Outlives { engine: false, watchdog: true });
            while let Some(after) = run.advance(Fate::Well) {
                run = after;
            }
            assert!(run.state.completed.contains_key("b"), "{course:?}");
            let grade = run.world.snapshot.unwrap().manifest.unwrap();
            let expected = match (mode, freezes) {
                (Mode::Stop, _) => Grade::Clean,
                (Mode::Freeze, true) => Grade::Frozen,
                (Mode::Freeze, false) => Grade::Crash,
            };
            assert_eq!(grade, expected);
        }
    }
}
