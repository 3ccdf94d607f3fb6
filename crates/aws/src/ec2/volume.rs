//! Volumes, and where they are attached.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Ec2, Filters, by, tagged};
use crate::query::{items, lenient, tags};
use crate::{AwsError, Tags};

/// A volume that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewVolume {
    /// The zone, for example `eu-west-1a`.
    pub zone: String,
    /// The snapshot that it holds; without, it is blank.
    pub snapshot: Option<String>,
    /// In GiB. Without, the snapshot's.
    pub size_gib: Option<u64>,
    /// For example `gp3`.
    pub volume_type: String,
    /// Operations a second.
    pub iops: Option<u32>,
    /// In MiB/s, gp3 only.
    pub throughput_mib_s: Option<u32>,
    /// Whether it is encrypted. One from an encrypted snapshot always is.
    pub encrypted: bool,
    /// The key; without, the account's default. Needs `encrypted`.
    pub kms_key_id: Option<String>,
    /// MiB/s at which the blocks are brought from the snapshot, 100 to 300, for a fee. Without, they
    /// come when they are first read.
    pub initialization_rate_mib_s: Option<u32>,
    /// Its tags.
    pub tags: Tags,
    /// What makes asking again safe: the same for the same volume.
    pub client_token: String,
}

/// A volume.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Volume {
    /// `vol-...`.
    #[serde(rename = "volumeId")]
    pub id: String,
    /// `creating`, `available`, `in-use`, `deleting`, `deleted` or `error`.
    #[serde(rename = "status")]
    pub state: String,
    /// The zone.
    #[serde(rename = "availabilityZone", default)]
    pub zone: String,
    /// In GiB.
    #[serde(rename = "size", default)]
    pub size_gib: u64,
    /// For example `gp3`.
    #[serde(default)]
    pub volume_type: String,
    /// Operations a second.
    #[serde(default, deserialize_with = "lenient")]
    pub iops: Option<u32>,
    /// In MiB/s.
    #[serde(rename = "throughput", default, deserialize_with = "lenient")]
    pub throughput_mib_s: Option<u32>,
    /// Whether it is encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// The key it is encrypted with.
    #[serde(default)]
    pub kms_key_id: Option<String>,
    /// The snapshot it was made of; empty if it was made blank.
    #[serde(default)]
    pub snapshot_id: String,
    /// When it was made.
    #[serde(rename = "createTime", default, deserialize_with = "lenient")]
    pub created: Option<Timestamp>,
    /// Where it is attached.
    #[serde(rename = "attachmentSet", default, deserialize_with = "items")]
    pub attachments: Vec<Attachment>,
    /// Its tags.
    #[serde(rename = "tagSet", default, deserialize_with = "tags")]
    pub tags: Tags,
}

/// A volume at an instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Attachment {
    /// The volume.
    #[serde(default)]
    pub volume_id: String,
    /// The instance.
    #[serde(default)]
    pub instance_id: String,
    /// The name given when it was attached; not the one the kernel uses.
    #[serde(default)]
    pub device: String,
    /// `attaching`, `attached`, `detaching`, `detached` or `busy` (mounted while it is detached).
    #[serde(rename = "status", default)]
    pub state: String,
    /// Whether it goes when the instance goes.
    #[serde(default)]
    pub delete_on_termination: bool,
}

/// Whether a volume works, and how much of its snapshot has arrived.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VolumeStatus {
    /// The volume.
    pub volume_id: String,
    /// Whether it works.
    #[serde(rename = "volumeStatus", default)]
    pub health: VolumeHealth,
    /// Only of a volume that is made from a snapshot at a rate.
    #[serde(rename = "initializationStatusDetails", default)]
    pub initialization: Option<Initialization>,
}

/// Whether a volume works.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VolumeHealth {
    /// `ok`, `impaired`, `warning` or `insufficient-data`.
    #[serde(default)]
    pub status: String,
}

/// How much of its snapshot a volume has.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Initialization {
    /// `default`, `provisioned-rate` or `volume-copy`.
    #[serde(default)]
    pub initialization_type: String,
    /// In percent.
    #[serde(default, deserialize_with = "lenient")]
    pub progress: Option<u8>,
    /// In seconds.
    #[serde(rename = "estimatedTimeToCompleteInSeconds", default, deserialize_with = "lenient")]
    pub seconds_left: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default, deserialize_with = "items")]
    volume_set: Vec<Volume>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusPage {
    #[serde(default, deserialize_with = "items")]
    volume_status_set: Vec<VolumeStatus>,
    #[serde(default)]
    next_token: Option<String>,
}

impl Ec2 {
    /// Makes a volume; it can be attached once it is `available`.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html>.
    pub async fn create_volume(&self, new: &NewVolume) -> Result<Volume, AwsError> {
        let query = self
            .query("CreateVolume")
            .set("AvailabilityZone", &new.zone)
            .set("VolumeType", &new.volume_type)
            .set("ClientToken", &new.client_token)
            // Said only when it is so: a volume from an encrypted snapshot may not be asked for without.
            .maybe("Encrypted", new.encrypted.then_some(true))
            .maybe("SnapshotId", new.snapshot.as_ref())
            .maybe("Size", new.size_gib)
            .maybe("Iops", new.iops)
            .maybe("Throughput", new.throughput_mib_s)
            .maybe("KmsKeyId", new.kms_key_id.as_ref())
            .maybe("VolumeInitializationRate", new.initialization_rate_mib_s);
        tagged(query, "volume", &new.tags).send().await
    }

    /// The volumes that match `filters`.
    pub async fn describe_volumes(&self, filters: &Filters) -> Result<Vec<Volume>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeVolumes", filters)
            .set("MaxResults", 500)
            .pages(|page: Page| {
                found.extend(page.volume_set);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// The volume with this id, if there is one.
    pub async fn volume(&self, id: &str) -> Result<Option<Volume>, AwsError> {
        Ok(self.describe_volumes(&by("volume-id", &[id])).await?.pop())
    }

    /// Health and initialization of these volumes.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumeStatus.html>.
    pub async fn describe_volume_status(
        &self,
        ids: &[&str],
    ) -> Result<Vec<VolumeStatus>, AwsError> {
        let mut found = Vec::new();
        self.query("DescribeVolumeStatus")
            .list("VolumeId", ids)
            .pages(|page: StatusPage| {
                found.extend(page.volume_status_set);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// Attaches a volume to an instance of the same zone, under a name such as `/dev/sdf`.
    pub async fn attach_volume(
        &self,
        volume: &str,
        instance: &str,
        device: &str,
    ) -> Result<Attachment, AwsError> {
        self.query("AttachVolume")
            .set("VolumeId", volume)
            .set("InstanceId", instance)
            .set("Device", device)
            .send()
            .await
    }

    /// Detaches a volume. `force` may lose what was written, and is for an instance that is gone.
    pub async fn detach_volume(
        &self,
        volume: &str,
        instance: &str,
        force: bool,
    ) -> Result<Attachment, AwsError> {
        self.query("DetachVolume")
            .set("VolumeId", volume)
            .set("InstanceId", instance)
            .set("Force", force)
            .send()
            .await
    }

    /// Deletes a volume that is attached nowhere.
    pub async fn delete_volume(&self, id: &str) -> Result<(), AwsError> {
        self.query("DeleteVolume").set("VolumeId", id).done().await
    }
}
