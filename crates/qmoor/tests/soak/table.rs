//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::kill::Kind;

/// Figures of a run. Written to stderr when it is dropped, so that a run that fails shows how far it came.
#[derive(Debug)]
pub(crate) struct Table {
    begun: Instant,
    seed: u64,
    /// Kills by what they hit and by kind.
    hits: BTreeMap<&'static str, BTreeMap<Kind, u32>>,
    /// How long it took to be back, by kind.
    back: BTreeMap<Kind, Vec<Duration>>,
    pub(crate) made: usize,
    pub(crate) abandoned: usize,
    pub(crate) drilled: u32,
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) reads: u64,
    pub(crate) points: usize,
    pub(crate) false_grades: usize,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            begun: Instant::now(),
            seed,
            hits: BTreeMap::new(),
            back: BTreeMap::new(),
            made: 0,
            abandoned: 0,
            drilled: 0,
            acknowledged: 0,
            lost: 0,
            reads: 0,
            points: 0,
            false_grades: 0,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn hit(&mut self, at: &'static str, kind: Kind) {
        *self.hits.entry(at).or_default().entry(kind).or_default() += 1;
    }

    pub(crate) fn back(&mut self, kind: Kind, after: Duration) {
        self.back.entry(kind).or_default().push(after);
    }

    pub(crate) fn kills(&self) -> u32 {
        self.hits.values().flat_map(BTreeMap::values).sum()
    }

    fn of_kind(&self, kind: Kind) -> u32 {
        self.hits.values().filter_map(|kinds| kinds.get(&kind)).sum()
    }

    fn row(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        of: impl Fn(Kind) -> String,
    ) -> fmt::Result {
        write!(f, "\n{name:<18}")?;
        for kind in Kind::ALL {
            write!(f, "{:>10}", of(kind))?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kills, seed, seconds) = (self.kills(), self.seed, self.elapsed().as_secs());
        writeln!(f, "soak: {kills} kills in {seconds} s, QMOOR_SOAK_SEED={seed}")?;
        self.row(f, "kills", |kind| kind.as_str().to_owned())?;
        for (at, kinds) in &self.hits {
            self.row(f, at, |kind| kinds.get(&kind).map_or_else(String::new, u32::to_string))?;
        }
        self.row(f, "all", |kind| self.of_kind(kind).to_string())?;
        let of = |kind: Kind, which: fn(&[Duration]) -> Duration| {
            let mut back = self.back.get(&kind).cloned().unwrap_or_default();
            back.sort();
            if back.is_empty() { String::new() } else { which(&back).as_millis().to_string() }
        };
        self.row(f, "back, median ms", |kind| of(kind, |back| back[back.len() / 2]))?;
        self.row(f, "back, most ms", |kind| of(kind, |back| back[back.len() - 1]))?;
        let Self { made, abandoned, drilled, acknowledged, lost, reads, points, .. } = self;
        write!(
            f,
            "\n\nbackups: {made} made, {abandoned} abandoned, {drilled} drilled, {} false grades",
            self.false_grades
        )?;
        write!(
            f,
            "\nwrites:  {acknowledged} acknowledged, {lost} lost, {points} points at the end; {reads} reads\n"
        )
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        eprintln!("{self}");
    }
}
