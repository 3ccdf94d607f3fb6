//! Images, and types of instances.

use serde::Deserialize;

use super::{Ec2, by};
use crate::AwsError;
use crate::query::{items, lenient};

/// An image to start instances from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Image {
    /// `ami-...`.
    #[serde(rename = "imageId")]
    pub id: String,
    /// `available`, `pending`, `failed`, ...
    #[serde(rename = "imageState", default)]
    pub state: String,
    /// `arm64` or `x86_64`.
    #[serde(default)]
    pub architecture: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The name of the root volume, for example `/dev/xvda`.
    #[serde(default)]
    pub root_device_name: Option<String>,
}

/// A type of instances.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InstanceType {
    /// For example `c8g.2xlarge`.
    #[serde(rename = "instanceType")]
    pub name: String,
    /// `nitro` or `xen`; absent for bare metal.
    #[serde(default)]
    pub hypervisor: Option<String>,
    /// Whether it is a whole machine.
    #[serde(default)]
    pub bare_metal: bool,
    #[serde(default)]
    processor_info: Processor,
    #[serde(rename = "vCpuInfo", default)]
    v_cpu_info: Cpus,
    #[serde(default)]
    memory_info: Memory,
}

impl InstanceType {
    /// `arm64`, `x86_64`.
    pub fn architectures(&self) -> &[String] {
        &self.processor_info.supported_architectures
    }

    /// How many virtual CPUs it has.
    pub fn vcpus(&self) -> Option<u32> {
        self.v_cpu_info.default_v_cpus
    }

    /// In MiB.
    pub fn memory_mib(&self) -> Option<u64> {
        self.memory_info.size_in_mi_b
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Processor {
    #[serde(default, deserialize_with = "items")]
    supported_architectures: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Cpus {
    #[serde(rename = "defaultVCpus", default, deserialize_with = "lenient")]
    default_v_cpus: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Memory {
    #[serde(rename = "sizeInMiB", default, deserialize_with = "lenient")]
    size_in_mi_b: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImagePage {
    #[serde(default, deserialize_with = "items")]
    images_set: Vec<Image>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypePage {
    #[serde(default, deserialize_with = "items")]
    instance_type_set: Vec<InstanceType>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfferingPage {
    #[serde(default, deserialize_with = "items")]
    instance_type_offering_set: Vec<Offering>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Offering {
    #[serde(default)]
    location: String,
}

impl Ec2 {
    /// The images with these ids.
    pub async fn describe_images(&self, ids: &[&str]) -> Result<Vec<Image>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeImages", &by("image-id", ids))
            .pages(|page: ImagePage| {
                found.extend(page.images_set);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// The instance types with these names that the region has.
    pub async fn describe_instance_types(
        &self,
        names: &[&str],
    ) -> Result<Vec<InstanceType>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeInstanceTypes", &by("instance-type", names))
            .pages(|page: TypePage| {
                found.extend(page.instance_type_set);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// The zones of the region in which an instance type can be had.
    pub async fn describe_instance_type_offerings(
        &self,
        name: &str,
    ) -> Result<Vec<String>, AwsError> {
        let mut zones = Vec::new();
        self.listing("DescribeInstanceTypeOfferings", &by("instance-type", &[name]))
            .set("LocationType", "availability-zone")
            .pages(|page: OfferingPage| {
                let found = page.instance_type_offering_set.into_iter();
                zones.extend(found.map(|offering| offering.location));
                page.next_token
            })
            .await?;
        zones.sort();
        Ok(zones)
    }
}
