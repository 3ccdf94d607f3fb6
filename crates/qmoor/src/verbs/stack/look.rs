//! What AWS says about what the file names.

use std::collections::BTreeMap;

use qmoor_aws::AwsError;
use qmoor_aws::cloudformation::StackResource;
use qmoor_aws::ec2::{self, Ec2};
use qmoor_plan::aws::names::{self, resource};
use qmoor_plan::aws::preflight::{
    self, Facts, Holder, Image, Machine, Own, Subnet, Volume, is_standard,
};

use super::Session;

const GIB: u64 = 1 << 30;

/// How many instance types one call is asked about.
const TYPES_AT_ONCE: usize = 100;

/// Asks for all of it. `resources` are what the stack has; `image` was found before.
pub(super) async fn facts(
    session: &Session,
    resources: &[StackResource],
    image: Option<&ec2::Image>,
) -> Result<Facts, AwsError> {
    let (ec2, aws) = (session.aws.ec2(), &session.machine);
    let own = own(&ec2, resources).await?;
    let subnet = ec2.describe_subnets(&by("subnet-id", &[&aws.subnet])).await?.pop();
    let mut at = by("addresses.private-ip-address", &[&aws.address.to_string()]);
    at.extend(by("vpc-id", &[&aws.vpc]));
    let holders = ec2.describe_network_interfaces(&at).await?;
    let mut wanted: Vec<&str> = Vec::new();
    for list in [&aws.index_groups, &aws.search_groups, &aws.admin_groups] {
        wanted.extend(list.iter().map(String::as_str));
    }
    let groups = ec2.describe_security_groups(&by("group-id", &wanted)).await?;
    let machine = machine(&ec2, &aws.instance_type).await?;
    let processors = processors(session, &own).await?;
    let volumes = volumes(session).await?;
    Ok(Facts {
        subnet: subnet.map(|found| Subnet {
            vpc: found.vpc_id,
            zone: found.zone,
            network: found.cidr_block,
        }),
        holders: holders
            .into_iter()
            .map(|found| Holder {
                machine: found.instance_id().map(str::to_owned),
                interface: found.id,
                description: found.description,
            })
            .collect(),
        groups: groups.into_iter().map(|found| (found.id, found.vpc_id)).collect(),
        machine,
        image: image.map(|found| Image {
            id: found.id.clone(),
            architecture: found.architecture.clone(),
            is_available: found.state == "available",
        }),
        processors,
        volumes,
        own,
    })
}

/// Volumes that carry the name of the node.
pub(super) async fn volumes(session: &Session) -> Result<Vec<Volume>, AwsError> {
    let tag = format!("tag:{}", names::NODE);
    let found = session.aws.ec2().describe_volumes(&by(&tag, &[session.node()])).await?;
    let there = found.into_iter().filter(|found| !found.state.starts_with("delet"));
    Ok(there
        .map(|found| Volume {
            role: found.tags.get(names::ROLE).cloned().unwrap_or_default(),
            id: found.id,
            zone: found.zone,
            size: found.size_gib.saturating_mul(GIB),
        })
        .collect())
}

pub(super) fn by(name: &str, values: &[&str]) -> ec2::Filters {
    vec![(name.to_owned(), values.iter().map(|&value| value.to_owned()).collect())]
}

async fn own(ec2: &Ec2, resources: &[StackResource]) -> Result<Own, AwsError> {
    let id = |name: &str| {
        let found = resources
            .iter()
            .find(|resource| resource.logical_id == name && resource.status != "DELETE_COMPLETE");
        found.and_then(|found| found.physical_id.clone())
    };
    let mut own = Own {
        exists: !resources.is_empty(),
        interface: id(resource::INTERFACE),
        volume: id(resource::VOLUME),
        machine: None,
        instance_type: None,
    };
    if let Some(id) = id(resource::MACHINE)
        && let Some(found) = ec2.instance(&id).await?
        && found.state() != "terminated"
    {
        own.instance_type = Some(found.instance_type);
        own.machine = Some(id);
    }
    Ok(own)
}

async fn machine(ec2: &Ec2, name: &str) -> Result<Option<Machine>, AwsError> {
    // A name that no region has is refused, one that this region has not is just not listed.
    let found = match ec2.describe_instance_types(&[name]).await {
        Err(error) if error.code() == Some("InvalidInstanceType") => return Ok(None),
        found => found?.pop(),
    };
    let Some(found) = found else { return Ok(None) };
    Ok(Some(Machine {
        architectures: found.architectures().to_vec(),
        processors: found.vcpus().unwrap_or_default(),
        zones: ec2.describe_instance_type_offerings(name).await?,
    }))
}

/// The quota of virtual processors, and how many of them run besides the node's own. Nothing where the quota may not be
/// looked at: it keeps nobody from trying.
async fn processors(session: &Session, own: &Own) -> Result<Option<(u32, u32)>, AwsError> {
    let Some(code) = preflight::quota(&session.machine.instance_type) else { return Ok(None) };
    let limit = match session.aws.quotas().get("ec2", code).await {
        Ok(quota) => quota.value,
        Err(error) if error.is_denied() || error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let ec2 = session.aws.ec2();
    let running =
        ec2.describe_instances(&by("instance-state-name", &["pending", "running"])).await?;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for one in &running {
        let counts_here = is_standard(&one.instance_type) && one.instance_lifecycle.is_none();
        if counts_here && Some(&one.id) != own.machine.as_ref() {
            *counts.entry(&one.instance_type).or_default() += 1;
        }
    }
    let types: Vec<&str> = counts.keys().copied().collect();
    let mut used = 0_u32;
    for types in types.chunks(TYPES_AT_ONCE) {
        for found in ec2.describe_instance_types(types).await? {
            let count = counts.get(found.name.as_str()).copied().unwrap_or_default();
            used = used.saturating_add(count.saturating_mul(found.vcpus().unwrap_or_default()));
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    Ok(Some((limit.clamp(0.0, f64::from(u32::MAX)) as u32, used)))
}
