//! What keeps a complete backup from being lost with its region, or deleted by whoever gets hold of the machine.

use jiff::{SignedDuration, Timestamp};
use qmoor_aws::ec2::{LockMode, Snapshot};
use qmoor_plan::aws::names;
use qmoor_plan::config::{Config, Lock};

use super::EbsStore;
use crate::store::StoreError;

/// Hours in which a lock that nobody may lift can still be taken back.
const COOL_OFF_HOURS: u8 = 24;

/// What is configured.
#[derive(Debug)]
pub(super) struct Protection {
    lock: Option<LockMode>,
    days: u32,
}

impl Protection {
    pub(super) fn of(config: &Config) -> Self {
        let lock = match config.store.lock {
            Lock::None => None,
            Lock::Governance => Some(LockMode::Governance),
            Lock::Compliance => Some(LockMode::Compliance { cool_off_hours: COOL_OFF_HOURS }),
        };
        Self { lock, days: config.store.lock_days }
    }
}

impl EbsStore {
    /// Locks it. That it is locked is written on it first: one that says so and is not is kept too long, and not too
    /// short.
    pub(super) fn lock(&self, id: &str) -> Result<(), StoreError> {
        let Some(mode) = self.protection.lock else { return Ok(()) };
        let snap = self.must_be_there(id)?;
        let days = SignedDuration::from_hours(24 * i64::from(self.protection.days));
        let until = Timestamp::now().checked_add(days).unwrap_or(Timestamp::MAX);
        self.cloud.tag(&snap.id, &[(names::LOCKED_UNTIL, format!("{until:.0}"))])?;
        self.cloud.lock(&snap.id, mode, self.protection.days)
    }

    /// Begins a copy in the other region; AWS goes on with it by itself.
    pub(super) fn copy(&self, id: &str) -> Result<(), StoreError> {
        if !self.cloud.copies() {
            return Ok(());
        }
        let snap = self.must_be_there(id)?;
        if self.cloud.copies_of(id)?.is_empty() {
            let copy = self.cloud.copy(&snap)?;
            tracing::info!(id, copy, "store: a copy in the other region is begun");
        }
        Ok(())
    }

    pub(super) fn note_pin(&self, id: &str, pinned: bool) -> Result<(), StoreError> {
        let snap = self.must_be_there(id)?;
        match pinned {
            true => self.cloud.tag(&snap.id, &[(names::PINNED, "yes".to_owned())]),
            false => self.cloud.untag(&snap.id, &[names::PINNED]),
        }
    }

    pub(super) fn remove_copies(&self, id: &str) -> Result<(), StoreError> {
        if !self.cloud.copies() {
            return Ok(());
        }
        for copy in self.cloud.copies_of(id)? {
            self.cloud.delete_copy(&copy.id)?;
        }
        Ok(())
    }

    fn must_be_there(&self, id: &str) -> Result<Snapshot, StoreError> {
        self.cloud
            .named(id)?
            .ok_or_else(|| StoreError::NoSuchBackup { id: id.to_owned(), store: self.path.clone() })
    }
}

/// The end of a lock that is not over.
pub(super) fn locked_until(snap: &Snapshot) -> Option<Timestamp> {
    let until = snap.tags.get(names::LOCKED_UNTIL)?.parse().ok()?;
    (until > Timestamp::now()).then_some(until)
}
