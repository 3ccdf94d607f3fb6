//! Making a snapshot, and finding out whether one was made when the answer got lost.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qmoor_aws::ec2::Snapshot;
use qmoor_plan::aws::names;

use super::{EbsStore, listing_of};
use crate::pace::Pace;
use crate::store::listing::Listing;
use crate::store::{Labels, StoreError, Taken};

/// How long a snapshot that was made may take to show up in a list: EC2's answers agree in the end, not at once. See
/// "Eventual consistency in the Amazon EC2 API".
const SHOWS_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl EbsStore {
    /// The point is fixed when EBS has answered, though it goes on copying for a while.
    pub(super) fn take_snapshot(&self, data: &Path, labels: &Labels) -> Result<Taken, StoreError> {
        if let Some(snap) = self.cloud.named(&labels.id)? {
            // Made by a call whose answer got lost.
            return self.taken_before(&snap, labels);
        }
        let listing = listing_of(data)?;
        let mut tags = vec![
            (names::BACKUP, labels.id.clone()),
            (names::GRADE, labels.grade.clone()),
            (names::BYTES, listing.bytes().to_string()),
            (names::AT, Timestamp::now().to_string()),
            ("Name", format!("{} {}", labels.host, labels.id)),
        ];
        if let Some(batch) = &labels.batch {
            tags.push((names::BATCH, batch.clone()));
        }
        if let Some(draft) = self.drafts.lock().remove(&labels.id) {
            tags.push((names::DRAFT, draft));
        }
        let snap = match self.cloud.create_snapshot(&self.volume.id, &labels.id, &tags) {
            Err(StoreError::Aws(error)) if error.may_have_happened() => {
                tracing::warn!(id = labels.id, %error, "store: was the snapshot made? looking for it");
                self.shows_up(&labels.id)?.ok_or(StoreError::Aws(error))?
            }
            made => made?,
        };
        self.unsettled.lock().insert(labels.id.clone(), listing.clone());
        Ok(taken(&snap, listing))
    }

    /// There is at most one call that could have made it, and it has ended.
    fn shows_up(&self, id: &str) -> Result<Option<Snapshot>, StoreError> {
        let mut pace = Pace::up_to(LOOK_EVERY, SHOWS_WITHIN);
        loop {
            let found = self.cloud.named(id)?;
            if found.is_some() || !pace.wait() {
                return Ok(found);
            }
        }
    }

    /// What was on the disk at the cut is known to who made it. Anybody else has to look into the snapshot.
    fn taken_before(&self, snap: &Snapshot, labels: &Labels) -> Result<Taken, StoreError> {
        let known = self.unsettled.lock().get(&labels.id).cloned();
        if let Some(listing) = known.or_else(|| self.listing(&labels.id).ok()) {
            return Ok(taken(snap, listing));
        }
        let snap = self.completed(&snap.id)?;
        let Some(entry) = Self::entry(&snap) else {
            let what = format!("{} does not say what it is", snap.id);
            return Err(StoreError::Damaged { what });
        };
        let listing = self.look(&entry, &self.looks.join(&labels.id), listing_of)?;
        self.unsettled.lock().insert(labels.id.clone(), listing.clone());
        Ok(taken(&snap, listing))
    }
}

fn taken(snap: &Snapshot, listing: Listing) -> Taken {
    Taken {
        snapshot: snap.id.clone(),
        bytes_total: listing.bytes(),
        // What a snapshot holds that none before it did is not told when it is made.
        bytes_added: 0,
        bytes_read_stopped: 0,
        listing,
        packs_before: Arc::new(BTreeSet::new()),
    }
}
