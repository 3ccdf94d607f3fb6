//! Elastic Compute Cloud, version 2016-11-15.
//!
//! Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/>.

mod copy;
mod image;
mod instance;
mod modification;
mod network;
mod snapshot;
mod volume;

pub use copy::CopySnapshot;
pub use image::{Image, InstanceType};
pub use instance::{BlockDevice, Instance};
pub use modification::{ModifyVolume, VolumeModification};
pub use network::{NetworkInterface, Rule, SecurityGroup, Subnet};
pub use snapshot::{LockMode, Snapshot, SnapshotFilter, SnapshotState};
pub use volume::{Attachment, Initialization, NewVolume, Volume, VolumeHealth, VolumeStatus};

use crate::query::Query;
use crate::{Aws, AwsError, Tags, service};

/// What a call that lists takes, each with its values: an item is listed if it matches one value of
/// each filter. Values may hold `*` and `?`.
pub type Filters = Vec<(String, Vec<String>)>;

/// The client of EC2. Lists are always whole: all pages are read.
#[derive(Debug, Clone)]
pub struct Ec2(pub(crate) Aws);

impl Ec2 {
    pub(crate) fn query(&self, action: &'static str) -> Query<'_> {
        Query::new(&self.0, &service::EC2, action)
    }

    /// A call that lists what matches `filters`.
    pub(crate) fn listing(&self, action: &'static str, filters: &Filters) -> Query<'_> {
        let mut query = self.query(action);
        for (place, (name, values)) in (1..).zip(filters) {
            query = query.set(format!("Filter.{place}.Name"), name);
            query = query.list(&format!("Filter.{place}.Value"), values);
        }
        query
    }

    /// Sets tags of resources; those of the same key are replaced, others stay.
    pub async fn create_tags(&self, ids: &[&str], tags: &Tags) -> Result<(), AwsError> {
        self.query("CreateTags").list("ResourceId", ids).tags("Tag", tags).done().await
    }

    /// Takes tags off resources, whatever their values. Without `keys` nothing is done: AWS would
    /// take off all.
    pub async fn delete_tags(&self, ids: &[&str], keys: &[&str]) -> Result<(), AwsError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut query = self.query("DeleteTags").list("ResourceId", ids);
        for (place, key) in (1..).zip(keys) {
            query = query.set(format!("Tag.{place}.Key"), key);
        }
        query.done().await
    }
}

/// Filters that ask for these values of `name`, unless there are none.
pub(crate) fn by(name: &str, values: &[&str]) -> Filters {
    if values.is_empty() {
        return Vec::new();
    }
    vec![(name.to_owned(), values.iter().map(ToString::to_string).collect())]
}

/// Tags for something that is being made.
pub(crate) fn tagged<'a>(query: Query<'a>, kind: &str, tags: &Tags) -> Query<'a> {
    if tags.is_empty() {
        return query;
    }
    query.set("TagSpecification.1.ResourceType", kind).tags("TagSpecification.1.Tag", tags)
}
