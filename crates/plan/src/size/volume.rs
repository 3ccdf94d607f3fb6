//! The gp3 volume: how large, how fast, and how long what it has to do takes.

use serde::Serialize;

use super::Machine;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// The alert on a disk that fills comes at 15 % free. Twice that is left free from the start.
const FREE_PERCENT: u64 = 30;

/// Sizes are advised in steps, from the smallest that is worth its trouble.
const STEP_GIB: u64 = 10;

/// Throughputs in MiB a second to choose from: what gp3 has for nothing, to the most.
const THROUGHPUTS: [u64; 5] = [125, 250, 500, 1000, 2000];

/// Operations a second that gp3 has for nothing.
const IOPS: u64 = 3000;

/// A MiB a second needs so many operations a second.
const IOPS_PER_MIB: u64 = 4;

/// Seconds in which all that belongs into memory should be there after a start of the machine.
const WARM_IN: u64 = 600;

/// Seconds in which all of the data should be read once, for a first backup into a repository or a verification.
const READ_IN: u64 = 3600;

/// An EBS volume, and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its size in GiB.
    pub size_gib: u64,
    /// Operations a second.
    pub iops: u64,
    /// MiB a second.
    pub throughput_mib: u64,
    /// MiB a second of which both the volume and the machine are capable.
    pub effective_mib: u64,
    /// Seconds to read what belongs into memory, after a start of the machine.
    pub warm_seconds: u64,
    /// Seconds to read all of the data once, at least: a first backup into a repository, or a verification.
    pub read_seconds: u64,
}

/// The volume for so much disk, of which so much is data and so much is read into memory at a start, on such a machine.
pub(super) fn advise(disk: u64, data: u64, read: u64, machine: Option<&Machine>) -> Volume {
    let wanted = disk / (100 - FREE_PERCENT) * 100;
    let size_gib = wanted.div_ceil(GIB).div_ceil(STEP_GIB) * STEP_GIB;
    let of_machine = machine.map_or(u64::MAX, |machine| machine.ebs_mbps * 1_000_000 / 8 / MIB);
    let needed = (read / WARM_IN).max(data / READ_IN).div_ceil(MIB);
    let [free, .., most] = THROUGHPUTS;
    let enough = THROUGHPUTS.into_iter().find(|offered| *offered >= needed).unwrap_or(most);
    // What the machine cannot take is not worth paying for.
    let useful = THROUGHPUTS.into_iter().find(|offered| *offered >= of_machine).unwrap_or(most);
    let throughput_mib = enough.min(useful).max(free);
    let effective_mib = throughput_mib.min(of_machine);
    let seconds = |bytes: u64| bytes.div_ceil(effective_mib.max(1) * MIB);
    Volume {
        size_gib,
        iops: IOPS.max(throughput_mib * IOPS_PER_MIB),
        throughput_mib,
        effective_mib,
        warm_seconds: seconds(read),
        read_seconds: seconds(data),
    }
}
