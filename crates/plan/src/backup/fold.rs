//! From the journal to what is true now. Total: any list of records gives a state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use super::{Course, Event, Mode, Record, Step};
use crate::manifest::Grade;

/// What the journal says is true now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Number of the last record; the next has one more.
    pub last_seq: u64,
    /// The backup that has begun and not ended.
    pub current: Option<InProgress>,
    /// The restore that has begun and not ended.
    pub restore: Option<RestoreInProgress>,
    /// The change of the engine's version that has begun and not ended.
    pub upgrade: Option<UpgradeInProgress>,
    /// When a backup was last begun, however it ended.
    pub last_attempt: Option<Timestamp>,
    /// Whether a stop was intended and no start has been made since.
    pub engine_down: bool,
    /// Whether a hold was intended and no release has been made since.
    pub gate_held: bool,
    /// Whether a freeze was intended and no thaw has been made since.
    pub frozen: bool,
    /// Backups that ended well and are not pruned, by id.
    pub completed: BTreeMap<String, Completed>,
    /// Backups that were begun and given up: what they left in the store can go.
    pub abandoned: BTreeSet<String>,
    /// Of these the last one, as it was when it was given up: whoever began it may ask why.
    pub last_abandoned: Option<InProgress>,
    /// When a snapshot was last proved, by a verify or by a drill that went well.
    pub verified: BTreeMap<String, Timestamp>,
    /// The last drill of each snapshot.
    pub drilled: BTreeMap<String, Drill>,
    /// Snapshots that the operator keeps.
    pub pinned: BTreeSet<String>,
    /// Snapshots whose removal has begun and not ended: they may be there in part.
    pub pruning: BTreeSet<String>,
}

/// A backup that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InProgress {
    /// Its id.
    pub id: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// The indexing run it is made for.
    pub batch_id: Option<String>,
    /// The user's own.
    pub labels: BTreeMap<String, String>,
    /// Who asked, or what for.
    pub why: String,
    /// The step that was last intended.
    pub step: Option<Step>,
    /// The steps that are done.
    pub done: BTreeSet<Step>,
    /// The step that failed first, and why.
    pub failed: Option<(Step, String)>,
    /// Every step that failed.
    pub troubled: BTreeSet<Step>,
    /// Which steps it takes.
    pub course: Course,
}

impl InProgress {
    /// The step that failed first, and why, as a person reads it.
    #[must_use]
    pub fn why_failed(&self) -> Option<String> {
        self.failed.as_ref().map(|(step, error)| format!("{step}: {error}"))
    }
}

/// A restore that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreInProgress {
    /// Id of the backup.
    pub id: String,
    /// Where the restored data is put and verified.
    pub incoming: PathBuf,
    /// Where it will go.
    pub data: PathBuf,
    /// Where the data that was there is kept.
    pub aside: PathBuf,
    /// Whether the renames may have begun.
    pub swapping: bool,
}

/// A change of the engine's version that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeInProgress {
    /// Id of the backup that was made before it.
    pub backup: String,
    /// The image that was to come.
    pub to: String,
}

/// A backup that ended well.
#[derive(Debug, Clone, PartialEq)]
pub struct Completed {
    /// When it ended.
    pub at: Timestamp,
    /// From the hold of the writes to the release, in milliseconds.
    pub pause_ms: f64,
    /// What the store grew by, in bytes.
    pub bytes_added: u64,
    /// How many points it holds.
    pub points: u64,
    /// How its point was made.
    pub mode: Mode,
    /// What may be claimed of the point, if the record says so.
    pub grade: Option<Grade>,
}

/// What a drill showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Drill {
    /// When it ended.
    pub at: Timestamp,
    /// Whether all facts were as the manifest says.
    pub ok: bool,
    /// From the start of the restore to the first answer, in milliseconds.
    pub rto_ms: f64,
    /// How many facts were not.
    pub differences: u64,
}

/// What is true after `records`.
#[must_use]
pub fn fold(records: &[Record]) -> State {
    let mut state = State::default();
    for record in records {
        state.apply(record);
    }
    state
}

