//! Snapshots of volumes.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Ec2, Filters, tagged};
use crate::query::{Set, items, lenient, tags};
use crate::{AwsError, Tags};

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SnapshotState {
    /// The point is fixed; its blocks are still being copied.
    Pending,
    /// All is copied.
    Completed,
    /// It failed, and cannot be used.
    Error,
    /// In the recycle bin.
    Recoverable,
    /// Coming back from the recycle bin.
    Recovering,
    /// One that AWS has added since.
    #[serde(other)]
    Unknown,
}

/// A snapshot of one volume.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// `snap-...`.
    #[serde(rename = "snapshotId")]
    pub id: String,
    /// The volume it was made of. A copy has one that does not exist.
    pub volume_id: String,
    /// How far it is.
    #[serde(rename = "status", alias = "state")]
    pub state: SnapshotState,
    /// Why it failed: only of a copy, and only where AWS says.
    #[serde(rename = "statusMessage", default)]
    pub state_message: Option<String>,
    /// When it was begun: the point in time it shows.
    #[serde(rename = "startTime", default, deserialize_with = "lenient")]
    pub started: Option<Timestamp>,
    /// As AWS writes it, for example `42%`; empty where it does not say.
    #[serde(default)]
    pub progress: String,
    /// The size of the volume, in GiB; not what is stored.
    #[serde(rename = "volumeSize", default)]
    pub size_gib: u64,
    /// Whether it is encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// The key it is encrypted with.
    #[serde(default)]
    pub kms_key_id: Option<String>,
    /// The account that owns it.
    #[serde(default)]
    pub owner_id: String,
    /// What was said when it was made.
    #[serde(default)]
    pub description: String,
    /// `standard` or `archive`.
    #[serde(default)]
    pub storage_tier: Option<String>,
    /// Its tags.
    #[serde(rename = "tagSet", default, deserialize_with = "tags")]
    pub tags: Tags,
}

/// Which snapshots of this account are listed: those that match all that is given.
#[derive(Debug, Clone, Default)]
pub struct SnapshotFilter {
    /// These ids. One that does not exist is just not in the list.
    pub ids: Vec<String>,
    /// Of this volume.
    pub volume: Option<String>,
    /// With these tags and values.
    pub tags: Tags,
    /// With these tags, whatever their values.
    pub tag_keys: Vec<String>,
}

impl SnapshotFilter {
    fn filters(&self) -> Filters {
        let mut filters = Filters::new();
        if !self.ids.is_empty() {
            filters.push(("snapshot-id".to_owned(), self.ids.clone()));
        }
        if let Some(volume) = &self.volume {
            filters.push(("volume-id".to_owned(), vec![volume.clone()]));
        }
        for (key, value) in &self.tags {
            filters.push((format!("tag:{key}"), vec![value.clone()]));
        }
        if !self.tag_keys.is_empty() {
            filters.push(("tag-key".to_owned(), self.tag_keys.clone()));
        }
        filters
    }
}

/// Who may shorten a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Whoever has the permission for it.
    Governance,
    /// Nobody, once the hours of cooling off are over.
    Compliance {
        /// Hours in which the lock can still be taken back, 1 to 72.
        cool_off_hours: u8,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    snapshot_set: Set<Snapshot>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(default, deserialize_with = "items")]
    snapshot_set: Vec<Snapshot>,
}

impl Ec2 {
    /// Makes a snapshot of a volume. The point in time is fixed when this returns.
    ///
    /// Takes no client token: see [`AwsError::may_have_happened`], and look for the tags first.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshot.html>.
    pub async fn create_snapshot(
        &self,
        volume: &str,
        description: &str,
        tags: &Tags,
    ) -> Result<Snapshot, AwsError> {
        let query = self.query("CreateSnapshot").once().set("VolumeId", volume);
        tagged(query.set("Description", description), "snapshot", tags).send().await
    }

    /// Makes snapshots of the data volumes of an instance at one point in time, without the root
    /// volume and without `exclude`. Takes no client token, as [`Ec2::create_snapshot`].
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshots.html>.
    pub async fn create_snapshots(
        &self,
        instance: &str,
        exclude: &[&str],
        description: &str,
        tags: &Tags,
    ) -> Result<Vec<Snapshot>, AwsError> {
        let query = self
            .query("CreateSnapshots")
            .once()
            .set("InstanceSpecification.InstanceId", instance)
            .set("InstanceSpecification.ExcludeBootVolume", true)
            .list("InstanceSpecification.ExcludeDataVolumeId", exclude)
            .set("Description", description);
        let made: Made = tagged(query, "snapshot", tags).send().await?;
        Ok(made.snapshot_set)
    }

    /// The snapshots of this account that match `filter`.
    pub async fn describe_snapshots(
        &self,
        filter: &SnapshotFilter,
    ) -> Result<Vec<Snapshot>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeSnapshots", &filter.filters())
            .set("Owner.1", "self")
            .set("MaxResults", 1000)
            .pages(|page: Page| {
                found.extend(page.snapshot_set.item);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// Deletes a snapshot. Blocks that a later one needs stay with that one.
    pub async fn delete_snapshot(&self, id: &str) -> Result<(), AwsError> {
        self.query("DeleteSnapshot").set("SnapshotId", id).done().await
    }

    /// Lets another account make volumes of a snapshot. One that is encrypted needs a key that the
    /// account may use, too.
    pub async fn share_snapshot(&self, id: &str, account: &str) -> Result<(), AwsError> {
        self.query("ModifySnapshotAttribute")
            .set("SnapshotId", id)
            .set("Attribute", "createVolumePermission")
            .set("OperationType", "add")
            .set("UserId.1", account)
            .done()
            .await
    }

    /// Moves a snapshot to the archive: cheaper, kept there 90 days at least, and a day or more away.
    pub async fn archive_snapshot(&self, id: &str) -> Result<(), AwsError> {
        self.query("ModifySnapshotTier")
            .set("SnapshotId", id)
            .set("StorageTier", "archive")
            .done()
            .await
    }

    /// Locks a snapshot against deletion for `days` days, 1 to 36500.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LockSnapshot.html>.
    pub async fn lock_snapshot(&self, id: &str, mode: LockMode, days: u32) -> Result<(), AwsError> {
        let query = self.query("LockSnapshot").set("SnapshotId", id).set("LockDuration", days);
        match mode {
            LockMode::Governance => query.set("LockMode", "governance"),
            LockMode::Compliance { cool_off_hours } => {
                query.set("LockMode", "compliance").set("CoolOffPeriod", cool_off_hours)
            }
        }
        .done()
        .await
    }
}
