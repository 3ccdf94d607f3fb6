//! Changes of volumes while they are used.

use serde::Deserialize;

use super::{Ec2, by};
use crate::AwsError;
use crate::query::{items, lenient};

/// What of a volume is to change; `None` stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModifyVolume<'a> {
    /// In GiB; only ever more.
    pub size_gib: Option<u64>,
    /// For example `gp3`.
    pub volume_type: Option<&'a str>,
    /// Operations a second.
    pub iops: Option<u32>,
    /// In MiB/s.
    pub throughput_mib_s: Option<u32>,
}

/// A change of a volume under way.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VolumeModification {
    /// The volume.
    #[serde(default)]
    pub volume_id: String,
    /// `modifying`, `optimizing` (the new size can be used), `completed` or `failed`.
    #[serde(rename = "modificationState", default)]
    pub state: String,
    /// Why it failed.
    #[serde(rename = "statusMessage", default)]
    pub message: Option<String>,
    /// In percent.
    #[serde(default, deserialize_with = "lenient")]
    pub progress: Option<u8>,
    /// In GiB.
    #[serde(rename = "targetSize", default, deserialize_with = "lenient")]
    pub target_size_gib: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModificationPage {
    #[serde(default, deserialize_with = "items")]
    volume_modification_set: Vec<VolumeModification>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modified {
    volume_modification: VolumeModification,
}

impl Ec2 {
    /// Changes a volume while it is used. The file system has to be grown after.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html>.
    pub async fn modify_volume(
        &self,
        id: &str,
        change: &ModifyVolume<'_>,
    ) -> Result<VolumeModification, AwsError> {
        let modified: Modified = self
            .query("ModifyVolume")
            .set("VolumeId", id)
            .maybe("Size", change.size_gib)
            .maybe("VolumeType", change.volume_type)
            .maybe("Iops", change.iops)
            .maybe("Throughput", change.throughput_mib_s)
            .send()
            .await?;
        Ok(modified.volume_modification)
    }

    /// The latest change of each of these volumes that had one.
    pub async fn describe_volume_modifications(
        &self,
        ids: &[&str],
    ) -> Result<Vec<VolumeModification>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeVolumesModifications", &by("volume-id", ids))
            .pages(|page: ModificationPage| {
                found.extend(page.volume_modification_set);
                page.next_token
            })
            .await?;
        Ok(found)
    }
}
