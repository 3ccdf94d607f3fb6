//! Machines to choose from: the two Graviton4 families that differ in memory only.
//!
//! <https://docs.aws.amazon.com/ec2/latest/instancetypes/co.html> and
//! <https://docs.aws.amazon.com/ec2/latest/instancetypes/mo.html>: processors, memory, and what the machine always gets from
//! its EBS volumes together. Prices are those on demand in us-east-1, from <https://aws.amazon.com/ec2/pricing/on-demand/>,
//! in November 2026, only as a ratio: an r8g costs 1.48 times a c8g of the same size and has four times its memory.

use serde::Serialize;

/// An instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Its name.
    pub name: &'static str,
    /// Processors.
    pub vcpus: u64,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// What it always gets from EBS, in megabits a second. The smaller ones get more for half an hour a day.
    pub ebs_mbps: u64,
    /// The price, in hundredths of that of one processor of a c8g.
    pub price: u64,
}

const fn c8g(name: &'static str, vcpus: u64, ebs_mbps: u64) -> Machine {
    Machine { name, vcpus, memory_gib: 2 * vcpus, ebs_mbps, price: 100 * vcpus }
}

const fn r8g(name: &'static str, vcpus: u64, ebs_mbps: u64) -> Machine {
    Machine { name, vcpus, memory_gib: 8 * vcpus, ebs_mbps, price: 148 * vcpus }
}

/// Those with two processors or more, the smallest of a family first.
pub const MACHINES: [Machine; 18] = [
    c8g("c8g.large", 2, 630),
    c8g("c8g.xlarge", 4, 1_250),
    c8g("c8g.2xlarge", 8, 2_500),
    c8g("c8g.4xlarge", 16, 5_000),
    c8g("c8g.8xlarge", 32, 10_000),
    c8g("c8g.12xlarge", 48, 15_000),
    c8g("c8g.16xlarge", 64, 20_000),
    c8g("c8g.24xlarge", 96, 30_000),
    c8g("c8g.48xlarge", 192, 40_000),
    r8g("r8g.large", 2, 630),
    r8g("r8g.xlarge", 4, 1_250),
    r8g("r8g.2xlarge", 8, 2_500),
    r8g("r8g.4xlarge", 16, 5_000),
    r8g("r8g.8xlarge", 32, 10_000),
    r8g("r8g.12xlarge", 48, 15_000),
    r8g("r8g.16xlarge", 64, 20_000),
    r8g("r8g.24xlarge", 96, 30_000),
    r8g("r8g.48xlarge", 192, 40_000),
];

/// The smallest of each family with so much memory.
pub(super) fn that_fit(memory: u64) -> Vec<Machine> {
    let fits = |family: &str| {
        let of_family = |machine: &&Machine| machine.name.starts_with(family);
        let large = |machine: &&Machine| machine.memory_gib << 30 >= memory;
        MACHINES.iter().filter(of_family).find(large).copied()
    };
    ["c8g.", "r8g."].into_iter().filter_map(fits).collect()
}

/// The one of these that costs least.
pub(super) fn cheapest(machines: &[Machine]) -> Option<&Machine> {
    machines.iter().min_by_key(|machine| machine.price)
}