impl State {
    /// What is true after one more record.
    pub fn apply(&mut self, record: &Record) {
        self.last_seq = self.last_seq.max(record.seq);
        let (backup, at) = (&record.backup, record.at);
        match &record.event {
            Event::Begin { batch_id, labels, why, course } => self.begin(InProgress {
                id: backup.clone(),
                begun_at: at,
                batch_id: batch_id.clone(),
                labels: labels.clone(),
                why: why.clone(),
                step: None,
                done: BTreeSet::new(),
                failed: None,
                troubled: BTreeSet::new(),
                course: *course,
            }),
            Event::Intent { step } => self.intend(backup, *step),
            Event::Done { step, note: _ } => self.done(backup, *step),
            Event::Failed { step, error } => self.fail(backup, *step, error),
            Event::Finished { ok, pause_ms, bytes_added, points, mode, grade } => {
                let (pause_ms, bytes_added, points) = (*pause_ms, *bytes_added, *points);
                let (mode, grade) = (*mode, *grade);
                let completed = Completed { at, pause_ms, bytes_added, points, mode, grade };
                self.finish(backup, ok.then_some(completed));
            }
            Event::Verified { id } => self.prove(id, at),
            Event::Drilled { id, ok, rto_ms, differences } => {
                let drill = Drill { at, ok: *ok, rto_ms: *rto_ms, differences: *differences };
                self.drill(id, drill);
            }
            Event::Pinned { id } => {
                let _new = self.pinned.insert(id.clone());
            }
            Event::Unpinned { id } => {
                let _was_there = self.pinned.remove(id);
            }
            Event::PruneBegin { id } => {
                let _new = self.pruning.insert(id.clone());
            }
            Event::Pruned { id } => self.forget(id),
            Event::RestoreBegin { id, incoming, data, aside } => {
                self.restore = Some(RestoreInProgress {
                    id: id.clone(),
                    incoming: incoming.clone(),
                    data: data.clone(),
                    aside: aside.clone(),
                    swapping: false,
                });
            }
            Event::RestoreSwap { id } => {
                if let Some(restore) = self.restore.as_mut().filter(|restore| restore.id == *id) {
                    restore.swapping = true;
                }
            }
            Event::UpgradeBegin { backup, from: _, to } => {
                self.upgrade = Some(UpgradeInProgress { backup: backup.clone(), to: to.clone() });
            }
            Event::UpgradeEnd { ok: _ } => self.upgrade = None,
            Event::Restored { id: _, old_data: _ } | Event::RestoreFailed { id: _, error: _ } => {
                self.restore = None;
            }
        }
    }

    fn begin(&mut self, backup: InProgress) {
        if let Some(former) = self.current.take() {
            let _new = self.abandoned.insert(former.id.clone());
            self.last_abandoned = Some(former);
        }
        self.last_attempt = Some(backup.begun_at);
        self.current = Some(backup);
    }

    fn current_of(&mut self, backup: &str) -> Option<&mut InProgress> {
        self.current.as_mut().filter(|current| current.id == backup)
    }

    /// The service may be touched from the intent on, whichever backup or restore does it.
    fn intend(&mut self, backup: &str, step: Step) {
        match step {
            Step::HoldWrites | Step::HoldAll => self.gate_held = true,
            Step::Stop => self.engine_down = true,
            Step::Freeze => self.frozen = true,
            Step::Gate
            | Step::FirstPass
            | Step::Drain
            | Step::Manifest
            | Step::Sync
            | Step::Snapshot
            | Step::Thaw
            | Step::Start
            | Step::Compare
            | Step::Release
            | Step::Settle
            | Step::Observe
            | Step::Verify
            | Step::Prune => {}
        }
        if let Some(current) = self.current_of(backup) {
            current.step = Some(step);
        }
    }

    fn done(&mut self, backup: &str, step: Step) {
        match step {
            Step::Start => self.engine_down = false,
            Step::Release => self.gate_held = false,
            Step::Thaw => self.frozen = false,
            Step::Gate
            | Step::FirstPass
            | Step::HoldWrites
            | Step::Drain
            | Step::Manifest
            | Step::HoldAll
            | Step::Stop
            | Step::Sync
            | Step::Freeze
            | Step::Snapshot
            | Step::Compare
            | Step::Settle
            | Step::Observe
            | Step::Verify
            | Step::Prune => {}
        }
        if let Some(current) = self.current_of(backup) {
            let _new = current.done.insert(step);
        }
    }

    fn fail(&mut self, backup: &str, step: Step, error: &str) {
        if let Some(current) = self.current_of(backup) {
            let _first = current.failed.get_or_insert_with(|| (step, error.to_owned()));
            let _new = current.troubled.insert(step);
        }
    }

    fn finish(&mut self, backup: &str, completed: Option<Completed>) {
        let ended = self.current.take_if(|current| current.id == backup);
        match completed {
            Some(completed) => {
                let _was_there = self.abandoned.remove(backup);
                let _former = self.completed.insert(backup.to_owned(), completed);
            }
            None => {
                let _new = self.abandoned.insert(backup.to_owned());
                self.last_abandoned = ended.or(self.last_abandoned.take());
            }
        }
    }

    fn prove(&mut self, id: &str, at: Timestamp) {
        let _former = self.verified.insert(id.to_owned(), at);
    }

    /// A drill that went wrong takes back what an earlier verify or drill had proved.
    fn drill(&mut self, id: &str, drill: Drill) {
        if drill.ok {
            self.prove(id, drill.at);
        } else {
            let _former = self.verified.remove(id);
        }
        let _former = self.drilled.insert(id.to_owned(), drill);
    }

    fn forget(&mut self, id: &str) {
        let _former = self.completed.remove(id);
        let _was_there = self.abandoned.remove(id);
        let _former = self.verified.remove(id);
        let _former = self.drilled.remove(id);
        let _was_there = self.pinned.remove(id);
        let _was_there = self.pruning.remove(id);
    }
}
