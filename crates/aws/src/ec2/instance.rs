//! Instances.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Ec2, Filters, by};
use crate::query::{items, lenient, tags};
use crate::{AwsError, Tags};

/// An instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Instance {
    /// `i-...`.
    #[serde(rename = "instanceId")]
    pub id: String,
    /// The image it was started from.
    #[serde(default)]
    pub image_id: String,
    /// For example `c8g.2xlarge`.
    #[serde(default)]
    pub instance_type: String,
    /// `arm64` or `x86_64`.
    #[serde(default)]
    pub architecture: String,
    #[serde(rename = "instanceState", default)]
    state: State,
    #[serde(default)]
    placement: Placement,
    /// `spot`, or nothing for one that is paid by the hour.
    #[serde(default)]
    pub instance_lifecycle: Option<String>,
    /// Its subnet.
    #[serde(default)]
    pub subnet_id: Option<String>,
    /// Its VPC.
    #[serde(default)]
    pub vpc_id: Option<String>,
    /// Its address inside the VPC.
    #[serde(default)]
    pub private_ip_address: Option<String>,
    /// Its public address, which a node has not.
    #[serde(rename = "ipAddress", default)]
    pub public_ip_address: Option<String>,
    /// When it was last started.
    #[serde(rename = "launchTime", default, deserialize_with = "lenient")]
    pub launched: Option<Timestamp>,
    /// Its volumes.
    #[serde(rename = "blockDeviceMapping", default, deserialize_with = "items")]
    pub block_devices: Vec<BlockDevice>,
    /// Its tags.
    #[serde(rename = "tagSet", default, deserialize_with = "tags")]
    pub tags: Tags,
}

impl Instance {
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub fn state(&self) -> &str {
        &self.state.name
    }

    /// The zone, for example `eu-west-1a`.
    pub fn zone(&self) -> &str {
        &self.placement.availability_zone
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
struct State {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placement {
    #[serde(default)]
    availability_zone: String,
}

/// A volume as the instance sees it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BlockDevice {
    /// The name given when it was attached.
    #[serde(default)]
    pub device_name: String,
    #[serde(default)]
    ebs: Ebs,
}

impl BlockDevice {
    /// `vol-...`.
    pub fn volume_id(&self) -> &str {
        &self.ebs.volume_id
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ebs {
    #[serde(default)]
    volume_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default, deserialize_with = "items")]
    reservation_set: Vec<Reservation>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    #[serde(default, deserialize_with = "items")]
    instances_set: Vec<Instance>,
}

impl Ec2 {
    /// The instances that match `filters`, for an hour after they are terminated too.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>.
    pub async fn describe_instances(&self, filters: &Filters) -> Result<Vec<Instance>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeInstances", filters)
            .set("MaxResults", 1000)
            .pages(|page: Page| {
                found.extend(page.reservation_set.into_iter().flat_map(|all| all.instances_set));
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// The instance with this id, if there is one.
    pub async fn instance(&self, id: &str) -> Result<Option<Instance>, AwsError> {
        Ok(self.describe_instances(&by("instance-id", &[id])).await?.pop())
    }

    /// Begins to shut an instance down, as its power button would.
    pub async fn stop_instance(&self, id: &str) -> Result<(), AwsError> {
        self.query("StopInstances").set("InstanceId.1", id).done().await
    }

    /// Begins to start an instance that is stopped.
    pub async fn start_instance(&self, id: &str) -> Result<(), AwsError> {
        self.query("StartInstances").set("InstanceId.1", id).done().await
    }
}
