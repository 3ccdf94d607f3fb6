//! What would keep a stack from being made, found before anything is: CloudFormation finds it too, but minutes later, and
//! says it in the words of whatever it met.

mod facts;

use std::net::Ipv4Addr;

pub use facts::{Facts, Holder, Image, Machine, Own, Subnet, Volume};

use super::{instance, names};
use crate::config::{Aws, Config};

/// How many addresses at the beginning of a subnet are AWS's own; the last one is too.
///
/// <https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html>
const RESERVED: u32 = 4;

/// Something that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// All that is in the way of making the stack as the file says, or of changing it.
#[must_use]
pub fn problems(config: &Config, aws: &Aws, facts: &Facts) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    subnet(aws, facts, &mut found);
    groups(aws, facts, &mut found);
    machine(aws, facts, &mut found);
    volume(config, aws, facts, &mut found);
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Problem { what: what.into(), hint: hint.into() });
    }
}

fn subnet(aws: &Aws, facts: &Facts, found: &mut Found) {
    let name = &aws.subnet;
    let Some(subnet) = &facts.subnet else {
        return found.add(
            format!("there is no subnet {name} in {} in this account", aws.region),
            "see whether aws.region and aws.subnet belong together, and whether these are the credentials of that account",
        );
    };
    if subnet.vpc != aws.vpc {
        found.add(
            format!("the subnet {name} is in {}, and not in {}", subnet.vpc, aws.vpc),
            format!("set aws.vpc = \"{}\", or name another subnet", subnet.vpc),
        );
    }
    if subnet.zone != aws.zone {
        found.add(
            format!("the subnet {name} is in {}, and not in {}", subnet.zone, aws.zone),
            format!("set aws.zone = \"{}\", or name another subnet", subnet.zone),
        );
    }
    address(aws, subnet, facts, found);
}

fn address(aws: &Aws, subnet: &Subnet, facts: &Facts, found: &mut Found) {
    let (address, network) = (aws.address, &subnet.network);
    if let Some((first, last)) = range(network) {
        let number = u32::from(address);
        if number < first || number > last {
            return found.add(
                format!(
                    "the address {address} is not in the subnet {}, which has {network}",
                    aws.subnet
                ),
                format!("choose one from {} to {}", at(first + RESERVED), at(last - 1)),
            );
        }
        if number - first < RESERVED || number == last {
            return found.add(
                format!("the address {address} is one that AWS keeps for itself in {network}"),
                format!("choose one from {} to {}", at(first + RESERVED), at(last - 1)),
            );
        }
    }
    let others = facts
        .holders
        .iter()
        .filter(|holder| Some(&holder.interface) != facts.own.interface.as_ref());
    for holder in others {
        let mut who = holder.interface.clone();
        if let Some(machine) = &holder.machine {
            who.push_str(&format!(" of {machine}"));
        }
        if !holder.description.is_empty() {
            who.push_str(&format!(", \"{}\"", holder.description));
        }
        found.add(
            format!("the address {address} is taken, by {who}"),
            "choose another aws.address, or take it from there",
        );
    }
}

/// The first and the last address of a network such as `10.0.2.0/24`. Those of AWS have 16 addresses at least.
fn range(network: &str) -> Option<(u32, u32)> {
    let (address, bits) = network.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let bits: u32 = bits.parse().ok().filter(|bits| (1..=28).contains(bits))?;
    let hosts = u32::MAX >> bits;
    let first = u32::from(address) & !hosts;
    Some((first, first | hosts))
}

fn at(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(number)
}

fn groups(aws: &Aws, facts: &Facts, found: &mut Found) {
    let lists = [
        ("aws.index_groups", &aws.index_groups),
        ("aws.search_groups", &aws.search_groups),
        ("aws.admin_groups", &aws.admin_groups),
    ];
    for (key, list) in lists {
        for group in list {
            match facts.groups.iter().find(|(id, _)| id == group) {
                None => found.add(
                    format!("there is no security group {group} in {} in this account", aws.region),
                    format!("correct {key}: the group of the machines of that Ray cluster"),
                ),
                Some((_, vpc)) if *vpc != aws.vpc => found.add(
                    format!("the security group {group} is of {vpc}, and not of {}", aws.vpc),
                    format!("correct {key}: a group of the VPC in which the node is"),
                ),
                Some(_) => {}
            }
        }
    }
}

