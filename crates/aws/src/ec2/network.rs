//! Network interfaces, subnets and security groups.

use serde::Deserialize;

use super::{Ec2, Filters};
use crate::query::{items, lenient, tags};
use crate::{AwsError, Tags};

/// A network interface.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct NetworkInterface {
    /// `eni-...`.
    #[serde(rename = "networkInterfaceId")]
    pub id: String,
    /// Its subnet.
    #[serde(default)]
    pub subnet_id: String,
    /// Its VPC.
    #[serde(default)]
    pub vpc_id: String,
    /// The zone.
    #[serde(rename = "availabilityZone", default)]
    pub zone: String,
    /// What was said when it was made. Tells what an interface of a service is for.
    #[serde(default)]
    pub description: String,
    /// `available`, `in-use`, and in between `associated`, `attaching`, `detaching`.
    #[serde(default)]
    pub status: String,
    /// Its first address.
    #[serde(default)]
    pub private_ip_address: String,
    #[serde(rename = "groupSet", default, deserialize_with = "items")]
    groups: Vec<GroupRef>,
    #[serde(default)]
    attachment: Option<AttachmentRef>,
    /// Its tags.
    #[serde(rename = "tagSet", default, deserialize_with = "tags")]
    pub tags: Tags,
}

impl NetworkInterface {
    /// The ids of its security groups.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.group_id.as_str())
    }

    /// The instance it is at.
    pub fn instance_id(&self) -> Option<&str> {
        self.attachment.as_ref()?.instance_id.as_deref()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupRef {
    #[serde(default)]
    group_id: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentRef {
    #[serde(default)]
    instance_id: Option<String>,
}

/// A subnet.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Subnet {
    /// `subnet-...`.
    #[serde(rename = "subnetId")]
    pub id: String,
    /// Its VPC.
    #[serde(default)]
    pub vpc_id: String,
    /// Its zone.
    #[serde(rename = "availabilityZone", default)]
    pub zone: String,
    /// Its IPv4 addresses, for example `10.0.2.0/24`.
    #[serde(default)]
    pub cidr_block: String,
    /// How many of them are free.
    #[serde(default)]
    pub available_ip_address_count: u64,
}

/// A security group.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SecurityGroup {
    /// `sg-...`.
    #[serde(rename = "groupId")]
    pub id: String,
    /// Its name.
    #[serde(rename = "groupName", default)]
    pub name: String,
    /// The account that owns it.
    #[serde(default)]
    pub owner_id: String,
    /// Its VPC.
    #[serde(default)]
    pub vpc_id: String,
    /// What may come in.
    #[serde(rename = "ipPermissions", default, deserialize_with = "items")]
    pub ingress: Vec<Rule>,
    /// What may go out.
    #[serde(rename = "ipPermissionsEgress", default, deserialize_with = "items")]
    pub egress: Vec<Rule>,
    /// Its tags.
    #[serde(rename = "tagSet", default, deserialize_with = "tags")]
    pub tags: Tags,
}

/// Ports that are open, and to whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rule {
    /// `tcp`, `udp`, `icmp`, a number, or `-1` for all.
    #[serde(rename = "ipProtocol", default)]
    pub protocol: String,
    /// The first port; absent for all.
    #[serde(default, deserialize_with = "lenient")]
    pub from_port: Option<i32>,
    /// The last port.
    #[serde(default, deserialize_with = "lenient")]
    pub to_port: Option<i32>,
    #[serde(default, deserialize_with = "items")]
    groups: Vec<GroupRef>,
    #[serde(default, deserialize_with = "items")]
    ip_ranges: Vec<Range>,
    #[serde(default, deserialize_with = "items")]
    ipv6_ranges: Vec<Range6>,
    #[serde(default, deserialize_with = "items")]
    prefix_list_ids: Vec<PrefixList>,
}

impl Rule {
    /// The security groups it is open to.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.group_id.as_str())
    }

    /// The ranges of addresses it is open to, IPv4, IPv6, and prefix lists by their ids.
    pub fn ranges(&self) -> impl Iterator<Item = &str> {
        let v4 = self.ip_ranges.iter().map(|range| range.cidr_ip.as_str());
        let v6 = self.ipv6_ranges.iter().map(|range| range.cidr_ipv6.as_str());
        v4.chain(v6).chain(self.prefix_list_ids.iter().map(|list| list.prefix_list_id.as_str()))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    #[serde(default)]
    cidr_ip: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range6 {
    #[serde(default)]
    cidr_ipv6: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrefixList {
    #[serde(default)]
    prefix_list_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InterfacePage {
    #[serde(default, deserialize_with = "items")]
    network_interface_set: Vec<NetworkInterface>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubnetPage {
    #[serde(default, deserialize_with = "items")]
    subnet_set: Vec<Subnet>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupPage {
    #[serde(default, deserialize_with = "items")]
    security_group_info: Vec<SecurityGroup>,
    #[serde(default)]
    next_token: Option<String>,
}

impl Ec2 {
    /// The network interfaces that match `filters`. By address:
    /// `addresses.private-ip-address`, with `vpc-id`, since other VPCs may have the same address.
    pub async fn describe_network_interfaces(
        &self,
        filters: &Filters,
    ) -> Result<Vec<NetworkInterface>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeNetworkInterfaces", filters)
            .set("MaxResults", 1000)
            .pages(|page: InterfacePage| {
                found.extend(page.network_interface_set);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// The subnets that match `filters`, for example `subnet-id`.
    pub async fn describe_subnets(&self, filters: &Filters) -> Result<Vec<Subnet>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeSubnets", filters)
            .set("MaxResults", 1000)
            .pages(|page: SubnetPage| {
                found.extend(page.subnet_set);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// The security groups that match `filters`, for example `group-id`.
    pub async fn describe_security_groups(
        &self,
        filters: &Filters,
    ) -> Result<Vec<SecurityGroup>, AwsError> {
        let mut found = Vec::new();
        self.listing("DescribeSecurityGroups", filters)
            .set("MaxResults", 1000)
            .pages(|page: GroupPage| {
                found.extend(page.security_group_info);
                page.next_token
            })
            .await?;
        Ok(found)
    }
}
