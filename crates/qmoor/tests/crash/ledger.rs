//! What one writer knows of its points: what each must be, or the two things it may be when the
//! engine died before it answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value as Json;

/// A point as written or found: the version its vector was made from, and its payload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) version: u64,
    pub(crate) payload: Json,
}

/// Every point of one writer. A missing id has no point.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    certain: BTreeMap<u64, Point>,
    /// The write under way, by id: what it would make of the point.
    pending: BTreeMap<u64, Option<Point>>,
    /// Every id ever written, so that one which comes back from the dead is noticed.
    seen: BTreeSet<u64>,
}

/// A point that is not what it must be.
#[derive(Debug)]
pub(crate) struct Lost {
    id: u64,
    expected: Option<Point>,
    or_pending: Option<Option<Point>>,
    found: Option<Point>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, expected, or_pending, found } = self;
        write!(f, "point {id} is {found:?}, and must be {expected:?}")?;
        match or_pending {
            Some(pending) => write!(f, " or {pending:?}"),
            None => Ok(()),
        }
    }
}

impl Ledger {
    /// The point with this id.
    pub(crate) fn get(&self, id: u64) -> Option<&Point> {
        self.certain.get(&id)
    }

    /// How many points there are.
    pub(crate) fn len(&self) -> usize {
        self.certain.len()
    }

    /// Notes what a write is about to do.
    pub(crate) fn begin(&mut self, changes: BTreeMap<u64, Option<Point>>) {
        assert!(self.pending.is_empty(), "one write at a time");
        self.seen.extend(changes.keys());
        self.pending = changes;
    }

    /// The write was acknowledged: from now on it must be there.
    pub(crate) fn acknowledged(&mut self) {
        for (id, point) in std::mem::take(&mut self.pending) {
            match point {
                Some(point) => self.certain.insert(id, point),
                None => self.certain.remove(&id),
            };
        }
    }

    /// Compares with what is found after a restart, and goes on from there.
    pub(crate) fn settle(&mut self, found: &BTreeMap<u64, Point>) -> Result<(), Box<Lost>> {
        let pending = std::mem::take(&mut self.pending);
        for &id in &self.seen {
            let found = found.get(&id);
            let expected = self.certain.get(&id);
            let or_pending = pending.get(&id);
            if found != expected && or_pending.is_none_or(|point| point.as_ref() != found) {
                return Err(Box::new(Lost {
                    id,
                    expected: expected.cloned(),
                    or_pending: or_pending.cloned(),
                    found: found.cloned(),
                }));
            }
            match found {
                Some(point) => self.certain.insert(id, point.clone()),
                None => self.certain.remove(&id),
            };
        }
        Ok(())
    }
}