fn machine(aws: &Aws, facts: &Facts, found: &mut Found) {
    let name = &aws.instance_type;
    let Some(machine) = &facts.machine else {
        return found.add(
            format!("{} has no instance type {name}", aws.region),
            "choose another aws.instance_type",
        );
    };
    if !machine.zones.contains(&aws.zone) {
        found.add(
            format!("there is no {name} in {}, but in {}", aws.zone, machine.zones.join(", ")),
            "choose another aws.instance_type, or a subnet in one of those zones",
        );
    }
    match &facts.image {
        None if facts.own.machine.is_some() => {}
        None => found.add(
            format!("the image {} is not there", aws.ami.as_deref().unwrap_or("of the machine")),
            "correct aws.ami, or leave it out for the newest Amazon Linux",
        ),
        Some(image) if !machine.architectures.contains(&image.architecture) => found.add(
            format!(
                "the image {} is for {}, and {name} is {}",
                image.id,
                image.architecture,
                machine.architectures.join(", ")
            ),
            "choose an image and an instance type of one architecture",
        ),
        Some(image) if !image.is_available => {
            found.add(format!("the image {} is not available", image.id), "choose another aws.ami");
        }
        Some(_) => {}
    }
    let is_to_start = facts.own.instance_type.as_ref() != Some(name);
    if let Some((limit, running)) = facts.processors
        && running.saturating_add(machine.processors) > limit
        && is_to_start
    {
        found.add(
            format!(
                "{name} has {} virtual processors; {running} of the {limit} that the account may run here are running",
                machine.processors
            ),
            "ask for more in Service Quotas (EC2, Running On-Demand Standard instances), or choose a smaller type",
        );
    }
}

fn volume(config: &Config, aws: &Aws, facts: &Facts, found: &mut Found) {
    let node = &config.node.name;
    if let Some(id) = &config.volume.id {
        match facts.volumes.iter().find(|volume| volume.id == *id) {
            None => found.add(
                format!("the volume {id} is not there, or is not of the node `{node}`"),
                format!(
                    "correct volume.id; a volume of another hand is given to the node by: aws ec2 create-tags --resources {id} --tags Key={},Value={node} Key={},Value={}",
                    names::NODE, names::ROLE, names::DATA
                ),
            ),
            Some(volume) if volume.role != names::DATA => found.add(
                format!("the volume {id} does not hold the data of the node `{node}`, but is {}", volume.role),
                "correct volume.id, or leave it out: the volume that holds the data is found by its tags",
            ),
            Some(volume) if volume.zone != aws.zone => found.add(
                format!("the volume {id} is in {}, and not in {}", volume.zone, aws.zone),
                "choose a subnet in the zone of the volume, or restore a backup into the other zone",
            ),
            Some(_) => {}
        }
    } else if !facts.own.exists {
        for volume in facts.volumes.iter().filter(|volume| volume.role == names::DATA) {
            found.add(
                format!("the volume {} is left from before, with the data of the node `{node}`", volume.id),
                format!(
                    "set volume.id = \"{}\" to go on with it, or choose another node.name, or delete it",
                    volume.id
                ),
            );
        }
    }
    let own = facts.volumes.iter().find(|volume| Some(&volume.id) == facts.own.volume.as_ref());
    if let Some(volume) = own
        && volume.size > aws.volume_size
    {
        found.add(
            format!("the volume {} has {} GiB, and cannot shrink", volume.id, volume.size >> 30),
            format!("set aws.volume_size = \"{}GiB\", or more", volume.size >> 30),
        );
    }
}

/// The quota that counts the processors of an instance type; `None` for one that is not watched here.
///
/// <https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html>
#[must_use]
pub fn quota(instance_type: &str) -> Option<&'static str> {
    is_standard(instance_type).then_some("L-1216C47A")
}

/// Whether an instance type counts towards the quota of standard instances.
#[must_use]
pub fn is_standard(instance_type: &str) -> bool {
    let letters = instance_type.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(0);
    match instance_type.get(..letters).unwrap_or_default() {
        "im" | "is" => true,
        // `inf`, `trn`, `hpc`, `dl` and `mac` have quotas of their own.
        family => family.len() == 1 && "acdhimrtz".contains(family),
    }
}

/// The public parameter that names the newest image for an instance type: Amazon Linux 2023.
///
/// <https://docs.aws.amazon.com/linux/al2023/ug/ec2.html>
#[must_use]
pub fn image_parameter(instance_type: &str) -> Option<String> {
    let architecture = instance::architecture(instance_type).ok()?.as_str();
    Some(format!("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"))
}
